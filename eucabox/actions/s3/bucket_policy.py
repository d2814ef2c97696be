"""Bucket policies: gets, puts and deletes them, tells if public; s3/access.py evaluates them."""

from eucabox.actions import VALIDATED_BY_WIRE, Call, Result, action
from eucabox.errors import AccessDenied, MethodNotAllowed, NoSuchBucketPolicy
from eucabox.iam.policy import public
from eucabox.s3 import access, acl
from eucabox.s3.bucket_policies import check_bucket_policy, write_bucket_policy
from eucabox.store.types import Bucket

# the bucket's owner can always replace its policy, so there is nothing to confirm
IGNORED = (*VALIDATED_BY_WIRE, "confirm_remove_self_bucket_access")


@action("s3", anonymous=True, ignored=IGNORED)
def put_bucket_policy(
    call: Call, *, bucket: str, policy: str, expected_bucket_owner: str = ""
) -> None:
    """Replace the policy of a bucket; an invalid one is refused with the reason."""
    stored_bucket = _get_own_bucket(call, "PUT", bucket, expected_bucket_owner)
    stored = _check(call, stored_bucket, policy)
    call.cloud.store.set_bucket_setting(bucket, access.POLICY, stored)


def _get_own_bucket(call: Call, method: str, bucket_name: str, expected: str) -> Bucket:
    """Return a bucket of the caller's account, whose policy no other account may get or put.

    As in S3, raises MethodNotAllowed for another account that the policy itself allows.
    """
    bucket = call.cloud.store.bucket(bucket_name)
    access.check(call, bucket, expected=expected)
    if not access.owns(call, bucket):
        raise MethodNotAllowed(method=method)
    return bucket


def _check(call: Call, bucket: Bucket, text: str) -> str:
    """Return a policy as it is to be stored."""
    stored, read = check_bucket_policy(call.cloud.state, call.cloud.accounts, bucket, text)
    block = bucket.settings.get(access.BLOCK) or {}
    if block.get("block_public_policy") and public.is_public(read):
        reason = f"The bucket {bucket.name} blocks public policies (BlockPublicPolicy)."
        raise AccessDenied(reason=reason)
    return stored


@action("s3", anonymous=True)
def get_bucket_policy(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> Result:
    """Return the policy of a bucket: byte for byte as it was put where it names no user or role,
    and else with who has the unique ids now."""
    stored_bucket = _get_own_bucket(call, "GET", bucket, expected_bucket_owner)
    if access.POLICY not in stored_bucket.settings:
        raise NoSuchBucketPolicy(bucket=bucket)
    text = write_bucket_policy(call.cloud.state, stored_bucket.settings[access.POLICY])
    return {"policy": text}


@action("s3", anonymous=True)
def delete_bucket_policy(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> None:
    """Delete the policy of a bucket; it is no error if there is none."""
    stored_bucket = _get_own_bucket(call, "DELETE", bucket, expected_bucket_owner)
    if access.POLICY in stored_bucket.settings:
        call.cloud.store.set_bucket_setting(bucket, access.POLICY, None)


@action("s3", anonymous=True)
def get_bucket_policy_status(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> Result:
    """Tell whether the policy or the ACL makes the bucket public."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    text = stored_bucket.settings.get(access.POLICY)
    open_list = acl.is_public(stored_bucket.acl) and access.acls_in_effect(stored_bucket)
    open_policy = access.is_public_policy(text) if text else False
    return {"policy_status": {"is_public": open_list or open_policy}}
