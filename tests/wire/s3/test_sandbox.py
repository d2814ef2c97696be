"""Pages of buckets get a sandbox where a browser opens them under a name that buckets share."""

import pytest

from eucabox.wire.request import Answer, Exchange, ParsedRequest, Request
from eucabox.wire.s3 import sandbox

SHARED = ("127.0.0.1:8773", "localhost:8773", "files.example.com", "[::1]:8773")
OWN = ("b.localhost:8773", "b.files.example.com", "b.s3-website.localhost", "b.s3.any.name")


def confine(
    host: str = "localhost",
    dest: str = "document",
    kind: str = "text/html",
    name: str = "GetObject",
) -> list[tuple[str, str]]:
    """What is added to an answer."""
    headers = {"sec-fetch-dest": dest} if dest else {}
    request = Request("GET", "/b/k", "/b/k", "", headers, host=host, hosts=("files.example.com",))
    answer = Answer(headers=[("Content-Type", kind)] if kind else [])
    parsed = ParsedRequest(service="s3", name=name, params={})
    sandbox.confine(Exchange(request, parsed, answer=answer))
    return answer.headers[1 if kind else 0 :]


@pytest.mark.parametrize("host", SHARED)
@pytest.mark.parametrize("dest", ["document", "iframe", "frame", "embed", "object"])
def test_a_page_on_a_shared_host_is_confined(host: str, dest: str) -> None:
    assert confine(host, dest) == [("Content-Security-Policy", "sandbox")]


@pytest.mark.parametrize(
    "kind", ["TEXT/HTML ; charset=utf-8", "image/svg+xml", "application/xhtml+xml", "text/xml"]
)
def test_all_that_can_have_scripts_is_a_page(kind: str) -> None:
    assert confine(kind=kind)


@pytest.mark.parametrize("host", OWN)
def test_a_bucket_with_a_name_of_its_own_is_left_alone(host: str) -> None:
    assert confine(host) == []


@pytest.mark.parametrize(
    ("dest", "kind", "name"),
    [
        ("", "text/html", "GetObject"),
        ("empty", "text/html", "GetObject"),
        ("image", "image/svg+xml", "GetObject"),
        ("document", "text/plain", "GetObject"),
        ("document", "image/png", "GetObject"),
        ("document", "", "GetObject"),
        ("document", "application/xml", "ListObjects"),
    ],
)
def test_what_is_no_page_is_left_alone(dest: str, kind: str, name: str) -> None:
    assert confine(dest=dest, kind=kind, name=name) == []
