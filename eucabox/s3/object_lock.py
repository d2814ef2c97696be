"""Object Lock: which retention or legal hold protects a version, and changes to them.

A bucket's setting is {"rule": the default retention or None}. A version's lock is `extra["lock"]`:
mode, until (ISO) and hold, as far as it has them.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, TypedDict

from eucabox.errors import (
    InvalidArgument,
    InvalidRequest,
    InvalidRetentionPeriod,
    MalformedXML,
    ObjectLocked,
)
from eucabox.store.types import Bucket, ObjectProperties, to_utc

SETTING, LOCK = "object_lock", "lock"
GOVERNANCE, COMPLIANCE = "GOVERNANCE", "COMPLIANCE"
# the settings of a new bucket with Object Lock, which needs versioning
OF_NEW_BUCKET = {SETTING: {"rule": None}, "versioning": {"status": "Enabled"}}
MODES = (GOVERNANCE, COMPLIANCE)
HOLDS = ("ON", "OFF")
LONGEST = {"days": 36_500, "years": 100}
YEAR = 365  # days, as S3 counts them


class DefaultRetention(TypedDict, total=False):
    """The retention of new objects: mode, and days or years."""

    mode: str
    days: int
    years: int


class LockRule(TypedDict, total=False):
    """The rule of a bucket for new objects."""

    default_retention: DefaultRetention


class LockConfiguration(TypedDict, total=False):
    """The members of PutObjectLockConfiguration."""

    object_lock_enabled: str
    rule: LockRule


class Retention(TypedDict, total=False):
    """A version's retention; an empty one removes it."""

    mode: str
    retain_until_date: datetime


class LegalHold(TypedDict, total=False):
    """A version's legal hold."""

    status: str


class VersionLock(TypedDict, total=False):
    """A version's lock as it is stored; `until` is ISO text."""

    mode: str
    until: str
    hold: str


class Locked(TypedDict, total=False):
    """The Object Lock members of PutObject, CopyObject and CreateMultipartUpload."""

    object_lock_mode: str
    object_lock_retain_until_date: datetime
    object_lock_legal_hold_status: str


RETENTION = ("object_lock_mode", "object_lock_retain_until_date")
HOLD = "object_lock_legal_hold_status"


def is_on(bucket: Bucket) -> bool:
    """Return whether versions in a bucket can be locked."""
    return SETTING in bucket.settings


def check_on(bucket: Bucket) -> None:
    """Raise InvalidRequest unless versions in a bucket can be locked."""
    if not is_on(bucket):
        reason = f"The bucket {bucket.name} is missing an Object Lock Configuration."
        raise InvalidRequest(reason=reason)


# --- the bucket's configuration ----------------------------------------------------------------


def validate(configuration: LockConfiguration) -> dict[str, object]:
    """Return the bucket setting for a configuration; raises MalformedXML,
    InvalidRetentionPeriod."""
    if configuration.get("object_lock_enabled") != "Enabled":
        _raise_malformed("ObjectLockEnabled must be Enabled")
    if "rule" not in configuration:
        return {"rule": None}
    retention = configuration["rule"].get("default_retention", {})
    units = [each for each in ("days", "years") if each in retention]
    if retention.get("mode") not in MODES or len(units) != 1:
        _raise_malformed(
            f"a DefaultRetention needs a Mode, {' or '.join(MODES)}, and Days or Years"
        )
    span = int(retention["days"] if "days" in retention else retention["years"])
    if not 1 <= span <= LONGEST[units[0]]:
        raise InvalidRetentionPeriod(unit=units[0], limit=LONGEST[units[0]], value=span)
    return {"rule": {"default_retention": dict(retention)}}


def configuration_to_api(bucket: Bucket) -> dict[str, object]:
    """Return a bucket's configuration as GetObjectLockConfiguration does."""
    rule = bucket.settings[SETTING].get("rule")
    return {"object_lock_enabled": "Enabled", **({"rule": rule} if rule else {})}


# --- the lock of a version ---------------------------------------------------------------------


def for_new_object(
    members: Mapping[str, Any], bucket: Bucket, now: datetime
) -> dict[str, VersionLock]:
    """Return the `extra` of a new object: the lock that the request or the bucket gives it.

    Raises InvalidRequest, InvalidArgument.
    """
    lock_members = {name: members[name] for name in (*RETENTION, HOLD) if members.get(name)}
    if lock_members:
        check_on(bucket)
    elif not is_on(bucket):
        return {}
    lock = _from_headers(lock_members, now) or _default_lock(bucket, now)
    hold = lock_members.get(HOLD, "")
    if hold and hold not in HOLDS:
        reason = "Legal Hold must be either of 'ON' or 'OFF'."
        raise InvalidArgument(argument="x-amz-object-lock-legal-hold", value=hold, reason=reason)
    if hold:
        lock["hold"] = hold
    return {LOCK: lock} if lock else {}


def _from_headers(members: Mapping[str, Any], now: datetime) -> VersionLock:
    mode, until = members.get("object_lock_mode"), members.get("object_lock_retain_until_date")
    if mode and mode not in MODES:
        reason = f"Use {' or '.join(MODES)}."
        raise InvalidArgument(argument="x-amz-object-lock-mode", value=mode, reason=reason)
    if (mode is None) != (until is None):
        reason = (
            "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied."
        )
        raise InvalidArgument(argument="x-amz-object-lock-mode", value=mode or "", reason=reason)
    return _lock(mode, until, now) if mode and until else {}


def _lock(mode: str, until: datetime, now: datetime) -> VersionLock:
    until = to_utc(until)
    if until <= now:
        reason = "The retain until date must be in the future!"
        raise InvalidArgument(argument="RetainUntilDate", value=until.isoformat(), reason=reason)
    return {"mode": mode, "until": until.isoformat()}


def _default_lock(bucket: Bucket, now: datetime) -> VersionLock:
    default = ((bucket.settings[SETTING].get("rule")) or {}).get("default_retention")
    if not default:
        return {}
    days = default["days"] if "days" in default else default["years"] * YEAR
    return {"mode": default["mode"], "until": (now + timedelta(days=days)).isoformat()}


def get_stored_lock(properties: ObjectProperties) -> VersionLock:
    """Return a version's lock, {} if it has none."""
    lock: VersionLock | None = properties.extra.get(LOCK)
    return lock.copy() if lock else {}


def apply(properties: ObjectProperties, lock: VersionLock) -> dict[str, object]:
    """Return the `extra` of a version with another lock, or without one."""
    others = {name: each for name, each in properties.extra.items() if name != LOCK}
    return {**others, LOCK: dict(lock)} if lock else others


def with_retention(
    properties: ObjectProperties, wanted: Retention, now: datetime, *, bypass: bool
) -> dict[str, object]:
    """Return the `extra` of a version with another retention, or with an empty one without any.

    Raises MalformedXML, InvalidArgument, and AccessDenied if a retention in force would become
    weaker: in COMPLIANCE mode always, in GOVERNANCE mode without `bypass`.
    """
    mode, until = wanted.get("mode"), wanted.get("retain_until_date")
    if (mode is None) != (until is None) or mode not in (None, *MODES):
        _raise_malformed(f"a Retention has a Mode, {' or '.join(MODES)}, and a RetainUntilDate")
    lock = get_stored_lock(properties)
    new = _lock(mode, until, now) if mode and until else {}
    if _holds(lock, now) and not (bypass and lock["mode"] == GOVERNANCE):
        weaker = not new or _until(new) < _until(lock) or new["mode"] != lock["mode"]
        if weaker:
            _deny(lock)
    if "hold" in lock:
        new["hold"] = lock["hold"]
    return apply(properties, new)


def with_legal_hold(properties: ObjectProperties, wanted: LegalHold) -> dict[str, object]:
    """Return the `extra` of a version with its legal hold ON or OFF; raises MalformedXML."""
    if wanted.get("status") not in HOLDS:
        _raise_malformed("a LegalHold has a Status, ON or OFF")
    return apply(properties, {**get_stored_lock(properties), "hold": wanted["status"]})


def is_locked(properties: ObjectProperties, now: datetime, *, bypass: bool = False) -> bool:
    """Return whether a version is protected from deletion."""
    lock = get_stored_lock(properties)
    if lock.get("hold") == "ON":
        return True
    return _holds(lock, now) and not (bypass and lock["mode"] == GOVERNANCE)


def check_deletion(properties: ObjectProperties, now: datetime, *, bypass: bool = False) -> None:
    """Raise AccessDenied if a version is protected from deletion."""
    if is_locked(properties, now, bypass=bypass):
        _deny(get_stored_lock(properties))


def retention_to_api(lock: VersionLock) -> dict[str, object]:
    """Return a lock's retention as GetObjectRetention does."""
    return {"mode": lock["mode"], "retain_until_date": _until(lock)}


def headers(lock: VersionLock) -> dict[str, object]:
    """Return the members about a lock for GetObject and HeadObject."""
    members: dict[str, object] = {}
    if "mode" in lock:
        until = _until(lock).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
        members = {"object_lock_mode": lock["mode"], "object_lock_retain_until_date": until}
    if "hold" in lock:
        members["object_lock_legal_hold_status"] = lock["hold"]
    return members


def _holds(lock: VersionLock, now: datetime) -> bool:
    return "until" in lock and _until(lock) > now


def _until(lock: VersionLock) -> datetime:
    return datetime.fromisoformat(lock["until"])


def _deny(lock: VersionLock) -> None:
    if lock.get("hold") == "ON":
        cause = "a legal hold"
    else:
        cause = f"its retention in {lock['mode']} mode until {lock['until']}"
    raise ObjectLocked(reason=f"It is held by {cause}.")


def _raise_malformed(reason: str) -> None:
    raise MalformedXML(shape="ObjectLock", reason=f"{reason}.")
