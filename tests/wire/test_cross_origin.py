"""Preflights and the headers by which a page may read an answer."""

from collections.abc import Mapping
from typing import Any

import pytest

from eucabox.errors import Fault, NoSuchBucket
from eucabox.wire.request import Answer, Request
from eucabox.wire.s3 import cors
from eucabox.wire.s3.routes import bucket_in, bucket_of, website_of

RULES: list[Mapping[str, Any]] = [
    {
        "allowed_methods": ["PUT", "GET"],
        "allowed_origins": ["http://page"],
        "allowed_headers": ["*"],
        "expose_headers": ["ETag", "x-amz-version-id"],
        "max_age_seconds": 7,
    },
    {"allowed_methods": ["GET"], "allowed_origins": ["*"]},
]


def ask(method: str = "OPTIONS", origin: str = "", wanted: str = "", headers: str = "") -> Request:
    members = {
        "origin": origin,
        "access-control-request-method": wanted,
        "access-control-request-headers": headers,
    }
    members = {name: value for name, value in members.items() if value}
    return Request(
        method=method, target="", path="/b/k", query="", headers=members, host="localhost"
    )


def rules_of(bucket: str) -> list[Mapping[str, Any]]:
    if bucket == "none":
        raise NoSuchBucket(name=bucket)
    return RULES if bucket == "b" else []


def read_cors_headers(request: Request) -> dict[str, str]:
    answer = Answer()
    cors.add_headers(request, answer, RULES)
    return dict(answer.headers)


@pytest.mark.parametrize(
    ("request_", "bucket", "code"),
    [
        (ask(), "b", "BadRequest"),
        (ask(), "none", "BadRequest"),
        (ask(origin="http://page"), "b", "BadRequest"),
        (ask(origin="http://page", wanted="PATCH"), "b", "BadRequest"),
        (ask(origin="http://page", wanted="GET"), "none", "NoSuchBucket"),
        (ask(origin="http://page", wanted="GET"), "plain", "AccessForbidden"),
        (ask(origin="http://page", wanted="DELETE"), "b", "AccessForbidden"),
        (ask(origin="http://other", wanted="PUT"), "b", "AccessForbidden"),
        (
            ask(origin="http://other", wanted="GET", headers="range"),
            "b",
            "AccessForbidden",
        ),
    ],
)
def test_preflights_that_are_refused(request_: Request, bucket: str, code: str) -> None:
    with pytest.raises(Fault) as caught:
        cors.preflight(request_, bucket, rules_of)
    assert caught.value.code == code


def test_a_preflight() -> None:
    request = ask(origin="http://page", wanted="PUT", headers="Content-Type, X-Amz-Date")
    assert cors.preflight(request, "b", rules_of).status == 200
    assert read_cors_headers(request) == {
        "Vary": cors.VARY,
        "Access-Control-Allow-Origin": "http://page",
        "Access-Control-Allow-Methods": "PUT, GET",
        "Access-Control-Allow-Headers": "content-type, x-amz-date",
        "Access-Control-Expose-Headers": "ETag, x-amz-version-id",
        "Access-Control-Max-Age": "7",
        "Access-Control-Allow-Credentials": "true",
    }


def test_an_answer_for_everyone_is_no_place_for_credentials() -> None:
    assert read_cors_headers(ask("GET", "http://other")) == {
        "Vary": cors.VARY,
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "GET",
    }


def test_vary_is_sent_for_every_origin() -> None:
    assert read_cors_headers(ask("GET")) == {"Vary": cors.VARY}
    answer = Answer()
    cors.add_headers(ask("GET", "http://page"), answer, [])
    assert answer.headers == []


def test_names_of_the_cloud_are_no_buckets() -> None:
    hosts = ("example.com", "files.example.com")
    assert bucket_of("files.example.com:8773", hosts) == ""
    assert bucket_of("a.b.files.example.com", hosts) == "a.b"
    assert bucket_of("box.Example.com", hosts) == "box"
    assert bucket_of("box.example.com") == ""
    assert bucket_of("localhost", hosts) == ""


@pytest.mark.parametrize(
    ("host", "bucket"),
    [
        ("site.s3-website.localhost:8773", "site"),
        ("www.site.s3-website-eu-west-1.example.com", "www.site"),
        ("Site.S3-website.eucabox.box", "site"),
        ("s3-website.localhost", ""),
        ("site.s3-websites.localhost", ""),
        ("localhost", ""),
    ],
)
def test_hosts_of_websites(host: str, bucket: str) -> None:
    assert website_of(host) == bucket


def test_the_bucket_of_any_request() -> None:
    assert bucket_in("/b/k", "localhost") == "b"
    assert bucket_in("/k", "b.localhost") == "b"
    assert bucket_in("/", "localhost") == ""
    assert bucket_in("/%ff", "localhost") == ""
