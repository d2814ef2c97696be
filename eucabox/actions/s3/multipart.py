"""Multipart uploads: creates, fills, lists, completes and aborts them; reads no object."""

from collections.abc import Collection
from typing import Any, Unpack

from eucabox import ascii_text
from eucabox.actions import Call, Result, action
from eucabox.errors import (
    AnonymousUpload,
    ChecksumMismatch,
    InvalidArgument,
    InvalidRequest,
    MalformedXML,
    NoSuchUpload,
)
from eucabox.s3 import access, encryption, object_request, preconditions, values
from eucabox.s3.body_streams import RequestBody
from eucabox.s3.encryption import CustomerKey
from eucabox.s3.lifecycle import rules
from eucabox.s3.object_request import BodyMembers, Checksums, ObjectMembers
from eucabox.s3.values import Owners
from eucabox.store.checksums import DEFAULT
from eucabox.store.types import COMPOSITE, FULL_OBJECT, Bucket, Upload

PAGE = 1000


class UploadPartMembers(BodyMembers, CustomerKey, total=False):
    """The members of UploadPart that describe its body."""


class CompletionMembers(Checksums, CustomerKey, total=False):
    """The members of CompleteMultipartUpload that describe the whole object."""


IGNORED = ("request_payer", "content_length")


@action("s3", anonymous=True, ignored=IGNORED)
def create_multipart_upload(
    call: Call,
    *,
    bucket: str,
    key: str,
    checksum_algorithm: str = "",
    checksum_type: str = "",
    expected_bucket_owner: str = "",
    **members: Unpack[ObjectMembers],
) -> Result:
    """Create an upload; the properties given here become those of the completed object."""
    stored_bucket = _get_writable_bucket(call, bucket, key, expected_bucket_owner)
    if call.caller is None:
        raise AnonymousUpload
    store = call.cloud.store
    new = object_request.read(members, call, stored_bucket, store, call.cloud.accounts)
    algorithm = ascii_text.upper(checksum_algorithm)
    upload_id = store.create_upload(
        bucket, key, new.properties, algorithm, checksum_type, new.encryption
    )
    upload = store.upload(bucket, key, upload_id)
    answer = {
        **_checksum_plan(upload),
        **rules.abort_date(stored_bucket, key, upload.initiated),
        **encryption.to_api(new.encryption, members, store),
    }
    return {"bucket": bucket, "key": key, "upload_id": upload_id, **answer}


@action("s3", anonymous=True, ignored=IGNORED)
def upload_part(
    call: Call,
    *,
    bucket: str,
    key: str,
    upload_id: str,
    part_number: int,
    body: RequestBody | None = None,
    expected_bucket_owner: str = "",
    **members: Unpack[UploadPartMembers],
) -> Result:
    """Take one part; a part of the same number is replaced."""
    stored_bucket = _get_writable_bucket(call, bucket, key, expected_bucket_owner)
    store = call.cloud.store
    upload = store.upload(bucket, key, upload_id)
    access.check_upload(call, upload, stored_bucket)
    secret = encryption.check_part(call, upload, members, store)
    incoming = RequestBody.wrap(body)
    expected = object_request.expected_body(members, incoming)
    _check_sums(upload, expected.algorithms)
    part = store.put_part(
        bucket, key, upload_id, part_number, incoming, expected, customer_key=secret
    )
    answer = {
        **values.part_checksum(upload, part),
        **encryption.upload_to_api(upload, members, store),
    }
    return {"e_tag": values.quote_etag(part.e_tag), **answer}


@action("s3", anonymous=True, ignored=IGNORED)
def complete_multipart_upload(
    call: Call,
    *,
    bucket: str,
    key: str,
    upload_id: str,
    multipart_upload: dict[str, Any] | None = None,
    checksum_type: str = "",
    mpu_object_size: int | None = None,
    if_match: str = "",
    if_none_match: str = "",
    expected_bucket_owner: str = "",
    **members: Unpack[CompletionMembers],
) -> Result:
    """Make an object of the parts that are named, in ascending order."""
    stored_bucket = _get_writable_bucket(call, bucket, key, expected_bucket_owner)
    _check_completion(call, stored_bucket, (key, upload_id), checksum_type, members)
    obj = call.cloud.store.complete_upload(
        bucket,
        key,
        upload_id,
        [_read_part(each) for each in (multipart_upload or {}).get("parts") or []],
        checksums=values.checksums(members),
        size=mpu_object_size,
        **preconditions.write_preconditions(if_match, if_none_match),
    )
    return {
        "location": f"{call.endpoint}{call.path}/{bucket}/{key}",
        "bucket": bucket,
        "key": key,
        "e_tag": values.quote_etag(obj.e_tag),
        **values.version_members_written(obj),
        **values.checksum_members(obj.properties.checksums, obj.properties.checksum_type),
        **encryption.to_api(obj.sealed, members, call.cloud.store),
        **rules.expiration(stored_bucket, obj),
    }


@action("s3", anonymous=True, ignored=IGNORED)
def abort_multipart_upload(
    call: Call, *, bucket: str, key: str, upload_id: str, expected_bucket_owner: str = ""
) -> None:
    """Delete an upload and its parts."""
    _get_upload(call, bucket, key, upload_id, expected_bucket_owner)
    call.cloud.store.abort_upload(bucket, key, upload_id)


@action("s3", anonymous=True, ignored=IGNORED)
def list_parts(
    call: Call,
    *,
    bucket: str,
    key: str,
    upload_id: str,
    max_parts: int = PAGE,
    part_number_marker: int = 0,
    expected_bucket_owner: str = "",
    **customer_key: Unpack[CustomerKey],
) -> Result:
    """List the parts of an upload, by number."""
    stored_bucket, upload = _get_upload(call, bucket, key, upload_id, expected_bucket_owner)
    _check_page("max-parts", max_parts)
    store = call.cloud.store
    encryption.check_part(call, upload, customer_key, store, needed=False)
    most = min(max_parts, PAGE)
    rest = store.parts(bucket, key, upload_id, part_number_marker, most + 1)
    page = rest[:most]
    owners = Owners(call.cloud.accounts)
    result: Result = {
        "bucket": bucket,
        "key": key,
        "upload_id": upload_id,
        "part_number_marker": part_number_marker,
        "next_part_number_marker": page[-1].number if page else part_number_marker,
        "max_parts": most,
        "is_truncated": 0 < len(page) < len(rest),
        "initiator": owners(access.initiator(upload, stored_bucket)),
        "owner": owners(upload.properties.owner or stored_bucket.owner),
        "storage_class": upload.properties.storage_class,
        **_checksum_plan(upload),
        **rules.abort_date(stored_bucket, key, upload.initiated),
    }
    result["parts"] = [
        {
            "part_number": each.number,
            "last_modified": each.last_modified,
            "e_tag": values.quote_etag(each.e_tag),
            "size": each.size,
            **values.part_checksum(upload, each),
        }
        for each in page
    ]
    return result


@action("s3", anonymous=True, ignored=IGNORED)
def list_multipart_uploads(
    call: Call,
    *,
    bucket: str,
    prefix: str = "",
    delimiter: str = "",
    key_marker: str = "",
    upload_id_marker: str = "",
    max_uploads: int = PAGE,
    encoding_type: str = "",
    expected_bucket_owner: str = "",
) -> Result:
    """List a page of the uploads in progress, by key and then by time."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    _check_page("max-uploads", max_uploads)
    if encoding_type not in ("", "url"):
        raise InvalidArgument(argument="encoding-type", value=encoding_type, reason="Use url.")
    most = min(max_uploads, PAGE)
    page = call.cloud.store.uploads(
        bucket, prefix, delimiter, key_marker, upload_id_marker if key_marker else "", most
    )
    owners = Owners(call.cloud.accounts)
    result: Result = {
        "bucket": bucket,
        "key_marker": key_marker,
        "upload_id_marker": upload_id_marker,
        "prefix": prefix,
        "max_uploads": most,
        "is_truncated": page.truncated,
        "common_prefixes": [{"prefix": each} for each in page.prefixes],
        "uploads": [_upload_to_api(each, stored_bucket, owners) for each in page.uploads],
    }
    if page.truncated:
        result["next_key_marker"] = page.next_key
        result["next_upload_id_marker"] = page.next_upload_id
    echoed = {"delimiter": delimiter, "encoding_type": encoding_type}
    return {**result, **{name: value for name, value in echoed.items() if value}}


def _get_writable_bucket(call: Call, bucket_name: str, key: str, expected: str) -> Bucket:
    bucket = call.cloud.store.bucket(bucket_name)
    access.check(call, bucket, key, expected=expected)
    return bucket


def _get_upload(
    call: Call, bucket_name: str, key: str, upload_id: str, expected: str
) -> tuple[Bucket, Upload]:
    """Return an upload that the caller may use; its initiator needs no other permission."""
    bucket = call.cloud.store.bucket(bucket_name)
    access.check_expected(bucket, expected)
    try:
        upload = call.cloud.store.upload(bucket_name, key, upload_id)
    except NoSuchUpload:
        access.check(call, bucket, key)
        raise
    access.check_upload(call, upload, bucket)
    return bucket, upload


def _read_part(part: dict[str, Any]) -> tuple[int, str, dict[str, str]]:
    if "part_number" not in part or "e_tag" not in part:
        raise MalformedXML(shape="Part", reason="it needs a PartNumber and an ETag.")
    sums = {name: part[member] for name, member in values.CHECKSUMS.items() if part.get(member)}
    return part["part_number"], preconditions.unquote_etag(part["e_tag"]), sums


def _check_completion(
    call: Call,
    bucket: Bucket,
    key_and_id: tuple[str, str],
    checksum_type: str,
    customer_key: CompletionMembers,
) -> None:
    try:
        upload = call.cloud.store.upload(bucket.name, *key_and_id)
    except NoSuchUpload:
        access.check_known(call, bucket, key_and_id[0])
        return  # perhaps completed, and the client missed the answer: the store will tell
    access.check_upload(call, upload, bucket)
    # as in S3: clients that send no checksums send no key either
    store = call.cloud.store
    key_needed = bool(upload.checksum_algorithm) or (
        upload.encryption is not None
        and any(each.checksums.keys() - {DEFAULT} for each in store.parts(bucket.name, *key_and_id))
    )
    encryption.check_part(call, upload, customer_key, store, needed=key_needed)
    if checksum_type not in ("", upload.checksum_type or FULL_OBJECT):
        reason = f"The upload was created using the {upload.checksum_type or FULL_OBJECT} checksum"
        reason += " mode. The complete request must use the same checksum mode."
        raise InvalidRequest(reason=reason)


def _check_sums(upload: Upload, algorithms: Collection[str]) -> None:
    """Raise ChecksumMismatch if a part's checksum is of another algorithm than the upload's, or is
    missing where the object's checksum is made of those of the parts."""
    expected = upload.checksum_algorithm
    for algorithm in algorithms:
        if expected not in ("", algorithm):
            raise ChecksumMismatch(expected=expected.lower(), found=algorithm.lower())
    if not algorithms and upload.checksum_type == COMPOSITE:
        raise ChecksumMismatch(expected=expected.lower(), found="null")


def _check_page(argument: str, size: int) -> None:
    if size < 0:
        raise InvalidArgument(argument=argument, value=size, reason="Use 0 or more.")


def _checksum_plan(upload: Upload) -> dict[str, str]:
    if not upload.checksum_algorithm:
        return {}
    return {
        "checksum_algorithm": upload.checksum_algorithm,
        "checksum_type": upload.checksum_type,
    }


def _upload_to_api(upload: Upload, bucket: Bucket, owners: Owners) -> dict[str, object]:
    return {
        "upload_id": upload.upload_id,
        "key": upload.key,
        "initiated": upload.initiated,
        "storage_class": upload.properties.storage_class,
        "owner": owners(upload.properties.owner or bucket.owner),
        "initiator": owners(access.initiator(upload, bucket)),
        **_checksum_plan(upload),
    }
