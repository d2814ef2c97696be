"""HTTP preconditions and ranges of a request for an object; never reads the object."""

import re
from datetime import datetime
from typing import TypedDict

from eucabox import ascii_text, ids
from eucabox.errors import (
    InvalidArgument,
    InvalidRange,
    NotModified,
    PreconditionFailed,
    S3NotImplemented,
)
from eucabox.store.types import Object

_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
MOST_DIGITS = 18  # int() refuses thousands of digits, and a header can have them
BEYOND = 10**MOST_DIGITS


class ReadConditions(TypedDict, total=False):
    """The preconditions of a read: ETags (`*`, or a list with commas) and aware datetimes."""

    if_match: str
    if_none_match: str
    if_modified_since: datetime | None
    if_unmodified_since: datetime | None


class WriteConditions(TypedDict):
    """The preconditions of a write, as the store's methods take them: ETags without quotes."""

    if_match: str
    if_none_match: str


UNCONDITIONAL = WriteConditions(if_match="", if_none_match="")


class SourcePreconditions(TypedDict, total=False):
    """The members of CopyObject and UploadPartCopy with preconditions on the source."""

    copy_source_if_match: str
    copy_source_if_none_match: str
    copy_source_if_modified_since: datetime
    copy_source_if_unmodified_since: datetime


def check(obj: Object, conditions: ReadConditions) -> None:
    """Raise NotModified or PreconditionFailed where a reader's preconditions do not hold.

    An ETag outranks the date beside it.
    """
    _check_required(obj, conditions.get("if_match"), conditions.get("if_unmodified_since"))
    tags, since = conditions.get("if_none_match"), conditions.get("if_modified_since")
    same = _matches(tags, obj.e_tag) if tags else since and not _is_newer(obj, since)
    if same:
        name = "If-None-Match" if tags else "If-Modified-Since"
        modified = obj.last_modified
        raise NotModified(condition=name, e_tag=obj.e_tag, last_modified=modified)


def check_source(obj: Object, conditions: ReadConditions) -> None:
    """Check the preconditions on the source of a copy, where every failure is
    PreconditionFailed."""
    try:
        check(obj, conditions)
    except NotModified as fault:
        raise PreconditionFailed(condition=fault.facts["condition"]) from None


def source_preconditions(members: SourcePreconditions) -> ReadConditions:
    """Return the preconditions on the source of a copy, as `check_source` takes them."""
    return {
        "if_match": members.get("copy_source_if_match", ""),
        "if_none_match": members.get("copy_source_if_none_match", ""),
        "if_modified_since": members.get("copy_source_if_modified_since"),
        "if_unmodified_since": members.get("copy_source_if_unmodified_since"),
    }


def write_preconditions(if_match: str, if_none_match: str) -> WriteConditions:
    """Return the preconditions of a write as keyword arguments of the store's methods."""
    if if_match and if_none_match:
        what = "If-Match together with If-None-Match on a write"
        raise S3NotImplemented(what=what, hint="Use one of them.")
    return {"if_match": unquote_etag(if_match), "if_none_match": unquote_etag(if_none_match)}


def range_of(obj: Object, requested: str, if_range: str) -> str:
    """Return the range to send, "" for the whole object if If-Range does not match: its ETag (a
    weak one never matches) or its date is not the object's."""
    validator = ascii_text.strip(if_range)
    if not validator or not requested:
        return requested
    same = validator == ids.http_date(obj.last_modified)
    if not validator.startswith("W/"):
        same = same or unquote_etag(validator) == obj.e_tag
    return requested if same else ""


def span(text: str, size: int) -> tuple[int, int] | None:
    """Return (start, count) of a Range header over `size` bytes.

    None means the whole object: there is no range, there are several, or it makes no sense, which
    HTTP says to ignore. Raises InvalidRange if it starts beyond the end.
    """
    match = _RANGE.fullmatch(text.replace(" ", ""))
    if not match or match[1] == match[2] == "":
        return None
    if not match[1]:
        count = min(_offset(match[2]), size)
        start = size - count
    else:
        start = _offset(match[1])
        last = _offset(match[2]) if match[2] else size - 1
        if match[2] and last < start:
            return None
        count = min(last, size - 1) - start + 1
    if count <= 0:
        raise InvalidRange(requested=text[:60], size=size)
    return start, count


def source_span(text: str, size: int) -> tuple[int, int]:
    """Return (start, count) of x-amz-copy-source-range, which must lie inside the object."""
    match = _RANGE.fullmatch(text)
    first, last = map(_offset, match.groups()) if match and all(match.groups()) else (1, 0)
    if last < first:
        reason = "Use bytes=FIRST-LAST with zero-based offsets."
        raise InvalidArgument(argument="x-amz-copy-source-range", value=text[:60], reason=reason)
    if last >= size:
        raise InvalidRange(requested=text[:60], size=size)
    return first, last - first + 1


def _offset(digits: str) -> int:
    """Parse digits; more of them than a size can have means beyond every object."""
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= MOST_DIGITS else BEYOND


def unquote_etag(e_tag: str) -> str:
    """Return an ETag without its quotes and without the W/ of a weak one."""
    return ascii_text.strip(e_tag).removeprefix("W/").strip('"')


def _check_required(obj: Object, tags: str | None, since: datetime | None) -> None:
    if tags:
        if not _matches(tags, obj.e_tag):
            raise PreconditionFailed(condition="If-Match")
    elif since and _is_newer(obj, since):
        raise PreconditionFailed(condition="If-Unmodified-Since")


def _matches(tags: str, e_tag: str) -> bool:
    return any(tag in ("*", e_tag) for tag in map(unquote_etag, tags.split(",")))


def _is_newer(obj: Object, since: datetime) -> bool:
    # dates in headers have whole seconds: an object is not newer than its own Last-Modified
    return obj.last_modified.replace(microsecond=0) > since
