"""What happens to the versions of one key when it is written, hidden or thinned out; never locks.

The current object is always the file at its home. It gets a second name among the versions
before another takes its place, and a delete marker is there before it goes: a kill at any point
leaves a version twice, or a marker newer than the object, and `settle` removes that again.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from eucabox.store import attributes, key_files, version_files, version_ids
from eucabox.store.bucket_folder import BucketFolder
from eucabox.store.index import Index
from eucabox.store.paths import encode_key
from eucabox.store.temp_file import TempFile
from eucabox.store.types import Object, Version, moment, to_datetime
from eucabox.store.version_files import VersionFile

if TYPE_CHECKING:
    from eucabox.store.open_object import OpenObject

Opener = Callable[[BucketFolder, str, bytes, VersionFile], "OpenObject | None"]


class VersionChanges:
    """Changes what a key has, on the disk and in the index. The caller holds the key's lock and
    has its name in the journal; `current` is its object as it is, None if it has none."""

    def __init__(self, index: Index, open_version: Opener) -> None:
        self._index = index
        self._open_version = open_version

    def newest(self, room: BucketFolder, encoded: bytes) -> VersionFile | None:
        """Return what a key without object has newest, None if nothing is kept of it."""
        return next(iter(version_files.entries(room, encoded)), None)

    def assign_version_id(self, room: BucketFolder, encoded: bytes, found: Object) -> Object:
        """Return an object that came by hand with a stamp of its own, if its key has versions."""
        if found.version_key:
            return found
        kept = version_files.entries(room, encoded)
        if not kept:
            return found
        return replace(
            found, version_key=version_ids.make(moment(), null=False, after=kept[0].stamp)
        )

    def commit(
        self,
        room: BucketFolder,
        current: "OpenObject | None",
        draft: TempFile,
        new: Object,
        sidecar: bytes | None,
    ) -> tuple[Object, int]:
        """Make a draft the current object and keep the one before as a version, as far as the
        bucket keeps any; return it and its folder, to be flushed and closed."""
        encoded, null = encode_key(new.key), not room.keeps_versions
        kept = [] if current and not null else version_files.entries(room, encoded)
        newest = _newest(current, kept)
        if version_ids.is_null(new.version_key) != null or (newest and new.version_key >= newest):
            new, sidecar = _restamp(
                room, draft, new, version_ids.make(moment(), null=null, after=newest)
            )
        old = None
        if current and not (null and version_ids.is_null(current.object.version_key)):
            old = version_files.archive_current(room, encoded, current.object, current.fileno())
        folder = key_files.install_with_sidecar(
            room, encoded, draft, sidecar, keep_old=old is not None
        )
        self._index.add(new)
        if old:
            self._index.add_version(Version(old, is_latest=False, is_marker=False))
        if null:
            self._drop_nulls(room, new.key, kept)
        return new, folder

    def add_delete_marker(
        self, room: BucketFolder, key: str, current: "OpenObject | None", owner: str
    ) -> Object:
        """Put a delete marker before what a key has; return the marker. Without versioning the
        null version is lost for it."""
        encoded, null = encode_key(key), not room.keeps_versions
        kept = version_files.entries(room, encoded)
        marker = self._mark(room, key, owner, null=null, after=_newest(current, kept))
        if current and null and version_ids.is_null(current.object.version_key):
            self.remove_current(room, key)
        elif current:
            old = version_files.archive_current(room, encoded, current.object, current.fileno())
            self._index.add_version(Version(old, is_latest=False, is_marker=False))
            key_files.remove(room, encoded)
            self._index.drop(room.name, key)
        if null:
            self._drop_nulls(room, key, kept)
        return marker

    def _mark(self, room: BucketFolder, key: str, owner: str, *, null: bool, after: str) -> Object:
        now = moment()
        stamp = version_ids.make(now, null=null, after=after)
        marker = version_files.marker(room, key, stamp, owner, to_datetime(now))
        version_files.mark(room, encode_key(key), marker)
        self._index.add_version(marker)
        return marker.object

    def remove_current(self, room: BucketFolder, key: str) -> bool:
        """Remove the current object and nothing else; False if there was none."""
        encoded = encode_key(key)
        old = key_files.status_with_sidecar(room, encoded)
        found = key_files.remove(room, encoded)
        if old:
            key_files.remove_sidecar(room, encoded, old)
        self._index.drop(room.name, key)
        return found

    def delete_version(
        self, room: BucketFolder, key: str, current: "OpenObject | None", version_id: str
    ) -> bool:
        """Remove a version for good; the newest of the others becomes current where it was.
        Return whether it was a delete marker."""
        encoded = encode_key(key)
        kept = version_files.entries(room, encoded)
        if current and current.object.version_id == version_id:
            self._delete_current(room, key, current, kept)
            return False
        doomed = version_files.get_version(kept, version_id)
        if doomed is None:
            return False
        if current is None and doomed == kept[0] and kept[1:] and not kept[1].is_marker:
            self._promote(room, key, kept[1])
        self._remove(room, key, doomed)
        version_files.prune(room, encoded)
        return doomed.is_marker

    def _delete_current(
        self, room: BucketFolder, key: str, current: "OpenObject", kept: list[VersionFile]
    ) -> None:
        encoded = encode_key(key)
        if not kept or kept[0].is_marker:
            self.remove_current(room, key)
            return
        self._promote(room, key, kept[0])
        version_files.remove_sidecar(room, encoded, os.fstat(current.fileno()))
        version_files.prune(room, encoded)

    def _promote(self, room: BucketFolder, key: str, entry: VersionFile) -> None:
        encoded = encode_key(key)
        found = self._open_version(room, key, encoded, entry)
        version_files.restore_current(room, encoded, entry)
        self._index.drop_version(room.name, key, entry.stamp)
        if found:
            with found:
                self._index.add(found.object)

    def _drop_nulls(self, room: BucketFolder, key: str, kept: list[VersionFile]) -> None:
        for entry in kept:
            if version_ids.is_null(entry.stamp):
                self._remove(room, key, entry)
        version_files.prune(room, encode_key(key))

    def _remove(self, room: BucketFolder, key: str, entry: VersionFile) -> None:
        version_files.remove(room, encode_key(key), entry)
        self._index.drop_version(room.name, key, entry.stamp)

    def is_put_back(self, room: BucketFolder, current: Object) -> bool:
        """Tell whether somebody put an older version in the place of the current one by hand."""
        kept = version_files.entries(room, encode_key(current.key))
        stamp = version_files.with_version_id(current).version_key
        return any(each.stamp < stamp and not each.is_marker for each in kept)

    def repair(self, room: BucketFolder, key: str, current: Object | None) -> None:
        """Undo what a kill has left half done, and mark as deleted what was removed by hand."""
        kept = version_files.entries(room, encode_key(key))
        if current is None and not kept[0].is_marker:
            self._mark(room, key, room.bucket.owner, null=False, after=kept[0].stamp)
            self._index.drop(room.name, key)
        known = {current.version_id} if current else set()
        stamp = version_files.with_version_id(current).version_key if current else ""
        for entry in kept:
            if entry.version_id in known or entry.stamp < stamp:
                self._remove(room, key, entry)
            elif version_ids.is_null(entry.stamp):
                known.add(entry.version_id)
        version_files.prune(room, encode_key(key))


def _newest(current: "OpenObject | None", kept: list[VersionFile]) -> str:
    if current:
        return version_files.with_version_id(current.object).version_key
    return kept[0].stamp if kept else ""


def _restamp(
    room: BucketFolder, draft: TempFile, new: Object, stamp: str
) -> tuple[Object, bytes | None]:
    """Give a written draft another stamp; return it with its sidecar if it needs one."""
    new = replace(new, version_key=stamp)
    raw = attributes.encode(new)
    sidecar = None if attributes.write(draft.fd, raw) else raw
    room.flush.file(draft.fd)
    return new, sidecar
