"""Access lists of buckets and objects: read and replaced; never judged here."""

import dataclasses
from functools import partial
from typing import Any

from eucabox.actions import Call, Result, action
from eucabox.errors import InvalidRequest, MalformedACL
from eucabox.store import access
from eucabox.store.facts import Bucket, ObjectFacts
from eucabox.store.nouns import Owners

CHECKED_AT_THE_DOOR = ("content_md5", "checksum_algorithm", "request_payer")


@action("s3", anonymous=True)
def get_bucket_acl(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> Result:
    """Who is granted what on a bucket."""
    found = call.cloud.bucket.bucket(bucket)
    access.check(call, found, expected=expected_bucket_owner)
    owner = Owners(call.cloud.accounts)(found.owner)
    return {"owner": owner, "grants": access.shown(found.acl, owner)}


@action("s3", anonymous=True, ignored=CHECKED_AT_THE_DOOR)
def put_bucket_acl(
    call: Call,
    *,
    bucket: str,
    acl: str = "",
    access_control_policy: dict[str, Any] | None = None,
    grant_full_control: str = "",
    grant_read: str = "",
    grant_read_acp: str = "",
    grant_write: str = "",
    grant_write_acp: str = "",
    expected_bucket_owner: str = "",
) -> None:
    """Replace a bucket's access list by a canned one, by grants in headers, or by a policy."""
    found = call.cloud.bucket.bucket(bucket)
    access.check(call, found, expected=expected_bucket_owner)
    wanted = access.chosen(
        acl,
        FULL_CONTROL=grant_full_control,
        READ=grant_read,
        READ_ACP=grant_read_acp,
        WRITE=grant_write,
        WRITE_ACP=grant_write_acp,
    )
    wanted = _wanted(call, found, wanted, access_control_policy, found.owner)
    call.cloud.bucket.set_bucket_acl(bucket, wanted)


@action("s3", anonymous=True, ignored=CHECKED_AT_THE_DOOR)
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
        return {"owner": owner, "grants": access.shown(None, owner)}
    owner = owners(facts.owner or holder.owner)
    return {"owner": owner, "grants": access.shown(facts.acl, owner, owners(holder.owner))}


@action("s3", anonymous=True, ignored=CHECKED_AT_THE_DOOR)
def put_object_acl(
    call: Call,
    *,
    bucket: str,
    key: str,
    acl: str = "",
    access_control_policy: dict[str, Any] | None = None,
    grant_full_control: str = "",
    grant_read: str = "",
    grant_read_acp: str = "",
    grant_write: str = "",
    grant_write_acp: str = "",
    version_id: str = "",
    expected_bucket_owner: str = "",
) -> None:
    """Replace an object's access list by a canned one, by grants in headers, or by a policy."""
    holder = call.cloud.bucket.bucket(bucket)
    access.check_expected(holder, expected_bucket_owner)
    look = partial(call.cloud.bucket.head, version_id=version_id)
    facts = access.look_up(call, look, holder, key).facts
    access.check(call, holder, key, facts)
    wanted = access.chosen(
        acl,
        FULL_CONTROL=grant_full_control,
        READ=grant_read,
        READ_ACP=grant_read_acp,
        WRITE=grant_write,
        WRITE_ACP=grant_write_acp,
    )
    owner = facts.owner or holder.owner
    wanted = _wanted(call, holder, wanted, access_control_policy, owner)

    def change(now: ObjectFacts) -> ObjectFacts:
        # it may be another object by now, put there by somebody else
        access.check(call, holder, key, now)
        return dataclasses.replace(now, acl=wanted)

    call.cloud.bucket.change_object(bucket, key, change, version_id)


def _wanted(
    call: Call,
    holder: Bucket,
    named: dict[str, Any] | None,
    policy: dict[str, Any] | None,
    owner: str,
) -> dict[str, Any] | None:
    """Return the access list that a request asks for, once it is known to be possible."""
    directory = call.cloud.accounts
    told = access.resolved(_told(named, policy, Owners(directory)(owner)), directory)
    access.check_acl(holder, told, directory)
    return told


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
    return access.listed(policy["grants"])
