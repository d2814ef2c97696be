"""Lifecycle configurations: kept and shown as they came, refused as S3 refuses them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.actions.shop import Shop

MIDNIGHT = datetime(2030, 1, 1, tzinfo=UTC)


def rule(**members: Any) -> dict[str, Any]:
    return {"id": "r", "prefix": "p/", "status": "Enabled", "expiration": {"days": 1}, **members}


def without(name: str, **members: Any) -> dict[str, Any]:
    made = rule(**members)
    made.pop(name)
    return made


def put(shop: Shop, *rules: dict[str, Any], **members: Any) -> dict[str, Any]:
    configuration = {"rules": list(rules)}
    return shop.ask(
        "PutBucketLifecycleConfiguration",
        bucket="shop",
        lifecycle_configuration=configuration,
        **members,
    )


def filtered(**conditions: Any) -> dict[str, Any]:
    return without("prefix", filter=conditions)


TAG = {"key": "a", "value": "1"}
GOOD = [
    rule(),
    rule(status="Disabled", expiration={"date": MIDNIGHT}),
    rule(expiration={"expired_object_delete_marker": True}),
    without("expiration", transitions=[{"days": 0, "storage_class": "GLACIER"}]),
    without("expiration", transitions=[{"date": MIDNIGHT, "storage_class": "GLACIER_IR"}]),
    without("expiration", noncurrent_version_expiration={"noncurrent_days": 1}),
    without(
        "expiration",
        noncurrent_version_expiration={"noncurrent_days": 3, "newer_noncurrent_versions": 100},
        noncurrent_version_transitions=[{"noncurrent_days": 30, "storage_class": "STANDARD_IA"}],
    ),
    without("expiration", abort_incomplete_multipart_upload={"days_after_initiation": 7}),
    filtered(),
    filtered(prefix="a"),
    filtered(tag=TAG),
    filtered(prefix="", tag=TAG),
    filtered(object_size_greater_than=0),
    filtered(**{"and": {"prefix": "a", "tags": [TAG], "object_size_less_than": 5}}),
    filtered(**{"and": {"tags": [TAG, {"key": "b", "value": ""}]}}),
    rule(expiration={"days": 31}, transitions=[{"days": 30, "storage_class": "ONEZONE_IA"}]),
]


@pytest.mark.not_fast
@pytest.mark.parametrize("members", GOOD, ids=str)
def test_a_rule_is_shown_as_it_was_put(shop: Shop, members: dict[str, Any]) -> None:
    assert put(shop, members) == {
        "transition_default_minimum_object_size": "all_storage_classes_128K"
    }
    shown = shop.ask("GetBucketLifecycleConfiguration", bucket="shop")
    assert shown["rules"] == [members]
    assert shown["transition_default_minimum_object_size"] == "all_storage_classes_128K"


def test_without_an_id_a_rule_gets_one(shop: Shop) -> None:
    put(shop, without("id"), without("id", prefix="q/"))
    shown = shop.ask("GetBucketLifecycleConfiguration", bucket="shop")["rules"]
    assert len({each["id"] for each in shown}) == 2


@pytest.mark.not_fast
def test_rules_are_replaced_and_taken_away(shop: Shop) -> None:
    put(shop, rule(id="a"), rule(id="b"))
    varies = "varies_by_storage_class"
    assert put(shop, rule(id="c"), transition_default_minimum_object_size=varies) == {
        "transition_default_minimum_object_size": varies
    }
    shown = shop.ask("GetBucketLifecycleConfiguration", bucket="shop")["rules"]
    assert [each["id"] for each in shown] == ["c"]
    shop.ask("DeleteBucketLifecycle", bucket="shop")
    code = shop.refused("GetBucketLifecycleConfiguration", bucket="shop")
    assert code == "NoSuchLifecycleConfiguration"
    shop.ask("DeleteBucketLifecycle", bucket="shop")
    for name in ("GetBucketLifecycleConfiguration", "DeleteBucketLifecycle"):
        assert shop.refused(name, "bob", bucket="shop") == "AccessDenied"


NONCURRENT = "noncurrent_version_expiration"
BAD: list[tuple[list[dict[str, Any]], str]] = [
    ([], "MalformedXML"),
    ([rule(id=str(each)) for each in range(1001)], "MalformedXML"),
    ([rule(), rule()], "InvalidArgument"),
    ([rule(id="i" * 256)], "InvalidArgument"),
    ([rule(status="enabled")], "MalformedXML"),
    ([without("status")], "MalformedXML"),
    ([without("prefix")], "MalformedXML"),
    ([rule(filter={"prefix": "p"})], "MalformedXML"),
    ([without("expiration")], "InvalidRequest"),
    ([rule(expiration={"days": 0})], "InvalidArgument"),
    ([rule(expiration={"days": -1})], "InvalidArgument"),
    ([rule(expiration={"days": 2**31})], "InvalidArgument"),
    ([rule(expiration={"days": 1, "date": MIDNIGHT})], "MalformedXML"),
    ([rule(expiration={"days": 1, "expired_object_delete_marker": True})], "MalformedXML"),
    ([rule(expiration={"date": MIDNIGHT.replace(hour=1)})], "InvalidArgument"),
    ([filtered(prefix="a", tag=TAG)], "MalformedXML"),
    ([filtered(**{"and": {"prefix": "a"}})], "MalformedXML"),
    ([filtered(**{"and": {}})], "MalformedXML"),
    ([filtered(**{"and": {"tags": [TAG, TAG]}})], "InvalidTag"),
    ([filtered(tag={"key": "", "value": ""})], "InvalidTag"),
    ([filtered(tag={"key": "a"})], "MalformedXML"),
    ([filtered(object_size_greater_than=-1)], "InvalidArgument"),
    (
        [filtered(**{"and": {"object_size_greater_than": 5, "object_size_less_than": 5}})],
        "InvalidRequest",
    ),
    ([rule(prefix="p" * 1025)], "InvalidRequest"),
    (
        [{**filtered(tag=TAG), "expiration": {"expired_object_delete_marker": True}}],
        "InvalidRequest",
    ),
    (
        [
            {
                **filtered(tag=TAG),
                "abort_incomplete_multipart_upload": {"days_after_initiation": 1},
            }
        ],
        "InvalidRequest",
    ),
    ([rule(abort_incomplete_multipart_upload={"days_after_initiation": 0})], "InvalidArgument"),
    ([rule(abort_incomplete_multipart_upload={"x": 0})], "UnsupportedOperation"),
    ([rule(transitions=[{"days": 1}])], "MalformedXML"),
    ([rule(transitions=[{"days": 1, "storage_class": "STANDARD"}])], "MalformedXML"),
    ([rule(transitions=[{"storage_class": "GLACIER"}])], "MalformedXML"),
    ([rule(transitions=[{"days": 29, "storage_class": "STANDARD_IA"}])], "InvalidArgument"),
    ([rule(transitions=[{"days": 1, "storage_class": "GLACIER"}])], "InvalidArgument"),
    ([rule(transitions=[{"date": MIDNIGHT, "storage_class": "GLACIER"}])], "InvalidRequest"),
    (
        [
            without(
                "expiration",
                transitions=[
                    {"days": 1, "storage_class": "GLACIER"},
                    {"days": 2, "storage_class": "GLACIER"},
                ],
            )
        ],
        "InvalidRequest",
    ),
    ([rule(**{NONCURRENT: {"noncurrent_days": 0}})], "InvalidArgument"),
    ([rule(**{NONCURRENT: {"newer_noncurrent_versions": 1}})], "MalformedXML"),
    (
        [rule(**{NONCURRENT: {"noncurrent_days": 1, "newer_noncurrent_versions": 101}})],
        "InvalidArgument",
    ),
]


@pytest.mark.not_fast
@pytest.mark.parametrize(("rules", "code"), BAD, ids=lambda each: str(each)[:80])
def test_what_is_refused_changes_nothing(
    shop: Shop, rules: list[dict[str, Any]], code: str
) -> None:
    put(shop, rule(id="kept"))
    members: dict[str, Any] = {"lifecycle_configuration": {"rules": rules}}
    assert shop.refused("PutBucketLifecycleConfiguration", bucket="shop", **members) == code
    shown = shop.ask("GetBucketLifecycleConfiguration", bucket="shop")["rules"]
    assert [each["id"] for each in shown] == ["kept"]


def test_an_unknown_minimum_is_refused(shop: Shop) -> None:
    members: dict[str, Any] = {"lifecycle_configuration": {"rules": [rule()]}}
    members["transition_default_minimum_object_size"] = "1K"
    code = shop.refused("PutBucketLifecycleConfiguration", bucket="shop", **members)
    assert code == "InvalidArgument"
