"""Which CORS rule a page meets: the first that fits origin, method and every header."""

import time
from typing import Any

import pytest

from eucabox.s3 import cors

RULES: list[dict[str, Any]] = [
    {"allowed_methods": ["GET", "HEAD"], "allowed_origins": ["http://a", "https://*.b"]},
    {
        "allowed_methods": ["PUT"],
        "allowed_origins": ["*"],
        "allowed_headers": ["X-Amz-*", "Content-Type"],
        "expose_headers": ["ETag"],
        "max_age_seconds": 60,
    },
]


@pytest.mark.parametrize(
    ("origin", "method", "headers", "expected"),
    [
        ("http://a", "GET", [], "http://a"),
        ("https://x.y.b", "HEAD", [], "https://x.y.b"),
        ("https://.b", "HEAD", [], "https://.b"),
        ("https:/.b", "HEAD", [], None),
        ("http://a", "GET", ["range"], None),
        ("http://a", "DELETE", [], None),
        ("http://A", "GET", [], None),
        ("http://any", "PUT", ["x-amz-acl", "content-type"], "*"),
        ("http://any", "PUT", ["x-amz-acl", "content-length"], None),
    ],
)
def test_the_first_rule_that_fits(
    origin: str, method: str, headers: list[str], expected: str | None
) -> None:
    found = cors.find(RULES, origin, method, headers)
    assert (found and found.origin) == expected


def test_what_the_rule_says() -> None:
    found = cors.find(RULES, "http://any", "PUT", [])
    assert found == cors.CorsRule("*", ("PUT",), ("ETag",), 60)
    assert cors.rules_of({}) == ()


@pytest.mark.not_fast
def test_a_page_that_asks_for_thousands_of_headers_is_refused_at_once() -> None:
    rule = {**RULES[1], "allowed_headers": [f"x-{number}" for number in range(5000)]}
    started = time.process_time()
    assert cors.find([rule] * 100, "http://a", "PUT", ["x-4999"] * 3000) is None
    assert time.process_time() - started < 0.5
    assert cors.find([rule], "http://a", "PUT", ["x-4999"] * 100)
