"""Requests of S3 as botocore writes them, answers as botocore reads them."""

import io
import re
from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest, HeadersDict
from botocore.credentials import Credentials
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from eucabox import actions, api
from eucabox.errors import (
    Fault,
    InvalidArgument,
    IsDeleteMarker,
    MethodNotAllowed,
    NoSuchKey,
)
from eucabox.s3.body_streams import RequestBody, ResponseBody
from eucabox.wire import model, s3, serializers
from eucabox.wire.request import Request
from eucabox.wire.s3 import responses, routes
from tests.wire.sign import signer
from tests.wire.sign.asked_rest import KNOWN

NOW = datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)
SERVICE = botocore.session.get_session().get_service_model("s3")
# two names for one request, and two that a host name tells apart
SHADOWED = {
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration",
    "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
    "PutBucketNotification": "PutBucketNotificationConfiguration",
    "ListDirectoryBuckets": "ListBuckets",
}
READ_OTHERWISE = ("Body", "CopySource", "Expires", "ResponseExpires", "Tagging")
ELSEWHERE = {"WriteGetObjectResponse"}
# a policy is never there, a location has a document of its own kind
SPECIAL = {"GetBucketPolicy", "GetBucketLocation"}
SERVED = sorted(name for service, name in actions.load() if service == "s3")


def sample(shape: Shape, every: bool) -> Any:
    """A value for a shape: with all members, or with those that are required."""
    if isinstance(shape, StructureShape):
        names = shape.members if every else shape.required_members
        return {name: sample(shape.members[name], every) for name in names}
    if isinstance(shape, ListShape):
        return [sample(shape.member, every)]
    if isinstance(shape, MapShape):
        return {"colour": "blue"}
    if shape.type_name == "string":
        return shape.metadata["enum"][0] if shape.metadata.get("enum") else "some text"
    plain = {"boolean": True, "timestamp": NOW, "blob": b"bytes"}
    return plain.get(shape.type_name, 7)


def written(operation: OperationModel, params: dict[str, Any]) -> Request:
    """The request that botocore would send, unsigned."""
    made = create_serializer("rest-xml", False).serialize_to_request(params, operation)
    path, _, fixed = made["url_path"].partition("?")
    query = made["query_string"]
    pairs = list(query.items() if isinstance(query, dict) else query)
    query = "&".join([*filter(None, [fixed]), *(f"{n}={v}".replace(" ", "%20") for n, v in pairs)])
    body = made["body"] if isinstance(made["body"], bytes) else str(made["body"]).encode()
    headers = {name.lower(): value for name, value in made["headers"].items()}
    return Request(
        method=made["method"],
        target="",
        path=path,
        query=query,
        headers=headers,
        body=io.BytesIO(body),
        content_length=len(body),
        host="localhost:8773",
        request_id="r",
    )


def understood(request: Request) -> s3.S3Request:
    found = s3.understand(request, lambda _: None, NOW)
    if found.document:
        found.params.update(found.document())
    return found


def ask(method: str, path: str, query: str = "", **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(
        method=method, target="", path=path, query=query, headers=named, host="localhost",
        content_length=0,
    )  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(SERVICE.operation_names) - ELSEWHERE))
def test_every_operation_is_found(name: str) -> None:
    operation = SERVICE.operation_model(name)
    shape = operation.input_shape
    request = written(operation, sample(shape, every=False) if shape else {})
    depth = routes.locate(request.path, request.host).depth
    query = dict(pair.partition("=")[::2] for pair in request.query.split("&"))
    found = routes.find(request.method, depth, query, request.headers)
    assert found.name == SHADOWED.get(name, name)


@pytest.mark.parametrize(
    ("method", "depth", "query"),
    [
        ("DELETE", 2, {"acl": ""}),
        ("DELETE", 2, {"uploads": ""}),
        ("DELETE", 1, {"versioning": ""}),
        ("PUT", 2, {"uploadId": "u"}),
        ("PUT", 1, {"location": ""}),
    ],
)
def test_what_changes_something_is_not_taken_for_something_else(
    method: str, depth: int, query: dict[str, str]
) -> None:
    with pytest.raises(MethodNotAllowed):
        routes.find(method, depth, query, {})


@pytest.mark.parametrize("name", [each for each in SERVED if each != "ListBuckets"])
def test_every_served_operation_is_understood_with_all_its_members(name: str) -> None:
    operation = SERVICE.operation_model(name)
    shape = operation.input_shape
    assert isinstance(shape, StructureShape)
    members = {**sample(shape, every=True), "Bucket": "bucket"}
    for member in shape.members:
        if member.startswith(("Checksum", "Content", "CopySource")) and member not in (
            "ContentType",
            "CopySource",
        ):
            members.pop(member)
    if "CopySource" in members:
        members["CopySource"] = "from/k%20y"
    if "Tagging" in members and name not in ("PutObjectTagging", "PutBucketTagging"):
        members["Tagging"] = "a=b"
    found = understood(written(operation, members))
    assert found.name == name
    for member, value in members.items():
        if member not in (*READ_OTHERWISE, *_nested(shape)):
            assert found.params[xform_name(member)] == value, member


def _nested(shape: StructureShape) -> list[str]:
    return [name for name, each in shape.members.items() if isinstance(each, StructureShape)]


@pytest.mark.parametrize("name", [each for each in SERVED if each not in SPECIAL])
def test_botocore_reads_the_answer_of_every_served_operation(name: str) -> None:
    operation = SERVICE.operation_model(name)
    shape = operation.output_shape
    known = model.service("s3").operation(name)
    assert known is not None
    members = sample(shape, every=True) if shape else {}
    members.pop("Body", None)
    result = snake(members)
    result.pop("content_range", None)
    result.pop("encoding_type", None)
    if name in ("GetObject", "GetObjectTorrent"):
        result["body"] = ResponseBody(Opened(b"bytes"), 0, 5)
    about = s3.S3Request(
        service="s3", name=name, params={}, caller=None, api_version="", region="",
        signature="", request_id="r", operation=known, address=routes.BucketAddress("b", None),
    )  # fmt: skip
    answer = s3.answer(about, result)
    assert answer.status in (200, 204)
    headers = HeadersDict(dict(answer.headers))
    assert headers["X-Amz-Request-Id"] == "r"
    assert isinstance(answer.body, bytes)
    parsed = create_parser("rest-xml").parse(
        {"status_code": 200, "headers": headers, "body": answer.body}, shape
    )
    parsed.pop("ResponseMetadata")
    for member, value in members.items():
        if member not in ("Body", "ContentRange", "EncodingType", "Expires"):
            assert parsed[member] == value, member


class Opened:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def chunks(self, start: int, length: int) -> Any:
        yield self.content[start : start + length]

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        pass


def snake(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name if name == "colour" else xform_name(name): snake(v) for name, v in value.items()
        }
    return [snake(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("request_", "name", "some"),
    [
        (ask("GET", "/b", "list-type=2&max-keys=&prefix=a+b%2B"), "ListObjectsV2",
         {"prefix": "a b+"}),
        (ask("GET", "/b", "max-keys=0&unheard-of=1"), "ListObjects", {"max_keys": 0}),
        (ask("GET", "/b/k", "x-id=GetObject", if_modified_since="no date"), "GetObject", {}),
        (ask("GET", "/b/k", "response-content-type=x%2Fy"), "GetObject",
         {"response_content_type": "x/y"}),
        (ask("DELETE", "/b/k", "uploadId=u"), "AbortMultipartUpload", {"upload_id": "u"}),
        (ask("PUT", "/b/k", x_amz_copy_source="a/b"), "CopyObject", {}),
        (ask("PUT", "/b/k", "progressbar_label=x"), "PutObject", {"bucket": "b", "key": "k"}),
        (ask("PUT", "/b/k", content_encoding="aws-chunked, gzip"), "PutObject",
         {"content_encoding": "gzip"}),
        (ask("PUT", "/b/k", expires="whenever"), "PutObject", {"expires": "whenever"}),
        (ask("PUT", "/b/k", x_amz_meta_a="1", x_amz_meta_b="2"), "PutObject",
         {"metadata": {"a": "1", "b": "2"}}),
    ],
)  # fmt: skip
def test_requests(request_: Request, name: str, some: dict[str, Any]) -> None:
    found = understood(request_)
    assert found.name == name
    assert {member: found.params.get(member) for member in some} == some


def test_versions_and_delete_markers_are_shown_as_they_follow(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serializers, "_warned", set())

    def entry(key: str, version: str, position: int, latest: bool = False) -> dict[str, Any]:
        when = NOW.replace(day=9 - position)
        named = {"key": key, "version_id": version, "position": position}
        return {**named, "last_modified": when, "is_latest": latest}

    begun_long_before = {**entry("a z", "3", 2), "last_modified": NOW.replace(day=1)}
    members = {
        "encoding_type": "url",
        "versions": [begun_long_before, entry("a z", "1", 4), entry("a+z", "5", 5, latest=True)],
        "delete_markers": [entry("a z", "4", 1, latest=True), entry("a z", "2", 3)],
    }
    body = write_answer("ListObjectVersions", members).body
    assert not caplog.records, "no member is unknown"
    assert isinstance(body, bytes)
    shown = re.findall(rb"<(Version|DeleteMarker)>.*?<VersionId>(\d)", body)
    marker, version = b"DeleteMarker", b"Version"
    assert [name for name, _ in shown] == [marker, version, marker, version, version]
    assert [number for _, number in shown] == [b"4", b"3", b"2", b"1", b"5"]
    assert body.count(b"<Key>a%20z</Key>") == 4


def test_a_delete_marker_is_shown_in_headers() -> None:
    hidden = s3.refuse(NoSuchKey(bucket="b", key="k", delete_marker="4"), "r")
    assert hidden.status == 404
    assert {("x-amz-delete-marker", "true"), ("x-amz-version-id", "4")} <= set(hidden.headers)
    facts = {"version": "4", "delete_marker": "4", "last_modified": NOW}
    named = s3.refuse(IsDeleteMarker(bucket="b", key="k", **facts), "r")
    assert named.status == 405
    headers = dict(named.headers)
    assert (headers["Allow"], headers["Last-Modified"]) == (
        "DELETE",
        "Mon, 23 Nov 2026 01:02:03 GMT",
    )


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (ask("GET", "/"), "AccessDenied"),
        (ask("POST", "/b/k"), "MethodNotAllowed"),
        (ask("PATCH", "/b"), "MethodNotAllowed"),
        (ask("PUT", "/b", "replication"), "NotImplemented"),
        (ask("GET", "/b", "max-keys=many"), "InvalidArgument"),
        (ask("GET", "/b/k", "partNumber=x"), "InvalidArgument"),
        (ask("DELETE", "/b/k", "versionId="), "InvalidArgument"),
        (ask("DELETE", "/b/k", x_amz_if_match_last_modified_time="then"), "InvalidArgument"),
        (ask("PUT", "/b/k", x_amz_object_lock_retain_until_date="then"), "InvalidArgument"),
        (ask("POST", "/b", "delete"), "MissingRequestBodyError"),
        (ask("PUT", "/b", "versioning"), "MissingRequestBodyError"),
        (ask("PUT", "/b", "logging"), "MissingRequestBodyError"),
        (ask("PUT", "/b", "policy"), "MissingRequestBodyError"),
        (ask("POST", "/b", content_type="multipart/form-data; boundary=x"), "MalformedPOSTRequest"),
    ],
)
def test_refused_requests(request_: Request, code: str) -> None:
    with pytest.raises(Fault) as caught:
        understood(request_)
    assert caught.value.code == code


def test_a_body_without_a_length_is_refused() -> None:
    request = ask("PUT", "/b/k")
    request.content_length = None
    with pytest.raises(Fault) as caught:
        understood(request)
    assert caught.value.code == "MissingContentLength"


def test_a_checksum_in_an_address_is_not_the_bodys() -> None:
    """AWS's JavaScript SDK signs that of no body into every address for an upload."""
    headers = {"x-amz-meta-colour": "blue", "x-amz-checksum-mode": "ENABLED"}
    sums = {"x-amz-checksum-crc32": "AAAAAA==", "x-amz-sdk-checksum-algorithm": "CRC32"}
    signed_request = AWSRequest("PUT", "http://localhost/box/k", params={**headers, **sums})
    S3SigV4QueryAuth(Credentials(signer.KEY, signer.SECRET), "s3", "eu").add_auth(signed_request)
    path, _, query = signed_request.url.removeprefix("http://localhost").partition("?")
    request = ask("PUT", path, query, host="localhost", content_length="3")
    found = s3.understand(request, KNOWN, datetime.now(UTC)).params
    assert found["metadata"] == {"colour": "blue"}
    assert not [member for member in found if member.startswith("checksum")]


def test_a_type_in_a_presigned_address_is_not_overridden_by_an_unsigned_header() -> None:
    sent_headers = {"Content-Type": "image/png", "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg=="}
    signed_request = AWSRequest("PUT", "http://localhost/box/k", params=sent_headers)
    S3SigV4QueryAuth(Credentials(signer.KEY, signer.SECRET), "s3", "eu").add_auth(signed_request)
    path, _, query = signed_request.url.removeprefix("http://localhost").partition("?")
    headers = {"host": "localhost", "content_type": "text/html", "content_md5": "AAAA"}
    request = ask("PUT", path, query, **headers)
    found = s3.understand(request, KNOWN, datetime.now(UTC)).params
    assert found["content_type"] == "image/png"
    assert found["content_md5"] == "1B2M2Y8AsgTpgAmY7PhCfg=="


def test_the_body_of_an_object_is_not_read_before_its_time() -> None:
    request = ask("PUT", "/b/k")
    request.body, request.content_length = io.BytesIO(b"12345"), 5
    body = understood(request).params["body"]
    assert isinstance(body, RequestBody)
    assert request.body.tell() == 0
    assert (body.length, body.read(9)) == (5, b"12345")


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (b"<Delete>", {}, "MalformedXML"),
        (b"<!DOCTYPE a><Delete/>", {}, "MalformedXML"),
        (b"<Other/>", {}, "MalformedXML"),
        (b"<Delete/>", {"content-md5": "AAAA"}, "InvalidDigest"),
        (b"<Delete/>", {"content-md5": "1B2M2Y8AsgTpgAmY7PhCfg=="}, "BadDigest"),
        (b"<Delete/>", {"x-amz-checksum-crc32": "AAAAAA=="}, "BadDigest"),
    ],
)
def test_refused_documents(body: bytes, headers: dict[str, str], code: str) -> None:
    request = ask("POST", "/b", "delete")
    request.body, request.content_length = io.BytesIO(body), len(body)
    request.headers.update(headers)
    with pytest.raises(Fault) as caught:
        understood(request)
    assert caught.value.code == code


def test_a_document_too_long_is_refused_before_it_is_read() -> None:
    request = ask("POST", "/b", "delete")
    request.content_length = 1 << 30
    with pytest.raises(Fault) as caught:
        understood(request)
    assert caught.value.code == "EntityTooLarge"


def write_answer(name: str, result: dict[str, Any]) -> Any:
    operation = model.service("s3").operation(name)
    assert operation is not None
    address = routes.BucketAddress("b", "k")
    about = s3.S3Request(
        service="s3", name=name, params={}, caller=None, api_version="", region="",
        signature="", request_id="r", operation=operation, address=address,
    )  # fmt: skip
    return s3.answer(about, result)


def test_keys_that_xml_cannot_hold_are_percent_encoded_on_request() -> None:
    result = {"encoding_type": "url", "contents": [{"key": "a\x01 +ä/%"}], "prefix": "a\x01"}
    body = write_answer("ListObjects", result).body
    assert b"<Key>a%01%20%2B%C3%A4/%25</Key>" in body
    assert b"<Prefix>a%01</Prefix>" in body
    plain = {"encoding_type": "url", "contents": [], "prefix": "a b"}
    assert b"<Prefix>a b</Prefix>" in write_answer("ListObjects", plain).body
    assert b"<Prefix>a%20b</Prefix>" in write_answer("ListObjectsV2", plain).body


def test_a_header_is_one_line() -> None:
    body = ResponseBody(Opened(b""), 0, 0)
    result = {"body": body, "content_disposition": "a\r\nX-Evil: 1", "metadata": {"m": "\u20ac"}}
    _, leaving, _ = api.http_response(ask("GET", "/b/k"), write_answer("GetObject", result))
    headers = dict(leaving)
    assert headers["Content-Disposition"] == "a  X-Evil: 1"
    assert headers["x-amz-meta-m"].encode("latin-1") == "\u20ac".encode()


def test_the_location_is_the_root_itself() -> None:
    body = write_answer("GetBucketLocation", {"location_constraint": "eu<"}).body
    assert body.endswith(
        b'xmlns="http://s3.amazonaws.com/doc/2006-03-01/">eu&lt;</LocationConstraint>'
    )


def test_a_part_of_a_file_is_offered_to_the_server() -> None:
    body = ResponseBody(Opened(b"12345"), 1, 3)
    answer = write_answer("GetObject", {"body": body, "content_range": "bytes 1-3/5"})
    assert answer.status == 206
    assert (answer.file.offset, answer.file.count, answer.length) == (1, 3, 3)


def test_tags_in_a_header_are_a_query_string() -> None:
    members = {"Bucket": "b", "Key": "k", "Tagging": "b=2&a=x+y%2B&c"}
    found = understood(written(SERVICE.operation_model("PutObject"), members)).params["tagging"]
    assert found == {
        "tag_set": [
            {"key": "b", "value": "2"},
            {"key": "a", "value": "x y+"},
            {"key": "c", "value": ""},
        ]
    }
    for text in ("a=1&a=2", "a=%ff"):
        with pytest.raises(InvalidArgument):
            understood(written(SERVICE.operation_model("PutObject"), {**members, "Tagging": text}))


PUT = [
    name
    for name in SERVED
    if name.startswith("GetBucket") and name.replace("Get", "Put", 1) in SERVICE.operation_names
]


@pytest.mark.parametrize("name", PUT)
def test_a_setting_is_shown_in_the_element_in_which_it_is_put(name: str) -> None:
    shape = SERVICE.operation_model(name.replace("Get", "Put", 1)).input_shape
    assert isinstance(shape, StructureShape)
    member = shape.members[shape.serialization["payload"]]
    ours = model.service("s3").operation(name)
    assert ours is not None
    if isinstance(member, StructureShape):  # a policy is text
        assert responses._compile_writer(ours).root == member.serialization.get("name", member.name)
