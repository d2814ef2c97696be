"""Query, headers and XML bodies of S3 become snake_case arguments; never judges what they mean."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import unquote_to_bytes

from botocore import xform_name

from eucabox import ascii_text
from eucabox.errors import Fault, InvalidArgument, MalformedPolicy, MalformedXML
from eucabox.wire import parsers
from eucabox.wire.model import Operation
from eucabox.wire.request import octets
from eucabox.wire.shapes import ListShape, MapShape, Shape, StructureShape
from eucabox.wire.sign import dates

Convert = Callable[[str], Any]
UNTOUCHED = frozenset({"Expires", "ResponseExpires"})  # S3 keeps them as the client wrote them
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
# an invalid date of these is not ignored: something could be deleted
STRICT_TIMES = ("x-amz-if-match-", "x-amz-object-lock-")
# Elements of the documents that can be long: 1,000 objects with all their elements (one
# more is told apart), 10,000 parts with two checksums, 1,000 rules.
MOST_ELEMENTS = {
    "Delete": 6_020,
    "CompleteMultipartUpload": 60_000,
    "LifecycleConfiguration": 40_000,
}
EMPTY_IS_ABSENT = frozenset({"integer", "long", "boolean", "timestamp"})


@dataclass(frozen=True)
class ParameterReader:
    """The compiled reader of an operation's query and header members."""

    query: Mapping[str, tuple[str, Convert]]
    headers: Mapping[str, tuple[str, Convert]]
    prefixed: Mapping[str, str]
    payload: str
    streaming: bool
    body: Callable[[bytes], Any] | None
    wants_body: bool

    def __call__(self, query: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, Any]:
        """Return the members found in a decoded query and in headers.

        Raises InvalidArgument for a value of the wrong form; what the model does not know is
        ignored, as S3 does.
        """
        members = {**_pick_members(self.query, query), **_pick_members(self.headers, headers)}
        for prefix, member in self.prefixed.items():
            names = [name for name in headers if name.startswith(prefix)]
            for name in names:
                _check_name(name)
            if names:
                members[member] = {name.removeprefix(prefix): headers[name] for name in names}
        return members


def _check_name(name: str) -> None:
    """Forms and presigned URLs can have names that no response header can have."""
    if not TOKEN.fullmatch(name):
        reason = "A name of metadata has letters, digits and !#$%&'*+-.^_`|~ alone."
        value = name[:60].encode("ascii", "replace").decode()
        raise InvalidArgument(argument="x-amz-meta-", value=value, reason=reason)


def reader(operation: Operation) -> ParameterReader:
    """Return the reader of an operation, compiled with its first use."""
    return _compile_reader(operation)


@cache
def _compile_reader(operation: Operation) -> ParameterReader:
    located: dict[str, dict[str, tuple[str, Convert]]] = {"querystring": {}, "header": {}}
    prefixed = {}
    shape = operation.input
    members = shape.members if isinstance(shape, StructureShape) else {}
    for name, member in members.items():
        place, wire_name = (
            member.serialization.get("location"),
            member.serialization.get("name", name),
        )
        if isinstance(member, MapShape):
            prefixed[wire_name.lower()] = xform_name(name)
        elif place in located and name != "ContentLength":  # which HTTP has read
            key = wire_name.lower() if place == "header" else wire_name
            located[place][key] = (xform_name(name), _converter(name, member, place))
    payload = shape.serialization.get("payload", "") if shape else ""
    streaming = bool(payload) and members[payload].type_name == "blob"
    return ParameterReader(
        query=located["querystring"],
        headers=located["header"],
        prefixed=prefixed,
        payload=xform_name(payload) if payload else "",
        streaming=streaming,
        body=_body_reader(members[payload]) if payload and not streaming else None,
        wants_body=isinstance(shape, StructureShape) and payload in shape.required_members,
    )


def _body_reader(shape: Shape) -> Callable[[bytes], Any]:
    if not isinstance(shape, StructureShape):
        return _decode_policy
    from_xml = parsers.xml_reader(shape)
    root = shape.serialization.get("name", shape.name)
    most = MOST_ELEMENTS.get(root, parsers.MOST_ELEMENTS)

    def convert(body: bytes) -> Any:
        element = parsers.parse_xml(body, root, most)
        if element.tag != root:
            raise MalformedXML(shape=root, reason=f"the root element is {element.tag}.")
        return from_xml(element)

    return convert


def _decode_policy(body: bytes) -> str:
    """A body that is no XML: the policy of a bucket."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedPolicy(reason="The policy is not UTF-8.") from None


def _pick_members(
    members: Mapping[str, tuple[str, Convert]], source: Mapping[str, str]
) -> dict[str, Any]:
    values = {}
    for name, text in source.items():
        if name in members:
            member, convert = members[name]
            value = convert(text)
            if value is not None:
                values[member] = value
    return values


def _converter(name: str, shape: Shape, place: str) -> Convert:
    wire_name = shape.serialization.get("name", name)
    if name in UNTOUCHED:
        return str
    if wire_name == "Content-Encoding":
        return _remove_aws_chunked
    if name == "CopySource":
        return parse_copy_source
    if name == "VersionId":
        return _check_version
    if wire_name == "x-amz-tagging":
        return parse_tagging
    if isinstance(shape, ListShape):
        return ascii_text.split_list
    if shape.type_name == "timestamp":
        return (
            _strict_time_converter(wire_name) if wire_name.startswith(STRICT_TIMES) else _parse_time
        )
    if shape.type_name in EMPTY_IS_ABSENT:
        return _scalar_converter(wire_name, parsers.SCALARS[shape.type_name])
    return str


def _scalar_converter(name: str, convert: Convert) -> Convert:
    def take(text: str) -> Any:
        if not text:
            return None
        try:
            return convert(text)
        except (ValueError, OverflowError) as problem:
            reason = f"It must be {problem}."
            raise InvalidArgument(argument=name, value=text[:60], reason=reason) from None

    return take


def _parse_time(text: str) -> datetime | None:
    return dates.parse(text)  # HTTP ignores a condition with an invalid date


def _check_version(text: str) -> str:
    if not text:  # to ignore it would delete, or return, the current version instead
        reason = "Version id cannot be the empty string."
        raise InvalidArgument(argument="versionId", value=text, reason=reason)
    return text


def _strict_time_converter(name: str) -> Convert:
    def take(text: str) -> datetime | None:
        moment = _parse_time(text)
        if moment is None and text:
            reason = "It is not a time such as 2026-01-31T12:00:00Z."
            raise InvalidArgument(argument=name, value=text[:60], reason=reason)
        return moment

    return take


def _remove_aws_chunked(text: str) -> str | None:
    codings = ascii_text.split_list(text)
    others = [each for each in codings if each.lower() != "aws-chunked"]
    return text if others == codings else ", ".join(others) or None


def parse_copy_source(text: str) -> dict[str, str]:
    """Read x-amz-copy-source, `bucket/key` or `/bucket/key` in the encoding of forms, in which a
    plus is a blank, with or without ?versionId=, into {bucket, key, version_id}."""
    path, separator, version = text.partition("?versionId=")
    if separator:
        _check_version(version)
    try:
        plain = unquote_to_bytes(octets(path.replace("+", " "))).decode("utf-8").removeprefix("/")
    except UnicodeDecodeError:
        reason = "It is not UTF-8 in its percent-encoding."
        raise InvalidArgument(
            argument="x-amz-copy-source", value=text[:60], reason=reason
        ) from None
    bucket, _, key = plain.partition("/")
    if not bucket or not key:
        reason = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey."
        raise InvalidArgument(argument="x-amz-copy-source", value=text[:60], reason=reason)
    source = {"bucket": bucket, "key": key}
    return {**source, "version_id": version} if version else source


def parse_tagging(text: str) -> dict[str, Any]:
    """Read x-amz-tagging, a query string, into the {tag_set} that PutObjectTagging takes."""
    try:
        fields = parsers.parse_form(text)
    except Fault:
        reason = "Encode it as UTF-8 and then as URL query parameters, no tag twice."
        raise InvalidArgument(argument="x-amz-tagging", value=text[:60], reason=reason) from None
    return {"tag_set": [{"key": key, "value": value} for key, value in fields.items()]}
