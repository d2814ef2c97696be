"""Replication, analytics, inventories and metrics: not offered, so never configured."""

from eucabox.actions import Call, Result, action
from eucabox.errors import NoSuchConfiguration, ReplicationConfigurationNotFound
from eucabox.s3 import access

NAMED = ("Analytics", "IntelligentTiering", "Inventory", "Metrics")


@action("s3", anonymous=True)
def get_bucket_replication(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> None:
    """Answer that a bucket has no replication."""
    _check(call, bucket, expected_bucket_owner)
    raise ReplicationConfigurationNotFound(bucket=bucket)


@action("s3", anonymous=True)
def delete_bucket_replication(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> None:
    """Do nothing: in S3 it is no error to delete a missing replication."""
    _check(call, bucket, expected_bucket_owner)


def _refuse_missing(call: Call, *, bucket: str, id: str, expected_bucket_owner: str = "") -> None:
    _check(call, bucket, expected_bucket_owner)
    raise NoSuchConfiguration(bucket=bucket, id=id)


def _list_none(
    call: Call, *, bucket: str, continuation_token: str = "", expected_bucket_owner: str = ""
) -> Result:
    _check(call, bucket, expected_bucket_owner)
    return {"is_truncated": False}


def _check(call: Call, bucket: str, expected: str) -> None:
    access.check(call, call.cloud.store.bucket(bucket), expected=expected)


for each in NAMED:
    action("s3", f"GetBucket{each}Configuration", anonymous=True)(_refuse_missing)
    action("s3", f"DeleteBucket{each}Configuration", anonymous=True)(_refuse_missing)
    action("s3", f"ListBucket{each}Configurations", anonymous=True)(_list_none)
