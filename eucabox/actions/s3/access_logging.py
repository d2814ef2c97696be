"""Server access logging of buckets: gets and sets it; writes no log."""

from collections.abc import Mapping
from typing import Any

from eucabox.actions import VALIDATED_BY_WIRE, Call, Result, action
from eucabox.errors import (
    AccessControlListNotSupported,
    AccessDenied,
    InvalidTargetBucket,
    MalformedXML,
    NoSuchBucket,
)
from eucabox.s3 import access, acl, log_delivery
from eucabox.s3.access_log import SETTING
from eucabox.s3.values import Owners
from eucabox.store.types import Bucket, Grant

PERMISSIONS = ("FULL_CONTROL", "READ", "WRITE")
SOURCES = ("EventTime", "DeliveryTime")
FORMS = frozenset({"simple_prefix", "partitioned_prefix"})


@action("s3", anonymous=True, ignored=VALIDATED_BY_WIRE)
def put_bucket_logging(
    call: Call,
    *,
    bucket: str,
    bucket_logging_status: dict[str, Any] | None = None,
    expected_bucket_owner: str = "",
) -> None:
    """Set the bucket that a bucket's access log goes to, or turn the log off."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    if call.caller is None or call.account_id != stored_bucket.owner:
        raise AccessDenied(reason=f"Only the owner of the bucket {bucket} can set its logging.")
    members = (bucket_logging_status or {}).get("logging_enabled")
    setting = None if members is None else _validate(call, stored_bucket, members)
    if setting != stored_bucket.settings.get(SETTING):
        call.cloud.store.set_bucket_setting(bucket, SETTING, setting)
        # only after the change, or records in between would keep later ones on the old target
        call.cloud.access_log.deliver(bucket)


@action("s3", anonymous=True)
def get_bucket_logging(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> Result:
    """Return where a bucket's logs go; nothing if it is not logged."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    setting = stored_bucket.settings.get(SETTING)
    if not setting:
        return {}
    return {"logging_enabled": {name: setting[name] for name in setting if name != "canonical_id"}}


def _validate(call: Call, source: Bucket, members: Mapping[str, Any]) -> dict[str, object]:
    if not members.get("target_bucket"):
        raise MalformedXML(shape="LoggingEnabled", reason="it needs a TargetBucket.")
    form = _read_key_format(members)
    prefix = members.get("target_prefix") or ""
    target = _get_target(call, members["target_bucket"])
    canonical_id = Owners(call.cloud.accounts)(source.owner)["id"]
    log_delivery.check(target, prefix, source, canonical_id)
    target_grants = _read_target_grants(call, target, members.get("target_grants") or [])
    return {
        "target_bucket": target.name,
        "target_prefix": prefix,
        "canonical_id": canonical_id,
        **({"target_grants": target_grants} if target_grants else {}),
        **({"target_object_key_format": form} if form else {}),
    }


def _get_target(call: Call, name: str) -> Bucket:
    try:
        return call.cloud.store.bucket(name)
    except NoSuchBucket:
        reason = "The target bucket for logging does not exist."
        raise InvalidTargetBucket(bucket=name, reason=reason) from None


def _read_key_format(members: Mapping[str, Any]) -> dict[str, object]:
    form: dict[str, Any] = members.get("target_object_key_format") or {}
    if len(form) > 1 or not form.keys() <= FORMS:
        reason = "it takes one of SimplePrefix and PartitionedPrefix."
        raise MalformedXML(shape="TargetObjectKeyFormat", reason=reason)
    source = (form.get("partitioned_prefix") or {}).get("partition_date_source", SOURCES[0])
    if source not in SOURCES:
        reason = f"PartitionDateSource is one of {', '.join(SOURCES)}."
        raise MalformedXML(shape="PartitionedPrefix", reason=reason)
    if "partitioned_prefix" in form:
        return {"partitioned_prefix": {"partition_date_source": source}}
    return {"simple_prefix": {}} if form else {}


def _read_target_grants(call: Call, target: Bucket, grants: list[dict[str, Any]]) -> list[Grant]:
    if grants and access.acls_disabled(target):
        raise AccessControlListNotSupported(bucket=target.name)
    for each in grants:
        if each.get("permission") not in PERMISSIONS:
            reason = f"its Permission is one of {', '.join(PERMISSIONS)}."
            raise MalformedXML(shape="Grant", reason=reason)
    resolved = acl.resolve_grantees(acl.from_grants(grants), call.cloud.accounts) or {}
    return resolved.get("grants", [])
