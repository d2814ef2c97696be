"""Where a request of S3 goes: bucket and key of an address, the source of a copy, the operation."""

import pytest

from eucabox.errors import Fault
from eucabox.wire.s3 import routes
from eucabox.wire.s3.parameters import parse_copy_source


@pytest.mark.parametrize(
    ("path", "host", "bucket", "key"),
    [
        ("/", "localhost:8773", None, None),
        ("/b", "localhost", "b", None),
        ("/b/", "localhost", "b", None),
        ("/b/k", "127.0.0.1:8773", "b", "k"),
        ("/b//k//", "[::1]:8773", "b", "/k//"),
        ("/b/a+b%2Fc%20d/../e", "localhost", "b", "a+b/c d/../e"),
        ("/services/objectstorage/b/%C3%A4", "localhost", "b", "ä"),
        ("/services/Walrus/", "localhost", None, None),
        ("/services/walrus/b", "localhost", "b", None),
        ("/k/l", "b.localhost:8773", "b", "k/l"),
        ("/services/objectstorage/k", "b.localhost", "b", "services/objectstorage/k"),
        ("/", "b.s3.localhost", "b", None),
        ("/k", "b.c.walrus.example.com", "b.c", "k"),
        ("/k", "b.cloud.example", "b", "k"),
        ("/b/k", "cloud.example", "b", "k"),
        ("/b/k", "s3.localhost", "b", "k"),
        ("/b/k", "s3.eu.example.com", "b", "k"),
        ("/b/k", "elsewhere.example", "b", "k"),
    ],
)
def test_buckets_and_keys(path: str, host: str, bucket: str | None, key: str | None) -> None:
    assert routes.locate(path, host, ("cloud.example",))[:2] == (bucket, key)


def test_a_key_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(Fault) as caught:
        routes.locate("/b/%FF", "localhost")
    assert caught.value.code == "InvalidURI"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("b/k", {"bucket": "b", "key": "k"}),
        ("/b/k/l", {"bucket": "b", "key": "k/l"}),
        ("b/k%20%2B+?versionId=null", {"bucket": "b", "key": "k + ", "version_id": "null"}),
        ("%2Fb%2Fk%3F", {"bucket": "b", "key": "k?"}),
    ],
)
def test_copy_sources(text: str, found: dict[str, str]) -> None:
    assert parse_copy_source(text) == found


@pytest.mark.parametrize("text", ["", "b", "/b", "b/", "b/%FF", "b/k?versionId="])
def test_bad_copy_sources(text: str) -> None:
    with pytest.raises(Fault) as caught:
        parse_copy_source(text)
    assert caught.value.code == "InvalidArgument"


def test_the_query_alone_chooses_get_object_attributes() -> None:
    assert routes.find("GET", 2, {"attributes": ""}, {}).name == "GetObjectAttributes"
    assert routes.find("PUT", 2, {}, {}).name == "PutObject"
    assert routes.find("PUT", 2, {}, {"x-amz-copy-source": "b/k"}).name == "CopyObject"
    part = {"partNumber": "1", "uploadId": "u"}
    assert routes.find("PUT", 2, part, {"x-amz-copy-source": "b/k"}).name == "UploadPartCopy"
    assert routes.find("PUT", 2, part, {}).name == "UploadPart"
