"""Changes to the versions of one key when it is written, deleted or restored; takes no lock.

The current object is always the file in the place of its key. It gets a second name among the
versions before another file replaces it, and a delete marker is written before it is removed. So a
kill at any point leaves a version twice, or a marker newer than the object, and `repair` removes
that again.
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
from eucabox.store.types import Object, Version, to_datetime, unique_time
from eucabox.store.version_files import VersionFile

if TYPE_CHECKING:
    from eucabox.store.open_object import OpenObject

Opener = Callable[[BucketFolder, str, bytes, VersionFile], "OpenObject | None"]


class VersionChanges:
    """Changes the versions of a key, on the disk and in the index.

    The caller holds the key's lock and has its name in the journal; `current` is the key's object,
    None if it has none.
    """

    def __init__(self, index: Index, open_version: Opener) -> None:
        self._index = index
        self._open_version = open_version

    def newest(self, folder: BucketFolder, encoded: bytes) -> VersionFile | None:
        """Return the newest version or delete marker of a key that has no current object, or
        None."""
        return next(iter(version_files.list_entries(folder, encoded)), None)

    def assign_version_id(self, folder: BucketFolder, encoded: bytes, obj: Object) -> Object:
        """Return an object that was copied in by hand, with a new version key if its key has
        versions."""
        if obj.version_key:
            return obj
        older = version_files.list_entries(folder, encoded)
        if not older:
            return obj
        return replace(
            obj, version_key=version_ids.make(unique_time(), null=False, after=older[0].version_key)
        )

    def commit(
        self,
        folder: BucketFolder,
        current: "OpenObject | None",
        temp_file: TempFile,
        new: Object,
        sidecar: bytes | None,
    ) -> tuple[Object, int]:
        """Make a written file the current object and, if the bucket keeps versions, the one before
        a version. Return the new object and its folder, which the caller flushes and closes."""
        encoded, null = encode_key(new.key), not folder.keeps_versions
        older = [] if current and not null else version_files.list_entries(folder, encoded)
        newest = _newest(current, older)
        if version_ids.is_null(new.version_key) != null or (newest and new.version_key >= newest):
            new, sidecar = _rewrite_version_key(
                folder, temp_file, new, version_ids.make(unique_time(), null=null, after=newest)
            )
        old = None
        if current and not (null and version_ids.is_null(current.object.version_key)):
            old = version_files.archive_current(folder, encoded, current.object, current.fileno())
        dir_fd = key_files.install_with_sidecar(
            folder, encoded, temp_file, sidecar, keep_old=old is not None
        )
        self._index.add(new)
        if old:
            self._index.add_version(Version(old, is_latest=False, is_marker=False))
        if null:
            self._drop_null_versions(folder, new.key, older)
        return new, dir_fd

    def add_delete_marker(
        self, folder: BucketFolder, key: str, current: "OpenObject | None", owner: str
    ) -> Object:
        """Write a delete marker that becomes the newest version; return it. With versioning
        suspended it replaces the null version."""
        encoded, null = encode_key(key), not folder.keeps_versions
        older = version_files.list_entries(folder, encoded)
        marker = self._write_marker(folder, key, owner, null=null, after=_newest(current, older))
        if current and null and version_ids.is_null(current.object.version_key):
            self.remove_current(folder, key)
        elif current:
            old = version_files.archive_current(folder, encoded, current.object, current.fileno())
            self._index.add_version(Version(old, is_latest=False, is_marker=False))
            key_files.remove(folder, encoded)
            self._index.drop(folder.name, key)
        if null:
            self._drop_null_versions(folder, key, older)
        return marker

    def _write_marker(
        self, folder: BucketFolder, key: str, owner: str, *, null: bool, after: str
    ) -> Object:
        now = unique_time()
        version_key = version_ids.make(now, null=null, after=after)
        marker = version_files.make_marker(folder, key, version_key, owner, to_datetime(now))
        version_files.write_marker(folder, encode_key(key), marker)
        self._index.add_version(marker)
        return marker.object

    def remove_current(self, folder: BucketFolder, key: str) -> bool:
        """Remove the current object and nothing else; False if there was none."""
        encoded = encode_key(key)
        old = key_files.status_with_sidecar(folder, encoded)
        removed = key_files.remove(folder, encoded)
        if old:
            key_files.remove_sidecar(folder, encoded, old)
        self._index.drop(folder.name, key)
        return removed

    def give_way(self, folder: BucketFolder, key: str) -> None:
        """Remove the current object for good; the version before it becomes current."""
        self.remove_current(folder, key)
        older = version_files.list_entries(folder, encode_key(key)) if folder.versioned else []
        if older and not older[0].is_marker:
            self._promote(folder, key, older[0])
            version_files.prune(folder, encode_key(key))

    def delete_version(
        self, folder: BucketFolder, key: str, current: "OpenObject | None", version_id: str
    ) -> bool:
        """Delete a version for good; if it was the newest, the next one becomes current. Return
        whether it was a delete marker."""
        encoded = encode_key(key)
        older = version_files.list_entries(folder, encoded)
        if current and current.object.version_id == version_id:
            self._delete_current(folder, key, current, older)
            return False
        entry = version_files.get_version(older, version_id)
        if entry is None:
            return False
        if current is None and entry == older[0] and older[1:] and not older[1].is_marker:
            self._promote(folder, key, older[1])
        self._remove(folder, key, entry)
        version_files.prune(folder, encoded)
        return entry.is_marker

    def _delete_current(
        self, folder: BucketFolder, key: str, current: "OpenObject", older: list[VersionFile]
    ) -> None:
        encoded = encode_key(key)
        if not older or older[0].is_marker:
            self.remove_current(folder, key)
            return
        self._promote(folder, key, older[0])
        version_files.remove_sidecar(folder, encoded, os.fstat(current.fileno()))
        version_files.prune(folder, encoded)

    def _promote(self, folder: BucketFolder, key: str, entry: VersionFile) -> None:
        encoded = encode_key(key)
        opened = self._open_version(folder, key, encoded, entry)
        version_files.restore_current(folder, encoded, entry)
        self._index.drop_version(folder.name, key, entry.version_key)
        if opened:
            with opened:
                self._index.add(opened.object)

    def _drop_null_versions(self, folder: BucketFolder, key: str, older: list[VersionFile]) -> None:
        for entry in older:
            if version_ids.is_null(entry.version_key):
                self._remove(folder, key, entry)
        version_files.prune(folder, encode_key(key))

    def _remove(self, folder: BucketFolder, key: str, entry: VersionFile) -> None:
        version_files.remove(folder, encode_key(key), entry)
        self._index.drop_version(folder.name, key, entry.version_key)

    def is_put_back(self, folder: BucketFolder, current: Object) -> bool:
        """Return whether an older version was copied by hand over the current one."""
        older = version_files.list_entries(folder, encode_key(current.key))
        version_key = version_files.with_version_id(current).version_key
        return any(each.version_key < version_key and not each.is_marker for each in older)

    def repair(self, folder: BucketFolder, key: str, current: Object | None) -> None:
        """Undo what a killed process left half done; what was removed by hand gets a delete
        marker."""
        older = version_files.list_entries(folder, encode_key(key))
        if current is None and not older[0].is_marker:
            self._write_marker(
                folder, key, folder.bucket.owner, null=False, after=older[0].version_key
            )
            self._index.drop(folder.name, key)
        known = {current.version_id} if current else set()
        version_key = version_files.with_version_id(current).version_key if current else ""
        for entry in older:
            if entry.version_id in known or entry.version_key < version_key:
                self._remove(folder, key, entry)
            elif version_ids.is_null(entry.version_key):
                known.add(entry.version_id)
        version_files.prune(folder, encode_key(key))


def _newest(current: "OpenObject | None", older: list[VersionFile]) -> str:
    if current:
        return version_files.with_version_id(current.object).version_key
    return older[0].version_key if older else ""


def _rewrite_version_key(
    folder: BucketFolder, temp_file: TempFile, new: Object, version_key: str
) -> tuple[Object, bytes | None]:
    """Give a written file another version key; return it with its sidecar if it needs one."""
    new = replace(new, version_key=version_key)
    raw = attributes.encode(new)
    sidecar = None if attributes.write(temp_file.fd, raw) else raw
    folder.flush.content(temp_file.fd)
    return new, sidecar
