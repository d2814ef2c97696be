"""Objects: put, got, described, deleted; never how bytes travel or where they lie."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, Unpack

from eucabox.actions import Call, Result, action
from eucabox.errors import (
    AccessDenied,
    Fault,
    InvalidRequest,
    MalformedXML,
    PartNumberBeyond,
)
from eucabox.s3 import access, object_lock, object_request, preconditions, values
from eucabox.s3 import encryption as sse
from eucabox.s3.body_streams import RequestBody, ResponseBody
from eucabox.s3.encryption import CustomerKey
from eucabox.s3.lifecycle import rules
from eucabox.s3.object_request import PutObjectMembers
from eucabox.store.types import SSE_C, Bucket, Deleted, Object

RESTORED = 'ongoing-request="false", expiry-date="Fri, 31 Dec 9999 00:00:00 GMT"'
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
    **written: Unpack[PutObjectMembers],
) -> Result:
    """Store an object whole or not at all, once every length, digest and signature holds."""
    holder = call.cloud.store.bucket(bucket)
    access.check(call, holder, key, expected=expected_bucket_owner)
    new = object_request.read(written, call, holder, call.cloud.store, call.cloud.accounts)
    incoming = RequestBody.wrap(body)
    made = call.cloud.store.put(
        bucket,
        key,
        incoming,
        new.properties,
        object_request.expected_body(written, incoming),
        **preconditions.write_preconditions(if_match, if_none_match),
        sealing=new.encryption,
    )
    return {
        "e_tag": values.quote_etag(made.e_tag),
        **values.version_members_written(made),
        **_checksums(made),
        **rules.expiration(holder, made),
        **sse.to_api(made.sealed, written, call.cloud.store),
    }


@action("s3", anonymous=True, ignored=HARMLESS)
def get_object(
    call: Call,
    *,
    bucket: str,
    key: str,
    range: str = "",
    if_range: str = "",
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
    server_side_encryption: str = "",
    expected_bucket_owner: str = "",
    **customer: Unpack[CustomerKey],
) -> Result:
    """An object's bytes, or a range or a part of them, with all that was kept of it.

    `body` of the result is an Outgoing: iterate it, then close it.
    """
    overrides = values.headers(
        cache_control=response_cache_control,
        content_disposition=response_content_disposition,
        content_encoding=response_content_encoding,
        content_language=response_content_language,
        content_type=response_content_type,
        expires=response_expires,
    )
    _check_reading(call, range, part_number, overrides)
    sse.reject_on_read(server_side_encryption)
    holder = _get_bucket(call, bucket, expected_bucket_owner)
    look = partial(call.cloud.store.open, version_id=version_id)
    opened = access.open_or_hide(call, look, holder, key)
    try:
        found = opened.object
        access.check(call, holder, key, found.facts, action="s3:GetObject")
        if part_number is not None:
            _part_span(found, part_number)  # that there is no such part needs no key to say
        secret = sse.check_reading(call, found.sealed, customer)
        _check_conditions(found, if_match, if_none_match, if_modified_since, if_unmodified_since)
        wanted = preconditions.range_of(found, range, if_range)
        shown, start, count = _select_range(found, wanted, part_number, checksum_mode)
        opened.unlock(secret)
        noted = _read_headers(call, holder, found, version_id)
        encryption = sse.to_api(found.sealed, customer, call.cloud.store)
    except BaseException:
        opened.close()
        raise
    body = ResponseBody(opened, start, count, direct=found.sealed is None)
    return {**shown, **noted, **encryption, **overrides, "body": body}


@action("s3", anonymous=True, ignored=HARMLESS)
def head_object(
    call: Call,
    *,
    bucket: str,
    key: str,
    range: str = "",
    if_range: str = "",
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
    server_side_encryption: str = "",
    expected_bucket_owner: str = "",
    **customer: Unpack[CustomerKey],
) -> Result:
    """What GetObject would say of an object, without its bytes."""
    overrides = values.headers(
        cache_control=response_cache_control,
        content_disposition=response_content_disposition,
        content_encoding=response_content_encoding,
        content_language=response_content_language,
        content_type=response_content_type,
        expires=response_expires,
    )
    _check_reading(call, range, part_number, overrides)
    sse.reject_on_read(server_side_encryption)
    holder = _get_bucket(call, bucket, expected_bucket_owner)
    found = _open_for_read(call, holder, key, version_id, customer)
    _check_conditions(found, if_match, if_none_match, if_modified_since, if_unmodified_since)
    wanted = preconditions.range_of(found, range, if_range)
    shown, _, _ = _select_range(found, wanted, part_number, checksum_mode)
    noted = _read_headers(call, holder, found, version_id)
    return {**shown, **noted, **sse.to_api(found.sealed, customer, call.cloud.store), **overrides}


@action("s3", anonymous=True, ignored=(*HARMLESS, "mfa"))
def delete_object(
    call: Call,
    *,
    bucket: str,
    key: str,
    version_id: str = "",
    if_match: str = "",
    if_match_last_modified_time: datetime | None = None,
    if_match_size: int | None = None,
    bypass_governance_retention: bool = False,
    expected_bucket_owner: str = "",
) -> Result:
    """Delete an object or, for good, a version of it, if it is still the one expected; that it
    was not there is no error."""
    holder = _get_bucket(call, bucket, expected_bucket_owner)
    wanted = {
        "if_match": preconditions.unquote_etag(if_match),
        "if_modified": if_match_last_modified_time,
        "if_size": if_match_size,
    }
    gone = _delete(call, holder, key, version_id, wanted, bypass_governance_retention)
    shown: Result = {"version_id": gone.version_id} if gone.version_id else {}
    return {**shown, "delete_marker": True} if gone.delete_marker else shown


@action(
    "s3",
    anonymous=True,
    ignored=(*HARMLESS, "checksum_algorithm", "content_md5", "mfa"),
)
def delete_objects(
    call: Call,
    *,
    bucket: str,
    delete: dict[str, Any],
    bypass_governance_retention: bool = False,
    expected_bucket_owner: str = "",
) -> Result:
    """Delete up to 1,000 objects, each with its own outcome."""
    wanted = delete.get("objects") or []
    if not 1 <= len(wanted) <= MOST_DELETED:
        reason = f"it names {len(wanted)} objects; 1 to {MOST_DELETED} are possible."
        raise MalformedXML(shape="Delete", reason=reason)
    holder = call.cloud.store.bucket(bucket)
    access.check_expected(holder, expected_bucket_owner)
    deleted, errors = [], []
    for each in wanted:
        try:
            deleted.append(_delete_named(call, holder, each, bypass_governance_retention))
        except Fault as fault:
            named = {name: each[name] for name in ("key", "version_id") if name in each}
            errors.append({**named, "code": fault.code, "message": fault.sentence})
    return {"errors": errors} if delete.get("quiet") else {"deleted": deleted, "errors": errors}


def _delete_named(
    call: Call, holder: Bucket, named: Mapping[str, Any], bypass: bool
) -> dict[str, Any]:
    if "key" not in named:
        raise MalformedXML(shape="Delete", reason="an Object has no Key.")
    wanted = {
        "if_match": preconditions.unquote_etag(named.get("e_tag", "")),
        "if_modified": named.get("last_modified_time"),
        "if_size": named.get("size"),
    }
    key, version_id = named["key"], named.get("version_id", "")
    asking = access.with_members(
        call, key=key, version_id=version_id or None, if_match=named.get("e_tag")
    )
    gone = _delete(call, holder, key, version_id, wanted, bypass, asking)
    shown = {name: named[name] for name in ("key", "version_id") if named.get(name)}
    if gone.delete_marker:
        shown.update(delete_marker=True, delete_marker_version_id=gone.version_id)
    return shown


def _delete(
    call: Call,
    holder: Bucket,
    key: str,
    version_id: str,
    wanted: Mapping[str, Any],
    bypass: bool,
    asking: access.RequestContext | None = None,
) -> Deleted:
    asking = asking or call
    action = "s3:DeleteObjectVersion" if version_id else "s3:DeleteObject"
    access.check(asking, holder, key, action=action)
    owner = access.authorize_owner_of_new(call, holder, None, call.cloud.accounts)
    store = call.cloud.store
    versioned = "versioning" in holder.settings
    check = partial(_check_lock, asking, holder, bypass) if versioned else None
    return store.delete(holder.name, key, version_id=version_id, owner=owner, check=check, **wanted)


def _check_lock(asking: access.RequestContext, holder: Bucket, bypass: bool, lost: Object) -> None:
    """Raise AccessDenied if a version that would be lost for good is locked."""
    now = datetime.now(UTC)
    if bypass and object_lock.is_locked(lost.facts, now):
        access.check(asking, holder, lost.key, action="s3:BypassGovernanceRetention")
    object_lock.check_deletion(lost.facts, now, bypass=bypass)


def _get_bucket(call: Call, bucket: str, expected: str) -> Bucket:
    holder = call.cloud.store.bucket(bucket)
    access.check_expected(holder, expected)
    return holder


def _open_for_read(
    call: Call, holder: Bucket, key: str, version_id: str, customer: CustomerKey
) -> Object:
    look = partial(call.cloud.store.open, version_id=version_id)
    with access.open_or_hide(call, look, holder, key) as opened:
        found = opened.object
        access.check(call, holder, key, found.facts, action="s3:GetObject")
        secret = sse.check_reading(call, found.sealed, customer)
        if found.sealed and found.sealed.kind == SSE_C:
            opened.unlock(secret)
    return found


def _check_reading(call: Call, wanted: str, part: int | None, overrides: Mapping[str, str]) -> None:
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
    preconditions.check(
        found,
        {
            "if_match": if_match,
            "if_none_match": if_none_match,
            "if_modified_since": if_modified_since,
            "if_unmodified_since": if_unmodified_since,
        },
    )


def _select_range(
    found: Object, wanted: str, part: int | None, checksum_mode: str
) -> tuple[Result, int, int]:
    shown: Result = {
        "e_tag": values.quote_etag(found.e_tag),
        "last_modified": found.last_modified,
        "accept_ranges": "bytes",
        "content_type": found.facts.content_type,
        "metadata": found.facts.metadata,
        **found.facts.headers,
    }
    if found.facts.storage_class != "STANDARD":
        shown["storage_class"] = found.facts.storage_class
    if found.facts.storage_class in values.ARCHIVES:
        shown["restore"] = RESTORED  # or clients would wait for what is at hand
    span = _part_span(found, part) if part is not None else preconditions.span(wanted, found.size)
    start, count = span or (0, found.size)
    if part is not None and found.parts:
        shown["parts_count"] = len(found.parts)
    if checksum_mode.upper() == "ENABLED":
        shown.update(_checksums_of(found, part, whole=count == found.size))
    if span and count:
        shown["content_range"] = f"bytes {start}-{start + count - 1}/{found.size}"
    return {**shown, "content_length": count}, start, count


def _read_headers(call: Call, holder: Bucket, found: Object, version_id: str) -> Result:
    """What a reader is told beside what was kept: expiry, tags, lock."""
    shown: Result = values.version_members_read(holder, found)
    if not version_id:
        shown |= rules.expiration(holder, found)
    if not found.facts.tags and not found.facts.extra:
        return shown
    tags, lock = (
        len(found.facts.tags),
        object_lock.headers(object_lock.get_stored_lock(found.facts)),
    )
    hold = {name: lock.pop(name) for name in (object_lock.HOLD,) if name in lock}
    for permission, told in (
        ("s3:GetObjectTagging", {"tag_count": tags} if tags else {}),
        ("s3:GetObjectRetention", lock),
        ("s3:GetObjectLegalHold", hold),
    ):
        if told:
            with suppress(AccessDenied):
                access.check(call, holder, found.key, found.facts, action=permission)
                shown |= told
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
        return values.checksum_members(sums, found.facts.checksum_type)
    return _checksums(found) if whole else {}


def _checksums(found: Object) -> dict[str, str]:
    return values.checksum_members(found.facts.checksums, found.facts.checksum_type)
