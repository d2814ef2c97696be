"""Access lists of buckets and objects: read and replaced; never judged here."""

import dataclasses
from functools import partial
from typing import Any, Unpack

from eucabox.actions import CHECKED_AT_THE_DOOR, Call, Result, action
from eucabox.errors import InvalidRequest, MalformedACL
from eucabox.s3 import access, acl
from eucabox.s3.acl import Granting
from eucabox.s3.values import Owners
from eucabox.store.types import Bucket, ObjectFacts

HARMLESS = (*CHECKED_AT_THE_DOOR, "request_payer")


@action("s3", anonymous=True)
def get_bucket_acl(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> Result:
    """Who is granted what on a bucket."""
    found = call.cloud.bucket.bucket(bucket)
    access.check(call, found, expected=expected_bucket_owner)
    owner = Owners(call.cloud.accounts)(found.owner)
    return {"owner": owner, "grants": acl.shown(found.acl, owner)}


@action("s3", anonymous=True, ignored=CHECKED_AT_THE_DOOR)
def put_bucket_acl(
    call: Call,
    *,
    bucket: str,
    access_control_policy: dict[str, Any] | None = None,
    expected_bucket_owner: str = "",
    **granting: Unpack[Granting],
) -> None:
    """Replace a bucket's access list by a canned one, by grants in headers, or by a policy."""
    found = call.cloud.bucket.bucket(bucket)
    access.check(call, found, expected=expected_bucket_owner)
    wanted = _wanted(call, found, granting, access_control_policy, found.owner)
    call.cloud.bucket.set_bucket_acl(bucket, wanted)


@action("s3", anonymous=True, ignored=HARMLESS)
def get_object_acl(
    call: Call, *, bucket: str, key: str, version_id: str = "", expected_bucket_owner: str = ""
) -> Result:
    """Who is granted what on an object, or on a version of it."""
    holder = call.cloud.bucket.bucket(bucket)
    access.check_expected(holder, expected_bucket_owner)
    look = partial(call.cloud.bucket.head, version_id=version_id)
    facts = access.look_up(call, look, holder, key).facts
    access.check(call, holder, key, facts)
    owners = Owners(call.cloud.accounts)
    if access.enforced(holder):
        owner = owners(holder.owner)
        return {"owner": owner, "grants": acl.shown(None, owner)}
    owner = owners(facts.owner or holder.owner)
    return {"owner": owner, "grants": acl.shown(facts.acl, owner, owners(holder.owner))}


@action("s3", anonymous=True, ignored=HARMLESS)
def put_object_acl(
    call: Call,
    *,
    bucket: str,
    key: str,
    access_control_policy: dict[str, Any] | None = None,
    version_id: str = "",
    expected_bucket_owner: str = "",
    **granting: Unpack[Granting],
) -> None:
    """Replace an object's access list by a canned one, by grants in headers, or by a policy."""
    holder = call.cloud.bucket.bucket(bucket)
    access.check_expected(holder, expected_bucket_owner)
    look = partial(call.cloud.bucket.head, version_id=version_id)
    facts = access.look_up(call, look, holder, key).facts
    access.check(call, holder, key, facts)
    owner = facts.owner or holder.owner
    wanted = _wanted(call, holder, granting, access_control_policy, owner)

    def change(now: ObjectFacts) -> ObjectFacts:
        # it may be another object by now, put there by somebody else
        access.check(call, holder, key, now)
        return dataclasses.replace(now, acl=wanted)

    call.cloud.bucket.change_object(bucket, key, change, version_id)


def _wanted(
    call: Call,
    holder: Bucket,
    granting: Granting,
    policy: dict[str, Any] | None,
    owner: str,
) -> dict[str, Any] | None:
    """Return the access list that a request asks for, once it is known to be possible."""
    directory = call.cloud.accounts
    told = _told(acl.asked(granting), policy, Owners(directory)(owner))
    wanted = acl.resolved(told, directory)
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
    return acl.listed(policy["grants"])
