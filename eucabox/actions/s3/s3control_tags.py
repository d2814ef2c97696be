"""A bucket's tags by three operations of S3 Control, which Terraform uses."""

from collections.abc import Callable

from eucabox.actions import Call, Result, action
from eucabox.errors import InvalidRequest
from eucabox.s3 import access, tagging
from eucabox.s3.tagging import ObjectTag
from eucabox.store.types import Bucket

ARN = "arn:aws:s3:::"


@action("s3control")
def tag_resource(call: Call, *, account_id: str, resource_arn: str, tags: list[ObjectTag]) -> None:
    """Add tags to a bucket."""
    bucket = _get_bucket(call, resource_arn, account_id)
    new_tags = tagging.bucket_tags(tags)
    _change(call, bucket, lambda tags: {**tags, **new_tags})


@action("s3control")
def untag_resource(call: Call, *, account_id: str, resource_arn: str, tag_keys: list[str]) -> None:
    """Remove the tags with these keys from a bucket."""
    bucket = _get_bucket(call, resource_arn, account_id)
    _change(
        call,
        bucket,
        lambda tags: {key: value for key, value in tags.items() if key not in tag_keys},
    )


@action("s3control")
def list_tags_for_resource(call: Call, *, account_id: str, resource_arn: str) -> Result:
    """Return a bucket's tags; it is no error if there are none."""
    return {"tags": tagging.to_api(tagging.tags_of(_get_bucket(call, resource_arn, account_id)))}


def _get_bucket(call: Call, arn: str, account_id: str) -> Bucket:
    name = arn.removeprefix(ARN)
    if name == arn or not name or "/" in name:
        reason = f"The resource {arn[:200]} is not a bucket: name {ARN}BUCKET."
        raise InvalidRequest(reason=reason)
    bucket = call.cloud.store.bucket(name)
    access.check(call, bucket, expected=account_id)
    return bucket


def _change(
    call: Call, bucket: Bucket, new_tags: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    def change(stored: dict[str, str] | None) -> dict[str, str] | None:
        new = new_tags(stored or {})
        tagging.bucket_tags(tagging.to_api(new))
        return new or None

    call.cloud.store.change_bucket_setting(bucket.name, tagging.SETTING, change)
