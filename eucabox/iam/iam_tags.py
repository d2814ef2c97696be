"""The tags of IAM's entities, by the id of each; knows neither who may nor whether the id is."""

import unicodedata
from collections.abc import Sequence
from typing import TypedDict

from eucabox.errors import InvalidInput, LimitExceeded, ValidationError
from eucabox.iam.constraints import check_count, check_length
from eucabox.state import State

MOST_TAGS = 50
LONGEST_KEY, LONGEST_VALUE = 128, 256
RESERVED = "aws:"
MARKS = frozenset("_.:/=+-@")
PATTERN = r"[\p{L}\p{Z}\p{N}_.:/=+\-@]"


class IamTag(TypedDict):
    """A tag; no two of an entity have keys that differ in case alone."""

    key: str
    value: str


def check_tags(tags: Sequence[IamTag]) -> None:
    """Raise ValidationError or InvalidInput unless an entity may get these tags."""
    check_count("tags", tags, MOST_TAGS)
    for number, tag in enumerate(tags, 1):
        where = f"tags.{number}.member"
        _check_key(f"{where}.key", tag.get("key", ""))
        value = check_length(f"{where}.value", tag.get("value", ""), LONGEST_VALUE)
        _check_characters(f"{where}.value", value, f"{PATTERN}*")
    if len({tag["key"].lower() for tag in tags}) < len(tags):
        reason = "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        raise InvalidInput(reason=reason)


def set_tags(state: State, resource_id: str, tags: Sequence[IamTag]) -> None:
    """Give an entity tags, in place of those with the same keys; raises as check_tags and
    LimitExceeded."""
    check_tags(tags)
    with state.transaction():
        _delete(state, resource_id, [tag["key"] for tag in tags])
        for tag in tags:
            row = {"resource_id": resource_id, "key": tag["key"], "value": tag.get("value", "")}
            state.insert("iam_tags", row)
        if len(list_tags(state, resource_id)) > MOST_TAGS:
            reason = f"The number of tags has reached the maximum limit of {MOST_TAGS}."
            raise LimitExceeded(reason=reason)


def remove_tags(state: State, resource_id: str, keys: Sequence[str]) -> None:
    """Take away the tags with these keys, whether there are such or not; raises as check_tags."""
    check_count("tagKeys", keys, MOST_TAGS)
    for number, key in enumerate(keys, 1):
        _check_key(f"tagKeys.{number}.member", key)
    with state.transaction():
        _delete(state, resource_id, keys)


def list_tags(state: State, resource_id: str) -> list[IamTag]:
    """Return the tags of an entity, sorted by key."""
    sql = "select key, value from iam_tags where resource_id = ? order by key"
    return state.select(IamTag, sql, (resource_id,))


def delete_tags(state: State, resource_id: str) -> None:
    """Take all tags from an entity that goes."""
    state.delete("iam_tags", {"resource_id": resource_id})


def _delete(state: State, resource_id: str, keys: Sequence[str]) -> None:
    folded = {each.lower() for each in keys}
    for tag in list_tags(state, resource_id):
        if tag["key"].lower() in folded:
            state.delete("iam_tags", {"resource_id": resource_id, "key": tag["key"]})


def _check_key(member: str, key: str) -> None:
    check_length(member, key, LONGEST_KEY, 1)
    _check_characters(member, key, f"{PATTERN}+")
    if key.lower().startswith(RESERVED):
        reason = f"The tag key {key} begins with {RESERVED}, which is reserved for the system."
        raise InvalidInput(reason=reason)


def _check_characters(member: str, text: str, pattern: str) -> None:
    if not all(each in MARKS or unicodedata.category(each)[0] in "LZN" for each in text):
        needed = f"Member must satisfy regular expression pattern: {pattern}"
        where = f"Value '{text[:60]}' at '{member}' failed to satisfy constraint: {needed}"
        raise ValidationError(reason=f"1 validation error detected: {where}")
