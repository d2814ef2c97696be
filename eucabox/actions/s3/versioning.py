"""Versioning of buckets: gets and sets it; touches no version."""

from typing import Any

from eucabox.actions import VALIDATED_BY_WIRE, Call, Result, action
from eucabox.errors import (
    IllegalVersioningConfiguration,
    InvalidBucketState,
    MalformedXML,
    S3NotImplemented,
)
from eucabox.s3 import access, object_lock

SETTING = "versioning"
STATES = ("Enabled", "Suspended")


@action("s3", anonymous=True)
def get_bucket_versioning(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> Result:
    """Return the versioning status; nothing for a bucket that was never versioned."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    return dict(stored_bucket.settings.get(SETTING) or {})


@action("s3", anonymous=True, ignored=(*VALIDATED_BY_WIRE, "mfa"))
def put_bucket_versioning(
    call: Call,
    *,
    bucket: str,
    versioning_configuration: dict[str, Any],
    expected_bucket_owner: str = "",
) -> None:
    """Enable or suspend versioning; existing versions stay."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    status = _read_status(versioning_configuration)
    store = call.cloud.store

    def change(_: object) -> dict[str, str]:
        # checked inside the change, or object lock could be turned on in between
        if status != "Enabled" and object_lock.is_on(store.bucket(bucket)):
            raise InvalidBucketState(bucket=bucket)
        return {"status": status}

    store.change_bucket_setting(bucket, SETTING, change)


def _read_status(configuration: dict[str, Any]) -> str:
    if configuration.get("mfa_delete", "Disabled") != "Disabled":
        hint = "Leave MfaDelete out, or Disabled; object lock keeps versions from deletion."
        raise S3NotImplemented(what="MFA delete", hint=hint)
    status = configuration.get("status")
    if status is None:
        raise IllegalVersioningConfiguration()
    if status not in STATES:
        reason = f"Status is {status}; use Enabled or Suspended."
        raise MalformedXML(shape="VersioningConfiguration", reason=reason)
    return str(status)
