"""ACLs of buckets and objects: gets and puts them; s3/access.py enforces them."""

import dataclasses
from functools import partial
from typing import Any, Unpack

from eucabox.actions import VALIDATED_BY_WIRE, Call, Result, action
from eucabox.errors import InvalidRequest, MalformedACL
from eucabox.s3 import access, acl
from eucabox.s3.acl import BucketAclMembers, Owner
from eucabox.s3.values import Owners
from eucabox.store.types import Acl, Bucket, ObjectProperties

IGNORED = (*VALIDATED_BY_WIRE, "request_payer")


@action("s3", anonymous=True)
def get_bucket_acl(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> Result:
    """Return a bucket's ACL."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    owner = Owners(call.cloud.accounts)(stored_bucket.owner)
    return {"owner": owner, "grants": acl.to_api(stored_bucket.acl, owner)}


@action("s3", anonymous=True, ignored=VALIDATED_BY_WIRE)
def put_bucket_acl(
    call: Call,
    *,
    bucket: str,
    access_control_policy: dict[str, Any] | None = None,
    expected_bucket_owner: str = "",
    **acl_members: Unpack[BucketAclMembers],
) -> None:
    """Replace a bucket's ACL by a canned one, by grants in headers, or by an XML policy."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    new_acl = _read_acl(
        call, stored_bucket, acl_members, access_control_policy, stored_bucket.owner
    )
    call.cloud.store.set_bucket_acl(bucket, new_acl)


@action("s3", anonymous=True, ignored=IGNORED)
def get_object_acl(
    call: Call, *, bucket: str, key: str, version_id: str = "", expected_bucket_owner: str = ""
) -> Result:
    """Return the ACL of an object, or of a version of it."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check_expected(stored_bucket, expected_bucket_owner)
    look = partial(call.cloud.store.head, version_id=version_id)
    properties = access.open_or_hide(call, look, stored_bucket, key).properties
    access.check(call, stored_bucket, key, properties)
    owners = Owners(call.cloud.accounts)
    if access.acls_disabled(stored_bucket):
        owner = owners(stored_bucket.owner)
        return {"owner": owner, "grants": acl.to_api(None, owner)}
    owner = owners(properties.owner or stored_bucket.owner)
    return {
        "owner": owner,
        "grants": acl.to_api(properties.acl, owner, owners(stored_bucket.owner)),
    }


@action("s3", anonymous=True, ignored=IGNORED)
def put_object_acl(
    call: Call,
    *,
    bucket: str,
    key: str,
    access_control_policy: dict[str, Any] | None = None,
    version_id: str = "",
    expected_bucket_owner: str = "",
    **acl_members: Unpack[BucketAclMembers],
) -> None:
    """Replace an object's ACL by a canned one, by grants in headers, or by an XML policy."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check_expected(stored_bucket, expected_bucket_owner)
    look = partial(call.cloud.store.head, version_id=version_id)
    properties = access.open_or_hide(call, look, stored_bucket, key).properties
    access.check(call, stored_bucket, key, properties)
    owner = properties.owner or stored_bucket.owner
    new_acl = _read_acl(call, stored_bucket, acl_members, access_control_policy, owner)

    def change(now: ObjectProperties) -> ObjectProperties:
        # check again: another account may have replaced the object meanwhile
        access.check(call, stored_bucket, key, now)
        return dataclasses.replace(now, acl=new_acl)

    call.cloud.store.change_object(bucket, key, change, version_id)


def _read_acl(
    call: Call,
    bucket: Bucket,
    acl_members: BucketAclMembers,
    policy: dict[str, Any] | None,
    owner: str,
) -> Acl | None:
    """Return the ACL of a request, checked for this bucket."""
    directory = call.cloud.accounts
    named = _choose_source(acl.from_headers(acl_members), policy, Owners(directory)(owner))
    new_acl = acl.resolve_grantees(named, directory)
    access.check_acl(bucket, new_acl, directory)
    return new_acl


def _choose_source(from_headers: Acl | None, policy: dict[str, Any] | None, owner: Owner) -> Acl:
    if from_headers and policy:
        raise InvalidRequest(reason="Name an access list by headers or by a policy, not by both.")
    if from_headers:
        return from_headers
    if policy is None or "grants" not in policy:
        reason = "The request names no access list. Send x-amz-acl or an AccessControlPolicy."
        raise MalformedACL(reason=reason)
    if policy.get("owner", owner).get("id", owner["id"]) != owner["id"]:
        raise MalformedACL(reason=f"The owner is {owner['id']} and cannot be changed.")
    return acl.from_grants(policy["grants"])
