"""What the straight road answers of an object that is read.

A plain answer tells nothing but what the attributes of the object's file do, so it is remembered by
them. They count only for a file of the size and time that they name: of one that was edited nothing
remembered is answered.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from eucabox.s3 import object_members, preconditions
from eucabox.store.attributes import decode_usual
from eucabox.store.open_object import OpenObject
from eucabox.store.types import Object
from eucabox.wire import model
from eucabox.wire.request import Answer
from eucabox.wire.s3.habits import OF_ALL, OF_READS
from eucabox.wire.s3.passages import Passage
from eucabox.wire.s3.responses import is_plain, write_lines

MOST_REMEMBERED = 4096  # descriptions, of 1 KiB each
SELECTING = OF_READS - OF_ALL  # headers that ask for a part, or for nothing if it is known


class Description(NamedTuple):
    """The lines of an answer, and which bytes of the object are its body."""

    status: int
    lines: str
    start: int
    length: int

    def answer(self, passage: Passage, body: bytes = b"") -> Answer:
        """Return the answer to a request."""
        lines = f"{self.lines}x-amz-request-id: {passage.request_id}\r\n"
        return Answer(self.status, body=body, lines=lines)


def describe(opened: OpenObject, passage: Passage) -> Description | None:
    """Return what is answered of an object; None where something is not plain. Raises the faults
    of conditions and ranges."""
    headers, mode = passage.headers, passage.habit.fixed.get("x-amz-checksum-mode", "")
    # Of a client's text nothing becomes a key: it may be long.
    known_mode = "ENABLED" if mode.upper() == "ENABLED" else ""
    asked = passage.operation, passage.bucket.owner, known_mode
    if opened.usual and SELECTING.isdisjoint(headers):
        return _describe_usual(opened.usual, *asked)
    return _describe(opened.object, headers, *asked)


@lru_cache(MOST_REMEMBERED)
def _describe_usual(attributes: bytes, name: str, owner: str, mode: str) -> Description | None:
    return _describe(decode_usual(attributes, "", ""), {}, name, owner, mode)


def _describe(
    obj: Object, headers: Mapping[str, str], name: str, owner: str, mode: str
) -> Description | None:
    properties = obj.properties
    if obj.sealed or properties.tags or properties.extra or properties.owner not in ("", owner):
        return None
    if "if-match" in headers or "if-none-match" in headers:
        match, none_match = headers.get("if-match", ""), headers.get("if-none-match", "")
        preconditions.check(obj, {"if_match": match, "if_none_match": none_match})
    shown = properties.content_type, *properties.headers.values(), *properties.metadata.values()
    if not is_plain("".join(shown)):
        return None
    range_text = headers.get("range", "")
    members, start, count = object_members.select_range(obj, range_text, None, mode)
    lines = write_lines(model.service("s3").get_known(name), members)
    return Description(206 if "content_range" in members else 200, lines, start, count)
