"""Restores of archived objects, and torrents: all objects are on this disk."""

from functools import partial
from typing import Any

from eucabox.actions import Call, action
from eucabox.errors import InvalidObjectState, NoSuchTorrent, S3NotImplemented
from eucabox.s3 import access
from eucabox.s3.values import ARCHIVES

IGNORED = ("request_payer", "checksum_algorithm")


@action("s3", anonymous=True, ignored=IGNORED)
def restore_object(
    call: Call,
    *,
    bucket: str,
    key: str,
    version_id: str = "",
    restore_request: dict[str, Any] | None = None,
    expected_bucket_owner: str = "",
) -> None:
    """Answer that an archived object is restored: its bytes never left the disk."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, key, expected=expected_bucket_owner)
    look = partial(call.cloud.store.head, version_id=version_id)
    obj = access.open_or_hide(call, look, stored_bucket, key)
    if "select_parameters" in (restore_request or {}):
        hint = "Get the object, and search it where you are."
        raise S3NotImplemented(what="A restoration with a selection", hint=hint)
    if obj.properties.storage_class not in ARCHIVES:
        raise InvalidObjectState(key=key, StorageClass=obj.properties.storage_class)


@action("s3", anonymous=True, ignored=IGNORED)
def get_object_torrent(
    call: Call, *, bucket: str, key: str, expected_bucket_owner: str = ""
) -> None:
    """Answer that there is no torrent of an object."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check_expected(stored_bucket, expected_bucket_owner)
    head = call.cloud.store.head
    obj = access.open_or_hide(call, head, stored_bucket, key, "s3:GetObject")
    access.check(call, stored_bucket, key, obj.properties, action="s3:GetObject")
    raise NoSuchTorrent(bucket=bucket, key=key)
