"""Default encryption of buckets: gets, puts and deletes it."""

from typing import Any

from eucabox.actions import VALIDATED_BY_WIRE, Call, Result, action
from eucabox.errors import (
    EncryptionArgument,
    EncryptionConfigurationNotFound,
    MalformedXML,
    S3NotImplemented,
)
from eucabox.s3 import access
from eucabox.s3.encryption import DSSE, SETTING
from eucabox.store.types import AES256, KMS

SHAPE = "ServerSideEncryptionConfiguration"
BLOCKABLE = ("NONE", "SSE-C")


@action("s3", anonymous=True, ignored=VALIDATED_BY_WIRE)
def put_bucket_encryption(
    call: Call,
    *,
    bucket: str,
    server_side_encryption_configuration: dict[str, Any],
    expected_bucket_owner: str = "",
) -> None:
    """Set the encryption of new objects whose request names none."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    rules = server_side_encryption_configuration.get("rules") or []
    if len(rules) != 1:
        raise MalformedXML(shape=SHAPE, reason=f"it has {len(rules)} rules; give one.")
    _check(rules[0])
    call.cloud.store.set_bucket_setting(bucket, SETTING, {"rules": rules})


@action("s3", anonymous=True)
def get_bucket_encryption(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> Result:
    """Return the encryption of new objects whose request names none."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    if SETTING not in stored_bucket.settings:
        raise EncryptionConfigurationNotFound(bucket=bucket)
    return {"server_side_encryption_configuration": stored_bucket.settings[SETTING]}


@action("s3", anonymous=True)
def delete_bucket_encryption(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> None:
    """Delete the default encryption; encrypted objects stay encrypted."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    call.cloud.store.set_bucket_setting(bucket, SETTING, None)


def _check(rule: dict[str, Any]) -> None:
    default = rule.get("apply_server_side_encryption_by_default")
    blocked = rule.get("blocked_encryption_types") or {}
    if default is not None:
        _check_default(default)
    elif not blocked and "bucket_key_enabled" not in rule:
        raise MalformedXML(shape=SHAPE, reason="its Rule says nothing.")
    for kind in blocked.get("encryption_type") or []:
        if kind not in BLOCKABLE:
            reason = f"EncryptionType is {kind}; use one of {', '.join(BLOCKABLE)}."
            raise MalformedXML(shape=SHAPE, reason=reason)


def _check_default(default: dict[str, Any]) -> None:
    method = default.get("sse_algorithm", "")
    if method == DSSE:
        raise S3NotImplemented(what=f"The encryption {DSSE}", hint=f"Use {KMS}.")
    if method not in (AES256, KMS):
        reason = f"SSEAlgorithm is {method or 'missing'}; use {AES256} or {KMS}."
        raise MalformedXML(shape=SHAPE, reason=reason)
    if method == AES256 and default.get("kms_master_key_id"):
        reason = f"a KMSMasterKeyID is possible only where SSEAlgorithm is {KMS}."
        raise EncryptionArgument(reason=f"The encryption of the bucket can't be set: {reason}")
