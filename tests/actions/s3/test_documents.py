"""Documents of S3's verbs: who may, and whether the bucket is there, come before they are read."""

import json
from typing import Any

import pytest

from eucabox import actions
from eucabox.actions import Call
from eucabox.errors import Fault
from tests.actions.shop import Shop

READ = "the document was read"


class _ReadError(Exception):
    pass


def send(shop: Shop, name: str, who: str, **params: Any) -> str:
    """Send a verb whose document must not be read; the fault's code, or READ."""

    def document() -> dict[str, Any]:
        raise _ReadError

    call = Call(shop.cloud, shop.people[who], "r", document=document)
    try:
        actions.perform("s3", name, call, {"bucket": "shop", **params})
    except Fault as fault:
        return fault.code
    except _ReadError:
        return READ
    return ""


def policy(shop: Shop, **members: Any) -> None:
    """Give the bucket a policy of one statement."""
    statement = {"Effect": "Allow", "Principal": "*", "Resource": "arn:aws:s3:::shop/*", **members}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    shop.ask("PutBucketPolicy", bucket="shop", policy=text)


WITH_DOCUMENTS = (
    *("DeleteObjects", "CompleteMultipartUpload", "PutBucketAcl", "PutBucketCors"),
    *("PutBucketPolicy", "PutBucketTagging", "PutBucketLifecycleConfiguration"),
)


@pytest.mark.parametrize("name", WITH_DOCUMENTS)
def test_a_bucket_that_is_not_there_is_told_before_the_document_is_read(
    shop: Shop, name: str
) -> None:
    for who in ("ann", ""):
        assert send(shop, name, who, bucket="nowhere") == "NoSuchBucket"


@pytest.mark.parametrize("name", WITH_DOCUMENTS)
def test_who_has_no_chance_is_refused_before_the_document_is_read(shop: Shop, name: str) -> None:
    assert send(shop, name, "") == "AccessDenied"
    assert send(shop, name, "bob") == "AccessDenied"
    assert send(shop, name, "ann") == READ
    assert send(shop, name, "ann", expected_bucket_owner="999999999999") == "AccessDenied"


@pytest.mark.parametrize("name", ["PutObjectAcl", "PutObjectTagging", "RestoreObject"])
def test_what_an_object_of_others_may_allow_is_looked_at(shop: Shop, name: str) -> None:
    assert send(shop, name, "bob", key="k") == READ


def test_whom_a_policy_or_an_access_list_may_let_in_has_the_document_read(shop: Shop) -> None:
    policy(shop, Action="s3:DeleteObjectVersion")
    assert send(shop, "DeleteObjects", "bob") == READ
    assert send(shop, "CompleteMultipartUpload", "bob") == "AccessDenied"
    home = {"StringLike": {"s3:x-amz-acl": "private"}}
    policy(shop, Action="s3:Put*", Condition=home)
    assert send(shop, "CompleteMultipartUpload", "bob") == READ
    assert send(shop, "DeleteObjects", "bob") == "AccessDenied"
    shop.ask("DeleteBucketPolicy", bucket="shop")
    shop.ask("PutBucketAcl", bucket="shop", acl="public-read-write")
    assert send(shop, "DeleteObjects", "") == READ
    assert send(shop, "PutBucketAcl", "") == "AccessDenied"
