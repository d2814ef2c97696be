"""Ownership controls of buckets: kept, shown, removed; never judged here."""

from typing import TypedDict

from eucabox.actions import VALIDATED_BY_WIRE, Call, Result, action
from eucabox.errors import (
    InvalidBucketAcl,
    MalformedXML,
    OwnershipControlsNotFound,
)
from eucabox.s3 import access
from eucabox.s3.values import Owners


class Rule(TypedDict, total=False):
    """Who owns the objects of others, and whether access lists count."""

    object_ownership: str


class Controls(TypedDict, total=False):
    """Ownership controls: exactly one rule."""

    rules: list[Rule]


@action("s3", anonymous=True, ignored=VALIDATED_BY_WIRE)
def put_bucket_ownership_controls(
    call: Call, *, bucket: str, ownership_controls: Controls, expected_bucket_owner: str = ""
) -> None:
    """Replace the ownership controls of a bucket, whose access list must not grant anybody
    anything where such lists are not to count any more."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    ownership = _read_ownership(ownership_controls)
    owner = Owners(call.cloud.accounts)(stored_bucket.owner)
    if ownership == access.ENFORCED and access.grants_others(stored_bucket.acl, owner["id"]):
        raise InvalidBucketAcl(bucket=bucket)
    call.cloud.store.set_bucket_setting(bucket, access.OWNERSHIP, ownership)


def _read_ownership(controls: Controls) -> str:
    rules = controls.get("rules") or []
    if len(rules) != 1:
        reason = f"it has {len(rules)} rules, and needs exactly one."
        raise MalformedXML(shape="OwnershipControls", reason=reason)
    ownership = rules[0].get("object_ownership", "")
    if ownership not in access.OWNERSHIPS:
        reason = (
            f"ObjectOwnership is {ownership[:60]!r}; use one of {', '.join(access.OWNERSHIPS)}."
        )
        raise MalformedXML(shape="OwnershipControls", reason=reason)
    return ownership


@action("s3", anonymous=True)
def get_bucket_ownership_controls(
    call: Call, *, bucket: str, expected_bucket_owner: str = ""
) -> Result:
    """The ownership controls of a bucket."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    if access.OWNERSHIP not in stored_bucket.settings:
        raise OwnershipControlsNotFound(bucket=bucket)
    rule = {"object_ownership": stored_bucket.settings[access.OWNERSHIP]}
    return {"ownership_controls": {"rules": [rule]}}


@action("s3", anonymous=True)
def delete_bucket_ownership_controls(
    call: Call, *, bucket: str, expected_bucket_owner: str = ""
) -> None:
    """Take the ownership controls of a bucket away; that there were none is no error."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    if access.OWNERSHIP in stored_bucket.settings:
        call.cloud.store.set_bucket_setting(bucket, access.OWNERSHIP, None)
