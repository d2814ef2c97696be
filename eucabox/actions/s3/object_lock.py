"""Object lock of buckets and versions: set, shown, never circumvented; deletes nothing."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from eucabox.actions import CHECKED_AT_THE_DOOR, Call, Result, action
from eucabox.errors import (
    NoSuchObjectLockConfiguration,
    ObjectLockConfigurationNotFound,
    VersioningNotEnabled,
)
from eucabox.s3 import access, object_lock
from eucabox.s3.object_lock import LegalHold, LockConfiguration, Retention
from eucabox.store.types import Bucket, Object, ObjectProperties

HARMLESS = (*CHECKED_AT_THE_DOOR, "request_payer", "token")


@action("s3", anonymous=True, ignored=HARMLESS)
def put_object_lock_configuration(
    call: Call,
    *,
    bucket: str,
    object_lock_configuration: LockConfiguration,
    expected_bucket_owner: str = "",
) -> None:
    """Let versions in a bucket be locked, from now on for ever, and say what new ones get."""
    holder = call.cloud.store.bucket(bucket)
    access.check(call, holder, expected=expected_bucket_owner)
    setting, store = object_lock.validate(object_lock_configuration), call.cloud.store

    def enabled(_: object) -> dict[str, Any]:
        # looked at here, or somebody could suspend it in between
        versioning = store.bucket(bucket).settings.get("versioning") or {}
        if versioning.get("status") != "Enabled":
            raise VersioningNotEnabled(bucket=bucket)
        return setting

    store.change_bucket_setting(bucket, object_lock.SETTING, enabled)


@action("s3", anonymous=True, ignored=HARMLESS)
def get_object_lock_configuration(
    call: Call, *, bucket: str, expected_bucket_owner: str = ""
) -> Result:
    """Whether versions can be locked, and what new ones get."""
    holder = call.cloud.store.bucket(bucket)
    access.check(call, holder, expected=expected_bucket_owner)
    if not object_lock.is_on(holder):
        raise ObjectLockConfigurationNotFound(bucket=bucket)
    return {"object_lock_configuration": object_lock.configuration_to_api(holder)}


@action("s3", anonymous=True, ignored=HARMLESS)
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
    """Keep a version from deletion until a date; what it had already only grows, but for who may
    bypass GOVERNANCE."""
    holder, _ = _version(call, bucket, key, version_id, expected_bucket_owner)
    if bypass_governance_retention:
        access.check(call, holder, key, action="s3:BypassGovernanceRetention")

    def how(facts: ObjectProperties) -> dict[str, Any]:
        return object_lock.with_retention(
            facts, retention, call.now(), bypass=bypass_governance_retention
        )

    _change(call, (bucket, key, version_id), how)


@action("s3", anonymous=True, ignored=HARMLESS)
def get_object_retention(
    call: Call, *, bucket: str, key: str, version_id: str = "", expected_bucket_owner: str = ""
) -> Result:
    """A version's retention."""
    _, found = _version(call, bucket, key, version_id, expected_bucket_owner)
    lock = object_lock.get_stored_lock(found.facts)
    if "mode" not in lock:
        raise NoSuchObjectLockConfiguration(key=key)
    return {"retention": object_lock.retention_to_api(lock)}


@action("s3", anonymous=True, ignored=HARMLESS)
def put_object_legal_hold(
    call: Call,
    *,
    bucket: str,
    key: str,
    legal_hold: LegalHold,
    version_id: str = "",
    expected_bucket_owner: str = "",
) -> None:
    """Keep a version from deletion until this is taken back."""
    _version(call, bucket, key, version_id, expected_bucket_owner)
    _change(
        call,
        (bucket, key, version_id),
        lambda facts: object_lock.with_legal_hold(facts, legal_hold),
    )


@action("s3", anonymous=True, ignored=HARMLESS)
def get_object_legal_hold(
    call: Call, *, bucket: str, key: str, version_id: str = "", expected_bucket_owner: str = ""
) -> Result:
    """A version's legal hold, if it ever had one."""
    _, found = _version(call, bucket, key, version_id, expected_bucket_owner)
    lock = object_lock.get_stored_lock(found.facts)
    if "hold" not in lock:
        raise NoSuchObjectLockConfiguration(key=key)
    return {"legal_hold": {"status": lock["hold"]}}


def _version(
    call: Call, bucket: str, key: str, version_id: str, expected: str
) -> tuple[Bucket, Object]:
    holder = call.cloud.store.bucket(bucket)
    access.check_expected(holder, expected)
    access.check(call, holder, key)
    object_lock.check_on(holder)
    look = partial(call.cloud.store.head, version_id=version_id)
    return holder, access.open_or_hide(call, look, holder, key)


def _change(
    call: Call, named: tuple[str, str, str], how: Callable[[ObjectProperties], dict[str, Any]]
) -> None:
    bucket, key, version_id = named
    call.cloud.store.change_object(
        bucket, key, lambda facts: replace(facts, extra=how(facts)), version_id
    )
