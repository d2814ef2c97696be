"""Reads the times in signatures; never decides which fault a late request gets."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache

WINDOW = timedelta(minutes=15)
LENGTH = 16  # characters of the basic form
LONGEST = 604800  # seconds that a presigned request may live: seven days
_BASIC = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_EXTENDED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([.,]\d{1,9})?(Z|[+-]\d\d:?\d\d)?", re.ASCII)


def parse_basic(text: str) -> datetime | None:
    """Read 20261123T010203Z, the only form that signature 4 signs."""
    return _basic(text) if len(text) == LENGTH else None


@lru_cache(64)  # requests of one second have the same text
def _basic(text: str) -> datetime | None:
    if not _BASIC.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def parse_extended(text: str) -> datetime | None:
    """Read 2026-11-23T01:02:03 with or without a fraction, Z or an offset; no zone means UTC."""
    if not _EXTENDED.fullmatch(text):
        return None
    try:
        return _utc(datetime.fromisoformat(text.replace(",", ".")))
    except ValueError:
        return None


def parse_mail_date(text: str) -> datetime | None:
    """Read `Mon, 23 Nov 2026 01:02:03 GMT` and its kin: -0000, UTC, an offset."""
    if not text.isascii():
        return None  # the library takes more for blanks and digits than a date can have
    try:
        return _utc(parsedate_to_datetime(text))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def parse(text: str) -> datetime | None:
    """Read a time in whichever of the three forms it comes."""
    return parse_basic(text) or parse_extended(text) or parse_mail_date(text)


def basic_text(time: datetime) -> str:
    """Write a time as 20261123T010203Z."""
    return time.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def render(time: datetime) -> str:
    """Write a time as 2026-11-23T01:02:03Z, as messages and error elements show it."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _utc(time: datetime) -> datetime:
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError as overflow:
        raise ValueError(str(overflow)) from None
