"""Answers of S3's errors, as clients read them."""

from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
from botocore.parsers import create_parser

from eucabox.errors import (
    BadDigest,
    EntityTooLarge,
    EntityTooSmall,
    Fault,
    InvalidPart,
    InvalidRange,
    KeyTooLong,
    NoSuchBucket,
    NotModified,
    UnsupportedParameter,
)
from eucabox.wire import s3

NOW = datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)


def test_documents_of_errors() -> None:
    fault = NoSuchBucket(name="<b>")
    fault.facts["Resource"] = "/b/k"
    answer = s3.refuse(fault, "r")
    assert answer.status == 404
    parsed = create_parser("rest-xml").parse(
        {"status_code": 404, "headers": dict(answer.headers), "body": answer.body}, None
    )
    assert parsed["Error"]["Code"] == "NoSuchBucket"
    assert parsed["Error"]["BucketName"] == "<b>"
    assert parsed["Error"]["Resource"] == "/b/k"
    assert parsed["ResponseMetadata"]["RequestId"] == "r"


def test_the_words_of_other_services_become_those_of_s3() -> None:
    answer = s3.refuse(UnsupportedParameter(parameter="Tagging", action="PutObject"), "r")
    assert (answer.status, b"<Code>NotImplemented</Code>" in bytes(answer.body)) == (501, True)  # type: ignore[arg-type]


def test_an_unchanged_object_and_a_range_beyond_it() -> None:
    unchanged = NotModified(condition="If-None-Match", e_tag="abc", last_modified=NOW)
    answer = s3.refuse(unchanged, "r")
    assert (answer.status, answer.body) == (304, b"")
    assert ("ETag", '"abc"') in answer.headers
    assert ("Last-Modified", "Mon, 23 Nov 2026 01:02:03 GMT") in answer.headers
    beyond = s3.refuse(InvalidRange(requested="bytes=9-", size=3), "r")
    assert beyond.status == 416
    assert ("Content-Range", "bytes */3") in beyond.headers


@pytest.mark.parametrize(
    ("fault", "elements"),
    [
        (InvalidRange(requested="bytes=9-", size=3), {"ActualObjectSize": "3"}),
        (KeyTooLong(size=1025, limit=1024), {"Size": "1025", "MaxSizeAllowed": "1024"}),
        (EntityTooLarge(size=9, limit=5), {"ProposedSize": "9", "MaxSizeAllowed": "5"}),
        (
            EntityTooSmall(number=1, size=9, limit=10, e_tag="ab"),
            {"ProposedSize": "9", "MinSizeAllowed": "10", "PartNumber": "1", "ETag": "ab"},
        ),
        (InvalidPart(number=7, e_tag="ab"), {"PartNumber": "7", "ETag": "ab"}),
        (
            BadDigest(algorithm="MD5", found="a", stated="b"),
            {"ExpectedDigest": "b", "CalculatedDigest": "a"},
        ),
    ],
)
def test_elements_that_clients_read_of_an_error(fault: Fault, elements: dict[str, str]) -> None:
    body = ElementTree.fromstring(bytes(s3.refuse(fault, "r").body))  # type: ignore[arg-type]
    assert {each.tag: each.text for each in body}.items() >= elements.items()
