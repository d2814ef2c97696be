"""Puts, gets, describes and deletes objects; knows neither HTTP nor files."""

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
)
from eucabox.s3 import (
    access,
    object_lock,
    object_members,
    object_request,
    preconditions,
    values,
)
from eucabox.s3 import encryption as sse
from eucabox.s3.body_streams import RequestBody, ResponseBody
from eucabox.s3.encryption import CustomerKey
from eucabox.s3.lifecycle import rules
from eucabox.s3.lifecycle.configuration import SETTING as LIFECYCLE
from eucabox.s3.object_request import PutObjectMembers
from eucabox.s3.request_context import RequestContext, with_members
from eucabox.store.open_object import OpenObject
from eucabox.store.types import SSE_C, Bucket, Deleted, Object

MOST_DELETED = 1000
PLAIN = frozenset({"checksum_mode"})  # members with which a read is still a plain one
IGNORED = ("request_payer", "content_length")
RESPONSE_HEADERS = {
    f"response_{name}": name
    for name in (
        *("cache_control", "content_disposition", "content_encoding", "content_language"),
        *("content_type", "expires"),
    )
}


@action("s3", anonymous=True, ignored=IGNORED)
def put_object(
    call: Call,
    *,
    bucket: str,
    key: str,
    body: Any = None,
    if_match: str = "",
    if_none_match: str = "",
    expected_bucket_owner: str = "",
    **members: Unpack[PutObjectMembers],
) -> Result:
    """Store an object after its length, digests and signature are checked, or store nothing."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, key, expected=expected_bucket_owner)
    new = object_request.read(members, call, stored_bucket, call.cloud.store, call.cloud.accounts)
    incoming = RequestBody.wrap(body)
    conditions = preconditions.UNCONDITIONAL
    if if_match or if_none_match:
        conditions = preconditions.write_preconditions(if_match, if_none_match)
    obj = call.cloud.store.put(
        bucket,
        key,
        incoming,
        new.properties,
        object_request.expected_body(members, incoming),
        **conditions,
        encryption=new.encryption,
    )
    return {
        "e_tag": values.quote_etag(obj.e_tag),
        **values.version_members_written(obj),
        **object_members.list_checksums(obj),
        **_expiration(stored_bucket, obj),
        **(sse.to_api(obj.sealed, members, call.cloud.store) if obj.sealed else {}),
    }


class ReadMembers(CustomerKey, total=False):
    """The members of GetObject and HeadObject beside the names of bucket and object."""

    range: str
    if_range: str
    part_number: int | None
    version_id: str
    if_match: str
    if_none_match: str
    if_modified_since: datetime | None
    if_unmodified_since: datetime | None
    response_cache_control: str
    response_content_disposition: str
    response_content_encoding: str
    response_content_language: str
    response_content_type: str
    response_expires: str
    checksum_mode: str
    server_side_encryption: str


@action("s3", anonymous=True, ignored=IGNORED)
def get_object(
    call: Call,
    *,
    bucket: str,
    key: str,
    expected_bucket_owner: str = "",
    **members: Unpack[ReadMembers],
) -> Result:
    """Return an object's bytes, or a range or part of them, with its stored properties.

    `body` of the result is a ResponseBody: iterate it, then close it.
    """
    stored_bucket, opened = _open_for_read(call, bucket, key, expected_bucket_owner, members)
    try:
        answer, start, count = _describe(call, stored_bucket, opened, members, unlock=True)
    except BaseException:
        opened.close()
        raise
    answer["body"] = ResponseBody(opened, start, count, direct=opened.object.sealed is None)
    return answer


@action("s3", anonymous=True, ignored=IGNORED)
def head_object(
    call: Call,
    *,
    bucket: str,
    key: str,
    expected_bucket_owner: str = "",
    **members: Unpack[ReadMembers],
) -> Result:
    """Return what GetObject would answer, without the body."""
    stored_bucket, opened = _open_for_read(call, bucket, key, expected_bucket_owner, members)
    with opened:
        answer, _, _ = _describe(call, stored_bucket, opened, members, unlock=False)
    return answer


@action("s3", anonymous=True, ignored=(*IGNORED, "mfa"))
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
    """Delete an object, or a version of it for good, if the conditions hold.

    It is no error if the object does not exist.
    """
    stored_bucket = _get_bucket(call, bucket, expected_bucket_owner)
    conditions = {
        "if_match": preconditions.unquote_etag(if_match),
        "if_modified": if_match_last_modified_time,
        "if_size": if_match_size,
    }
    deleted = _delete(call, stored_bucket, key, version_id, conditions, bypass_governance_retention)
    return object_members.show_deleted(deleted)


@action(
    "s3",
    anonymous=True,
    ignored=(*IGNORED, "checksum_algorithm", "content_md5", "mfa"),
)
def delete_objects(
    call: Call,
    *,
    bucket: str,
    delete: dict[str, Any],
    bypass_governance_retention: bool = False,
    expected_bucket_owner: str = "",
) -> Result:
    """Delete up to 1,000 objects, each with its own result."""
    entries = delete.get("objects") or []
    if not 1 <= len(entries) <= MOST_DELETED:
        reason = f"it names {len(entries)} objects; 1 to {MOST_DELETED} are possible."
        raise MalformedXML(shape="Delete", reason=reason)
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check_expected(stored_bucket, expected_bucket_owner)
    deleted, errors = [], []
    for each in entries:
        try:
            deleted.append(_delete_entry(call, stored_bucket, each, bypass_governance_retention))
        except Fault as fault:
            entry_id = {name: each[name] for name in ("key", "version_id") if name in each}
            errors.append({**entry_id, "code": fault.code, "message": fault.sentence})
    return {"errors": errors} if delete.get("quiet") else {"deleted": deleted, "errors": errors}


def _delete_entry(
    call: Call, bucket: Bucket, entry: Mapping[str, Any], bypass: bool
) -> dict[str, object]:
    if "key" not in entry:
        raise MalformedXML(shape="Delete", reason="an Object has no Key.")
    conditions = {
        "if_match": preconditions.unquote_etag(entry.get("e_tag", "")),
        "if_modified": entry.get("last_modified_time"),
        "if_size": entry.get("size"),
    }
    key, version_id = entry["key"], entry.get("version_id", "")
    request = with_members(
        call, key=key, version_id=version_id or None, if_match=entry.get("e_tag")
    )
    deleted = _delete(call, bucket, key, version_id, conditions, bypass, request)
    answer = {name: entry[name] for name in ("key", "version_id") if entry.get(name)}
    if deleted.delete_marker:
        answer.update(delete_marker=True, delete_marker_version_id=deleted.version_id)
    return answer


def _delete(
    call: Call,
    bucket: Bucket,
    key: str,
    version_id: str,
    conditions: Mapping[str, Any],
    bypass: bool,
    request: RequestContext | None = None,
) -> Deleted:
    request = request or call
    action = "s3:DeleteObjectVersion" if version_id else "s3:DeleteObject"
    access.check(request, bucket, key, action=action)
    owner = access.authorize_owner_of_new(call, bucket, None, call.cloud.accounts)
    store = call.cloud.store
    versioned = "versioning" in bucket.settings
    check = partial(_check_lock, request, bucket, bypass) if versioned else None
    return store.delete(
        bucket.name, key, version_id=version_id, owner=owner, check=check, **conditions
    )


def _check_lock(request: RequestContext, bucket: Bucket, bypass: bool, lost: Object) -> None:
    """Raise AccessDenied if a version that would be deleted for good is locked."""
    now = datetime.now(UTC)
    if bypass and object_lock.is_locked(lost.properties, now):
        access.check(request, bucket, lost.key, action="s3:BypassGovernanceRetention")
    object_lock.check_deletion(lost.properties, now, bypass=bypass)


def _get_bucket(call: Call, bucket_name: str, expected: str) -> Bucket:
    bucket = call.cloud.store.bucket(bucket_name)
    access.check_expected(bucket, expected)
    return bucket


def _open_for_read(
    call: Call, bucket_name: str, key: str, expected: str, members: ReadMembers
) -> tuple[Bucket, OpenObject]:
    if members.get("range") and members.get("part_number") is not None:
        raise InvalidRequest(reason="Cannot specify both Range header and partNumber.")
    if members and call.caller is None and _response_headers(members):
        reason = "Request specific response headers cannot be used for anonymous GET requests."
        raise InvalidRequest(reason=reason)
    if members.get("server_side_encryption"):
        sse.reject_on_read()
    bucket = _get_bucket(call, bucket_name, expected)
    look = partial(call.cloud.store.open, version_id=members.get("version_id", ""))
    return bucket, access.open_or_hide(call, look, bucket, key)


def _describe(
    call: Call, bucket: Bucket, opened: OpenObject, members: ReadMembers, *, unlock: bool
) -> tuple[Result, int, int]:
    """Return the answer to a read without its body, and where the body starts and how long it is.

    `unlock` also opens what is encrypted with a key of this cloud. With a key of the caller's it
    is always opened, or who has a wrong one would not be told.
    """
    obj, part_number = opened.object, members.get("part_number")
    access.check(call, bucket, obj.key, obj.properties, action="s3:GetObject")
    if part_number is not None:
        # an unknown part is refused before a key is asked for
        object_members.part_span(obj, part_number)
    checksum_mode = members.get("checksum_mode", "")
    if obj.sealed is None and members.keys() <= PLAIN:
        answer, start, count = object_members.select_range(obj, "", None, checksum_mode)
        return answer | _read_headers(call, bucket, obj, ""), start, count
    secret = sse.check_reading(call, obj.sealed, members)
    preconditions.check(obj, members)
    range_text = preconditions.range_of(obj, members.get("range", ""), members.get("if_range", ""))
    answer, start, count = object_members.select_range(obj, range_text, part_number, checksum_mode)
    if unlock or (obj.sealed and obj.sealed.kind == SSE_C):
        opened.unlock(secret)
    answer |= _read_headers(call, bucket, obj, members.get("version_id", ""))
    answer |= sse.to_api(obj.sealed, members, call.cloud.store)
    answer |= _response_headers(members)
    return answer, start, count


def _response_headers(members: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers that a request names in place of the stored ones."""
    named = RESPONSE_HEADERS.keys() & members.keys()
    return {RESPONSE_HEADERS[each]: members[each] for each in named if members[each]}


def _read_headers(call: Call, bucket: Bucket, obj: Object, version_id: str) -> Result:
    """Return version, expiration, tag count and lock of an object, as far as the caller may see."""
    headers: Result = {**values.version_members_read(bucket, obj)}
    if not version_id:
        headers |= _expiration(bucket, obj)
    if not obj.properties.tags and not obj.properties.extra:
        return headers
    tags, lock = (
        len(obj.properties.tags),
        object_lock.headers(object_lock.get_stored_lock(obj.properties)),
    )
    hold = {name: lock.pop(name) for name in (object_lock.HOLD,) if name in lock}
    for permission, members in (
        ("s3:GetObjectTagging", {"tag_count": tags} if tags else {}),
        ("s3:GetObjectRetention", lock),
        ("s3:GetObjectLegalHold", hold),
    ):
        if members:
            with suppress(AccessDenied):
                access.check(call, bucket, obj.key, obj.properties, action=permission)
                headers |= members
    return headers


def _expiration(bucket: Bucket, obj: Object) -> dict[str, str]:
    return rules.expiration(bucket, obj) if LIFECYCLE in bucket.settings else {}
