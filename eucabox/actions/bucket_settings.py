"""What a bucket could be set to elsewhere: told truthfully as not set, and settable by nobody."""

from collections.abc import Callable

from eucabox.actions import Call, Result, action
from eucabox.errors import (
    Fault,
    NoSuchConfiguration,
    ReplicationConfigurationNotFound,
)
from eucabox.store import access

Verb = Callable[..., Result | None]

ABSENT: dict[str, type[Fault]] = {
    "GetBucketReplication": ReplicationConfigurationNotFound,
}
NAMED = ("Analytics", "IntelligentTiering", "Inventory", "Metrics")
VERBS = ("Get", "Delete")
PLAIN: dict[str, Result] = {
    **{f"ListBucket{each}Configurations": {"is_truncated": False} for each in NAMED},
}
# S3 answers the removal of what is not there like any other
REMOVALS = ("DeleteBucketReplication",)


def _absent(fault: type[Fault]) -> Verb:
    def get(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> None:
        _check(call, bucket, expected_bucket_owner)
        raise fault(bucket=bucket)

    return get


def _no_such(call: Call, *, bucket: str, id: str, expected_bucket_owner: str = "") -> None:
    _check(call, bucket, expected_bucket_owner)
    raise NoSuchConfiguration(bucket=bucket, id=id)


def _plain(result: Result) -> Verb:
    def get(
        call: Call, *, bucket: str, continuation_token: str = "", expected_bucket_owner: str = ""
    ) -> Result:
        _check(call, bucket, expected_bucket_owner)
        return dict(result)

    return get


def _removed(call: Call, *, bucket: str, expected_bucket_owner: str = "") -> None:
    _check(call, bucket, expected_bucket_owner)


def _check(call: Call, bucket: str, expected: str) -> None:
    access.check(call, call.cloud.bucket.bucket(bucket), expected=expected)


def _register() -> None:
    table: dict[str, Verb] = {
        **{name: _absent(fault) for name, fault in ABSENT.items()},
        **{name: _plain(result) for name, result in PLAIN.items()},
        **{f"{verb}Bucket{each}Configuration": _no_such for each in NAMED for verb in VERBS},
        **dict.fromkeys(REMOVALS, _removed),
    }
    ignored = ("request_payer", "content_md5", "checksum_algorithm")
    for name, function in table.items():
        action("s3", name, anonymous=True, ignored=ignored)(function)


_register()
