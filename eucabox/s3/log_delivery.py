"""Delivers access logs: checks that the target bucket allows it, names the keys, puts the
objects."""

import io
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypedDict

from eucabox.errors import AccessDenied, CrossLocationLogging, InvalidTargetBucket
from eucabox.s3 import access, acl, encryption
from eucabox.store.keyring import EncryptionKeySpec, Keyring
from eucabox.store.temp_file import ANY_BODY, BodyStream, ExpectedBody
from eucabox.store.types import Acl, Bucket, Grant, Grantee, Object, ObjectProperties

SERVICE = "logging.s3.amazonaws.com"
TYPE = "text/plain"
SAMPLE = "2006-03-01-00-00-00-0123456789ABCDEF"  # end of a key, for policies with a *


class LogHead(TypedDict, total=False):
    """The first line of a log file: the bucket that is logged, and where its records go."""

    source: str
    account: str
    region: str
    canonical_id: str
    target_bucket: str
    target_prefix: str
    target_grants: list[Grant]
    target_object_key_format: dict[str, dict[str, str]]


class LogStore(Protocol):
    """The part of the store that log delivery needs."""

    def bucket(self, name: str) -> Bucket:
        """Return a bucket; NoSuchBucket."""

    def put(
        self,
        bucket: str,
        key: str,
        stream: BodyStream,
        properties: ObjectProperties,
        expected: ExpectedBody = ANY_BODY,
        *,
        encryption: EncryptionKeySpec | None = None,
        check: Callable[[Bucket], object] | None = None,
    ) -> Object:
        """Put an object, encrypted by `encryption` if given, after `check` has seen its bucket."""

    @property
    def keys(self) -> Keyring:
        """The keys that objects are encrypted with."""


def check(target: Bucket, prefix: str, source: Bucket, canonical_id: str) -> None:
    """Raise a Fault unless a bucket's logs may be delivered to `target` under a prefix.

    `canonical_id` is that of the account that both buckets belong to.
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
    """Raise AccessDenied unless the logging service may write one of some keys: by the bucket's
    policy, or by its ACL where no policy denies it."""
    arn = f"arn:aws:s3:::{source.name}"
    verdicts = {
        access.judge_service(
            target,
            key,
            "s3:PutObject",
            SERVICE,
            {"aws:sourcearn": arn, "aws:sourceaccount": account},
        )
        for account in (source.owner, canonical_id)
        for key in keys
    }
    if "Allow" not in verdicts and not (_acl_allows(target) and "Deny" not in verdicts):
        raise AccessDenied(
            reason=f"The bucket {target.name} does not let logs be delivered: let its policy allow"
            f" the service {SERVICE} s3:PutObject, or its access list be log-delivery-write."
        )


def _acl_allows(target: Bucket) -> bool:
    if access.acls_disabled(target):
        return False
    permissions = {
        grant["permission"]
        for grant in acl.each_grant(target.acl)
        if grant["grantee"].get("uri") == acl.LOG_DELIVERY
    }
    return "FULL_CONTROL" in permissions or permissions >= {"WRITE", "READ_ACP"}


def deliver(store: LogStore, head: LogHead, moment: str, lines: Sequence[str]) -> None:
    """Put the lines of a log file into the bucket that its first line `head` names; raises
    Faults."""
    target = store.bucket(head["target_bucket"])
    source = Bucket(head["source"], head["account"], target.created, location=target.location)
    canonical_id = head.get("canonical_id", "")
    properties = ObjectProperties(content_type=TYPE, owner=source.owner, acl=_acl(head))
    # the only encryption of access logs at AWS
    key_spec = store.keys.sse_s3() if encryption.SETTING in target.settings else None
    for day, records in _group_by_day(head, lines):
        content = "".join(f"{record}\n" for record in records).encode()
        key = key_of(head, moment, day)

        def check_again(now: Bucket, key: str = key) -> None:
            _check_owner(now, source)
            check_key(now, (key,), source, canonical_id)

        store.put(
            target.name,
            key,
            io.BytesIO(content),
            properties,
            encryption=key_spec,
            check=check_again,
        )


def _acl(head: LogHead) -> Acl | None:
    grants = head.get("target_grants")
    if not grants:
        return None
    owner: Grantee = {"type": "CanonicalUser", "id": head.get("canonical_id", "")}
    return {"grants": [*grants, {"grantee": owner, "permission": "FULL_CONTROL"}]}


def _group_by_day(head: LogHead, lines: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield (day, records): one pair a day if keys are made by event time, else all with day ""."""
    by_day: dict[str, list[str]] = {}
    partitioned = (head.get("target_object_key_format") or {}).get("partitioned_prefix") or {}
    by_event_time = partitioned.get("partition_date_source") == "EventTime"
    for line in lines:
        day, _, record = line.partition(" ")
        by_day.setdefault(day if by_event_time else "", []).append(record)
    yield from by_day.items()


def key_of(head: LogHead, moment: str, day: str = "") -> str:
    """Return the key of a log object; `moment` is YYYY-MM-DD-hh-mm-ss-UNIQUE, `day` that of the
    events."""
    prefix: str = head["target_prefix"]
    if "partitioned_prefix" not in (head.get("target_object_key_format") or {}):
        return prefix + moment
    if day:
        moment = f"{day}-00-00-00-{moment.rpartition('-')[2]}"
    date = moment[:10].replace("-", "/")
    return f"{prefix}{head['account']}/{head['region']}/{head['source']}/{date}/{moment}"
