"""Tags of objects and buckets: validates them, turns them into API members; stores nothing."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import TypedDict

from eucabox.errors import InvalidTag, MalformedXML, TooManyTags
from eucabox.store.types import Bucket

SETTING = "tagging"  # of a bucket: {key: value}
MOST_OF_OBJECT, MOST_OF_BUCKET = 10, 50
LONGEST_KEY, LONGEST_VALUE = 128, 256
SYSTEM = "aws:"
SIGNS = frozenset("_.:/=+-@")


class ObjectTag(TypedDict, total=False):
    """One tag as a client sends it."""

    key: str
    value: str


class Tagging(TypedDict, total=False):
    """A tag set as in PutObjectTagging and PutBucketTagging, and in the header x-amz-tagging."""

    tag_set: list[ObjectTag]


def object_tags(tagging: Tagging | None) -> dict[str, str]:
    """Return {key: value} of an object's tag set; raises InvalidTag, MalformedXML."""
    return validate((tagging or {}).get("tag_set") or [], MOST_OF_OBJECT, "An object")


def bucket_tags(tag_set: Sequence[ObjectTag]) -> dict[str, str]:
    """Return {key: value} of a bucket's tags; raises InvalidTag, MalformedXML."""
    return validate(tag_set, MOST_OF_BUCKET, "A bucket")


def validate(tag_set: Sequence[ObjectTag], most: int, whose: str) -> dict[str, str]:
    """Return {key: value} of tags after a check of all of them."""
    tags: dict[str, str] = {}
    for tag in tag_set:
        if "key" not in tag or "value" not in tag:
            raise MalformedXML(shape="Tag", reason="it needs a Key and a Value.")
        key, value = tag["key"], tag["value"]
        _check_tag(key, value)
        if key in tags:
            raise InvalidTag(reason=f"Cannot provide multiple Tags with the same key: {key}.")
        tags[key] = value
    if len(tags) > most:
        raise TooManyTags(whose=whose, limit=most, count=len(tags))
    return tags


def _check_tag(key: str, value: str) -> None:
    if not 1 <= len(key) <= LONGEST_KEY or not _is_allowed(key):
        reason = f"The TagKey you have provided is invalid: {key[:LONGEST_KEY]}."
        raise InvalidTag(
            reason=f"{reason} Use 1 to {LONGEST_KEY} letters, digits, blanks, +-=._:/@"
        )
    if len(value) > LONGEST_VALUE or not _is_allowed(value):
        reason = f"The TagValue you have provided is invalid: {value[:LONGEST_VALUE]}."
        raise InvalidTag(
            reason=f"{reason} Use at most {LONGEST_VALUE} letters, digits, blanks, +-=._:/@"
        )
    if key.lower().startswith(SYSTEM):
        reason = f"System tags cannot be added or updated by a requester: {key}."
        raise InvalidTag(reason=reason)


def _is_allowed(text: str) -> bool:
    return all(each in SIGNS or unicodedata.category(each)[0] in "LNZ" for each in text)


def to_api(tags: Mapping[str, str]) -> list[ObjectTag]:
    """Return tags as the API lists them, by key."""
    return [{"key": key, "value": value} for key, value in sorted(tags.items())]


def tags_of(bucket: Bucket) -> dict[str, str]:
    """Return the tags of a bucket."""
    return dict(bucket.settings.get(SETTING) or {})
