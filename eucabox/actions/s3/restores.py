"""What S3 has for objects that are elsewhere, as archives and torrents; here none is."""

from functools import partial
from typing import Any

from eucabox.actions import Call, action
from eucabox.errors import InvalidObjectState, NoSuchTorrent, S3NotImplemented
from eucabox.s3 import access
from eucabox.s3.values import ARCHIVES

HARMLESS = ("request_payer", "checksum_algorithm")


@action("s3", anonymous=True, ignored=HARMLESS)
def restore_object(
    call: Call,
    *,
    bucket: str,
    key: str,
    version_id: str = "",
    restore_request: dict[str, Any] | None = None,
    expected_bucket_owner: str = "",
) -> None:
    """Say that an object of an archive's class is restored: its bytes never left the disk."""
    holder = call.cloud.store.bucket(bucket)
    access.check(call, holder, key, expected=expected_bucket_owner)
    look = partial(call.cloud.store.head, version_id=version_id)
    found = access.open_or_hide(call, look, holder, key)
    if "select_parameters" in (restore_request or {}):
        hint = "Get the object, and search it where you are."
        raise S3NotImplemented(what="A restoration with a selection", hint=hint)
    if found.facts.storage_class not in ARCHIVES:
        raise InvalidObjectState(key=key, StorageClass=found.facts.storage_class)


@action("s3", anonymous=True, ignored=HARMLESS)
def get_object_torrent(
    call: Call, *, bucket: str, key: str, expected_bucket_owner: str = ""
) -> None:
    """Say that there is no torrent of an object."""
    holder = call.cloud.store.bucket(bucket)
    access.check_expected(holder, expected_bucket_owner)
    found = access.open_or_hide(call, call.cloud.store.head, holder, key)
    access.check(call, holder, key, found.facts, action="s3:GetObject")
    raise NoSuchTorrent(bucket=bucket, key=key)
