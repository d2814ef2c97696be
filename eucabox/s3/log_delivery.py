"""Where access logs go: may they, under which key, as which object; keeps no record itself."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from eucabox.errors import AccessDenied, CrossLocationLogging, InvalidTargetBucket
from eucabox.s3 import access, acl, encryption
from eucabox.store.keyring import Keyring
from eucabox.store.types import Bucket, Object, ObjectProperties

SERVICE = "logging.s3.amazonaws.com"
TYPE = "text/plain"
SAMPLE = "2006-03-01-00-00-00-0123456789ABCDEF"  # the end of a key, for policies that end in *


class LogStore(Protocol):
    """The store, as far as logs need it."""

    def bucket(self, name: str) -> Bucket:
        """Return a bucket; NoSuchBucket."""

    def put(
        self,
        bucket: str,
        key: str,
        stream: Any,
        facts: ObjectProperties,
        *,
        sealing: Any = None,
        check: Callable[[Bucket], object] | None = None,
    ) -> Object:
        """Put an object, encrypted if it says how, once its bucket was checked."""

    @property
    def keys(self) -> Keyring:
        """The keys that objects are encrypted with."""


def check(target: Bucket, prefix: str, source: Bucket, canonical_id: str) -> None:
    """Raise a Fault unless a bucket's logs may go to another one, and under a prefix there.

    `canonical_id` is that of the account that both belong to.
    """
    _check_owner(target, source)
    if target.location and source.location and target.location != source.location:
        here, there = source.location, target.location
        raise CrossLocationLogging(SourceBucketLocation=here, TargetBucketLocation=there)
    check_key(target, (prefix + SAMPLE, prefix), source, canonical_id)


def _check_owner(target: Bucket, source: Bucket) -> None:
    if target.owner != source.owner:
        reason = "The owner for the bucket to be logged and the target bucket must be the same."
        raise InvalidTargetBucket(bucket=target.name, reason=reason)


def check_key(target: Bucket, keys: Sequence[str], source: Bucket, canonical_id: str) -> None:
    """Raise AccessDenied unless the service may write one of some keys, by the bucket's policy or
    by its access list where no policy denies it."""
    arn = f"arn:aws:s3:::{source.name}"
    said = {
        access.judge_service(target, key, "s3:PutObject", SERVICE, _context(arn, account))
        for account in (source.owner, canonical_id)
        for key in keys
    }
    if "Allow" not in said and not (_by_list(target) and "Deny" not in said):
        raise AccessDenied(
            reason=f"The bucket {target.name} does not let logs be delivered: let its policy allow"
            f" the service {SERVICE} s3:PutObject, or its access list be log-delivery-write."
        )


def _context(arn: str, account: str) -> dict[str, str]:
    return {"aws:sourcearn": arn, "aws:sourceaccount": account}


def _by_list(target: Bucket) -> bool:
    if access.acls_disabled(target):
        return False
    given = {
        each["permission"]
        for each in acl.each_grant(target.acl)
        if each["grantee"].get("uri") == acl.LOG_DELIVERY
    }
    return "FULL_CONTROL" in given or given >= {"WRITE", "READ_ACP"}


def deliver(keeper: LogStore, said: Mapping[str, Any], stamp: str, lines: Sequence[str]) -> None:
    """Put the lines of a file into the bucket that its head names; Faults if that can't be."""
    target = keeper.bucket(said["target_bucket"])
    source = Bucket(said["source"], said["account"], target.created, location=target.location)
    canonical_id = said.get("canonical_id", "")
    facts = ObjectProperties(content_type=TYPE, owner=source.owner, acl=_list(said))
    # the one kind that logs can have on AWS
    sealing = keeper.keys.sse_s3() if encryption.SETTING in target.settings else None
    for day, records in _days(said, lines):
        content = "".join(f"{each}\n" for each in records).encode()
        key = key_of(said, stamp, day)

        def ask_again(now: Bucket, key: str = key) -> None:
            _check_owner(now, source)
            check_key(now, (key,), source, canonical_id)

        keeper.put(target.name, key, io.BytesIO(content), facts, sealing=sealing, check=ask_again)


def _list(said: Mapping[str, Any]) -> dict[str, Any] | None:
    given = said.get("target_grants")
    if not given:
        return None
    owner = {"type": "CanonicalUser", "id": said.get("canonical_id", "")}
    return {"grants": [*given, {"grantee": owner, "permission": "FULL_CONTROL"}]}


def _days(said: Mapping[str, Any], lines: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield (day, records): of each day where keys tell when it was, all with "" elsewhere."""
    by_day: dict[str, list[str]] = {}
    apart = _partitioned(said).get("partition_date_source") == "EventTime"
    for line in lines:
        day, _, record = line.partition(" ")
        by_day.setdefault(day if apart else "", []).append(record)
    yield from by_day.items()


def _partitioned(said: Mapping[str, Any]) -> Mapping[str, str]:
    form = said.get("target_object_key_format") or {}
    found: Mapping[str, str] = form.get("partitioned_prefix") or {}
    return found


def key_of(said: Mapping[str, Any], stamp: str, day: str = "") -> str:
    """Return the key of a log; `stamp` is YYYY-MM-DD-hh-mm-ss-UNIQUE, `day` that of the events."""
    prefix: str = said["target_prefix"]
    if "partitioned_prefix" not in (said.get("target_object_key_format") or {}):
        return prefix + stamp
    if day:
        stamp = f"{day}-00-00-00-{stamp.rpartition('-')[2]}"
    date = stamp[:10].replace("-", "/")
    return f"{prefix}{said['account']}/{said['region']}/{said['source']}/{date}/{stamp}"
