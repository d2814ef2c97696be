"""Query, headers and XML bodies of S3 become snake_case arguments; never judges what they mean."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import unquote_to_bytes

from botocore import xform_name
from botocore.model import ListShape, MapShape, Shape, StructureShape

from eucabox import ascii_text
from eucabox.errors import Fault, InvalidArgument, MalformedPolicy, MalformedXML
from eucabox.wire import parsers
from eucabox.wire.model import Operation
from eucabox.wire.sign import dates
from eucabox.wire.sign.canonical import octets

Convert = Callable[[str], Any]
UNTOUCHED = frozenset({"Expires", "ResponseExpires"})  # S3 keeps them as the client wrote them
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
# dates that are not ignored where they are none: something would be deleted
DEADLY = ("x-amz-if-match-", "x-amz-object-lock-")
# Elements of the documents that can be long: 1,000 objects with all that can be said of each (one
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
        found = {**_pick(self.query, query), **_pick(self.headers, headers)}
        for prefix, member in self.prefixed.items():
            names = [name for name in headers if name.startswith(prefix)]
            for name in names:
                _check_name(name)
            if names:
                found[member] = {name.removeprefix(prefix): headers[name] for name in names}
        return found


def _check_name(name: str) -> None:
    """Forms and presigned URLs can say names that no header of an answer can have."""
    if not TOKEN.fullmatch(name):
        reason = "A name of metadata has letters, digits and !#$%&'*+-.^_`|~ alone."
        value = name[:60].encode("ascii", "replace").decode()
        raise InvalidArgument(argument="x-amz-meta-", value=value, reason=reason)


def reader(operation: Operation) -> ParameterReader:
    """Return the reader of an operation, compiled with its first use."""
    return _compiled(operation)


@cache
def _compiled(operation: Operation) -> ParameterReader:
    located: dict[str, dict[str, tuple[str, Convert]]] = {"querystring": {}, "header": {}}
    prefixed = {}
    shape = operation.input
    members = shape.members if isinstance(shape, StructureShape) else {}
    for name, member in members.items():
        place, told = member.serialization.get("location"), member.serialization.get("name", name)
        if isinstance(member, MapShape):
            prefixed[told.lower()] = xform_name(name)
        elif place in located:
            key = told.lower() if place == "header" else told
            located[place][key] = (xform_name(name), _converter(name, member, place))
    payload = shape.serialization.get("payload", "") if shape else ""
    streaming = bool(payload) and members[payload].type_name == "blob"
    return ParameterReader(
        query=located["querystring"],
        headers=located["header"],
        prefixed=prefixed,
        payload=xform_name(payload) if payload else "",
        streaming=streaming,
        body=_body(members[payload]) if payload and not streaming else None,
        wants_body=isinstance(shape, StructureShape) and payload in shape.required_members,
    )


def _body(shape: Shape) -> Callable[[bytes], Any]:
    if not isinstance(shape, StructureShape):
        return _document
    from_xml = parsers.xml_reader(shape)
    root = shape.serialization.get("name", shape.name)
    most = MOST_ELEMENTS.get(root, parsers.MOST_ELEMENTS)

    def convert(body: bytes) -> Any:
        element = parsers.parse_xml(body, root, most)
        if element.tag != root:
            raise MalformedXML(shape=root, reason=f"the root element is {element.tag}.")
        return from_xml(element)

    return convert


def _document(body: bytes) -> str:
    """A body that is no XML: the policy of a bucket."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedPolicy(reason="The policy is not UTF-8.") from None


def _pick(members: Mapping[str, tuple[str, Convert]], given: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    for name, text in given.items():
        if name in members:
            member, convert = members[name]
            value = convert(text)
            if value is not None:
                found[member] = value
    return found


def _converter(name: str, shape: Shape, place: str) -> Convert:
    told = shape.serialization.get("name", name)
    if name in UNTOUCHED:
        return str
    if told == "Content-Encoding":
        return _codings
    if name == "CopySource":
        return copy_source
    if name == "VersionId":
        return _version
    if told == "x-amz-tagging":
        return tagging
    if isinstance(shape, ListShape):
        return ascii_text.split_list
    if shape.type_name == "timestamp":
        return _deadly(told) if told.startswith(DEADLY) else _moment
    if shape.type_name in EMPTY_IS_ABSENT:
        return _scalar(told, parsers.SCALARS[shape.type_name])
    return str


def _scalar(told: str, convert: Convert) -> Convert:
    def take(text: str) -> Any:
        if not text:
            return None
        try:
            return convert(text)
        except (ValueError, OverflowError) as problem:
            reason = f"It must be {problem}."
            raise InvalidArgument(argument=told, value=text[:60], reason=reason) from None

    return take


def _moment(text: str) -> datetime | None:
    return dates.parse(text)  # HTTP ignores a date in a condition that is none


def _version(text: str) -> str:
    if not text:  # to take it for none would delete, or show, another version than was meant
        reason = "Version id cannot be the empty string."
        raise InvalidArgument(argument="versionId", value=text, reason=reason)
    return text


def _deadly(told: str) -> Convert:
    def take(text: str) -> datetime | None:
        moment = _moment(text)
        if moment is None and text:
            reason = "It is not a time such as 2026-01-31T12:00:00Z."
            raise InvalidArgument(argument=told, value=text[:60], reason=reason)
        return moment

    return take


def _codings(text: str) -> str | None:
    words = ascii_text.split_list(text)
    kept = [each for each in words if each.lower() != "aws-chunked"]
    return text if kept == words else ", ".join(kept) or None


def copy_source(text: str) -> dict[str, str]:
    """Read x-amz-copy-source, `bucket/key` or `/bucket/key` in the encoding of forms, in which a
    plus is a blank, with or without ?versionId=, into {bucket, key, version_id}."""
    path, named, version = text.partition("?versionId=")
    if named:
        _version(version)
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
    found = {"bucket": bucket, "key": key}
    return {**found, "version_id": version} if version else found


def tagging(text: str) -> dict[str, Any]:
    """Read x-amz-tagging, a query string, into the {tag_set} that PutObjectTagging takes."""
    try:
        fields = parsers.parse_form(text)
    except Fault:
        reason = "Encode it as UTF-8 and then as URL query parameters, no tag twice."
        raise InvalidArgument(argument="x-amz-tagging", value=text[:60], reason=reason) from None
    return {"tag_set": [{"key": key, "value": value} for key, value in fields.items()]}
