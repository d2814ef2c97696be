"""What happens to the versions of one key when it is written, hidden or thinned out; never locks.

The current object is always the file at its home. It gets a second name among the versions
before another takes its place, and a delete marker is there before it goes: a kill at any point
leaves a version twice, or a marker newer than the object, and `settle` removes that again.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from eucabox.store import attributes, place, stamps, versions
from eucabox.store.facts import Object, Version, moment, to_datetime
from eucabox.store.index import Index
from eucabox.store.paths import encode_key
from eucabox.store.room import Room
from eucabox.store.versions import Entry
from eucabox.store.writing import Draft

if TYPE_CHECKING:
    from eucabox.store.opened import OpenObject

Opener = Callable[[Room, str, bytes, Entry], "OpenObject | None"]


class History:
    """Changes what a key has, on the disk and in the index. The caller holds the key's lock and
    has its name in the journal; `current` is its object as it is, None if it has none."""

    def __init__(self, index: Index, open_version: Opener) -> None:
        self._index = index
        self._open_version = open_version

    def newest(self, room: Room, encoded: bytes) -> Entry | None:
        """Return what a key without object has newest, None if nothing is kept of it."""
        return next(iter(versions.entries(room, encoded)), None)

    def admit(self, room: Room, encoded: bytes, found: Object) -> Object:
        """Return an object that came by hand with a stamp of its own, if its key has versions."""
        if found.stamp:
            return found
        kept = versions.entries(room, encoded)
        if not kept:
            return found
        return replace(found, stamp=stamps.make(moment(), null=False, after=kept[0].stamp))

    def commit(
        self,
        room: Room,
        current: "OpenObject | None",
        draft: Draft,
        new: Object,
        sidecar: bytes | None,
    ) -> tuple[Object, int]:
        """Make a draft the current object and keep the one before as a version, as far as the
        bucket keeps any; return it and its folder, to be flushed and closed."""
        encoded, null = encode_key(new.key), not room.keeps_versions
        kept = [] if current and not null else versions.entries(room, encoded)
        newest = _newest(current, kept)
        if stamps.is_null(new.stamp) != null or (newest and new.stamp >= newest):
            new, sidecar = _restamp(
                room, draft, new, stamps.make(moment(), null=null, after=newest)
            )
        old = None
        if current and not (null and stamps.is_null(current.object.stamp)):
            old = versions.keep(room, encoded, current.object, current.fileno())
        folder = place.replace(room, encoded, draft, sidecar, keep_old=old is not None)
        self._index.add(new)
        if old:
            self._index.add_version(Version(old, is_latest=False, is_marker=False))
        if null:
            self._drop_nulls(room, new.key, kept)
        return new, folder

    def hide(self, room: Room, key: str, current: "OpenObject | None", owner: str) -> Object:
        """Put a delete marker before what a key has; return the marker. Without versioning the
        null version is lost for it."""
        encoded, null = encode_key(key), not room.keeps_versions
        kept = versions.entries(room, encoded)
        marker = self._mark(room, key, owner, null=null, after=_newest(current, kept))
        if current and null and stamps.is_null(current.object.stamp):
            self.take_away(room, key)
        elif current:
            old = versions.keep(room, encoded, current.object, current.fileno())
            self._index.add_version(Version(old, is_latest=False, is_marker=False))
            place.take_away(room, encoded)
            self._index.drop(room.name, key)
        if null:
            self._drop_nulls(room, key, kept)
        return marker

    def _mark(self, room: Room, key: str, owner: str, *, null: bool, after: str) -> Object:
        now = moment()
        stamp = stamps.make(now, null=null, after=after)
        marker = versions.marker(room, key, stamp, owner, to_datetime(now))
        versions.mark(room, encode_key(key), marker)
        self._index.add_version(marker)
        return marker.object

    def take_away(self, room: Room, key: str) -> bool:
        """Remove the current object and nothing else; False if there was none."""
        encoded = encode_key(key)
        old = place.status_with_sidecar(room, encoded)
        found = place.take_away(room, encoded)
        if old:
            place.remove_sidecar(room, encoded, old)
        self._index.drop(room.name, key)
        return found

    def delete_version(
        self, room: Room, key: str, current: "OpenObject | None", version_id: str
    ) -> bool:
        """Remove a version for good; the newest of the others becomes current where it was.
        Return whether it was a delete marker."""
        encoded = encode_key(key)
        kept = versions.entries(room, encoded)
        if current and current.object.version_id == version_id:
            self._delete_current(room, key, current, kept)
            return False
        doomed = versions.named(kept, version_id)
        if doomed is None:
            return False
        if current is None and doomed == kept[0] and kept[1:] and not kept[1].is_marker:
            self._promote(room, key, kept[1])
        self._remove(room, key, doomed)
        versions.prune(room, encoded)
        return doomed.is_marker

    def _delete_current(
        self, room: Room, key: str, current: "OpenObject", kept: list[Entry]
    ) -> None:
        encoded = encode_key(key)
        if not kept or kept[0].is_marker:
            self.take_away(room, key)
            return
        self._promote(room, key, kept[0])
        versions.remove_sidecar(room, encoded, os.fstat(current.fileno()))
        versions.prune(room, encoded)

    def _promote(self, room: Room, key: str, entry: Entry) -> None:
        encoded = encode_key(key)
        found = self._open_version(room, key, encoded, entry)
        versions.promote(room, encoded, entry)
        self._index.drop_version(room.name, key, entry.stamp)
        if found:
            with found:
                self._index.add(found.object)

    def _drop_nulls(self, room: Room, key: str, kept: list[Entry]) -> None:
        for entry in kept:
            if stamps.is_null(entry.stamp):
                self._remove(room, key, entry)
        versions.prune(room, encode_key(key))

    def _remove(self, room: Room, key: str, entry: Entry) -> None:
        versions.remove(room, encode_key(key), entry)
        self._index.drop_version(room.name, key, entry.stamp)

    def is_put_back(self, room: Room, current: Object) -> bool:
        """Tell whether somebody put an older version in the place of the current one by hand."""
        kept = versions.entries(room, encode_key(current.key))
        stamp = versions.stamped(current).stamp
        return any(each.stamp < stamp and not each.is_marker for each in kept)

    def settle(self, room: Room, key: str, current: Object | None) -> None:
        """Undo what a kill has left half done, and mark as deleted what was removed by hand."""
        kept = versions.entries(room, encode_key(key))
        if current is None and not kept[0].is_marker:
            self._mark(room, key, room.bucket.owner, null=False, after=kept[0].stamp)
            self._index.drop(room.name, key)
        known = {current.version_id} if current else set()
        stamp = versions.stamped(current).stamp if current else ""
        for entry in kept:
            if entry.version_id in known or entry.stamp < stamp:
                self._remove(room, key, entry)
            elif stamps.is_null(entry.stamp):
                known.add(entry.version_id)
        versions.prune(room, encode_key(key))


def _newest(current: "OpenObject | None", kept: list[Entry]) -> str:
    if current:
        return versions.stamped(current.object).stamp
    return kept[0].stamp if kept else ""


def _restamp(room: Room, draft: Draft, new: Object, stamp: str) -> tuple[Object, bytes | None]:
    """Give a written draft another stamp; return it with its sidecar if it needs one."""
    new = replace(new, stamp=stamp)
    raw = attributes.encode(new)
    sidecar = None if attributes.write(draft.fd, raw) else raw
    room.flush.file(draft.fd)
    return new, sidecar
