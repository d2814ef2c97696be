"""Shapes become writers: snake_case results in, XML out; never reads anything."""

import base64
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from botocore import xform_name

from eucabox import ids
from eucabox.wire.parsers import xml_name
from eucabox.wire.shapes import ListShape, MapShape, Shape, StructureShape

log = logging.getLogger("eucabox.wire")
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
MOST_PLANS = 64  # for one structure
MOST_TEXTS = 64  # that are remembered of one enumeration, or of one structure of plain members
MOST_PLAIN = 8  # members of such a structure
PLAIN = {"string", "boolean", "integer", "long"}
POLICY = "policyDocumentType"  # IAM's name of the shape of documents, by which clients decode them

Writer = Callable[[Any], str]  # of a value whose type its shape tells

_plain = re.compile(r"[ !#-%'-;=?-~]*\Z").match
_tag = re.compile(r'"[0-9a-f-]*"\Z').match  # an entity tag, of which listings are full
_unfit = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_warned: set[tuple[str, str]] = set()


def text(value: str) -> str:
    """Escape text for an element or an attribute.

    Characters that XML 1.0 can't hold become U+FFFD.
    """
    if _plain(value):
        return value
    if _tag(value):
        return f"&quot;{value[1:-1]}&quot;"
    value = _unfit.sub("\ufffd", value)
    value = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return value.replace('"', "&quot;").replace("\r", "&#13;").replace("\x7f", "&#127;")


def fits(value: str) -> bool:
    """Tell whether XML 1.0 can hold every character of a text."""
    return _unfit.search(value) is None


def element(tag: str, value: str) -> str:
    """One element with escaped text."""
    return f"<{tag}>{text(value)}</{tag}>"


@lru_cache(MOST_TEXTS)  # a row's time is shown in several places
def iso8601(moment: datetime) -> str:
    """UTC with milliseconds, such as 2026-01-31T12:00:00.000Z."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds")[:-6] + "Z"


def xml_writer(shape: Shape, item: str = "member") -> Writer:
    """Compile the writer of a shape's content, without its own element.

    `item` names list entries that the model leaves unnamed ("item" in EC2). Members that travel
    in headers are left out. A key that the shape does not know is dropped, and logged once.
    """
    if isinstance(shape, StructureShape):
        writer = _structure_writer(shape, item)
        return _remembering(writer) if _is_plain(shape) else writer
    if isinstance(shape, ListShape):
        return _list_writer(
            shape.member.serialization.get("name", item), xml_writer(shape.member, item)
        )
    if isinstance(shape, MapShape):
        return _map_writer(shape, item)
    if shape.type_name == "timestamp":
        return TIMES[shape.serialization.get("timestampFormat", "iso8601")]
    if shape.name == POLICY:
        return _write_policy
    if shape.metadata.get("enum"):  # few texts, in each of the thousand entries of a list
        return lru_cache(maxsize=MOST_TEXTS)(_write_string)
    return SCALARS[shape.type_name]


# A structure is written by a plan for just the members that it has: a format, and of each member
# its name and writer. Lists have thousands of entries with the same members.
Plan = tuple[str, list[tuple[str, Writer]]]


def _structure_writer(shape: StructureShape, item: str) -> Writer:
    members = {
        xform_name(name): _member_writer(xml_name(member, name), member, item)
        for name, member in shape.members.items()
        if not {"location", "xmlAttribute"} & member.serialization.keys()
    }
    member_names = frozenset(xform_name(name) for name in shape.members)
    plans: dict[tuple[str, ...], Plan] = {}
    shape_name = shape.name

    def plan(names: tuple[str, ...]) -> Plan:
        _warn_unknown(shape_name, set(names) - member_names)
        present = [(name, *each) for name, each in members.items() if name in names]
        form = "".join(f"{before}%s{after}" for _, before, _, after in present)
        result = form, [(name, writer) for name, _, writer, _ in present]
        if len(plans) < MOST_PLANS:
            plans[names] = result
        return result

    def write(value: Mapping[str, object]) -> str:
        if None in value.values():
            value = {name: inner for name, inner in value.items() if inner is not None}
        names = tuple(value)
        form, picks = plans.get(names) or plan(names)
        return form % tuple([writer(value[name]) for name, writer in picks])

    def write_once(value: Mapping[str, object]) -> str:
        """Write, unless the structure is one that keeps what was written of it."""
        if type(value) is dict or not hasattr(value, "written"):
            return write(value)
        if value.written is None or value.written[0] is not write:
            value.written = write, write(value)
        return str(value.written[1])

    return write_once


def _is_plain(shape: StructureShape) -> bool:
    """Whether a structure has but a few members, all of them plain and none a secret."""
    members = shape.members.values()
    return len(members) <= MOST_PLAIN and all(
        each.type_name in PLAIN and each.name != POLICY and not each.metadata.get("sensitive")
        for each in members
    )


def _remembering(write: Writer) -> Writer:
    """Remember what was written last: the thousand entries of a list share states and options."""
    write_items = lru_cache(maxsize=MOST_TEXTS)(lambda items: write(dict(items)))
    return lambda value: write_items(tuple(value.items()))


def _member_writer(tag: str, shape: Shape, item: str) -> tuple[str, Writer, str]:
    """What comes before a member's content, as part of a format, its writer, what comes after."""
    if isinstance(shape, ListShape) and shape.serialization.get("flattened"):
        return "", _list_writer(tag, xml_writer(shape.member, item)), ""
    if isinstance(shape, MapShape) and shape.serialization.get("flattened"):
        return "", _map_writer(shape, item, tag), ""
    opened, closed = _tags(tag, shape)
    if isinstance(shape, StructureShape):
        attributes = [
            (xform_name(name), xml_name(member, name))
            for name, member in shape.members.items()
            if member.serialization.get("xmlAttribute")
        ]
        if attributes:
            writer = _attribute_writer(opened, attributes, xml_writer(shape, item), closed)
            return "", writer, ""
    return opened.replace("%", "%%"), xml_writer(shape, item), closed


def _tags(tag: str, shape: Shape) -> tuple[str, str]:
    space = shape.serialization.get("xmlNamespace")
    if isinstance(space, dict):
        prefix = f":{space['prefix']}" if space.get("prefix") else ""
        return f'<{tag} xmlns{prefix}="{space["uri"]}">', f"</{tag}>"
    return f"<{tag}>", f"</{tag}>"


def _attribute_writer(
    opened: str, attributes: list[tuple[str, str]], content: Writer, closed: str
) -> Writer:
    def write(value: Mapping[str, object]) -> str:
        present = [(tag, value[name]) for name, tag in attributes if value.get(name) is not None]
        attribute_text = "".join(f' {tag}="{text(str(each))}"' for tag, each in present)
        return f"{opened[:-1]}{attribute_text}>{content(value)}{closed}"

    return write


def _list_writer(tag: str, content: Writer) -> Writer:
    opened, between, closed = f"<{tag}>", f"</{tag}><{tag}>", f"</{tag}>"

    def write(value: Sequence[object]) -> str:
        return opened + between.join(map(content, value)) + closed if value else ""

    return write


def _map_writer(shape: MapShape, item: str, tag: str = "entry") -> Writer:
    keys = shape.key.serialization.get("name", "key")
    before, write_value, after = _member_writer(
        shape.value.serialization.get("name", "value"), shape.value, item
    )
    before = before.replace("%%", "%")

    def write(value: Mapping[str, object]) -> str:
        return "".join(
            f"<{tag}>{element(keys, str(name))}{before}{write_value(inner)}{after}</{tag}>"
            for name, inner in value.items()
        )

    return write


def _write_string(value: object) -> str:
    written = value if isinstance(value, str) else str(value)
    return written if _plain(written) else text(written)


def _write_policy(document: str) -> str:
    return quote(document, safe="~")


def _write_boolean(value: object) -> str:
    return "true" if value else "false"


def _write_blob(value: str | bytes) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode("ascii")


def _write_epoch(moment: datetime) -> str:
    return str(int(moment.timestamp()))


SCALARS: dict[str, Writer] = {
    "string": _write_string,
    "character": _write_string,
    "boolean": _write_boolean,
    "integer": str,
    "long": str,
    "float": repr,
    "double": repr,
    "blob": _write_blob,
}
TIMES: dict[str, Writer] = {
    "iso8601": iso8601,
    "rfc822": ids.http_date,
    "unixTimestamp": _write_epoch,
}


def _warn_unknown(shape: str, unknown: set[str]) -> None:
    for name in sorted(unknown):
        if (shape, name) not in _warned:
            _warned.add((shape, name))
            log.warning("shape=%s has no member for the result %s: left out", shape, name)


# --- whole documents ---------------------------------------------------------------------------


def rest_document(root: str, namespace: str, writer: Writer, value: object) -> bytes:
    """A rest-xml body, in UTF-8: the writer's content in one root element of the namespace."""
    content = writer(value)
    return f'{DECLARATION}<{root} xmlns="{namespace}">{content}</{root}>'.encode()


def ascii_document(text: str) -> bytes:
    """A document with references for all that is not ASCII: euca2ools prints nothing else."""
    return text.encode("ascii", "xmlcharrefreplace")


def ec2_document(
    action: str, namespace: str, request_id: str, writer: Writer | None, value: object
) -> bytes:
    """An EC2 answer; an action without output answers <return>true</return>."""
    content = "<return>true</return>" if writer is None else writer(value)
    opened = f'{DECLARATION}<{action}Response xmlns="{text(namespace)}">'
    return ascii_document(
        "".join((opened, element("requestId", request_id), content, f"</{action}Response>"))
    )


def query_document(
    action: str, namespace: str, request_id: str, wrapper: str, writer: Writer | None, value: object
) -> bytes:
    """A query answer (IAM, STS): Response, Result, ResponseMetadata."""
    content = "" if writer is None else f"<{wrapper}>{writer(value)}</{wrapper}>"
    metadata = element("RequestId", request_id)
    body = f"{content}<ResponseMetadata>{metadata}</ResponseMetadata>"
    opened = f'{DECLARATION}<{action}Response xmlns="{text(namespace)}">'
    return ascii_document(f"{opened}{body}</{action}Response>")
