"""Websites: what is configured, and which page or redirect a path gets."""

import json
from typing import Any

import pytest

from eucabox import actions
from eucabox.actions import Call
from eucabox.errors import Fault
from tests.actions.shop import Shop

INDEX = {"index_document": {"suffix": "index.html"}}
ELSEWHERE = {"host_name": "example.com", "protocol": "https"}


def configure(shop: Shop, **website: Any) -> None:
    shop.ask("PutBucketWebsite", bucket="shop", website_configuration=website)


def page(shop: Shop, path: str, **conditions: Any) -> dict[str, Any]:
    call = Call(shop.cloud, shop.people["ann"], "r")
    params: dict[str, Any] = {"bucket": "shop", "path": path, "conditions": conditions}
    found: dict[str, Any] = actions.perform("website", "GetPage", call, params) or {}
    if "got" in found:
        body = found["got"].pop("body")
        found["text"] = b"".join(body).decode()
        body.close()
    return found


def code(shop: Shop, path: str, **conditions: Any) -> str:
    with pytest.raises(Fault) as caught:
        page(shop, path, **conditions)
    return caught.value.code


def open_to_all(shop: Shop, *keys: str) -> None:
    shop.ask("PutBucketAcl", bucket="shop", acl="public-read")
    for key in keys:
        shop.put(key, key.encode(), acl="public-read")


def test_a_website_is_kept_told_and_taken_away(shop: Shop) -> None:
    assert shop.refused("GetBucketWebsite", bucket="shop") == "NoSuchWebsiteConfiguration"
    whole = {**INDEX, "error_document": {"key": "e"}, "routing_rules": [{"redirect": ELSEWHERE}]}
    configure(shop, **whole)
    assert shop.ask("GetBucketWebsite", bucket="shop") == whole
    assert shop.refused("GetBucketWebsite", "bob", bucket="shop") == "AccessDenied"
    assert shop.refused("DeleteBucketWebsite", "bob", bucket="shop") == "AccessDenied"
    shop.ask("DeleteBucketWebsite", bucket="shop")
    assert shop.refused("GetBucketWebsite", bucket="shop") == "NoSuchWebsiteConfiguration"
    assert code(shop, "") == "NoSuchWebsiteConfiguration"


@pytest.mark.parametrize(
    ("website", "refused"),
    [
        ({}, "InvalidArgument"),
        ({"index_document": {"suffix": ""}}, "InvalidArgument"),
        ({"index_document": {"suffix": "a/b"}}, "InvalidArgument"),
        ({**INDEX, "error_document": {}}, "InvalidArgument"),
        ({**INDEX, "redirect_all_requests_to": ELSEWHERE}, "InvalidRequest"),
        ({"redirect_all_requests_to": {}}, "MalformedXML"),
        ({"redirect_all_requests_to": {**ELSEWHERE, "protocol": "ftp"}}, "InvalidRequest"),
        ({**INDEX, "routing_rules": [{"redirect": ELSEWHERE}] * 51}, "InvalidRequest"),
        ({**INDEX, "routing_rules": [{"condition": {"key_prefix_equals": "a"}}]}, "MalformedXML"),
        ({**INDEX, "routing_rules": [{"condition": {}, "redirect": ELSEWHERE}]}, "InvalidRequest"),
        (
            {
                **INDEX,
                "routing_rules": [
                    {"redirect": {"replace_key_with": "a", "replace_key_prefix_with": "b"}}
                ],
            },
            "InvalidRequest",
        ),
        (
            {**INDEX, "routing_rules": [{"redirect": {"http_redirect_code": "404"}}]},
            "InvalidRequest",
        ),
        (
            {**INDEX, "routing_rules": [{"redirect": {"http_redirect_code": "300"}}]},
            "InvalidRequest",
        ),
        (
            {
                **INDEX,
                "routing_rules": [
                    {
                        "condition": {"http_error_code_returned_equals": "302"},
                        "redirect": ELSEWHERE,
                    }
                ],
            },
            "InvalidRequest",
        ),
    ],
)
def test_an_invalid_website_configuration_is_refused(
    shop: Shop, website: dict[str, Any], refused: str
) -> None:
    params: dict[str, Any] = {"bucket": "shop", "website_configuration": website}
    assert shop.refused("PutBucketWebsite", **params) == refused


def test_pages_are_objects_that_anybody_may_read(shop: Shop) -> None:
    configure(shop, **INDEX)
    open_to_all(shop, "index.html", "docs/index.html", "a.txt")
    assert page(shop, "")["text"] == "index.html"
    assert page(shop, "docs/")["text"] == "docs/index.html"
    assert page(shop, "a.txt")["text"] == "a.txt"
    assert page(shop, "a.txt", range="bytes=2-")["text"] == "txt"
    assert page(shop, "docs") == {"redirect": {"key": "docs/"}, "status": 302}
    shop.put("secret", b"x")
    assert code(shop, "secret") == "AccessDenied"  # though the owner signs
    assert code(shop, "none") == "NoSuchKey"
    assert code(shop, "a.txt", if_none_match="*") == "NotModified"
    shop.ask("PutBucketAcl", bucket="shop", acl="private")
    assert code(shop, "none") == "AccessDenied"


def test_the_page_of_an_error(shop: Shop) -> None:
    configure(shop, **INDEX, error_document={"key": "error.html"})
    open_to_all(shop)
    assert code(shop, "none") == "NoSuchKey"  # the error's page is missing too
    open_to_all(shop, "error.html")
    found = page(shop, "none", range="bytes=0-1")
    assert (found["text"], found["error"]) == ("error.html", "NoSuchKey")
    shop.put("secret", b"x")
    assert page(shop, "secret")["error"] == "AccessDenied"


def test_all_requests_can_be_redirected(shop: Shop) -> None:
    configure(shop, redirect_all_requests_to=ELSEWHERE)
    place = {**ELSEWHERE, "key": "a/b"}
    assert page(shop, "a/b") == {"redirect": place, "status": 301}


def test_an_object_can_redirect(shop: Shop) -> None:
    configure(shop, **INDEX)
    shop.put("old", b"", acl="public-read", website_redirect_location="/new")
    assert page(shop, "old") == {"redirect": {"location": "/new"}, "status": 301}


@pytest.mark.parametrize("location", ["", "new", "javascript:x", "/" * 2049])
def test_an_invalid_redirect_location_is_refused(shop: Shop, location: str) -> None:
    params = {"bucket": "shop", "key": "k", "website_redirect_location": location}
    assert shop.refused("PutObject", **params) == "InvalidRedirectLocation"


def test_rules_of_routing(shop: Shop) -> None:
    rules = [
        {
            "condition": {"key_prefix_equals": "docs/"},
            "redirect": {"replace_key_prefix_with": "manual/", "http_redirect_code": "302"},
        },
        {"condition": {"key_prefix_equals": "one"}, "redirect": {"replace_key_with": "two"}},
        {
            "condition": {
                "key_prefix_equals": "app/",
                "http_error_code_returned_equals": "404",
            },
            "redirect": {"host_name": "spa", "replace_key_prefix_with": "#!"},
        },
    ]
    configure(shop, **INDEX, routing_rules=rules)
    open_to_all(shop, "app/there")
    here = {"protocol": None, "host_name": None}
    assert page(shop, "docs/x") == {"redirect": {**here, "key": "manual/x"}, "status": 302}
    assert page(shop, "one") == {"redirect": {**here, "key": "two"}, "status": 301}
    assert page(shop, "app/there")["text"] == "app/there"
    assert page(shop, "app/none")["redirect"] == {
        "protocol": None,
        "host_name": "spa",
        "key": "#!none",
    }
    assert code(shop, "none") == "NoSuchKey"


def test_a_policy_makes_pages_public(shop: Shop) -> None:
    configure(shop, **INDEX)
    shop.put("index.html", b"hello")
    assert code(shop, "") == "AccessDenied"
    arn = "arn:aws:s3:::shop/*"
    allowed = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    shop.ask("PutBucketPolicy", bucket="shop", policy=policy)
    assert page(shop, "")["text"] == "hello"
    assert code(shop, "none") == "AccessDenied"
