"""Ownership controls of buckets: gets, puts and deletes them."""

from typing import TypedDict

from eucabox.actions import VALIDATED_BY_WIRE, Call, Result, action
from eucabox.errors import (
    InvalidBucketAcl,
    MalformedXML,
    OwnershipControlsNotFound,
)
from eucabox.s3 import access
from eucabox.s3.values import Owners


class OwnershipRule(TypedDict, total=False):
    """Who owns objects that other accounts write, and whether ACLs are in effect."""

    object_ownership: str


class OwnershipControls(TypedDict, total=False):
    """Ownership controls, with exactly one rule."""

    rules: list[OwnershipRule]


@action("s3", anonymous=True, ignored=VALIDATED_BY_WIRE)
def put_bucket_ownership_controls(
    call: Call,
    *,
    bucket: str,
    ownership_controls: OwnershipControls,
    expected_bucket_owner: str = "",
) -> None:
    """Replace the ownership controls of a bucket.

    ACLs can be disabled only if the bucket's own ACL grants nothing to others.
    """
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    ownership = _read_ownership(ownership_controls)
    owner = Owners(call.cloud.accounts)(stored_bucket.owner)
    if ownership == access.ENFORCED and access.grants_others(stored_bucket.acl, owner["id"]):
        raise InvalidBucketAcl(bucket=bucket)
    call.cloud.store.set_bucket_setting(bucket, access.OWNERSHIP, ownership)


def _read_ownership(controls: OwnershipControls) -> str:
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
    """Return the ownership controls of a bucket."""
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
    """Delete the ownership controls of a bucket; it is no error if there are none."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    if access.OWNERSHIP in stored_bucket.settings:
        call.cloud.store.set_bucket_setting(bucket, access.OWNERSHIP, None)
