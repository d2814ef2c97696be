"""The keys that identify the versions of an object and sort them, the newest first.

A version key is 32 hex digits: 16 of the time that is left until the end of the clock, so that a
newer version sorts before an older one, and 16 random digits. Zeros in their place are the null
version, of which a key has one at most. Clients see the version key as the version id, or `null`.
"""

import re
import secrets

from eucabox.errors import InvalidVersionId

NULL = "null"
END = (1 << 64) - 1
DIGITS = 16
NO_CHANCE = "0" * DIGITS
VERSION_KEY = re.compile(r"[0-9a-f]{32}", re.ASCII)


def make(now: int, *, null: bool, after: str = "") -> str:
    """Return the version key for a version made at `now` (ns), newer than that of `after`, if
    any."""
    time_left = END - now
    if after:
        time_left = min(time_left, int(after[:DIGITS], 16) - 1)
    return f"{max(time_left, 0):016x}{NO_CHANCE if null else _chance()}"


def _chance() -> str:
    chance = secrets.token_hex(DIGITS // 2)
    return chance if chance != NO_CHANCE else _chance()


def version_key_of_time(modified: int) -> str:
    """Return the version key of an object that is older than its bucket's versioning, by its
    time."""
    return f"{END - min(max(modified, 0), END):016x}{NO_CHANCE}"


def time_of(version_key: str) -> int:
    """Return the time (ns) in a version key."""
    return END - int(version_key[:DIGITS], 16)


def is_null(version_key: str) -> bool:
    """Return whether a version key is that of the null version, as "" is."""
    return not version_key or version_key.endswith(NO_CHANCE)


def version_id(version_key: str) -> str:
    """Return the version id that clients see."""
    return NULL if is_null(version_key) else version_key


def check(version_id: str) -> None:
    """Raise InvalidVersionId unless a version could have this id."""
    if version_id != NULL and (not VERSION_KEY.fullmatch(version_id) or is_null(version_id)):
        raise InvalidVersionId(value=version_id[:100])
