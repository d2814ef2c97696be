"""Object lock of buckets and versions: gets and sets it; deletes nothing."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from eucabox.actions import VALIDATED_BY_WIRE, Call, Result, action
from eucabox.errors import (
    NoSuchObjectLockConfiguration,
    ObjectLockConfigurationNotFound,
    VersioningNotEnabled,
)
from eucabox.s3 import access, object_lock
from eucabox.s3.object_lock import LegalHold, LockConfiguration, Retention
from eucabox.store.types import Bucket, Object, ObjectProperties

IGNORED = (*VALIDATED_BY_WIRE, "request_payer", "token")


@action("s3", anonymous=True, ignored=IGNORED)
def put_object_lock_configuration(
    call: Call,
    *,
    bucket: str,
    object_lock_configuration: LockConfiguration,
    expected_bucket_owner: str = "",
) -> None:
    """Turn object lock on, which is for ever, and set the default retention of new versions."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    setting, store = object_lock.validate(object_lock_configuration), call.cloud.store

    def check_versioning(_: object) -> dict[str, object]:
        # checked inside the change, or versioning could be suspended in between
        versioning = store.bucket(bucket).settings.get("versioning") or {}
        if versioning.get("status") != "Enabled":
            raise VersioningNotEnabled(bucket=bucket)
        return setting

    store.change_bucket_setting(bucket, object_lock.SETTING, check_versioning)


@action("s3", anonymous=True, ignored=IGNORED)
def get_object_lock_configuration(
    call: Call, *, bucket: str, expected_bucket_owner: str = ""
) -> Result:
    """Return whether object lock is on, and the default retention of new versions."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    if not object_lock.is_on(stored_bucket):
        raise ObjectLockConfigurationNotFound(bucket=bucket)
    return {"object_lock_configuration": object_lock.configuration_to_api(stored_bucket)}


@action("s3", anonymous=True, ignored=IGNORED)
def put_object_retention(
    call: Call,
    *,
    bucket: str,
    key: str,
    retention: Retention,
    version_id: str = "",
    bypass_governance_retention: bool = False,
    expected_bucket_owner: str = "",
) -> None:
    """Protect a version from deletion until a date.

    A retention can only become longer, except by callers who may bypass GOVERNANCE.
    """
    stored_bucket, _ = _get_version(call, bucket, key, version_id, expected_bucket_owner)
    if bypass_governance_retention:
        access.check(call, stored_bucket, key, action="s3:BypassGovernanceRetention")

    def with_retention(properties: ObjectProperties) -> dict[str, object]:
        return object_lock.with_retention(
            properties, retention, call.now(), bypass=bypass_governance_retention
        )

    _change(call, (bucket, key, version_id), with_retention)


@action("s3", anonymous=True, ignored=IGNORED)
def get_object_retention(
    call: Call, *, bucket: str, key: str, version_id: str = "", expected_bucket_owner: str = ""
) -> Result:
    """Return a version's retention."""
    _, obj = _get_version(call, bucket, key, version_id, expected_bucket_owner)
    lock = object_lock.get_stored_lock(obj.properties)
    if "mode" not in lock:
        raise NoSuchObjectLockConfiguration(key=key)
    return {"retention": object_lock.retention_to_api(lock)}


@action("s3", anonymous=True, ignored=IGNORED)
def put_object_legal_hold(
    call: Call,
    *,
    bucket: str,
    key: str,
    legal_hold: LegalHold,
    version_id: str = "",
    expected_bucket_owner: str = "",
) -> None:
    """Protect a version from deletion until the hold is removed."""
    _get_version(call, bucket, key, version_id, expected_bucket_owner)
    _change(
        call,
        (bucket, key, version_id),
        lambda properties: object_lock.with_legal_hold(properties, legal_hold),
    )


@action("s3", anonymous=True, ignored=IGNORED)
def get_object_legal_hold(
    call: Call, *, bucket: str, key: str, version_id: str = "", expected_bucket_owner: str = ""
) -> Result:
    """Return a version's legal hold, if it was ever set."""
    _, obj = _get_version(call, bucket, key, version_id, expected_bucket_owner)
    lock = object_lock.get_stored_lock(obj.properties)
    if "hold" not in lock:
        raise NoSuchObjectLockConfiguration(key=key)
    return {"legal_hold": {"status": lock["hold"]}}


def _get_version(
    call: Call, bucket_name: str, key: str, version_id: str, expected: str
) -> tuple[Bucket, Object]:
    bucket = call.cloud.store.bucket(bucket_name)
    access.check_expected(bucket, expected)
    access.check(call, bucket, key)
    object_lock.check_on(bucket)
    look = partial(call.cloud.store.head, version_id=version_id)
    return bucket, access.open_or_hide(call, look, bucket, key)


def _change(
    call: Call,
    bucket_key_version: tuple[str, str, str],
    new_extra: Callable[[ObjectProperties], dict[str, object]],
) -> None:
    bucket, key, version_id = bucket_key_version
    call.cloud.store.change_object(
        bucket, key, lambda properties: replace(properties, extra=new_extra(properties)), version_id
    )
