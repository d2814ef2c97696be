"""Listings: pages, prefixes, owners, and versions of a bucket that has none."""

from typing import Any

import pytest

from tests.actions.shop import Shop

KEYS = ["a/1", "a/2", "b", "c/1", "d"]


@pytest.fixture
def full(shop: Shop) -> Shop:
    for key in KEYS:
        shop.put(key)
    return shop


def shown(page: dict[str, Any], kind: str = "contents") -> list[str]:
    prefixes = [each["prefix"] for each in page["common_prefixes"]]
    return sorted(prefixes + [each["key"] for each in page[kind]])


def test_the_first_form_in_pages(full: Shop) -> None:
    seen: list[str] = []
    marker = ""
    while True:
        page = full.ask("ListObjects", bucket="shop", delimiter="/", marker=marker, max_keys=2)
        seen += shown(page)
        if not page["is_truncated"]:
            break
        marker = page["next_marker"]
    assert seen == ["a/", "b", "c/", "d"]
    assert "next_marker" not in full.ask("ListObjects", bucket="shop", max_keys=2)
    assert page["contents"][0]["owner"]["display_name"] == "ann"


def test_the_second_form_in_pages(full: Shop) -> None:
    first = full.ask("ListObjectsV2", bucket="shop", max_keys=3)
    token = first["next_continuation_token"]
    rest = full.ask("ListObjectsV2", bucket="shop", continuation_token=token, fetch_owner=True)
    assert shown(first) + shown(rest) == KEYS
    assert (first["key_count"], rest["key_count"]) == (3, 2)
    assert "owner" not in first["contents"][0]
    assert rest["contents"][0]["owner"]["display_name"] == "ann"
    some = full.ask("ListObjectsV2", bucket="shop", prefix="a/", start_after="a/1")
    assert shown(some) == ["a/2"]


def test_versions(full: Shop) -> None:
    first = full.ask("ListObjectVersions", bucket="shop", max_keys=3)
    marker = {"key_marker": first["next_key_marker"], "version_id_marker": "null"}
    rest = full.ask("ListObjectVersions", bucket="shop", **marker)
    assert shown(first, "versions") + shown(rest, "versions") == KEYS
    assert {(each["version_id"], each["is_latest"]) for each in first["versions"]} == {
        ("null", True)
    }


def test_bounds(full: Shop) -> None:
    nothing = full.ask("ListObjectsV2", bucket="shop", max_keys=0)
    assert (nothing["contents"], nothing["is_truncated"], nothing["max_keys"]) == ([], False, 0)
    assert full.ask("ListObjects", bucket="shop", max_keys=5000)["max_keys"] == 1000


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("ListObjects", {"max_keys": -1}),
        ("ListObjects", {"encoding_type": "rot13"}),
        ("ListObjectsV2", {"continuation_token": "\u00e4"}),
        ("ListObjectsV2", {"continuation_token": "abc"}),
        ("ListObjectVersions", {"version_id_marker": "null"}),
    ],
)
def test_an_invalid_argument_is_refused(full: Shop, name: str, members: dict[str, Any]) -> None:
    assert full.refused(name, bucket="shop", **members) == "InvalidArgument"
