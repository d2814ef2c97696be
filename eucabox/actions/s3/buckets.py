"""Buckets: made, named, found, removed, and what little can be asked of them; never objects."""

from typing import Any, Unpack

from eucabox.actions import Call, Result, action
from eucabox.errors import (
    BucketAlreadyOwnedByYou,
    InvalidArgument,
    InvalidBucketAcl,
    S3NotImplemented,
)
from eucabox.s3 import access, object_lock, tagging
from eucabox.s3 import acl as grants
from eucabox.s3.acl import BucketAclMembers
from eucabox.s3.values import Owners
from eucabox.store.paths import check_bucket_name, check_new_name
from eucabox.store.types import Acl

DEFAULT_REGIONS = ("", "us-east-1")  # where S3 accepts the same request twice
PAGE = 10_000


@action("s3")
def list_buckets(
    call: Call,
    *,
    prefix: str = "",
    max_buckets: int = PAGE,
    continuation_token: str = "",
    bucket_region: str = "",
) -> Result:
    """List the buckets of the caller's account by name, `max_buckets` on a page."""
    if not 1 <= max_buckets <= PAGE:
        reason = f"Use 1 to {PAGE}."
        raise InvalidArgument(argument="max-buckets", value=max_buckets, reason=reason)
    access.check_account(call, "s3:ListAllMyBuckets")
    matches = [
        each
        for each in call.cloud.store.buckets(owner=call.account_id)
        if each.name.startswith(prefix) and each.name > continuation_token
        if bucket_region in ("", each.location or call.region)
    ]
    page = matches[:max_buckets]
    result: Result = {
        "buckets": [{"name": each.name, "creation_date": each.created} for each in page],
        "owner": Owners(call.cloud.accounts)(call.account_id),
    }
    if prefix:
        result["prefix"] = prefix
    if len(matches) > len(page):
        result["continuation_token"] = page[-1].name
    return result


@action("s3", ignored=("bucket_namespace",))
def create_bucket(
    call: Call,
    *,
    bucket: str,
    create_bucket_configuration: dict[str, Any] | None = None,
    object_lock_enabled_for_bucket: bool = False,
    object_ownership: str = "",
    **acl_members: Unpack[BucketAclMembers],
) -> Result:
    """Create a bucket of the caller's account.

    As in us-east-1, creating one's own bucket again succeeds if no other region is named.
    """
    for needed in _list_needed(call):
        access.check_account(call, needed, bucket)
    new_acl = grants.resolve_grantees(grants.from_headers(acl_members), call.cloud.accounts)
    _check_ownership(bucket, object_ownership, new_acl)
    location, settings = _read_configuration(create_bucket_configuration or {})
    if object_ownership:
        settings[access.OWNERSHIP] = object_ownership
    if object_lock_enabled_for_bucket:
        settings |= object_lock.OF_NEW_BUCKET
    store = call.cloud.store
    _check_name(call, bucket)
    try:
        store.create_bucket(bucket, call.account_id, new_acl, location, settings)
    except BucketAlreadyOwnedByYou:
        if location not in DEFAULT_REGIONS:
            raise
        if new_acl:
            access.check_acl(store.bucket(bucket), new_acl, call.cloud.accounts)
            store.set_bucket_acl(bucket, new_acl)
    return {"location": f"/{bucket}"}


@action("s3", anonymous=True)
def head_bucket(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> Result:
    """Tell that a bucket exists and the caller may list it, and its region."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    return {"bucket_region": stored_bucket.location or call.region}


@action("s3", anonymous=True)
def delete_bucket(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> None:
    """Delete an empty bucket."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    call.cloud.store.delete_bucket(bucket)


@action("s3", anonymous=True)
def get_bucket_location(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> Result:
    """Return the region that was named when the bucket was created, or ""."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    return {"location_constraint": stored_bucket.location}


def _list_needed(call: Call) -> list[str]:
    """Return the policy actions that a CreateBucket needs for all that its members ask for."""
    sent = {name for name, value in call.params.items() if value}
    configuration = call.params.get("create_bucket_configuration")
    tags = configuration.get("tags") if isinstance(configuration, dict) else None
    needed = [access.CREATE]
    if any(name == "acl" or name.startswith("grant_") for name in sent):
        needed.append("s3:PutBucketAcl")
    if "object_ownership" in sent:
        needed.append("s3:PutBucketOwnershipControls")
    if "object_lock_enabled_for_bucket" in sent:
        needed += ["s3:PutBucketObjectLockConfiguration", "s3:PutBucketVersioning"]
    return [*needed, "s3:TagResource"] if tags else needed


def _check_ownership(bucket: str, ownership: str, acl: Acl | None) -> None:
    if ownership and ownership not in access.OWNERSHIPS:
        reason = f"Use one of {', '.join(access.OWNERSHIPS)}."
        argument = "x-amz-object-ownership"
        raise InvalidArgument(argument=argument, value=ownership, reason=reason)
    if ownership == access.ENFORCED and access.grants_others(acl):
        raise InvalidBucketAcl(bucket=bucket)


def _check_name(call: Call, bucket: str) -> None:
    """Check a name by AWS's present rules, or by the older ones where those are needed.

    That is for existing buckets, and for requests by Eucalyptus' path: euca2ools and scripts of
    its time create buckets like My_Images.
    """
    exists = any(each.name == bucket for each in call.cloud.store.buckets())
    (check_bucket_name if exists or call.path else check_new_name)(bucket)


def _read_configuration(configuration: dict[str, Any]) -> tuple[str, dict[str, object]]:
    """Return the location and the settings that a CreateBucketConfiguration names."""
    beyond = sorted(configuration.keys() - {"location_constraint", "tags"})
    if any(configuration[each] for each in beyond):
        what = f"{', '.join(beyond)} in CreateBucketConfiguration"
        raise S3NotImplemented(what=what, hint="Name only a LocationConstraint and Tags.")
    tags = tagging.bucket_tags(configuration.get("tags") or [])
    location = str(configuration.get("location_constraint") or "")
    return location, {tagging.SETTING: tags} if tags else {}
