"""Whether and where requests are logged: set, told, refused; and logs that come, whatever ends."""

import errno
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eucabox.s3.access_log import AccessLog
from tests.actions.shop import Shop

SERVICE = {"Service": "logging.s3.amazonaws.com"}


@pytest.fixture(autouse=True)
def _logs(shop: Shop, tmp_path: Path) -> Iterator[AccessLog]:
    shop.ask("CreateBucket", bucket="logs", acl="log-delivery-write")
    made = shop.cloud.access_log = AccessLog(shop.store, tmp_path / "access", "mars", lambda: 3600)
    made.start()
    yield made
    made.close()


def enable(shop: Shop, who: str = "ann", **members: Any) -> None:
    status = {"logging_enabled": {"target_bucket": "logs", "target_prefix": "p/", **members}}
    shop.ask("PutBucketLogging", who, bucket="shop", bucket_logging_status=status)


def refused(shop: Shop, who: str = "ann", **members: Any) -> str:
    status = {"logging_enabled": {"target_bucket": "logs", "target_prefix": "p/", **members}}
    return shop.refused("PutBucketLogging", who, bucket="shop", bucket_logging_status=status)


def logs(shop: Shop) -> dict[str, str]:
    found = shop.ask("ListObjectsV2", bucket="logs")["contents"]
    members = {}
    for each in found:
        with shop.store.open("logs", each["key"]) as opened:
            members[each["key"]] = opened.read().decode()
    return members


def record(shop: Shop, line: str) -> None:
    bucket = shop.cloud.access_log.bucket("shop")
    assert bucket is not None
    shop.cloud.access_log.record(bucket, line)


@pytest.mark.not_fast
def test_what_is_set_is_told_and_taken_back(shop: Shop) -> None:
    assert shop.ask("GetBucketLogging", bucket="shop") == {}
    form = {"partitioned_prefix": {"partition_date_source": "DeliveryTime"}}
    canonical_id = shop.people["bob"].canonical_id  # type: ignore[union-attr]
    grantee = {"type": "CanonicalUser", "id": canonical_id, "display_name": "bob"}
    grants = [{"grantee": grantee, "permission": "READ"}]
    enable(shop, target_object_key_format=form, target_grants=grants)
    assert shop.ask("GetBucketLogging", bucket="shop") == {
        "logging_enabled": {
            "target_bucket": "logs",
            "target_prefix": "p/",
            "target_grants": grants,
            "target_object_key_format": form,
        }
    }
    shop.ask("PutBucketLogging", bucket="shop", bucket_logging_status={})
    assert shop.ask("GetBucketLogging", bucket="shop") == {}
    assert shop.cloud.access_log.bucket("shop") is None


@pytest.mark.not_fast
def test_an_invalid_logging_configuration_is_refused(shop: Shop) -> None:
    shop.ask("CreateBucket", "bob", bucket="bobs-logs", acl="log-delivery-write")
    shop.ask("CreateBucket", bucket="silent")
    assert refused(shop, "bob") == "AccessDenied"
    assert refused(shop, target_bucket="nowhere") == "InvalidTargetBucketForLogging"
    assert refused(shop, target_bucket="bobs-logs") == "InvalidTargetBucketForLogging"
    assert refused(shop, target_bucket="silent") == "AccessDenied"
    assert refused(shop, target_bucket="") == "MalformedXML"
    both: dict[str, Any] = {"simple_prefix": {}, "partitioned_prefix": {}}
    assert refused(shop, target_object_key_format=both) == "MalformedXML"
    odd = {"partitioned_prefix": {"partition_date_source": "Noon"}}
    assert refused(shop, target_object_key_format=odd) == "MalformedXML"
    grants = [{"grantee": {"type": "CanonicalUser", "id": "x"}, "permission": "READ_ACP"}]
    assert refused(shop, target_grants=grants) == "MalformedXML"


@pytest.mark.not_fast
def test_logs_stay_in_their_region(shop: Shop) -> None:
    """A bucket for which none was named is in every region."""
    for name, region in (("here", "eu-west-1"), ("beside", "eu-west-1"), ("there", "us-west-2")):
        made = {"location_constraint": region}
        acl = "log-delivery-write"
        shop.ask("CreateBucket", bucket=name, create_bucket_configuration=made, acl=acl)

    def logged_to(target: str) -> dict[str, Any]:
        members = {"logging_enabled": {"target_bucket": target, "target_prefix": ""}}
        return {"bucket": "here", "bucket_logging_status": members}

    enable(shop, target_bucket="here")
    shop.ask("PutBucketLogging", **logged_to("beside"))
    shop.ask("PutBucketLogging", **logged_to("logs"))
    fault = shop.refused("PutBucketLogging", **logged_to("there"))
    assert fault == "CrossLocationLoggingProhibitted"


@pytest.mark.not_fast
@pytest.mark.parametrize("resource", ["arn:aws:s3:::quiet/p/*", "arn:aws:s3:::quiet/p/"])
def test_a_policy_lets_logs_in(shop: Shop, resource: str) -> None:
    shop.ask("CreateBucket", bucket="quiet")
    condition = {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::shop"}}
    condition["StringEquals"] = {"aws:SourceAccount": shop.store.bucket("shop").owner}
    statement = {"Effect": "Allow", "Principal": SERVICE, "Action": "s3:PutObject"}
    document = {"Version": "2012-10-17"}
    members = {
        **document,
        "Statement": [{**statement, "Resource": resource, "Condition": condition}],
    }
    shop.ask("PutBucketPolicy", bucket="quiet", policy=json.dumps(members))
    enable(shop, target_bucket="quiet")
    condition["ArnLike"]["aws:SourceArn"] = "arn:aws:s3:::other"
    shop.ask("PutBucketPolicy", bucket="quiet", policy=json.dumps(members))
    assert refused(shop, target_bucket="quiet", target_prefix="p/") == "AccessDenied"


def test_records_are_delivered_together(shop: Shop) -> None:
    enable(shop)
    record(shop, "one")
    record(shop, "two")
    assert logs(shop) == {}
    shop.cloud.access_log.deliver()
    (key, content), *rest = logs(shop).items()
    assert (content, rest) == ("one\ntwo\n", [])
    assert key.startswith("p/20") and len(key) == len("p/2026-01-01-00-00-00-") + 16
    shop.cloud.access_log.deliver("shop")
    assert len(logs(shop)) == 1


@pytest.mark.not_fast
def test_what_comes_while_the_target_changes_goes_to_the_new_one(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = shop.cloud.access_log
    enable(shop)
    record(shop, "one")
    deliver = log.deliver

    def busy(bucket: str = "") -> None:
        deliver(bucket)
        record(shop, "two")

    monkeypatch.setattr(log, "deliver", busy)
    enable(shop, target_prefix="q/")
    deliver()
    assert {key[:2]: content for key, content in logs(shop).items()} == {
        "p/": "one\n",
        "q/": "two\n",
    }


@pytest.mark.parametrize("source", ["EventTime", "DeliveryTime"])
def test_keys_by_account_region_bucket_and_day(shop: Shop, source: str) -> None:
    enable(shop, target_object_key_format={"partitioned_prefix": {"partition_date_source": source}})
    record(shop, "one")
    shop.ask("PutBucketLogging", bucket="shop", bucket_logging_status={})  # delivers the rest
    (key,) = logs(shop)
    account, region, bucket, *day, name = key.removeprefix("p/").split("/")
    assert (account, region, bucket) == (shop.store.bucket("shop").owner, "mars", "shop")
    assert name.startswith("-".join(day))
    assert ("-00-00-00-" in name) == (source == "EventTime")


@pytest.mark.not_fast
def test_a_killed_process_loses_no_record(shop: Shop, tmp_path: Path) -> None:
    enable(shop)
    record(shop, "one")
    other = AccessLog(shop.store, tmp_path / "access", "mars", lambda: 3600)
    other.start()  # as after a kill -9: the first one never closed
    other.close()
    assert list(logs(shop).values()) == ["one\n"]
    assert not list((tmp_path / "access").iterdir())


@pytest.mark.not_fast
def test_a_file_without_a_head_holds_up_no_other(shop: Shop, tmp_path: Path) -> None:
    enable(shop)
    record(shop, "one")
    (tmp_path / "access" / "a.2026-01-31-00-00-00-0123456789ABCDEF.ready").touch()
    shop.cloud.access_log.deliver()
    assert list(logs(shop).values()) == ["one\n"]
    assert not list((tmp_path / "access").iterdir())


@pytest.mark.not_fast
def test_a_full_disk_loses_records_and_no_more(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "full")

    enable(shop)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        record(shop, "one")
    record(shop, "two")
    shop.cloud.access_log.deliver()
    assert list(logs(shop).values()) == ["two\n"]


def test_a_file_that_cannot_be_renamed_goes_on(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    enable(shop)
    record(shop, "one")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", full)
        shop.cloud.access_log.deliver()
    record(shop, "two")
    shop.cloud.access_log.deliver()
    assert list(logs(shop).values()) == ["one\ntwo\n"]


@pytest.mark.not_fast
def test_records_that_no_target_accepts_are_dropped(shop: Shop, tmp_path: Path) -> None:
    enable(shop)
    record(shop, "one")
    shop.ask("PutBucketAcl", bucket="logs", acl="private")
    shop.cloud.access_log.deliver()
    record(shop, "two")
    shop.ask("DeleteBucket", bucket="logs")
    shop.cloud.access_log.deliver()
    assert not list((tmp_path / "access").iterdir())


def test_they_come_by_themselves(shop: Shop, tmp_path: Path) -> None:
    enable(shop)
    quick = shop.cloud.access_log = AccessLog(shop.store, tmp_path / "b", "mars", lambda: 0)
    quick.start()
    record(shop, "one")
    deadline = time.monotonic() + 10
    while "one\n" not in logs(shop).values():  # before the end, which delivers everything
        assert time.monotonic() < deadline
        time.sleep(0.01)
    quick.close()


@pytest.mark.not_fast
def test_logs_are_encrypted_where_the_target_says_so(shop: Shop) -> None:
    rules: Any = [{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}]
    members: dict[str, Any] = {"server_side_encryption_configuration": {"rules": rules}}
    shop.ask("PutBucketEncryption", bucket="logs", **members)
    enable(shop)
    record(shop, "one")
    shop.cloud.access_log.deliver()
    (entry,) = shop.ask("ListObjectsV2", bucket="logs")["contents"]
    head = shop.ask("HeadObject", bucket="logs", key=entry["key"])
    assert (head["server_side_encryption"], head["content_length"]) == ("AES256", 4)


def policy(shop: Shop, *statements: dict[str, Any]) -> None:
    members = {"Version": "2012-10-17", "Statement": list(statements)}
    shop.ask("PutBucketPolicy", bucket="logs", policy=json.dumps(members))


def statement(effect: str, resource: str) -> dict[str, Any]:
    return {
        "Effect": effect, "Principal": SERVICE, "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::logs/{resource}",
    }  # fmt: skip


def test_whether_a_log_may_be_written_is_asked_of_its_own_key_when_it_is(shop: Shop) -> None:
    enable(shop)
    record(shop, "one")
    policy(shop, statement("Deny", "p/20*"))
    shop.cloud.access_log.deliver()
    assert logs(shop) == {}, "an access list allows it, and a policy denies it"
    assert refused(shop, target_prefix="p/") == "AccessDenied"


def test_a_bucket_that_took_the_targets_name_meanwhile_gets_no_log(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    enable(shop)
    record(shop, "one")
    put = shop.store.put

    def put_late(bucket: str, *given: Any, **members: Any) -> Any:
        shop.ask("DeleteBucket", bucket="logs")
        shop.ask("CreateBucket", "bob", bucket="logs", acl="log-delivery-write")
        return put(bucket, *given, **members)

    monkeypatch.setattr(shop.store, "put", put_late)
    shop.cloud.access_log.deliver()
    assert shop.ask("ListObjectsV2", "bob", bucket="logs")["contents"] == []
