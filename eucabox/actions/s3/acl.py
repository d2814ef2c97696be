"""Access lists of buckets and objects: read and replaced; never judged here."""

import dataclasses
from functools import partial
from typing import Any, Unpack

from eucabox.actions import CHECKED_AT_THE_DOOR, Call, Result, action
from eucabox.errors import InvalidRequest, MalformedACL
from eucabox.s3 import access, acl
from eucabox.s3.acl import BucketAclMembers
from eucabox.s3.values import Owners
from eucabox.store.types import Bucket, ObjectProperties

HARMLESS = (*CHECKED_AT_THE_DOOR, "request_payer")


@action("s3", anonymous=True)
def get_bucket_acl(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> Result:
    """Who is granted what on a bucket."""
    found = call.cloud.store.bucket(bucket)
    access.check(call, found, expected=expected_bucket_owner)
    owner = Owners(call.cloud.accounts)(found.owner)
    return {"owner": owner, "grants": acl.to_api(found.acl, owner)}


@action("s3", anonymous=True, ignored=CHECKED_AT_THE_DOOR)
def put_bucket_acl(
    call: Call,
    *,
    bucket: str,
    access_control_policy: dict[str, Any] | None = None,
    expected_bucket_owner: str = "",
    **granting: Unpack[BucketAclMembers],
) -> None:
    """Replace a bucket's access list by a canned one, by grants in headers, or by a policy."""
    found = call.cloud.store.bucket(bucket)
    access.check(call, found, expected=expected_bucket_owner)
    wanted = _wanted(call, found, granting, access_control_policy, found.owner)
    call.cloud.store.set_bucket_acl(bucket, wanted)


@action("s3", anonymous=True, ignored=HARMLESS)
def get_object_acl(
    call: Call, *, bucket: str, key: str, version_id: str = "", expected_bucket_owner: str = ""
) -> Result:
    """Who is granted what on an object, or on a version of it."""
    holder = call.cloud.store.bucket(bucket)
    access.check_expected(holder, expected_bucket_owner)
    look = partial(call.cloud.store.head, version_id=version_id)
    facts = access.open_or_hide(call, look, holder, key).facts
    access.check(call, holder, key, facts)
    owners = Owners(call.cloud.accounts)
    if access.acls_disabled(holder):
        owner = owners(holder.owner)
        return {"owner": owner, "grants": acl.to_api(None, owner)}
    owner = owners(facts.owner or holder.owner)
    return {"owner": owner, "grants": acl.to_api(facts.acl, owner, owners(holder.owner))}


@action("s3", anonymous=True, ignored=HARMLESS)
def put_object_acl(
    call: Call,
    *,
    bucket: str,
    key: str,
    access_control_policy: dict[str, Any] | None = None,
    version_id: str = "",
    expected_bucket_owner: str = "",
    **granting: Unpack[BucketAclMembers],
) -> None:
    """Replace an object's access list by a canned one, by grants in headers, or by a policy."""
    holder = call.cloud.store.bucket(bucket)
    access.check_expected(holder, expected_bucket_owner)
    look = partial(call.cloud.store.head, version_id=version_id)
    facts = access.open_or_hide(call, look, holder, key).facts
    access.check(call, holder, key, facts)
    owner = facts.owner or holder.owner
    wanted = _wanted(call, holder, granting, access_control_policy, owner)

    def change(now: ObjectProperties) -> ObjectProperties:
        # it may be another object by now, put there by somebody else
        access.check(call, holder, key, now)
        return dataclasses.replace(now, acl=wanted)

    call.cloud.store.change_object(bucket, key, change, version_id)


def _wanted(
    call: Call,
    holder: Bucket,
    granting: BucketAclMembers,
    policy: dict[str, Any] | None,
    owner: str,
) -> dict[str, Any] | None:
    """Return the access list that a request asks for, once it is known to be possible."""
    directory = call.cloud.accounts
    told = _told(acl.from_headers(granting), policy, Owners(directory)(owner))
    wanted = acl.resolve_grantees(told, directory)
    access.check_acl(holder, wanted, directory)
    return wanted


def _told(
    named: dict[str, Any] | None, policy: dict[str, Any] | None, owner: dict[str, str]
) -> dict[str, Any]:
    if named and policy:
        raise InvalidRequest(reason="Name an access list by headers or by a policy, not by both.")
    if named:
        return named
    if policy is None or "grants" not in policy:
        reason = "The request names no access list. Send x-amz-acl or an AccessControlPolicy."
        raise MalformedACL(reason=reason)
    if policy.get("owner", owner).get("id", owner["id"]) != owner["id"]:
        raise MalformedACL(reason=f"The owner is {owner['id']} and cannot be changed.")
    return acl.from_grants(policy["grants"])
