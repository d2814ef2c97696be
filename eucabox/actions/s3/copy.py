"""Copies an object to another key, or into a part of an upload."""

import dataclasses
from functools import partial
from typing import Unpack

from eucabox import ascii_text
from eucabox.actions import Call, Result, action
from eucabox.errors import (
    AnonymousCopy,
    CopiedPartTooLarge,
    InvalidArgument,
    InvalidRequest,
    IsDeleteMarker,
)
from eucabox.s3 import access, encryption, object_request, preconditions, values
from eucabox.s3.body_streams import ChunkReader, RequestBody
from eucabox.s3.encryption import CustomerKey, Encryption, SourceKey
from eucabox.s3.lifecycle import rules
from eucabox.s3.object_request import ObjectMembers
from eucabox.s3.policy_actions import versioned_action
from eucabox.s3.preconditions import SourcePreconditions
from eucabox.s3.request_context import with_members
from eucabox.store import checksums
from eucabox.store.temp_file import LARGEST, ExpectedBody
from eucabox.store.types import Bucket, Object, ObjectProperties

DIRECTIVES = ("COPY", "REPLACE")
IGNORED = ("request_payer",)
CHANGES = frozenset(  # of a copy to itself, which needs at least one
    {"storage_class", "website_redirect_location", *Encryption.__annotations__}
)


class CopyMembers(ObjectMembers, SourceKey, SourcePreconditions, total=False):
    """The members of CopyObject that describe the new object and the source."""


class PartCopyMembers(CustomerKey, SourceKey, SourcePreconditions, total=False):
    """The members of UploadPartCopy: keys of both objects, and conditions on the source."""


@action("s3", anonymous=True, ignored=IGNORED)
def copy_object(
    call: Call,
    *,
    bucket: str,
    key: str,
    copy_source: dict[str, str],
    metadata_directive: str = "COPY",
    tagging_directive: str = "COPY",
    checksum_algorithm: str = "",
    if_match: str = "",
    if_none_match: str = "",
    expected_bucket_owner: str = "",
    expected_source_bucket_owner: str = "",
    **members: Unpack[CopyMembers],
) -> Result:
    """Copy an object, {bucket, key, version_id} in `copy_source`, with its metadata or new."""
    _check_directives(metadata_directive, tagging_directive)
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, key, expected=expected_bucket_owner)
    if call.caller is None:
        raise AnonymousCopy
    source = _get_source(call, copy_source, expected_source_bucket_owner)
    replaced = metadata_directive == "REPLACE"
    restored = copy_source.get("version_id", "") != ""
    algorithm = ascii_text.upper(checksum_algorithm)
    if algorithm:
        checksums.check_name(algorithm)
    store = call.cloud.store
    new_object = object_request.read(members, call, stored_bucket, store, call.cloud.accounts)
    changed = members.keys() & CHANGES or encryption.differs(source.sealed, new_object.encryption)
    if not (replaced or restored or algorithm or changed):
        _refuse_itself(source, bucket, key)
    new = new_object.properties
    tags = new.tags
    if not replaced:
        new = _copy_properties(source.properties, new)
    if tagging_directive == "COPY":
        tags = _copy_tags(call, stored_bucket, key, source, copy_source)
    copied = store.copy(
        source.bucket,
        source.key,
        bucket,
        key,
        dataclasses.replace(new, tags=tags),
        algorithm=algorithm,
        **preconditions.write_preconditions(if_match, if_none_match),
        check=lambda obj: _check_source(call, obj, copy_source, members),
        version_id=_source_version_id(source, copy_source),
        encryption=new_object.encryption,
        customer_key=encryption.source_customer_key(call, members),
    )
    return {
        **_source_version_to_api(call, source),
        **values.version_members_written(copied),
        "copy_object_result": _result_to_api(copied),
        **encryption.to_api(copied.sealed, members, store),
        **rules.expiration(stored_bucket, copied),
    }


@action("s3", anonymous=True, ignored=IGNORED)
def upload_part_copy(
    call: Call,
    *,
    bucket: str,
    key: str,
    upload_id: str,
    part_number: int,
    copy_source: dict[str, str],
    copy_source_range: str = "",
    expected_bucket_owner: str = "",
    expected_source_bucket_owner: str = "",
    **members: Unpack[PartCopyMembers],
) -> Result:
    """Make a part of an upload from an object or a range of it.

    `copy_source` has the object's bucket, key and version_id.
    """
    store = call.cloud.store
    stored_bucket = store.bucket(bucket)
    access.check(call, stored_bucket, key, expected=expected_bucket_owner)
    upload = store.upload(bucket, key, upload_id)
    access.check_upload(call, upload, stored_bucket)
    secret = encryption.check_part(call, upload, members, store)
    checked = _get_source(call, copy_source, expected_source_bucket_owner)
    with store.open(
        checked.bucket, checked.key, _source_version_id(checked, copy_source)
    ) as opened:
        source = opened.object
        _check_readable(call, source, copy_source)
        opened.unlock(encryption.check_reading(call, source.sealed, members, encryption.SOURCE))
        preconditions.check_source(source, preconditions.source_preconditions(members))
        start, count = 0, source.size
        if copy_source_range:
            start, count = preconditions.source_span(copy_source_range, source.size)
        if count > LARGEST:
            raise CopiedPartTooLarge(limit=LARGEST)
        incoming = RequestBody(ChunkReader(opened.chunks(start, count)), count)
        part = store.put_part(
            bucket, key, upload_id, part_number, incoming, ExpectedBody(count), customer_key=secret
        )
    return {
        **_source_version_to_api(call, source),
        "copy_part_result": {
            "e_tag": values.quote_etag(part.e_tag),
            "last_modified": part.last_modified,
            **values.part_checksum(upload, part),
        },
        **encryption.upload_to_api(upload, members, store),
    }


def _get_source(call: Call, copy_source: dict[str, str], expected: str) -> Object:
    if not copy_source.get("bucket") or not copy_source.get("key"):
        reason = "Name a bucket and a key."
        raise InvalidArgument(argument="x-amz-copy-source", value=str(copy_source), reason=reason)
    bucket = call.cloud.store.bucket(copy_source["bucket"])
    access.check_expected(bucket, expected)
    look = partial(call.cloud.store.head, version_id=copy_source.get("version_id", ""))
    try:
        reading = with_members(call, version_id=copy_source.get("version_id"))
        obj = access.open_or_hide(reading, look, bucket, copy_source["key"], "s3:GetObject")
    except IsDeleteMarker:
        reason = "The source of a copy request may not specifically refer to a delete marker."
        raise InvalidRequest(reason=reason) from None
    _check_readable(call, obj, copy_source)
    return obj


def _source_version_id(source: Object, copy_source: dict[str, str]) -> str:
    """Return the version to copy: the one in the request, or the current one at the check."""
    return copy_source.get("version_id", "") or values.version_members_written(source).get(
        "version_id", ""
    )


def _result_to_api(obj: Object) -> Result:
    return {
        "e_tag": values.quote_etag(obj.e_tag),
        "last_modified": obj.last_modified,
        **values.checksum_members(obj.properties.checksums, obj.properties.checksum_type),
    }


def _source_version_to_api(call: Call, source: Object) -> dict[str, str]:
    version = values.version_members_read(call.cloud.store.bucket(source.bucket), source)
    return {f"copy_source_{name}": value for name, value in version.items()}


def _check_readable(
    call: Call, source: Object, copy_source: dict[str, str], action: str = "s3:GetObject"
) -> None:
    bucket = call.cloud.store.bucket(source.bucket)
    reading = with_members(call, version_id=copy_source.get("version_id"))
    access.check(
        reading, bucket, source.key, source.properties, action=versioned_action(action, copy_source)
    )


def _check_directives(metadata: str, tagging: str) -> None:
    if metadata not in DIRECTIVES:
        argument = "x-amz-metadata-directive"
        raise InvalidArgument(argument=argument, value=metadata, reason="Use COPY or REPLACE.")
    if tagging not in DIRECTIVES:
        argument = "x-amz-tagging-directive"
        raise InvalidArgument(argument=argument, value=tagging, reason="Use COPY or REPLACE.")


def _check_source(
    call: Call,
    source: Object,
    copy_source: dict[str, str],
    members: CopyMembers,
) -> None:
    _check_readable(call, source, copy_source)  # it may be another object meanwhile
    encryption.check_reading(call, source.sealed, members, encryption.SOURCE)
    preconditions.check_source(source, preconditions.source_preconditions(members))
    if source.size > LARGEST:
        reason = f"The source has {source.size} bytes; copy more than {LARGEST} in parts."
        raise InvalidRequest(reason=reason)


def _refuse_itself(source: Object, bucket: str, key: str) -> None:
    if (source.bucket, source.key) == (bucket, key):
        raise InvalidRequest(
            reason="This copy request is illegal because it is trying to copy an object to itself"
            " without changing the object's metadata, storage class, website redirect location"
            " or encryption attributes."
        )


def _copy_tags(
    call: Call, bucket: Bucket, key: str, source: Object, copy_source: dict[str, str]
) -> dict[str, str]:
    """Return the source's tags.

    Raises AccessDenied unless the caller may read them and put them on the copy.
    """
    if source.properties.tags:
        _check_readable(call, source, copy_source, "s3:GetObjectTagging")
        access.check(call, bucket, key, action="s3:PutObjectTagging", permission="WRITE")
    return source.properties.tags


def _copy_properties(source: ObjectProperties, new: ObjectProperties) -> ObjectProperties:
    """Return the source's properties, but with the copy's own owner, ACL, class and redirect."""
    redirect = "website_redirect_location"
    headers = {name: value for name, value in source.headers.items() if name != redirect}
    new_redirect = {name: value for name, value in new.headers.items() if name == redirect}
    return dataclasses.replace(
        source,
        headers={**headers, **new_redirect},
        owner=new.owner,
        acl=new.acl,
        storage_class=new.storage_class,
        extra=new.extra,
    )
