"""Turns results of S3 actions into HTTP answers: headers, XML, streams."""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from itertools import groupby
from operator import itemgetter
from typing import Any, cast
from urllib.parse import quote

from botocore import xform_name

from eucabox import ids
from eucabox.s3.body_streams import ResponseBody
from eucabox.wire import serializers
from eucabox.wire.model import Operation
from eucabox.wire.request import Answer, ClosableReader, FileBody
from eucabox.wire.s3 import post_response
from eucabox.wire.s3.requests import S3Request
from eucabox.wire.shapes import MapShape, Shape, StructureShape

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
XML = "application/xml"
JSON = "application/json"
# Root elements that the model lacks; clients in C and Go look for them.
ROOTS = {
    "CompleteMultipartUpload": "CompleteMultipartUploadResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "DeleteObjects": "DeleteResult",
    "GetBucketAccelerateConfiguration": "AccelerateConfiguration",
    "GetBucketAcl": "AccessControlPolicy",
    "GetBucketCors": "CORSConfiguration",
    "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
    "GetBucketLocation": "LocationConstraint",
    "GetBucketLogging": "BucketLoggingStatus",
    "GetBucketNotificationConfiguration": "NotificationConfiguration",
    "GetBucketRequestPayment": "RequestPaymentConfiguration",
    "GetBucketTagging": "Tagging",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketWebsite": "WebsiteConfiguration",
    "GetObjectAcl": "AccessControlPolicy",
    "GetObjectAttributes": "GetObjectAttributesResponse",
    "GetObjectTagging": "Tagging",
    "ListBucketAnalyticsConfigurations": "ListBucketAnalyticsConfigurationResult",
    "ListBucketInventoryConfigurations": "ListInventoryConfigurationsResult",
    "ListBucketMetricsConfigurations": "ListMetricsConfigurationsResult",
    "ListBuckets": "ListAllMyBucketsResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListParts": "ListPartsResult",
}
STATUSES = {"PutBucketPolicy": 204}  # that the model lacks
KEYS = ("prefix", "delimiter", "marker", "next_marker", "start_after", "key_marker")
KEYED = {
    "contents": "key",
    "versions": "key",
    "delete_markers": "key",
    "uploads": "key",
    "common_prefixes": "prefix",
}
CONVERTERS: dict[str, Callable[[Any], str]] = {
    "boolean": lambda value: "true" if value else "false",
    "timestamp": lambda value: value if isinstance(value, str) else http_date(value),
}


@dataclass(frozen=True)
class Writer:
    """The compiled writer of an operation's answer."""

    headers: Mapping[str, tuple[str, Callable[[Any], str]]]
    prefixed: tuple[tuple[str, str], ...]
    root: str
    body: serializers.Writer | None
    payload: str
    streaming: bool
    status: int
    document: bool  # the payload is a text of its own, the policy of a bucket
    bodiless: bool  # the answer to HEAD


def answer(understood: S3Request, result: Mapping[str, Any] | None) -> Answer:
    """The HTTP answer of a verb's result."""
    members = result or {}
    writer = _compile_writer(understood.operation)
    response = Answer(status=writer.status, headers=write_headers(understood.operation, members))
    response.headers.append(("x-amz-request-id", understood.request_id))
    if understood.upload:
        return post_response.answer(understood, members["e_tag"], response.headers)
    if "content_range" in members:
        response.status = 206
    if writer.streaming:
        _set_stream(response, members[writer.payload])
    elif writer.bodiless:
        response.length = members.get("content_length")
    elif writer.document:
        response.headers.append(("Content-Type", JSON))
        response.body = members[writer.payload].encode()
    elif writer.body:
        response.headers.append(("Content-Type", XML))
        response.body = _write_document(understood, writer, members)
    return response


def http_date(moment: datetime) -> str:
    """An RFC 822 date, as in Last-Modified."""
    return ids.http_date(moment)


def write_headers(operation: Operation, members: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the headers of an operation's answer that its members make."""
    writer, headers = _compile_writer(operation), []
    for name, value in members.items():
        if value is not None and name in writer.headers:
            header, convert = writer.headers[name]
            headers.append((header, convert(value)))
    for name, prefix in writer.prefixed:
        headers += [(prefix + each, text) for each, text in members.get(name, {}).items()]
    return headers


def write_lines(operation: Operation, members: Mapping[str, object]) -> str:
    """Return these headers, whose values are plain, as lines."""
    return "".join([f"{name}: {text}\r\n" for name, text in write_headers(operation, members)])


def is_plain(text: str) -> bool:
    """Whether a text can stand in a header as it is."""
    return text.isascii() and text.isprintable()


def _set_stream(response: Answer, body: ResponseBody) -> None:
    response.length = body.count
    if not body.direct:
        response.body = body
        return
    response.file = FileBody(cast(ClosableReader, body), body.start, body.count, body.fileno())


def _write_document(understood: S3Request, writer: Writer, members: Mapping[str, Any]) -> bytes:
    assert writer.body is not None
    if writer.payload:
        members = members.get(writer.payload, {})
    if understood.name == "ListObjectVersions":
        body = partial(_write_versions, writer.body)
        return serializers.rest_document(writer.root, NAMESPACE, body, members)
    if members.get("encoding_type") == "url":
        members = _encode_keys(members, understood.name)
    if understood.name == "GetBucketLocation":
        return serializers.rest_document(writer.root, NAMESPACE, _write_location, members)
    return serializers.rest_document(writer.root, NAMESPACE, writer.body, members)


def _write_location(members: Mapping[str, Any]) -> str:
    return serializers.text(members.get("location_constraint") or "")


def _write_versions(body: serializers.Writer, members: Mapping[str, Any]) -> str:
    """Write versions and delete markers, two lists in the model, as they follow each other: by the
    `position` of each, as a version that was begun before a delete marker may be newer than it."""
    lists = {name: members.get(name) or [] for name in ("versions", "delete_markers")}
    encode = partial(_encode_keys, operation="") if members.get("encoding_type") == "url" else dict
    frame = body(encode({name: value for name, value in members.items() if name not in lists}))
    placed = [
        [(each.get("position", 0), name, _drop_position(each)) for each in entries]
        for name, entries in lists.items()
    ]
    runs = groupby(heapq.merge(*placed, key=itemgetter(0)), key=itemgetter(1))
    texts = (body(encode({name: [entry for *_, entry in run]})) for name, run in runs)
    return frame + "".join(texts)


def _drop_position(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "position"}


def _encode_keys(members: Mapping[str, Any], operation: str) -> dict[str, Any]:
    encoded = dict(members)
    # boto takes the prefix of the first form for plain; only what XML can't hold is encoded there
    plain = operation == "ListObjects" and serializers.fits(members["prefix"])
    for name in (*KEYS, "next_key_marker"):
        if encoded.get(name) and not (plain and name == "prefix"):
            encoded[name] = _encode_key(encoded[name])
    for name, inner in KEYED.items():
        if encoded.get(name):
            encoded[name] = [{**each, inner: _encode_key(each[inner])} for each in encoded[name]]
    return encoded


def _encode_key(key: str) -> str:
    return quote(key.encode("utf-8", "surrogateescape"), safe="/-_.*")


@cache
def _compile_writer(operation: Operation) -> Writer:
    shape = operation.output
    members = shape.members if isinstance(shape, StructureShape) else {}
    headers, prefixed, inside = {}, [], []
    for name, member in members.items():
        place, wire_name = (
            member.serialization.get("location"),
            member.serialization.get("name", name),
        )
        if isinstance(member, MapShape) and place == "headers":
            prefixed.append((xform_name(name), wire_name))
        elif place == "header":
            headers[xform_name(name)] = wire_name, CONVERTERS.get(member.type_name, str)
        elif not place:
            inside.append(name)
    payload = shape.serialization.get("payload", "") if shape else ""
    streaming = bool(payload) and members[payload].type_name == "blob"
    content = members[payload] if payload else shape
    return Writer(
        headers=headers,
        prefixed=tuple(prefixed),
        root=_root_element(operation, content if payload else None),
        body=serializers.xml_writer(content) if content and inside and not streaming else None,
        payload=xform_name(payload) if payload else "",
        streaming=streaming,
        status=STATUSES.get(operation.name) or operation.http.get("responseCode", 200),
        document=bool(payload) and members[payload].type_name == "string",
        bodiless=operation.http["method"] == "HEAD",
    )


def _root_element(operation: Operation, payload: Shape | None) -> str:
    if payload is not None:
        return str(payload.serialization.get("name", payload.name))
    return ROOTS.get(operation.name, f"{operation.name}Result")
