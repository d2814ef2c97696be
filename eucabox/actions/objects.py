"""Objects: put, got, described, deleted; never how bytes travel or where they lie."""

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from datetime import datetime
from typing import Any, Unpack

from eucabox.actions import Call, Result, action
from eucabox.errors import (
    AccessDenied,
    Fault,
    InvalidRequest,
    MalformedXML,
    PartNumberBeyond,
    S3NotImplemented,
)
from eucabox.lifecycle import rules
from eucabox.store import access, conditions, nouns, said
from eucabox.store.facts import Bucket, Object
from eucabox.store.said import Written
from eucabox.store.streams import Incoming, Outgoing

MOST_DELETED = 1000
HARMLESS = ("request_payer", "content_length")


@action("s3", anonymous=True, ignored=HARMLESS)
def put_object(
    call: Call,
    *,
    bucket: str,
    key: str,
    body: Any = None,
    if_match: str = "",
    if_none_match: str = "",
    expected_bucket_owner: str = "",
    **written: Unpack[Written],
) -> Result:
    """Store an object whole or not at all, once every length, digest and signature holds."""
    holder = call.cloud.bucket.bucket(bucket)
    access.check(call, holder, key, expected=expected_bucket_owner)
    facts = said.facts(written, call, holder, call.cloud.accounts)
    incoming = Incoming.of(body)
    made = call.cloud.bucket.put(
        bucket,
        key,
        incoming,
        facts,
        if_none_match=conditions.only_if_absent(if_none_match),
        if_match=conditions.bare(if_match) or None,
        **said.sums(written, incoming),
    )
    return {"e_tag": nouns.quoted(made.e_tag), **_checksums(made), **rules.expiration(holder, made)}


@action("s3", anonymous=True, ignored=HARMLESS)
def get_object(
    call: Call,
    *,
    bucket: str,
    key: str,
    range: str = "",
    part_number: int | None = None,
    version_id: str = "",
    if_match: str = "",
    if_none_match: str = "",
    if_modified_since: datetime | None = None,
    if_unmodified_since: datetime | None = None,
    response_cache_control: str = "",
    response_content_disposition: str = "",
    response_content_encoding: str = "",
    response_content_language: str = "",
    response_content_type: str = "",
    response_expires: str = "",
    checksum_mode: str = "",
    expected_bucket_owner: str = "",
) -> Result:
    """An object's bytes, or a range or a part of them, with all that was kept of it.

    `body` of the result is an Outgoing: iterate it, then close it.
    """
    overrides = nouns.headers(
        cache_control=response_cache_control,
        content_disposition=response_content_disposition,
        content_encoding=response_content_encoding,
        content_language=response_content_language,
        content_type=response_content_type,
        expires=response_expires,
    )
    _check_reading(call, range, part_number, overrides, version_id)
    holder = _holder(call, bucket, expected_bucket_owner)
    with ExitStack() as undo:
        opened = access.look_up(call, call.cloud.bucket.open, holder, key)
        undo.callback(opened.close)
        found = opened.object
        access.check(call, holder, key, found.facts, action="s3:GetObject")
        _check_conditions(found, if_match, if_none_match, if_modified_since, if_unmodified_since)
        shown, start, count = _extent(found, range, part_number, checksum_mode)
        noted = _noted(call, holder, found, version_id)
        undo.pop_all()
    return {**shown, **noted, **overrides, "body": Outgoing(opened, start, count)}


@action("s3", anonymous=True, ignored=HARMLESS)
def head_object(
    call: Call,
    *,
    bucket: str,
    key: str,
    range: str = "",
    part_number: int | None = None,
    version_id: str = "",
    if_match: str = "",
    if_none_match: str = "",
    if_modified_since: datetime | None = None,
    if_unmodified_since: datetime | None = None,
    response_cache_control: str = "",
    response_content_disposition: str = "",
    response_content_encoding: str = "",
    response_content_language: str = "",
    response_content_type: str = "",
    response_expires: str = "",
    checksum_mode: str = "",
    expected_bucket_owner: str = "",
) -> Result:
    """What GetObject would say of an object, without its bytes."""
    overrides = nouns.headers(
        cache_control=response_cache_control,
        content_disposition=response_content_disposition,
        content_encoding=response_content_encoding,
        content_language=response_content_language,
        content_type=response_content_type,
        expires=response_expires,
    )
    _check_reading(call, range, part_number, overrides, version_id)
    holder = _holder(call, bucket, expected_bucket_owner)
    found = _readable(call, holder, key)
    _check_conditions(found, if_match, if_none_match, if_modified_since, if_unmodified_since)
    shown, _, _ = _extent(found, range, part_number, checksum_mode)
    return {**shown, **_noted(call, holder, found, version_id), **overrides}


@action("s3", anonymous=True, ignored=(*HARMLESS, "bypass_governance_retention"))
def delete_object(
    call: Call,
    *,
    bucket: str,
    key: str,
    version_id: str = "",
    if_match: str = "",
    expected_bucket_owner: str = "",
) -> None:
    """Delete an object, if it is still the one expected; that it was not there is no error."""
    nouns.only_version(version_id)
    holder = call.cloud.bucket.bucket(bucket)
    access.check(call, holder, key, expected=expected_bucket_owner)
    call.cloud.bucket.delete(bucket, key, if_match=conditions.bare(if_match) or None)


@action(
    "s3",
    anonymous=True,
    ignored=(*HARMLESS, "bypass_governance_retention", "checksum_algorithm", "content_md5"),
)
def delete_objects(
    call: Call, *, bucket: str, delete: dict[str, Any], expected_bucket_owner: str = ""
) -> Result:
    """Delete up to 1,000 objects, each with its own outcome."""
    wanted = delete.get("objects") or []
    if not 1 <= len(wanted) <= MOST_DELETED:
        reason = f"it names {len(wanted)} objects; 1 to {MOST_DELETED} are possible."
        raise MalformedXML(shape="Delete", reason=reason)
    holder = call.cloud.bucket.bucket(bucket)
    access.check_expected(holder, expected_bucket_owner)
    deleted, errors = [], []
    for each in wanted:
        try:
            deleted.append(_delete(call, holder, each))
        except Fault as fault:
            named = {name: each[name] for name in ("key", "version_id") if name in each}
            errors.append({**named, "code": fault.code, "message": fault.message})
    return {"errors": errors} if delete.get("quiet") else {"deleted": deleted, "errors": errors}


def _delete(call: Call, holder: Bucket, named: Mapping[str, Any]) -> dict[str, Any]:
    beyond = [name for name in named if name not in ("key", "version_id", "e_tag")]
    if beyond:
        hint = "Name only Key, VersionId and ETag."
        raise S3NotImplemented(what=f"A condition ({', '.join(beyond)}) on a deletion", hint=hint)
    if "key" not in named:
        raise MalformedXML(shape="Delete", reason="an Object has no Key.")
    nouns.only_version(named.get("version_id", ""))
    access.check(call, holder, named["key"], action="s3:DeleteObject")
    wanted = conditions.bare(named.get("e_tag", "")) or None
    call.cloud.bucket.delete(holder.name, named["key"], if_match=wanted)
    return {name: named[name] for name in ("key", "version_id") if name in named}


def _holder(call: Call, bucket: str, expected: str) -> Bucket:
    holder = call.cloud.bucket.bucket(bucket)
    access.check_expected(holder, expected)
    return holder


def _readable(call: Call, holder: Bucket, key: str) -> Object:
    found = access.look_up(call, call.cloud.bucket.head, holder, key)
    access.check(call, holder, key, found.facts, action="s3:GetObject")
    return found


def _check_reading(
    call: Call, wanted: str, part: int | None, overrides: Mapping[str, str], version: str
) -> None:
    nouns.only_version(version)
    if wanted and part is not None:
        raise InvalidRequest(reason="Cannot specify both Range header and partNumber.")
    if overrides and call.caller is None:
        reason = "Request specific response headers cannot be used for anonymous GET requests."
        raise InvalidRequest(reason=reason)


def _check_conditions(
    found: Object,
    if_match: str,
    if_none_match: str,
    if_modified_since: datetime | None,
    if_unmodified_since: datetime | None,
) -> None:
    conditions.check(
        found,
        {
            "if_match": if_match,
            "if_none_match": if_none_match,
            "if_modified_since": if_modified_since,
            "if_unmodified_since": if_unmodified_since,
        },
    )


def _extent(
    found: Object, wanted: str, part: int | None, checksum_mode: str
) -> tuple[Result, int, int]:
    shown: Result = {
        "e_tag": nouns.quoted(found.e_tag),
        "last_modified": found.last_modified,
        "accept_ranges": "bytes",
        "content_type": found.facts.content_type,
        "metadata": found.facts.metadata,
        **found.facts.headers,
    }
    if found.facts.storage_class != "STANDARD":
        shown["storage_class"] = found.facts.storage_class
    span = _part_span(found, part) if part is not None else conditions.span(wanted, found.size)
    start, count = span or (0, found.size)
    if part is not None and found.parts:
        shown["parts_count"] = len(found.parts)
    if checksum_mode.upper() == "ENABLED":
        shown.update(_checksums_of(found, part, whole=count == found.size))
    if span and count:
        shown["content_range"] = f"bytes {start}-{start + count - 1}/{found.size}"
    return {**shown, "content_length": count}, start, count


def _noted(call: Call, holder: Bucket, found: Object, version_id: str) -> Result:
    """What a reader is told beside what was kept: when it expires, how many tags it has."""
    shown: Result = {} if version_id else dict(rules.expiration(holder, found))
    if found.facts.tags:
        with suppress(AccessDenied):
            access.check(call, holder, found.key, found.facts, action="s3:GetObjectTagging")
            shown["tag_count"] = len(found.facts.tags)
    return shown


def _part_span(found: Object, part: int) -> tuple[int, int]:
    sizes = found.parts or (found.size,)
    if not 1 <= part <= len(sizes):
        raise PartNumberBeyond(number=part, parts=len(sizes))
    return sum(sizes[: part - 1]), sizes[part - 1]


def _checksums_of(found: Object, part: int | None, *, whole: bool) -> dict[str, str]:
    """The checksum of what is shown: of a part, of all, or nothing of any other range."""
    if part is not None and found.part_checksums:
        value = found.part_checksums[part - 1]
        sums = dict.fromkeys(found.facts.checksums, value)
        return nouns.checksum_members(sums, found.facts.checksum_type)
    return _checksums(found) if whole else {}


def _checksums(found: Object) -> dict[str, str]:
    return nouns.checksum_members(found.facts.checksums, found.facts.checksum_type)
