"""CORS and lifecycle rules as people edit them: JSON with the API's names; judges no rule."""

import json
import re
from collections.abc import Mapping
from datetime import datetime

from eucabox.validation import to_api_name

MOST_TEXT = 32 * 1024  # characters
MOST_DEPTH = 12
CAPITALS = {"id": "ID"}
WORD = re.compile("(?<=[a-z0-9])(?=[A-Z])")
CORS_TEXTS = frozenset({"id"})
CORS_LISTS = frozenset({"allowed_headers", "allowed_methods", "allowed_origins", "expose_headers"})
CORS_NUMBERS = frozenset({"max_age_seconds"})


class UnreadableError(ValueError):
    """A document that can't be read; its text says why."""


def write_document(members: object) -> str:
    """Return members of a verb as JSON that people read."""
    return json.dumps(_to_names(members), indent=2, ensure_ascii=False)


def read_rules(text: str) -> list[dict[str, object]]:
    """Return the rules of a document: a list of them, or a structure that has Rules or CORSRules.

    Raises UnreadableError.
    """
    if len(text) > MOST_TEXT:
        raise UnreadableError(f"A document has at most {MOST_TEXT} characters.")
    try:
        read = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise UnreadableError(f"This is no JSON: {problem}"[:200]) from None
    if isinstance(read, dict) and len(read) == 1:
        read = next(iter(read.values()))
    if not isinstance(read, list) or not all(isinstance(each, dict) for each in read):
        raise UnreadableError("The rules are a list: [{...}, {...}].")
    return [_to_members(each, 0) for each in read]


def check_cors(rules: list[dict[str, object]]) -> None:
    """Raise UnreadableError for a member that a CORS rule has not, or has in another form."""
    for rule in rules:
        for name, value in rule.items():
            is_list = isinstance(value, list) and all(isinstance(each, str) for each in value)
            fits = (
                (name in CORS_LISTS and is_list)
                or (name in CORS_TEXTS and isinstance(value, str))
                or (name in CORS_NUMBERS and type(value) is int)
            )
            if not fits:
                raise UnreadableError(f"A rule can't have this: {_to_name(name)[:60]}.")


def _to_name(member: str) -> str:
    return CAPITALS.get(member) or to_api_name(member)


def _to_names(value: object) -> object:
    if isinstance(value, Mapping):
        return {_to_name(str(name)): _to_names(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_to_names(each) for each in value]
    return value.isoformat() if isinstance(value, datetime) else value


def _to_members(rule: Mapping[str, object], depth: int) -> dict[str, object]:
    if depth > MOST_DEPTH:
        raise UnreadableError("The document is too deep.")
    return {_to_member(name): _read_value(name, each, depth) for name, each in rule.items()}


def _to_member(name: str) -> str:
    return WORD.sub("_", name).lower()


def _read_value(name: str, value: object, depth: int) -> object:
    if isinstance(value, dict):
        return _to_members(value, depth + 1)
    if isinstance(value, list):
        return [_read_value(name, each, depth + 1) for each in value]
    if name == "Date":
        try:
            return datetime.fromisoformat(str(value))
        except ValueError:
            raise UnreadableError("A Date is written as 2026-12-31T00:00:00Z.") from None
    return value
