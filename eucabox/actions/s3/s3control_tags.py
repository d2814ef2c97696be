"""A bucket's tags by the three calls of S3 Control that Terraform makes; never an object's."""

from collections.abc import Callable

from eucabox.actions import Call, Result, action
from eucabox.errors import InvalidRequest
from eucabox.s3 import access, tagging
from eucabox.s3.tagging import ObjectTag
from eucabox.store.types import Bucket

ARN = "arn:aws:s3:::"


@action("s3control")
def tag_resource(call: Call, *, account_id: str, resource_arn: str, tags: list[ObjectTag]) -> None:
    """Give a bucket these tags beside those it has."""
    new_tags = tagging.bucket_tags(tags)
    _change(call, _get_bucket(call, resource_arn, account_id), lambda kept: {**kept, **new_tags})


@action("s3control")
def untag_resource(call: Call, *, account_id: str, resource_arn: str, tag_keys: list[str]) -> None:
    """Take the tags of these keys away from a bucket."""
    bucket = _get_bucket(call, resource_arn, account_id)
    _change(
        call,
        bucket,
        lambda kept: {key: value for key, value in kept.items() if key not in tag_keys},
    )


@action("s3control")
def list_tags_for_resource(call: Call, *, account_id: str, resource_arn: str) -> Result:
    """A bucket's tags; that there are none is no error here."""
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
    def changed(kept: dict[str, str] | None) -> dict[str, str] | None:
        new = new_tags(kept or {})
        tagging.bucket_tags(tagging.to_api(new))
        return new or None

    call.cloud.store.change_bucket_setting(bucket.name, tagging.SETTING, changed)
