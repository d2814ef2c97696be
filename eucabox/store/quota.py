"""Limits on bytes and buckets, as the administrator set them; counts rarely, and stores nothing."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from eucabox.errors import ObjectTooLarge, QuotaExceeded, TooManyBuckets
from eucabox.store.temp_file import BodyStream
from eucabox.store.types import Bucket

MIB = 1 << 20
SECONDS = 1.0  # for which a count is valid if nothing changes


class Limits(Protocol):
    """The limits, 0 for none; in MiB, but for `buckets`."""

    @property
    def buckets(self) -> int:
        """The number of buckets of an account."""

    @property
    def object_mb(self) -> int:
        """The limit of one object."""

    @property
    def bucket_mb(self) -> int:
        """The limit of a bucket: objects, older versions, parts of uploads."""

    @property
    def account_mb(self) -> int:
        """The limit of all buckets of an account."""


class Quota:
    """Admits bytes into buckets up to their limits, by a count that is made when it is needed.

    Bytes admitted since the last count are added to it; deleted ones are not subtracted. So before
    a write is refused everything is counted again, unless nothing has changed for a moment.
    """

    def __init__(
        self,
        count: Callable[[], Mapping[str, int]],
        buckets: Callable[[str], list[Bucket]],
    ) -> None:
        """`count` returns the bytes in each bucket, `buckets` an account's buckets."""
        self.bounds_bytes = False  # whether there is a limit on bytes at all
        self.own_limits: Mapping[str, Limits] = {}  # of accounts that have their own, by their ids
        self._limits: Limits | None = None
        self._count = count
        self._buckets = buckets
        self._lock = threading.Lock()
        self._bytes: dict[str, int] = {}
        self._counted = float("-inf")
        self._stale = False

    @property
    def limits(self) -> Limits | None:
        """The limits in force, of accounts that have none of their own; to be set after those."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._limits = limits
        self.bounds_bytes = self._has_byte_limits or self.bounds_objects

    @property
    def _has_byte_limits(self) -> bool:
        every = [self._limits, *self.own_limits.values()]
        return any(each and (each.bucket_mb or each.account_mb) for each in every)

    def _limits_of(self, owner: str) -> Limits | None:
        return self.own_limits.get(owner, self._limits)

    @property
    def bounds_objects(self) -> bool:
        """True if the size of an object is limited."""
        return self.limits is not None and self.limits.object_mb > 0

    def check_buckets(self, owner: str) -> None:
        """Raise TooManyBuckets if an account may not have another bucket."""
        limits = self._limits_of(owner)
        most = limits.buckets if limits else 0
        if most and (used := len(self._buckets(owner))) >= most:
            raise TooManyBuckets(used=used, most=most)

    def check_object(self, size: int) -> None:
        """Raise ObjectTooLarge (EntityTooLarge) if no object may be so large."""
        most = self.limits.object_mb if self.limits else 0
        if most and size > most * MIB:
            raise ObjectTooLarge(most=most, setting="[limits] object_mb")

    def reserve(self, bucket: Bucket, size: int, freed: Callable[[], int] = lambda: 0) -> None:
        """Admit bytes into a bucket, or raise QuotaExceeded or ObjectTooLarge; `freed` returns how
        many bytes the write will free."""
        self.check_object(size)
        if not self._has_byte_limits:
            return
        with self._lock:
            if self._full(bucket, size):
                if self._stale or time.monotonic() - self._counted > SECONDS:
                    self._stale = False
                    self._bytes = dict(self._count())
                    self._counted = time.monotonic()
                size -= freed()
                if full := self._full(bucket, size):
                    raise full
            self._bytes[bucket.name] = self._bytes.get(bucket.name, 0) + size
            self._stale = self._stale or size > 0

    def mark_stale(self) -> None:
        """Note that something is deleted, so that the next refusal counts again."""
        self._stale = True

    def limit_stream(self, bucket: Bucket, stream: BodyStream) -> BodyStream:
        """Return a stream that admits a body of unknown length piece by piece."""
        bound = self._has_byte_limits or self.bounds_objects
        return _LimitedStream(self, bucket, stream) if bound else stream

    def _full(self, bucket: Bucket, more: int) -> QuotaExceeded | None:
        limits = self._limits_of(bucket.owner)
        if limits is None or self._counted < 0:
            return QuotaExceeded(what="", most=0, setting="")  # not counted yet
        most = limits.bucket_mb
        if most and self._bytes.get(bucket.name, 0) + more > most * MIB:
            what = f"The bucket {bucket.name}"
            return QuotaExceeded(
                what=what, most=most, setting=self._describe(bucket.owner, "bucket_mb")
            )
        most = limits.account_mb
        if most and self._account_bytes(bucket.owner) + more > most * MIB:
            what = f"The account {bucket.owner}"
            return QuotaExceeded(
                what=what, most=most, setting=self._describe(bucket.owner, "account_mb")
            )
        return None

    def _describe(self, owner: str, key: str) -> str:
        return "the account's policy" if owner in self.own_limits else f"[limits] {key}"

    def _account_bytes(self, owner: str) -> int:
        return sum(self._bytes.get(each.name, 0) for each in self._buckets(owner))


class _LimitedStream:
    def __init__(self, quota: Quota, bucket: Bucket, stream: BodyStream) -> None:
        self._quota = quota
        self._bucket = bucket
        self._stream = stream
        self._read = 0

    def read(self, size: int, /) -> bytes:
        piece = self._stream.read(size)
        self._read += len(piece)
        self._quota.check_object(self._read)
        self._quota.reserve(self._bucket, len(piece))
        return piece
