"""If-Range: a download that goes on gets the rest of the very version it began with, or all."""

import hashlib

import pytest

from tests.wire.conftest import Box, Reply

OLD, NEW = b"0123456789", b"abcdefghij"
PAGE = (
    b"<WebsiteConfiguration><IndexDocument><Suffix>k</Suffix></IndexDocument>"
    b"</WebsiteConfiguration>"
)
OPEN = (
    b'{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*",'
    b'"Action":"s3:GetObject","Resource":"arn:aws:s3:::box/*"}]}'
)


@pytest.fixture(name="shown", scope="module")
def _shown(box: Box) -> Box:
    assert box.ask("PUT", "/box?website", PAGE).status == 200
    assert box.ask("PUT", "/box?policy", OPEN).status == 204
    return box


def _rest(box: Box, way: str, if_range: str, method: str = "GET") -> Reply:
    headers = {"Range": "bytes=5-", "If-Range": if_range}
    if way == "s3":
        return box.ask(method, "/box/k", headers=headers)
    return box.send(method, "/", b"", {**headers, "Host": "box.s3-website.localhost"})


@pytest.mark.parametrize("way", ["s3", "website"])
@pytest.mark.parametrize("by", ["etag", "last-modified"])
def test_what_is_unchanged_goes_on_where_it_ended(shown: Box, way: str, by: str) -> None:
    shown.ask("PUT", "/box/k", OLD)
    mark = shown.ask("HEAD", "/box/k").headers[by]
    reply = _rest(shown, way, mark)
    assert (reply.status, reply.body) == (206, OLD[5:])
    assert reply.headers["content-range"] == "bytes 5-9/10"
    assert _rest(shown, way, mark, "HEAD").headers["content-length"] == "5"


@pytest.mark.parametrize("way", ["s3", "website"])
def test_what_has_changed_is_sent_whole(shown: Box, way: str) -> None:
    shown.ask("PUT", "/box/k", OLD)
    tag = shown.ask("HEAD", "/box/k").headers["etag"]
    shown.ask("PUT", "/box/k", NEW)
    for mark in (tag, "Sat, 31 Jan 2026 12:00:00 GMT", "Fri, 31 Dec 2049 12:00:00 GMT"):
        reply = _rest(shown, way, mark)
        assert (reply.status, reply.body) == (200, NEW)
        assert "content-range" not in reply.headers
        assert _rest(shown, way, mark, "HEAD").headers["content-length"] == "10"


@pytest.mark.parametrize("mark", ["W/{tag}", "nonsense", '"{tag}, {tag}"', "*"])
def test_a_weak_tag_and_nonsense_never_hold(shown: Box, mark: str) -> None:
    shown.ask("PUT", "/box/k", OLD)
    tag = f'"{hashlib.md5(OLD).hexdigest()}"'
    assert _rest(shown, "s3", mark.format(tag=tag)).status == 200
    assert _rest(shown, "s3", tag).status == 206


def test_without_a_range_it_means_nothing(shown: Box) -> None:
    shown.ask("PUT", "/box/k", OLD)
    assert shown.ask("GET", "/box/k", headers={"If-Range": '"other"'}).body == OLD
    beyond = {"Range": "bytes=10-", "If-Range": '"other"'}
    assert shown.ask("GET", "/box/k", headers=beyond).status == 200
    assert shown.ask("GET", "/box/k", headers={"Range": "bytes=10-"}).status == 416
