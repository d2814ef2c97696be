"""Shapes become readers: form parameters or an XML body in, checked snake_case arguments out."""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple, NoReturn, cast
from urllib.parse import unquote_to_bytes
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from botocore import xform_name

from eucabox import ascii_text
from eucabox.errors import (
    FormTooLarge,
    InvalidParameterValue,
    MalformedQueryString,
    MalformedXML,
    UnknownParameter,
)
from eucabox.wire.shapes import ListShape, MapShape, Shape, StructureShape

MOST_FIELDS = 20_000
MOST_XML_DEPTH = 64
MOST_ELEMENTS = 5_000
LONGEST_TAG = 1 << 16  # bytes, with its attributes; comments too
INDEX = re.compile(r"[0-9]{1,9}\Z", re.ASCII)
WHOLE = re.compile(rf"[{ascii_text.BLANKS}]*[+-]?[0-9]{{1,19}}[{ascii_text.BLANKS}]*\Z", re.ASCII)
NUMBER = re.compile(r"[+-]?([0-9]++[.]?[0-9]*+|[.][0-9]+)([eE][+-]?[0-9]{1,3})?\Z", re.ASCII)
TRUE, FALSE = ("true", "1"), ("false", "0")
LIMITS = {"integer": 2**31, "long": 2**63}


class Param(NamedTuple):
    """A parameter's value with its name as the client sent it, for messages."""

    name: str
    value: str


Tree = dict[str, "Tree | Param"]  # by a part of the name
Node = Tree | Param
FormReader = Callable[[Node], object]
TreeReader = Callable[[Tree], dict[str, object]]  # of a whole request
XmlReader = Callable[[Element], object]


# --- forms -------------------------------------------------------------------------------------


def parse_form(*sources: str) -> dict[str, str]:
    """Read x-www-form-urlencoded texts (a query string, a body) into one dict.

    Raises MalformedQueryString for text that is not UTF-8 and for a name that comes twice.
    """
    fields: dict[str, str] = {}
    for source in filter(None, sources):
        plain = "+" not in source and "%" not in source and source.isascii()
        for pair in filter(None, source.split("&")):
            name, _, value = pair.partition("=")
            if not plain:
                name, value = _unquote(name), _unquote(value)
            if name in fields:
                raise MalformedQueryString(reason=f"the parameter {name[:200]} is given twice.")
            fields[name] = value
            if len(fields) > MOST_FIELDS:
                raise FormTooLarge(limit=MOST_FIELDS, unit="parameters")
    return fields


def _unquote(text: str) -> str:
    try:
        # What is not ASCII in a raw request is Latin-1 text standing for the bytes sent.
        return unquote_to_bytes(text.replace("+", " ").encode("latin-1")).decode("utf-8")
    except UnicodeError:
        excerpt = text[:60].encode("ascii", "replace").decode("ascii")
        raise MalformedQueryString(reason=f"{excerpt} is not UTF-8.") from None


def build_tree(fields: Mapping[str, str]) -> Tree:
    """Split dotted names into a tree; a huge list index costs one entry, not a list that long."""
    tree: Tree = {}
    for name, value in fields.items():
        *branches, last = name.split(".")
        node = tree
        for part in branches:
            branch = node.setdefault(part, {})
            if isinstance(branch, Param):
                _raise_clash(branch.name, name)
            node = branch
        if last in node:
            _raise_clash(_first_param(node[last]).name, name)
        node[last] = Param(name, value)
    return tree


def form_reader(shape: Shape, protocol: str) -> TreeReader:
    """Compile the reader of an input shape for `ec2` or `query`; it takes a Tree.

    The reader raises UnknownParameter, InvalidParameterValue or MalformedQueryString, with the
    parameter's name as the client sent it.
    """
    name_of = _ec2_name if protocol == "ec2" else _query_name
    return cast(TreeReader, _compile_form(shape, name_of, protocol == "ec2"))


def _compile_form(shape: Shape, name_of: Callable[[Shape, str], str], ec2: bool) -> FormReader:
    if isinstance(shape, StructureShape):
        return _form_structure(
            {
                name_of(member, name): (xform_name(name), _compile_form(member, name_of, ec2))
                for name, member in shape.members.items()
            }
        )
    if isinstance(shape, ListShape):
        flat = ec2 or bool(shape.serialization.get("flattened"))
        step = "" if flat else shape.member.serialization.get("name", "member")
        return _form_list(_compile_form(shape.member, name_of, ec2), step)
    if isinstance(shape, MapShape):
        keys = shape.key.serialization.get("name", "key")
        values = shape.value.serialization.get("name", "value")
        step = "" if shape.serialization.get("flattened") else "entry"
        return _form_map(_compile_form(shape.value, name_of, ec2), keys, values, step)
    return _form_scalar(_scalar_parser(shape))


def _ec2_name(member: Shape, name: str) -> str:
    query_name = member.serialization.get("queryName")
    if query_name:
        return str(query_name)
    location_name = str(member.serialization.get("name", name))
    return location_name[0].upper() + location_name[1:]


def _query_name(member: Shape, name: str) -> str:
    if isinstance(member, ListShape) and member.serialization.get("flattened"):
        return str(member.member.serialization.get("name", name))
    return str(member.serialization.get("name", name))


def _form_structure(members: dict[str, tuple[str, FormReader]]) -> FormReader:
    def read(node: Node) -> dict[str, object]:
        values = {}
        for part, child in _children(node):
            if part not in members:
                raise unknown_parameter(child)
            name, reader = members[part]
            values[name] = reader(child)
        return values

    return read


def _form_list(reader: FormReader, step: str) -> FormReader:
    def read(node: Node) -> list[object]:
        return [reader(child) for child in _items(node, step)]

    return read


def _form_map(reader: FormReader, keys: str, values: str, step: str) -> FormReader:
    def read(node: Node) -> dict[str, object]:
        mapping = {}
        for entry in _items(node, step):
            parts = dict(_children(entry))
            key = parts.get(keys)
            if parts.keys() != {keys, values} or not isinstance(key, Param):
                raise MalformedQueryString(
                    reason=f"{_first_param(entry).name} needs a {keys} and a {values} beside it."
                )
            mapping[key.value] = reader(parts[values])
        return mapping

    return read


def _form_scalar(convert: Callable[[str], object]) -> FormReader:
    def read(node: Node) -> object:
        if not isinstance(node, Param):
            raise unknown_parameter(node)
        try:
            return convert(node.value)
        except (ValueError, OverflowError) as problem:
            raise InvalidParameterValue(
                parameter=node.name, value=node.value[:60], reason=f"It must be {problem}."
            ) from None

    return read


def _children(node: Node) -> Iterable[tuple[str, Node]]:
    if isinstance(node, Param):
        if node.value:
            raise MalformedQueryString(reason=f"{node.name} is a structure: send {node.name}.NAME")
        return ()  # an empty list or structure is sent as an empty value
    return node.items()


def _items(node: Node, step: str) -> list[Node]:
    if isinstance(node, Param) and node.value:
        return [node]  # old clients send the only element without a number
    entries = dict(_children(node))
    if step and entries.keys() == {step}:
        entries = dict(_children(entries[step]))
    for part, child in entries.items():
        if not INDEX.match(part):
            raise unknown_parameter(child)
    return [entries[part] for part in sorted(entries, key=int)]


def unknown_parameter(node: Node) -> UnknownParameter:
    """The fault of an unknown parameter, or of the first one below a branch."""
    return UnknownParameter(parameter=_first_param(node).name[:200])


def _first_param(node: Node) -> Param:
    while not isinstance(node, Param):
        node = next(iter(node.values()))
    return node


def _raise_clash(one: str, other: str) -> NoReturn:
    raise MalformedQueryString(reason=f"the parameters {one[:200]} and {other[:200]} clash.")


# --- scalars: text to value; ValueError says what it must be -----------------------------------


def _parse_boolean(text: str) -> bool:
    lowered = ascii_text.lower(ascii_text.strip(text))
    if lowered not in TRUE + FALSE:
        raise ValueError("true or false")
    return lowered in TRUE


def _integer_parser(type_name: str) -> Callable[[str], int]:
    limit = LIMITS[type_name]

    def convert(text: str) -> int:
        if not WHOLE.match(text):
            raise ValueError("an integer")
        value = int(text)
        if not -limit <= value < limit:
            raise ValueError(f"an integer from {-limit} to {limit - 1}")
        return value

    return convert


def _parse_number(text: str) -> float:
    if not NUMBER.match(ascii_text.strip(text)):
        raise ValueError("a number")
    return float(text)


def _parse_timestamp(text: str) -> datetime:
    try:
        if text.isascii() and text.isdigit():
            return datetime.fromtimestamp(int(text), UTC)
        moment = datetime.fromisoformat(ascii_text.strip(text))
    except (ValueError, OverflowError, OSError):
        raise ValueError("a time such as 2026-01-31T12:00:00Z") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _parse_rfc822(text: str) -> datetime:
    try:
        if not text.isascii():
            raise ValueError
        return parsedate_to_datetime(ascii_text.strip(text)).astimezone(UTC)
    except (ValueError, OverflowError, TypeError):
        raise ValueError("a time such as Sat, 31 Jan 2026 12:00:00 GMT") from None


def _parse_blob(text: str) -> bytes:
    try:
        # Clients break long Base64 into lines.
        return base64.b64decode(ascii_text.remove_blanks(text), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("Base64") from None


def _scalar_parser(shape: Shape) -> Callable[[str], object]:
    if shape.serialization.get("timestampFormat") == "rfc822":
        return _parse_rfc822
    return SCALARS[shape.type_name]


SCALARS: dict[str, Callable[[str], object]] = {
    "string": str,
    "character": str,
    "boolean": _parse_boolean,
    "integer": _integer_parser("integer"),
    "long": _integer_parser("long"),
    "float": _parse_number,
    "double": _parse_number,
    "timestamp": _parse_timestamp,
    "blob": _parse_blob,
}


# --- XML ---------------------------------------------------------------------------------------


def parse_xml(body: bytes, shape: str = "this operation", most: int = MOST_ELEMENTS) -> Element:
    """Parse a body into elements without namespaces; it stops at the first thing that no document
    of ours has: a DTD, and so any entity, more than `most` elements, a tag of 64 KiB.

    Raises MalformedXML; `shape` is named in its message.
    """
    builder = _Builder(shape, most)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = builder.refuse_doctype
    try:
        for offset in range(0, len(body), LONGEST_TAG):
            parser.Parse(body[offset : offset + LONGEST_TAG], False)
            if offset - parser.CurrentByteIndex > LONGEST_TAG:
                raise ValueError(f"a tag is longer than {LONGEST_TAG} bytes")
        parser.Parse(b"", True)
    except (expat.ExpatError, LookupError, ValueError) as problem:
        raise MalformedXML(shape=shape, reason=f"{problem}.") from None
    return builder.close()


class _Builder(TreeBuilder):
    """Elements by the last part of their names, no more and no deeper than they may be."""

    def __init__(self, shape: str, most: int) -> None:
        super().__init__()
        self._shape = shape
        self._most = self._left = most
        self._depth = 0

    def start(self, tag: str, attributes: dict[str, str], /) -> Element:
        """Begin an element."""
        self._depth += 1
        self._left -= 1
        if self._depth > MOST_XML_DEPTH:
            raise MalformedXML(shape=self._shape, reason=f"more than {MOST_XML_DEPTH} levels.")
        if self._left < 0:
            raise MalformedXML(shape=self._shape, reason=f"more than {self._most} elements.")
        return super().start(tag.rpartition(":")[2], attributes)

    def end(self, tag: str, /) -> Element:
        """End an element."""
        self._depth -= 1
        return super().end(tag.rpartition(":")[2])

    def refuse_doctype(self, *_: object) -> None:
        """Refuse a document type."""
        raise MalformedXML(shape=self._shape, reason="a document type is not allowed.")


def xml_reader(shape: Shape) -> XmlReader:
    """Compile the reader of a body shape for rest-xml; it takes an Element of `parse_xml`.

    The reader raises MalformedXML for an element the shape does not know and for a bad value.
    """
    if isinstance(shape, StructureShape):
        return _xml_structure(shape)
    if isinstance(shape, ListShape):
        reader = xml_reader(shape.member)
        return lambda element: [reader(child) for child in element]
    return _xml_scalar(_scalar_parser(shape), strip=shape.type_name != "string")


def _xml_structure(shape: StructureShape) -> XmlReader:
    single: dict[str, tuple[str, XmlReader]] = {}
    repeated: dict[str, tuple[str, XmlReader]] = {}
    attributes: dict[str, str] = {}
    for name, member in shape.members.items():
        tag = xml_name(member, name)
        if "location" in member.serialization:
            continue
        if member.serialization.get("xmlAttribute"):
            attributes[tag] = xform_name(name)
        elif isinstance(member, ListShape) and member.serialization.get("flattened"):
            repeated[tag] = (xform_name(name), xml_reader(member.member))
        else:
            single[tag] = (xform_name(name), xml_reader(member))

    def read(element: Element) -> dict[str, object]:
        values: dict[str, object] = {
            attributes[name]: value for name, value in element.items() if name in attributes
        }
        for child in element:
            if child.tag in single:
                name, reader = single[child.tag]
                if name in values:
                    raise MalformedXML(shape=element.tag, reason=f"{child.tag} comes twice.")
                values[name] = reader(child)
            elif child.tag in repeated:
                name, reader = repeated[child.tag]
                entries = values.setdefault(name, [])
                assert isinstance(entries, list)
                entries.append(reader(child))
            else:
                raise MalformedXML(shape=element.tag, reason=f"{child.tag} is not known in it.")
        return values

    return read


def xml_name(member: Shape, name: str) -> str:
    """The element (or attribute) name of a structure's member in rest-xml and in answers."""
    if isinstance(member, ListShape) and member.serialization.get("flattened"):
        inner = member.member.serialization.get("name")
        if inner is not None:
            return str(inner)
    return str(member.serialization.get("name", name))


def _xml_scalar(convert: Callable[[str], object], strip: bool) -> XmlReader:
    def read(element: Element) -> object:
        text = element.text or ""
        if len(element):
            raise MalformedXML(shape=element.tag, reason=f"{element.tag} holds text, not elements.")
        try:
            return convert(ascii_text.strip(text) if strip else text)
        except (ValueError, OverflowError) as problem:
            raise MalformedXML(
                shape=element.tag, reason=f"{element.tag} must be {problem}."
            ) from None

    return read
