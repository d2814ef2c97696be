"""CORS rules: kept as they are put, if they are what S3 takes."""

from typing import Any

import pytest

from tests.actions.shop import Shop

RULE: dict[str, Any] = {"allowed_methods": ["GET"], "allowed_origins": ["*"]}


def put(shop: Shop, *rules: dict[str, Any], who: str = "ann") -> None:
    shop.ask("PutBucketCors", who, bucket="shop", cors_configuration={"cors_rules": list(rules)})


def test_rules_are_kept_told_and_taken_away(shop: Shop) -> None:
    assert shop.refused("GetBucketCors", bucket="shop") == "NoSuchCORSConfiguration"
    rules = [{**RULE, "id": "a", "max_age_seconds": 5, "expose_headers": ["ETag"]}, RULE]
    put(shop, *rules)
    assert shop.ask("GetBucketCors", bucket="shop") == {"cors_rules": rules}
    shop.ask("DeleteBucketCors", bucket="shop")
    assert shop.refused("GetBucketCors", bucket="shop") == "NoSuchCORSConfiguration"
    assert shop.ask("DeleteBucketCors", bucket="shop") == {}


def test_only_the_owner_gets_puts_and_deletes_cors_rules(shop: Shop) -> None:
    for name in ("GetBucketCors", "DeleteBucketCors"):
        assert shop.refused(name, "bob", bucket="shop") == "AccessDenied"
    params: dict[str, Any] = {"bucket": "shop", "cors_configuration": {"cors_rules": [RULE]}}
    assert shop.refused("PutBucketCors", "bob", **params) == "AccessDenied"
    assert shop.refused("PutBucketCors", "", **params) == "AccessDenied"


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ([], "MalformedXML"),
        ([{"allowed_methods": ["GET"]}], "MalformedXML"),
        ([{"allowed_origins": ["*"]}], "MalformedXML"),
        ([RULE] * 101, "InvalidRequest"),
        ([{**RULE, "allowed_methods": ["PATCH"]}], "InvalidRequest"),
        ([{**RULE, "allowed_methods": ["get"]}], "InvalidRequest"),
        ([{**RULE, "allowed_origins": ["*.a.*"]}], "InvalidRequest"),
        ([{**RULE, "allowed_headers": ["*-a-*"]}], "InvalidRequest"),
        ([{**RULE, "expose_headers": ["x-*"]}], "InvalidRequest"),
        ([{**RULE, "id": "i" * 256}], "InvalidRequest"),
    ],
)
def test_an_invalid_rule_is_refused(shop: Shop, rules: list[dict[str, Any]], code: str) -> None:
    params: dict[str, Any] = {"bucket": "shop", "cors_configuration": {"cors_rules": rules}}
    assert shop.refused("PutBucketCors", **params) == code
    assert shop.refused("GetBucketCors", bucket="shop") == "NoSuchCORSConfiguration"
