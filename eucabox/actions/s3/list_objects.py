"""ListObjects, ListObjectsV2 and ListObjectVersions: pages of a bucket's keys."""

import base64
import binascii

from eucabox.actions import Call, Result, action
from eucabox.errors import InvalidArgument
from eucabox.s3 import access
from eucabox.s3.values import Owners, quote_etag
from eucabox.store.types import Bucket, Listing, Object, Version, Versions

PAGE = 1000
MARKER_MEMBERS = frozenset({"key", "last_modified", "owner", "version_id", "is_latest"})
IGNORED = ("request_payer", "optional_object_attributes")


@action("s3", anonymous=True, ignored=IGNORED)
def list_objects(
    call: Call,
    *,
    bucket: str,
    prefix: str = "",
    delimiter: str = "",
    marker: str = "",
    max_keys: int = PAGE,
    encoding_type: str = "",
    expected_bucket_owner: str = "",
) -> Result:
    """List a page of the bucket's keys after `marker`, in UTF-8 order."""
    _check(max_keys, encoding_type)
    stored_bucket = _get_bucket(call, bucket, expected_bucket_owner)
    page = call.cloud.store.list(bucket, prefix, delimiter, marker, min(max_keys, PAGE))
    owners = Owners(call.cloud.accounts)
    result = {
        **_page_members(page, bucket, prefix, delimiter, max_keys, encoding_type),
        "marker": marker,
        "contents": [_entry_to_api(each, stored_bucket, owners) for each in page.objects],
    }
    if delimiter and page.truncated:
        result["next_marker"] = page.next
    return result


@action("s3", anonymous=True, ignored=IGNORED)
def list_objects_v2(
    call: Call,
    *,
    bucket: str,
    prefix: str = "",
    delimiter: str = "",
    start_after: str = "",
    continuation_token: str | None = None,
    max_keys: int = PAGE,
    fetch_owner: bool = False,
    encoding_type: str = "",
    expected_bucket_owner: str = "",
) -> Result:
    """List a page of the bucket's keys after `start_after`, or after the page before."""
    _check(max_keys, encoding_type)
    after = start_after if continuation_token is None else _read_token(continuation_token)
    stored_bucket = _get_bucket(call, bucket, expected_bucket_owner)
    page = call.cloud.store.list(bucket, prefix, delimiter, after, min(max_keys, PAGE))
    owners = Owners(call.cloud.accounts) if fetch_owner else None
    result = {
        **_page_members(page, bucket, prefix, delimiter, max_keys, encoding_type),
        "key_count": len(page.objects) + len(page.prefixes),
        "contents": [_entry_to_api(each, stored_bucket, owners) for each in page.objects],
    }
    if start_after:
        result["start_after"] = start_after
    if continuation_token is not None:
        result["continuation_token"] = continuation_token
    if page.truncated:
        result["next_continuation_token"] = _token(page.next or "")
    return result


@action("s3", anonymous=True, ignored=IGNORED)
def list_object_versions(
    call: Call,
    *,
    bucket: str,
    prefix: str = "",
    delimiter: str = "",
    key_marker: str = "",
    version_id_marker: str = "",
    max_keys: int = PAGE,
    encoding_type: str = "",
    expected_bucket_owner: str = "",
) -> Result:
    """List a page of versions and delete markers, the newest first for each key. As these are two
    lists in the model, each entry also has its `position` in the page."""
    _check(max_keys, encoding_type)
    if version_id_marker and not key_marker:
        reason = "Name the key-marker with it."
        raise InvalidArgument(argument="version-id-marker", value=version_id_marker, reason=reason)
    stored_bucket = _get_bucket(call, bucket, expected_bucket_owner)
    most = min(max_keys, PAGE)
    store = call.cloud.store
    page = store.versions(bucket, prefix, delimiter, key_marker, version_id_marker, most)
    owners = Owners(call.cloud.accounts)
    entries = [
        (each, {**_version_to_api(each, stored_bucket, owners), "position": position})
        for position, each in enumerate(page.versions)
    ]
    result = {
        **_page_members(page, bucket, prefix, delimiter, max_keys, encoding_type),
        "key_marker": key_marker,
        "version_id_marker": version_id_marker,
        "versions": [entry for each, entry in entries if not each.is_marker],
        "delete_markers": [entry for each, entry in entries if each.is_marker],
    }
    if page.truncated:
        result["next_key_marker"] = page.next_key
    if page.next_version_id:
        result["next_version_id_marker"] = page.next_version_id
    return result


def _check(max_keys: int, encoding_type: str) -> None:
    if max_keys < 0:
        reason = "Use 0 or more."
        raise InvalidArgument(argument="max-keys", value=max_keys, reason=reason)
    if encoding_type not in ("", "url"):
        raise InvalidArgument(argument="encoding-type", value=encoding_type, reason="Use url.")


def _get_bucket(call: Call, name: str, expected: str) -> Bucket:
    bucket = call.cloud.store.bucket(name)
    access.check(call, bucket, expected=expected)
    return bucket


def _page_members(
    page: Listing | Versions,
    bucket: str,
    prefix: str,
    delimiter: str,
    max_keys: int,
    encoding_type: str,
) -> Result:
    frame: Result = {
        "name": bucket,
        "prefix": prefix,
        "max_keys": min(max_keys, PAGE),
        "is_truncated": page.truncated,
        "common_prefixes": [{"prefix": each} for each in page.prefixes],
    }
    if delimiter:
        frame["delimiter"] = delimiter
    if encoding_type:
        frame["encoding_type"] = encoding_type
    return frame


def _entry_to_api(obj: Object, bucket: Bucket, owners: Owners | None) -> dict[str, object]:
    entry: dict[str, object] = {
        "key": obj.key,
        "last_modified": obj.last_modified,
        "e_tag": quote_etag(obj.e_tag),
        "size": obj.size,
        "storage_class": obj.properties.storage_class,
    }
    if obj.properties.checksums:
        entry["checksum_algorithm"] = list(obj.properties.checksums)
        entry["checksum_type"] = obj.properties.checksum_type
    if owners:
        entry["owner"] = owners(obj.properties.owner or bucket.owner)
    return entry


def _version_to_api(version: Version, bucket: Bucket, owners: Owners) -> dict[str, object]:
    members = {"version_id": version.object.version_id, "is_latest": version.is_latest}
    entry = {**_entry_to_api(version.object, bucket, owners), **members}
    if version.is_marker:
        entry = {name: each for name, each in entry.items() if name in MARKER_MEMBERS}
    return entry


def _token(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode()


def _read_token(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token.encode("ascii")).decode()
    except (binascii.Error, ValueError):
        reason = "Use the NextContinuationToken of the page before."
        raise InvalidArgument(argument="continuation-token", value=token, reason=reason) from None
