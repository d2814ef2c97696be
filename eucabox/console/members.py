"""Reads the members of what verbs answer, each as its type; performs nothing."""

from collections.abc import Mapping
from datetime import datetime

Members = Mapping[str, object]


def read_text(members: Members, name: str) -> str:
    """Return a text, "" where there is none."""
    value = members.get(name)
    return value if isinstance(value, str) else ""


def read_number(members: Members, name: str) -> int:
    """Return a number, 0 where there is none."""
    value = members.get(name)
    return value if isinstance(value, int) else 0


def read_moment(members: Members, name: str) -> datetime | None:
    """Return a moment, None where there is none."""
    value = members.get(name)
    return value if isinstance(value, datetime) else None


def read_structure(members: Members, name: str) -> dict[str, object]:
    """Return a structure, an empty one where there is none."""
    value = members.get(name)
    return dict(value) if isinstance(value, Mapping) else {}


def read_structures(members: Members, name: str) -> list[dict[str, object]]:
    """Return a list of structures, an empty one where there is none."""
    value = members.get(name)
    rows = value if isinstance(value, list | tuple) else ()
    return [dict(each) for each in rows if isinstance(each, Mapping)]
