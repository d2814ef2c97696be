"""Websites as browsers see them: hosts and paths, redirects, errors in HTML."""

from datetime import UTC, datetime

import pytest

from eucabox.errors import Fault, NoSuchKey, NotModified
from eucabox.wire import website
from eucabox.wire.request import Request

NOW = datetime(2026, 11, 23, tzinfo=UTC)
HOST = "site.s3-website.localhost:8773"


def ask(path: str, host: str = HOST, method: str = "GET", **headers: str) -> website.WebsiteRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = Request(
        method=method, target=path, path=path, query="", headers=named, host=host, request_id="r"
    )
    return website.understand(request, lambda _: None, NOW)


@pytest.mark.parametrize(
    ("path", "host", "bucket", "key"),
    [
        ("/", HOST, "site", ""),
        ("/a%20b/%C3%A9", HOST, "site", "a b/\u00e9"),
        ("//x", HOST, "site", "/x"),
        ("/_eucabox/website/site/", "127.0.0.1:8773", "site", ""),
        ("/_eucabox/website/site/a/b", "127.0.0.1:8773", "site", "a/b"),
        ("/_eucabox/website/site", "127.0.0.1:8773", "site", ""),
    ],
)
def test_where_a_page_is(path: str, host: str, bucket: str, key: str) -> None:
    found = ask(path, host)
    assert (found.params["bucket"], found.params["path"]) == (bucket, key)
    assert found.caller is None


def test_only_reading_is_allowed_and_conditions_count() -> None:
    found = ask("/", method="HEAD", if_none_match="x", range="bytes=0-", authorization="AWS a:b")
    assert found.params["conditions"] == {"if_none_match": "x", "range": "bytes=0-"}
    for method in ("PUT", "POST", "DELETE"):
        with pytest.raises(Fault, match=method):
            ask("/", method=method)


@pytest.mark.parametrize(
    ("host", "place", "location"),
    [
        (HOST, {"key": "a/"}, f"http://{HOST}/a/"),
        (HOST, {"key": "a b\r\n\u00e9?"}, f"http://{HOST}/a%20b%0D%0A%C3%A9%3F"),
        (HOST, {"key": "k", "protocol": "https", "host_name": "x.y"}, "https://x.y/k"),
        (HOST, {"location": "/new"}, "/new"),
        (HOST, {"location": "https://x/y"}, "https://x/y"),
        ("", {"key": "a/"}, "http://box/_eucabox/website/site/a/"),
        ("", {"location": "/new"}, "/_eucabox/website/site/new"),
        ("", {"key": "k", "host_name": "x.y"}, "http://x.y/k"),
    ],
)
def test_redirects(host: str, place: dict[str, str], location: str) -> None:
    found = ask("/", host) if host else ask("/_eucabox/website/site/x", "box")
    answer = website.answer(found, {"redirect": place, "status": 302})
    assert (answer.status, dict(answer.headers)["Location"]) == (302, location)


def test_errors_are_pages() -> None:
    answer = website.refuse(NoSuchKey(bucket="site", key="<b>\u00e9</b>"), "r")
    assert isinstance(answer.body, bytes)
    text = answer.body.decode("ascii")
    assert answer.status == 404
    assert "<h1>404 Not Found</h1>" in text
    assert "<li>Code: NoSuchKey</li>" in text
    assert "<li>Key: &lt;b&gt;&#233;&lt;/b&gt;</li>" in text
    assert "<b>" not in text
    headers = dict(answer.headers)
    assert headers["x-amz-error-code"] == "NoSuchKey"
    assert headers["Content-Type"].startswith("text/html")
    unchanged = website.refuse(NotModified(condition="x", e_tag="e", last_modified=NOW), "r")
    assert (unchanged.status, unchanged.body) == (304, b"")
