"""Settings of a bucket that are words here, and objects that S3 would have to restore."""

from typing import Any

import pytest

from eucabox import actions
from eucabox.actions import unsupported
from tests.actions.shop import Shop

NOTIFY: dict[str, Any] = {"queue_configurations": [{"queue_arn": "q", "events": ["s3:*"]}]}


def test_who_pays(shop: Shop) -> None:
    assert shop.ask("GetBucketRequestPayment", bucket="shop") == {"payer": "BucketOwner"}
    request: dict[str, Any] = {"request_payment_configuration": {"payer": "Requester"}}
    shop.ask("PutBucketRequestPayment", bucket="shop", **request)
    assert shop.ask("GetBucketRequestPayment", bucket="shop") == {"payer": "Requester"}
    assert (
        shop.refused("PutBucketRequestPayment", "bob", bucket="shop", **request) == "AccessDenied"
    )
    wrong: dict[str, Any] = {"request_payment_configuration": {"payer": "Nobody"}}
    assert shop.refused("PutBucketRequestPayment", bucket="shop", **wrong) == "MalformedXML"


def test_acceleration(shop: Shop) -> None:
    verb = "PutBucketAccelerateConfiguration"
    request: dict[str, Any] = {"bucket": "shop", "accelerate_configuration": {"status": "Enabled"}}
    assert shop.ask("GetBucketAccelerateConfiguration", bucket="shop") == {}
    shop.ask(verb, **request)
    found = shop.ask("GetBucketAccelerateConfiguration", bucket="shop")
    assert found == {"status": "Enabled"}
    assert shop.refused(verb, "bob", **request) == "AccessDenied"
    assert shop.refused(verb, **{**request, "accelerate_configuration": {}}) == "MalformedXML"
    shop.ask("CreateBucket", bucket="a.b")
    assert shop.refused(verb, **{**request, "bucket": "a.b"}) == "InvalidRequest"


def test_notifications_can_be_switched_off_only(shop: Shop) -> None:
    verb = "PutBucketNotificationConfiguration"
    assert shop.ask(verb, bucket="shop", notification_configuration={}) == {}
    params: dict[str, Any] = {"bucket": "shop", "notification_configuration": NOTIFY}
    assert shop.refused(verb, **params) == "NotImplemented"
    assert shop.refused(verb, "bob", **params) == "AccessDenied"
    assert shop.ask("GetBucketNotificationConfiguration", bucket="shop") == {}


def test_an_archive_is_at_hand(shop: Shop) -> None:
    shop.put("cold", storage_class="GLACIER")
    shop.put("warm", storage_class="STANDARD_IA")
    assert 'ongoing-request="false"' in shop.ask("HeadObject", bucket="shop", key="cold")["restore"]
    assert "restore" not in shop.ask("HeadObject", bucket="shop", key="warm")
    request: dict[str, Any] = {"bucket": "shop", "restore_request": {"days": 1}}
    assert shop.ask("RestoreObject", key="cold", **request) == {}
    assert shop.refused("RestoreObject", key="warm", **request) == "InvalidObjectState"
    assert shop.refused("RestoreObject", key="none", **request) == "NoSuchKey"
    assert shop.refused("RestoreObject", "bob", key="cold", **request) == "AccessDenied"
    select: dict[str, Any] = {"bucket": "shop", "restore_request": {"select_parameters": {}}}
    assert shop.refused("RestoreObject", key="cold", **select) == "NotImplemented"


def test_there_are_no_torrents(shop: Shop) -> None:
    shop.put("k")
    assert shop.refused("GetObjectTorrent", bucket="shop", key="k") == "NoSuchKey"
    assert shop.refused("GetObjectTorrent", "bob", bucket="shop", key="k") == "AccessDenied"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("SelectObjectContent", "range of it"),
        ("PutBucketReplication", "rclone"),
        ("PutBucketInventoryConfiguration", "List the bucket"),
        ("CreateSession", "Directory buckets"),
        ("SomethingNew", "Leave this feature out"),
    ],
)
def test_what_is_not_there_is_refused_with_what_to_do(name: str, hint: str) -> None:
    assert ("s3", name) not in actions.load()
    assert hint in unsupported.s3_hint(name)


# What Terraform's aws_s3_bucket reads of every bucket: an answer, or the one code it expects.
READ = {
    "GetBucketAccelerateConfiguration": "",
    "GetBucketAcl": "",
    "GetBucketCors": "NoSuchCORSConfiguration",
    "GetBucketLifecycleConfiguration": "NoSuchLifecycleConfiguration",
    "GetBucketLocation": "",
    "GetBucketLogging": "",
    "GetBucketPolicy": "NoSuchBucketPolicy",
    "GetBucketReplication": "ReplicationConfigurationNotFoundError",
    "GetBucketRequestPayment": "",
    "GetBucketTagging": "NoSuchTagSet",
    "GetBucketVersioning": "",
    "GetBucketWebsite": "NoSuchWebsiteConfiguration",
    "GetObjectLockConfiguration": "ObjectLockConfigurationNotFoundError",
}


@pytest.mark.parametrize(("name", "code"), READ.items())
def test_terraform_reads_a_plain_bucket(shop: Shop, name: str, code: str) -> None:
    if code:
        assert shop.refused(name, bucket="shop") == code
    else:
        shop.ask(name, bucket="shop")
