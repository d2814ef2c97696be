"""Bucket policies: kept, shown, removed, and whether they are public; never judged here."""

from eucabox.actions import VALIDATED_BY_WIRE, Call, Result, action
from eucabox.errors import AccessDenied, MethodNotAllowed, NoSuchBucketPolicy
from eucabox.iam import policy
from eucabox.iam.policy import public, s3_vocabulary
from eucabox.s3 import access, acl
from eucabox.store.types import Bucket

# the owner of a bucket can always mend its policy, so there is nothing to confirm
IGNORED = (*VALIDATED_BY_WIRE, "confirm_remove_self_bucket_access")


@action("s3", anonymous=True, ignored=IGNORED)
def put_bucket_policy(
    call: Call, *, bucket: str, policy: str, expected_bucket_owner: str = ""
) -> None:
    """Replace the policy of a bucket; one that can't be right is refused with the reason."""
    stored_bucket = _get_own_bucket(call, "PUT", bucket, expected_bucket_owner)
    _check(call, stored_bucket, policy)
    call.cloud.store.set_bucket_setting(bucket, access.POLICY, policy)


def _get_own_bucket(call: Call, method: str, bucket_name: str, expected: str) -> Bucket:
    """Return a bucket of the caller's account: whatever a policy allows, nobody else reads it or
    replaces it; MethodNotAllowed, as of S3, for those whom it allows that."""
    bucket = call.cloud.store.bucket(bucket_name)
    access.check(call, bucket, expected=expected)
    if not access.owns(call, bucket):
        raise MethodNotAllowed(method=method)
    return bucket


def _check(call: Call, bucket: Bucket, text: str) -> None:
    read = policy.parse(text, s3_vocabulary.S3Vocabulary(bucket.name), call.cloud.accounts)
    block = bucket.settings.get(access.BLOCK) or {}
    if block.get("block_public_policy") and public.is_public(read):
        reason = f"The bucket {bucket.name} blocks public policies (BlockPublicPolicy)."
        raise AccessDenied(reason=reason)


@action("s3", anonymous=True)
def get_bucket_policy(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> Result:
    """The policy of a bucket, letter by letter."""
    stored_bucket = _get_own_bucket(call, "GET", bucket, expected_bucket_owner)
    if access.POLICY not in stored_bucket.settings:
        raise NoSuchBucketPolicy(bucket=bucket)
    return {"policy": stored_bucket.settings[access.POLICY]}


@action("s3", anonymous=True)
def delete_bucket_policy(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> None:
    """Take the policy of a bucket away; that there was none is no error."""
    stored_bucket = _get_own_bucket(call, "DELETE", bucket, expected_bucket_owner)
    if access.POLICY in stored_bucket.settings:
        call.cloud.store.set_bucket_setting(bucket, access.POLICY, None)


@action("s3", anonymous=True)
def get_bucket_policy_status(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> Result:
    """Whether somebody unknown can get at the bucket, by its policy or by its access list."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    text = stored_bucket.settings.get(access.POLICY)
    open_list = acl.is_public(stored_bucket.acl) and access.acls_in_effect(stored_bucket)
    open_policy = access.is_public_policy(text) if text else False
    return {"policy_status": {"is_public": open_list or open_policy}}
