"""The spellings of paths, hosts and queries."""

import pytest

from eucabox.wire.request import parse_query
from eucabox.wire.sign.canonical import host_forms, query_forms, split_prefix, uri_forms


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/services/objectstorage", ("/services/objectstorage", "/")),
        ("/services/objectstorage/", ("/services/objectstorage", "/")),
        ("/services/Walrus/b/k", ("/services/Walrus", "/b/k")),
        ("/services/walrus//k", ("/services/walrus", "//k")),
        ("/services/objectstorages/k", ("", "/services/objectstorages/k")),
        ("/b/services/Walrus", ("", "/b/services/Walrus")),
    ],
)
def test_split_prefix(path: str, parts: tuple[str, str]) -> None:
    assert split_prefix(path) == parts


def test_uri_forms() -> None:
    assert list(uri_forms("/b/k")) == ["/b/k"]
    assert list(uri_forms("/b/a%20b")) == ["/b/a%20b"]
    assert list(uri_forms("/b/a%20b", twice=True)) == ["/b/a%20b", "/b/a%2520b"]
    assert list(uri_forms("/b/a+b")) == ["/b/a+b", "/b/a%2Bb"]
    assert list(uri_forms("/b/\u00c3\u00bc")) == ["/b/\u00c3\u00bc", "/b/%C3%BC"]


@pytest.mark.parametrize(
    ("host", "scheme", "forms"),
    [
        ("h", "http", ["h", "h:80"]),
        ("h:80", "http", ["h:80", "h"]),
        ("h:443", "https", ["h:443", "h"]),
        ("h:8773", "http", ["h:8773", "h:8773:8773", "h"]),
        ("[::1]", "https", ["[::1]", "[::1]:443"]),
        ("[::1]:8443", "https", ["[::1]:8443", "[::1]:8443:8443", "[::1]"]),
    ],
)
def test_host_forms(host: str, scheme: str, forms: list[str]) -> None:
    assert list(host_forms(host, scheme)) == forms


def test_query_forms() -> None:
    assert list(query_forms("")) == [""]
    assert list(query_forms("b=2&a&a=1&")) == ["a=&a=1&b=2"] * 2
    assert list(query_forms("a=x+y")) == ["a=x%20y", "a=x%2By", "a=x+y"]
    assert list(query_forms("a=1&S=2", "S")) == ["a=1"] * 2


def test_values_keep_the_first() -> None:
    assert parse_query("a=1&a=2&b=x+y%2B") == {"a": "1", "b": "x y+"}
