"""One pass over a bucket, page by page: carries out what its lifecycle rules say is due."""

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from eucabox.errors import Fault, NoSuchBucket, NoSuchKey, NoSuchUpload, NoSuchVersion
from eucabox.s3 import object_lock
from eucabox.s3.lifecycle import rules
from eucabox.s3.lifecycle.configuration import SETTING
from eucabox.s3.lifecycle.rules import LifecycleRule, Move, When
from eucabox.store.types import Bucket, Object, Upload, Version

if TYPE_CHECKING:
    from eucabox.bucket import Store

log = logging.getLogger("eucabox.lifecycle")
PAGE = 1000


class _ObjectChangedError(Exception):
    """The object was replaced since it was listed, no longer matches the rule, or is locked."""


class _BucketChangedError(Exception):
    """The bucket was deleted and made again, perhaps by another account, or has other rules."""


@dataclass(frozen=True)
class ListedVersion:
    """A version or delete marker of a key, and what the rules ask of it.

    `newer` counts the noncurrent versions that are newer; `since` is when it became noncurrent,
    None if it is current; `alone` is true if the key has no other version.
    """

    version: Version
    newer: int = 0
    since: datetime | None = None
    alone: bool = False


class Sweep:
    """Carries out a bucket's rules as of `now` (s since 1970); `counts` say what was done."""

    def __init__(
        self, store: "Store", bucket: Bucket, now: int, day: int, stopped: Callable[[], bool]
    ) -> None:
        self._store, self._bucket, self._now, self._day = store, bucket, now, day
        self._rules = rules.rules_for(bucket)
        self._stopped = stopped
        self.counts: Counter[str] = Counter(expired=0, deleted=0, moved=0, aborted=0, failed=0)

    def run(self) -> None:
        """Carry out what is due. An object that changes meanwhile is left for the next pass; the
        pass ends if the bucket or its rules change."""
        with contextlib.suppress(_BucketChangedError):
            for prefix in rules.prefixes(self._rules.rules):
                for entry in self._list_with_age(prefix):
                    if self._stopped():
                        return
                    self._carry_out(entry)
            self._abort_uploads()

    def _check_bucket(self, *_: object) -> None:
        """Raise unless bucket and rules are those that the pass began with. The store calls this
        while it holds the lock of the key that is about to change."""
        began, now = self._bucket, self._store.bucket(self._bucket.name)
        same = (began.owner, began.created) == (now.owner, now.created)
        if not same or now.settings.get(SETTING) != began.settings.get(SETTING):
            raise _BucketChangedError

    def _list_with_age(self, prefix: str) -> Iterator[ListedVersion]:
        """Yield the versions by key, the newest first. Each waits for the next one, which tells
        whether it is alone."""
        last: ListedVersion | None = None
        for version in self._versions(prefix):
            if last and last.version.object.key == version.object.key:
                if version.object.version_key <= last.version.object.version_key:
                    continue  # its null version was deleted, so the listing began the key again
                yield replace(last, alone=False)
                since = last.version.object.last_modified
                newer = last.newer + (not last.version.is_latest)
                last = ListedVersion(version, newer, since)
            else:
                if last:
                    yield last
                last = ListedVersion(version, alone=True)
        if last:
            yield last

    def _versions(self, prefix: str) -> Iterator[Version]:
        key, version_id = "", ""
        while True:
            page = self._store.versions(
                self._bucket.name, prefix, key_marker=key, version_id_marker=version_id, limit=PAGE
            )
            yield from page.versions
            if not page.truncated or page.next_key is None:
                return
            key, version_id = page.next_key, page.next_version_id or ""

    def _carry_out(self, entry: ListedVersion) -> None:
        try:
            with contextlib.suppress(_ObjectChangedError, NoSuchKey, NoSuchVersion):
                if not entry.version.is_latest:
                    self._expire_noncurrent(entry)
                elif entry.version.is_marker:
                    self._expire_marker(entry)
                else:
                    self._expire_current(entry.version.object)
        except NoSuchBucket:
            raise
        except Fault as fault:  # such as a full disk: go on with the others
            self.counts["failed"] += 1
            where = f"{self._bucket.name}/{entry.version.object.key}"
            log.warning("the lifecycle leaves %s alone: %s", where, fault.message)

    def _is_due(self, when: When | None, start: datetime) -> bool:
        return when is not None and when.due_time(start, self._day) <= self._now

    # --- current versions --------------------------------------------------------------------

    def _expire_current(self, listed: Object) -> None:
        ends = [
            rule for rule in self._rules.rules if self._is_due(rule.expiry, listed.last_modified)
        ]
        if not self._any_matches(ends, listed):
            self._change_class(listed, lambda rule: rule.moves, listed.last_modified, newer=0)
            return

        def check_current(now: Object | None) -> None:
            self._check_unchanged(listed, now, ends)

        self._store.delete(
            listed.bucket,
            listed.key,
            owner=self._bucket.owner,
            check_current=check_current,
            check=_check_not_locked,
        )
        self.counts["expired"] += 1

    def _any_matches(self, candidates: list[LifecycleRule], listed: Object) -> bool:
        """Tell whether a rule matches an object. Tags are not in the listing: if a rule asks for
        them, the object is read."""
        likely = [rule for rule in candidates if rule.may_match(listed)]
        if not any(rule.tags for rule in likely):
            return bool(likely)
        try:
            obj = self._store.head(listed.bucket, listed.key, listed.version_id)
        except (NoSuchKey, NoSuchVersion):
            return False
        return any(rule.matches(obj) for rule in likely)

    def _check_unchanged(
        self, listed: Object, now: Object | None, candidates: list[LifecycleRule]
    ) -> None:
        """Raise unless an object is the one that was listed and still matches one of the rules."""
        self._check_bucket()
        if now is None or _identity(now) != _identity(listed):
            raise _ObjectChangedError
        if not any(rule.matches(now) for rule in candidates):
            raise _ObjectChangedError

    def _expire_marker(self, entry: ListedVersion) -> None:
        marker = entry.version.object
        for rule in self._rules.rules:
            aged = rule.markers or self._is_due(rule.expiry, marker.last_modified)
            if entry.alone and aged and not rule.has_filter and rule.may_match(marker):
                self._delete_marker(marker)
                return

    # --- noncurrent versions -----------------------------------------------------------------

    def _expire_noncurrent(self, entry: ListedVersion) -> None:
        listed, since = entry.version.object, entry.since
        assert since is not None

        def check(now: Object) -> None:
            self._check_unchanged(listed, now, ends)
            _check_not_locked(now)

        ends = [
            rule
            for rule in self._rules.rules
            if rule.noncurrent and entry.newer >= rule.noncurrent.newer
            if self._is_due(rule.noncurrent.when, since)
        ]
        if entry.version.is_marker:
            if any(not rule.has_filter and rule.may_match(listed) for rule in ends):
                self._delete_marker(listed)
        elif self._any_matches(ends, listed):
            self._store.delete(
                listed.bucket,
                listed.key,
                version_id=listed.version_id,
                check=check,
                check_current=lambda now: _check_noncurrent(listed, now),
            )
            self.counts["deleted"] += 1
        else:
            self._change_class(listed, lambda rule: rule.noncurrent_moves, since, entry.newer)

    def _delete_marker(self, marker: Object) -> None:
        self._store.delete(
            marker.bucket,
            marker.key,
            version_id=marker.version_id,
            check_current=self._check_bucket,
        )
        self.counts["deleted"] += 1

    # --- classes -----------------------------------------------------------------------------

    def _change_class(
        self,
        listed: Object,
        moves: Callable[[LifecycleRule], tuple[Move, ...]],
        since: datetime,
        newer: int,
    ) -> None:
        due = [
            (rule, move.storage_class)
            for rule in self._rules.rules
            for move in moves(rule)
            if newer >= move.newer and self._is_due(move.when, since)
            if rule.may_match(listed) and self._rules.may_move(rule, move, listed)
        ]
        for rule, storage_class in sorted(due, key=lambda each: rules.rank(each[1]), reverse=True):
            if self._any_matches([rule], listed):
                self._set_class(listed, rule, storage_class)
                return

    def _set_class(self, listed: Object, rule: LifecycleRule, storage_class: str) -> None:
        self._store.change_object(
            listed.bucket,
            listed.key,
            lambda properties: replace(properties, storage_class=storage_class),
            listed.version_id if listed.version_key else "",
            check=lambda now: self._check_unchanged(listed, now, [rule]),
        )
        self.counts["moved"] += 1

    # --- uploads in progress -----------------------------------------------------------------

    def _abort_uploads(self) -> None:
        ends = [rule for rule in self._rules.rules if rule.abort]
        for prefix in rules.prefixes(ends):
            for upload in self._uploads(prefix):
                if self._stopped():
                    return
                matching = [rule for rule in ends if upload.key.startswith(rule.prefix)]
                if any(self._is_due(rule.abort, upload.initiated) for rule in matching):
                    with contextlib.suppress(NoSuchUpload):
                        self._check_bucket()
                        self._store.abort_upload(upload.bucket, upload.key, upload.upload_id)
                        self.counts["aborted"] += 1

    def _uploads(self, prefix: str) -> Iterator[Upload]:
        key, upload_id = "", ""
        while True:
            page = self._store.uploads(self._bucket.name, prefix, "", key, upload_id, PAGE)
            yield from page.uploads
            if not page.truncated or page.next_key is None:
                return
            key, upload_id = page.next_key, page.next_upload_id or ""


def _identity(obj: Object) -> tuple[str, datetime, str]:
    return obj.version_id, obj.last_modified, obj.e_tag


def _check_not_locked(obj: Object) -> None:
    if object_lock.is_locked(obj.properties, datetime.now(UTC)):
        raise _ObjectChangedError  # object lock outranks every lifecycle rule


def _check_noncurrent(listed: Object, present: Object | None) -> None:
    if present and _identity(present) == _identity(listed):
        raise _ObjectChangedError  # newer versions were deleted, so it is current again
