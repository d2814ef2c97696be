"""Conditions and ranges that a client puts on an object; never reads the object itself."""

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Any, TypedDict

from eucabox import ascii_text
from eucabox.errors import (
    InvalidArgument,
    InvalidRange,
    NotModified,
    PreconditionFailed,
    S3NotImplemented,
)
from eucabox.store.types import Object

_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
MOST_DIGITS = 18  # int() refuses thousands, which a header has room for
BEYOND = 10**MOST_DIGITS


class SourcePreconditions(TypedDict, total=False):
    """The members of CopyObject and UploadPartCopy that are conditions on the source."""

    copy_source_if_match: str
    copy_source_if_none_match: str
    copy_source_if_modified_since: datetime
    copy_source_if_unmodified_since: datetime


def check(found: Object, wanted: Mapping[str, Any]) -> None:
    """Raise NotModified or PreconditionFailed where a reader's conditions do not hold.

    `wanted` has any of if_match, if_none_match (entity tags, `*`, or a list with commas),
    if_modified_since, if_unmodified_since (aware datetimes). A tag outweighs its date.
    """
    _check_before(found, wanted.get("if_match"), wanted.get("if_unmodified_since"))
    tags, since = wanted.get("if_none_match"), wanted.get("if_modified_since")
    same = _matches(tags, found.e_tag) if tags else since and not _newer(found, since)
    if same:
        name = "If-None-Match" if tags else "If-Modified-Since"
        modified = found.last_modified
        raise NotModified(condition=name, e_tag=found.e_tag, last_modified=modified)


def check_source(found: Object, wanted: Mapping[str, Any]) -> None:
    """The same for the source of a copy, where nothing is answered but PreconditionFailed."""
    try:
        check(found, wanted)
    except NotModified as fault:
        raise PreconditionFailed(condition=fault.facts["condition"]) from None


def source_preconditions(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a request wants of the source of a copy, as `check_source` takes it."""
    named = (
        (name, name.removeprefix("copy_source_")) for name in SourcePreconditions.__annotations__
    )
    return {bare: said[name] for name, bare in named if name in said}


def write_preconditions(if_match: str, if_none_match: str) -> dict[str, Any]:
    """Return what the store's writing methods are told of the conditions of a write."""
    if if_match and if_none_match:
        what = "If-Match together with If-None-Match on a write"
        raise S3NotImplemented(what=what, hint="Use one of them.")
    return {"if_match": unquote_etag(if_match), "if_none_match": unquote_etag(if_none_match)}


def range_of(found: Object, wanted: str, if_range: str) -> str:
    """Return the range that a reader wants, "" for all of the object where If-Range does not hold:
    its tag (a weak one never does) or its date is not the object's own."""
    told = ascii_text.strip(if_range)
    if not told or not wanted:
        return wanted
    same = told == format_datetime(found.last_modified.replace(microsecond=0), usegmt=True)
    if not told.startswith("W/"):
        same = same or unquote_etag(told) == found.e_tag
    return wanted if same else ""


def span(text: str, size: int) -> tuple[int, int] | None:
    """Return (start, count) of a Range header over `size` bytes.

    None stands for the whole object: no range, several ranges, or one that makes no sense, which
    HTTP says to ignore. Raises InvalidRange where it begins behind the end.
    """
    found = _RANGE.fullmatch(text.replace(" ", ""))
    if not found or found[1] == found[2] == "":
        return None
    if not found[1]:
        count = min(_offset(found[2]), size)
        start = size - count
    else:
        start = _offset(found[1])
        last = _offset(found[2]) if found[2] else size - 1
        if found[2] and last < start:
            return None
        count = min(last, size - 1) - start + 1
    if count <= 0:
        raise InvalidRange(requested=text[:60], size=size)
    return start, count


def source_span(text: str, size: int) -> tuple[int, int]:
    """Return (start, count) of x-amz-copy-source-range, which must lie inside the object."""
    found = _RANGE.fullmatch(text)
    first, last = map(_offset, found.groups()) if found and all(found.groups()) else (1, 0)
    if last < first:
        reason = "Use bytes=FIRST-LAST with zero-based offsets."
        raise InvalidArgument(argument="x-amz-copy-source-range", value=text[:60], reason=reason)
    if last >= size:
        raise InvalidRange(requested=text[:60], size=size)
    return first, last - first + 1


def _offset(digits: str) -> int:
    """Read digits; what has more of them than a size can have is beyond every object."""
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= MOST_DIGITS else BEYOND


def unquote_etag(e_tag: str) -> str:
    """An entity tag without quotes and without the mark of a weak one."""
    return ascii_text.strip(e_tag).removeprefix("W/").strip('"')


def _check_before(found: Object, tags: str | None, since: datetime | None) -> None:
    if tags:
        if not _matches(tags, found.e_tag):
            raise PreconditionFailed(condition="If-Match")
    elif since and _newer(found, since):
        raise PreconditionFailed(condition="If-Unmodified-Since")


def _matches(tags: str, e_tag: str) -> bool:
    return any(each in ("*", e_tag) for each in map(unquote_etag, tags.split(",")))


def _newer(found: Object, since: datetime) -> bool:
    # dates in headers have whole seconds: an object is not newer than its own Last-Modified
    return found.last_modified.replace(microsecond=0) > since
