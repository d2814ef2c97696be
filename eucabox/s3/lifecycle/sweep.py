"""One pass over one bucket: what its rules say is due is done, page by page; sets no clock."""

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


class _ChangedError(Exception):
    """What was listed is another object by now, no longer fits the rule, or is locked."""


class _OverError(Exception):
    """The bucket is another one by now, perhaps another account's, or its rules have changed."""


@dataclass(frozen=True)
class Seen:
    """A version among those of its key: `newer` noncurrent ones are newer than it, it is not
    current `since`; `alone` if the key has no other."""

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
        """Do what is due; what is due next time, or changes meanwhile, is left, and all the rest
        where the bucket or its rules do."""
        with contextlib.suppress(_OverError):
            for prefix in rules.prefixes(self._rules.each):
                for seen in self._seen(prefix):
                    if self._stopped():
                        return
                    self._carry_out(seen)
            self._abort_uploads()

    def _ask_again(self, *_: object) -> None:
        """Raise unless it is still the bucket, with the rules, that the pass began with; asked
        once nobody else can change what is at hand."""
        began, now = self._bucket, self._store.bucket(self._bucket.name)
        same = (began.owner, began.created) == (now.owner, now.created)
        if not same or now.settings.get(SETTING) != began.settings.get(SETTING):
            raise _OverError

    def _seen(self, prefix: str) -> Iterator[Seen]:
        """Yield the versions, by key and the newest first, each once its next older is known."""
        last: Seen | None = None
        for version in self._versions(prefix):
            if last and last.version.object.key == version.object.key:
                if version.object.version_key <= last.version.object.version_key:
                    continue  # the listing began the key once more, as its null version has gone
                yield replace(last, alone=False)
                since = last.version.object.last_modified
                newer = last.newer + (not last.version.is_latest)
                last = Seen(version, newer, since)
            else:
                if last:
                    yield last
                last = Seen(version, alone=True)
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

    def _carry_out(self, seen: Seen) -> None:
        try:
            with contextlib.suppress(_ChangedError, NoSuchKey, NoSuchVersion):
                if not seen.version.is_latest:
                    self._noncurrent(seen)
                elif seen.version.is_marker:
                    self._marker(seen)
                else:
                    self._current(seen.version.object)
        except NoSuchBucket:
            raise
        except Fault as fault:  # a full disk: the others go on
            self.counts["failed"] += 1
            where = f"{self._bucket.name}/{seen.version.object.key}"
            log.warning("the lifecycle leaves %s alone: %s", where, fault.message)

    def _is_due(self, when: When | None, begun: datetime) -> bool:
        return when is not None and when.due_time(begun, self._day) <= self._now

    # --- current versions --------------------------------------------------------------------

    def _current(self, found: Object) -> None:
        ends = [rule for rule in self._rules.each if self._is_due(rule.expiry, found.last_modified)]
        if not self._chosen(ends, found):
            self._move(found, lambda rule: rule.moves, found.last_modified, newer=0)
            return

        def still(now: Object | None) -> None:
            self._check(found, now, ends)

        self._store.delete(
            found.bucket, found.key, owner=self._bucket.owner, still=still, check=_check_free
        )
        self.counts["expired"] += 1

    def _chosen(self, some: list[LifecycleRule], found: Object) -> bool:
        """Tell whether one of some rules is about an object; tags are only in the object itself."""
        likely = [rule for rule in some if rule.may_match(found)]
        if not any(rule.tags for rule in likely):
            return bool(likely)
        try:
            whole = self._store.head(found.bucket, found.key, found.version_id)
        except (NoSuchKey, NoSuchVersion):
            return False
        return any(rule.matches(whole) for rule in likely)

    def _check(self, listed: Object, now: Object | None, some: list[LifecycleRule]) -> None:
        """Raise unless an object is the one that was listed, and one of the rules is about it."""
        self._ask_again()
        if now is None or _identity(now) != _identity(listed):
            raise _ChangedError
        if not any(rule.matches(now) for rule in some):
            raise _ChangedError

    def _marker(self, seen: Seen) -> None:
        marker = seen.version.object
        for rule in self._rules.each:
            aged = rule.markers or self._is_due(rule.expiry, marker.last_modified)
            if seen.alone and aged and not rule.chooses and rule.may_match(marker):
                version, still = marker.version_id, self._ask_again
                self._store.delete(marker.bucket, marker.key, version_id=version, still=still)
                self.counts["deleted"] += 1
                return

    # --- noncurrent versions -----------------------------------------------------------------

    def _noncurrent(self, seen: Seen) -> None:
        found, since = seen.version.object, seen.since
        assert since is not None

        def check(now: Object) -> None:
            self._check(found, now, ends)
            _check_free(now)

        ends = [rule for rule in self._rules.each if self._ends(rule.noncurrent, seen)]
        if seen.version.is_marker:
            self._noncurrent_marker(found, ends)
        elif self._chosen(ends, found):
            self._store.delete(
                found.bucket,
                found.key,
                version_id=found.version_id,
                check=check,
                still=lambda now: _check_hidden(found, now),
            )
            self.counts["deleted"] += 1
        else:
            self._move(found, lambda rule: rule.noncurrent_moves, since, seen.newer)

    def _noncurrent_marker(self, found: Object, ends: list[LifecycleRule]) -> None:
        if any(not rule.chooses and rule.may_match(found) for rule in ends):
            version, still = found.version_id, self._ask_again
            self._store.delete(found.bucket, found.key, version_id=version, still=still)
            self.counts["deleted"] += 1

    def _ends(self, end: Move | None, seen: Seen) -> bool:
        assert seen.since is not None
        return end is not None and seen.newer >= end.newer and self._is_due(end.when, seen.since)

    # --- classes -----------------------------------------------------------------------------

    def _move(
        self,
        found: Object,
        moves: Callable[[LifecycleRule], tuple[Move, ...]],
        since: datetime,
        newer: int,
    ) -> None:
        due = [
            (rule, move.storage_class)
            for rule in self._rules.each
            for move in moves(rule)
            if newer >= move.newer and self._is_due(move.when, since)
            if rule.may_match(found) and self._rules.may_move(rule, move, found)
        ]
        for rule, word in sorted(due, key=lambda each: rules.rank(each[1]), reverse=True):
            if self._chosen([rule], found):
                self._reclass(found, rule, word)
                return

    def _reclass(self, listed: Object, rule: LifecycleRule, word: str) -> None:
        self._store.change_object(
            listed.bucket,
            listed.key,
            lambda facts: replace(facts, storage_class=word),
            listed.version_id if listed.version_key else "",
            check=lambda now: self._check(listed, now, [rule]),
        )
        self.counts["moved"] += 1

    # --- uploads in progress -----------------------------------------------------------------

    def _abort_uploads(self) -> None:
        ends = [rule for rule in self._rules.each if rule.abort]
        for prefix in rules.prefixes(ends):
            for each in self._uploads(prefix):
                if self._stopped():
                    return
                mine = [rule for rule in ends if each.key.startswith(rule.prefix)]
                if any(self._is_due(rule.abort, each.initiated) for rule in mine):
                    with contextlib.suppress(NoSuchUpload):
                        self._ask_again()
                        self._store.abort_upload(each.bucket, each.key, each.upload_id)
                        self.counts["aborted"] += 1

    def _uploads(self, prefix: str) -> Iterator[Upload]:
        key, upload_id = "", ""
        while True:
            page = self._store.uploads(self._bucket.name, prefix, "", key, upload_id, PAGE)
            yield from page.uploads
            if not page.truncated or page.next_key is None:
                return
            key, upload_id = page.next_key, page.next_upload_id or ""


def _identity(found: Object) -> tuple[str, datetime, str]:
    return found.version_id, found.last_modified, found.e_tag


def _check_free(found: Object) -> None:
    if object_lock.is_locked(found.facts, datetime.now(UTC)):
        raise _ChangedError  # what is locked is lost for good by nobody


def _check_hidden(listed: Object, present: Object | None) -> None:
    if present and _identity(present) == _identity(listed):
        raise _ChangedError  # those that were newer are gone, and it is current again
