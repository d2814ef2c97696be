"""Public access blocks of buckets: gets, puts and deletes them; s3/access.py applies them."""

from typing import TypedDict

from eucabox.actions import VALIDATED_BY_WIRE, Call, Result, action
from eucabox.errors import NoSuchPublicAccessBlock
from eucabox.s3 import access

FLAGS = (
    "block_public_acls",
    "ignore_public_acls",
    "block_public_policy",
    "restrict_public_buckets",
)


class PublicAccessBlock(TypedDict, total=False):
    """The four flags, each false where it is left out."""

    block_public_acls: bool
    ignore_public_acls: bool
    block_public_policy: bool
    restrict_public_buckets: bool


@action("s3", anonymous=True, ignored=VALIDATED_BY_WIRE)
def put_public_access_block(
    call: Call,
    *,
    bucket: str,
    public_access_block_configuration: PublicAccessBlock,
    expected_bucket_owner: str = "",
) -> None:
    """Replace the public access block of a bucket."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    setting = {name: bool(public_access_block_configuration.get(name)) for name in FLAGS}
    call.cloud.store.set_bucket_setting(bucket, access.BLOCK, setting)


@action("s3", anonymous=True)
def get_public_access_block(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> Result:
    """Return the public access block of a bucket."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    if access.BLOCK not in stored_bucket.settings:
        raise NoSuchPublicAccessBlock(bucket=bucket)
    return {"public_access_block_configuration": stored_bucket.settings[access.BLOCK]}


@action("s3", anonymous=True)
def delete_public_access_block(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> None:
    """Delete the public access block of a bucket; it is no error if there is none."""
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check(call, stored_bucket, expected=expected_bucket_owner)
    if access.BLOCK in stored_bucket.settings:
        call.cloud.store.set_bucket_setting(bucket, access.BLOCK, None)
