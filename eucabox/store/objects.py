"""The objects of buckets, one key at a time: opens, commits, changes and deletes under a lock.

The order of a commit survives a kill at any point: attributes and content on the disk, key into the
journal, sidecar, rename, index.
"""

import contextlib
import errno
import logging
import math
import mimetypes
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

from eucabox.errors import DiskFull, IsDeleteMarker, NoSuchKey, NoSuchVersion
from eucabox.store import (
    attributes,
    encrypted_file,
    index_generation,
    key_files,
    torn_files,
    version_files,
    version_ids,
)
from eucabox.store.bucket_folder import BucketFolder
from eucabox.store.fsync import ALWAYS
from eucabox.store.index import Index, IndexBroken
from eucabox.store.keyring import Keyring
from eucabox.store.md5_once import Md5Once
from eucabox.store.open_object import OpenObject, UsualObject
from eucabox.store.paths import encode_key
from eucabox.store.temp_file import TempFile
from eucabox.store.types import (
    DEFAULT_TYPE,
    Deleted,
    Object,
    ObjectProperties,
    Version,
    to_datetime,
    unique_time,
)
from eucabox.store.version_changes import VersionChanges
from eucabox.store.write_specs import NO_CONDITIONS, DeleteSpec, WritePreconditions

log = logging.getLogger("eucabox.bucket")
STRIPES = 64
RECENT = 100  # versions that are searched for a completed upload


class Objects:
    """The objects of all buckets, one key at a time."""

    def __init__(self, index: Index, keys: Keyring | None = None) -> None:
        self._index = index
        self._keys = keys
        self._versions = VersionChanges(index, self.open_version)
        self._md5_once = Md5Once()
        self.doubtful_from = math.inf  # the time of files whose content a rescan has to read
        self._locks = [threading.RLock() for _ in range(STRIPES)]

    def _lock(self, folder: BucketFolder, key: str) -> threading.RLock:
        return self._locks[hash((folder.name, key)) % STRIPES]

    def lock_key(self, folder: BucketFolder, key: str) -> contextlib.AbstractContextManager[object]:
        """Return the lock of a key, for a caller that does several steps with it."""
        return self._lock(folder, key)

    @contextlib.contextmanager
    def all_locked(self) -> Iterator[None]:
        """Lock every key."""
        with contextlib.ExitStack() as stack:
            for lock in self._locks:
                stack.enter_context(lock)
            yield

    def open(self, folder: BucketFolder, key: str, version_id: str = "") -> OpenObject:
        """Open the object of a key, or one version of it; NoSuchKey, NoSuchVersion,
        IsDeleteMarker."""
        encoded = encode_key(key)
        if version_id:
            return self._find_version(folder, key, encoded, version_id)
        try:
            opened, fresh = self._open(folder, key, encoded)
        except OSError as error:
            if error.errno != errno.ESTALE:  # of a network's file system: it was replaced just now
                raise
            opened, fresh = None, False
        if opened is None or not fresh:
            if opened:
                opened.close()
            with self._lock(folder, key):  # a put may have moved it, or its sidecar, just now
                opened, fresh = self._open(folder, key, encoded)
                if opened is None:
                    folder.ensure_exists()
                    raise self._no_such_key(folder, key, encoded)
        return opened if fresh else self._refresh(folder, opened, encoded)

    def _no_such_key(self, folder: BucketFolder, key: str, encoded: bytes) -> NoSuchKey:
        """Return the fault of a key without a current object; it names the delete marker, if there
        is one. The caller holds the key's lock."""
        newest = self._versions.newest(folder, encoded) if folder.versioned else None
        if newest is None:
            # a file that was removed by hand must leave the listings; they report a broken index
            with contextlib.suppress(IndexBroken, DiskFull):
                if self._index.knows(folder.name, key):
                    self.reindex(folder, key)
            return NoSuchKey(bucket=folder.name, key=key)
        if not newest.is_marker:
            self._repair_versions(folder, key)
            newest = self._versions.newest(folder, encoded)
        if newest is None or not newest.is_marker:
            return NoSuchKey(bucket=folder.name, key=key)
        return NoSuchKey(bucket=folder.name, key=key, delete_marker=newest.version_id)

    def _find_version(
        self, folder: BucketFolder, key: str, encoded: bytes, version_id: str
    ) -> OpenObject:
        version_ids.check(version_id)
        opened = self._try_open_version(folder, key, encoded, version_id)
        if opened is None:
            with self._lock(folder, key):  # another thread may have moved it just now
                opened = self._try_open_version(folder, key, encoded, version_id)
        if opened is None:
            folder.ensure_exists()
            raise NoSuchVersion(bucket=folder.name, key=key, version=version_id)
        return opened

    def _try_open_version(
        self, folder: BucketFolder, key: str, encoded: bytes, version_id: str
    ) -> OpenObject | None:
        with contextlib.suppress(NoSuchKey):
            opened = self.open(folder, key)
            if opened.object.version_id == version_id:
                return opened
            opened.close()
        entry = version_files.get_version(version_files.list_entries(folder, encoded), version_id)
        if entry is None:
            return None
        if entry.is_marker:
            marker = version_files.read_marker(folder, encoded, entry).object
            modified = marker.last_modified
            raise IsDeleteMarker(
                bucket=folder.name,
                key=key,
                version=version_id,
                delete_marker=version_id,
                last_modified=modified,
                ResourceType="DeleteMarker",
            )
        return self.open_version(folder, key, encoded, entry)

    def open_version(
        self, folder: BucketFolder, key: str, encoded: bytes, entry: version_files.VersionFile
    ) -> OpenObject | None:
        """Open a noncurrent version; None if it is gone."""
        opened, fresh = self._open(folder, key, encoded, entry)
        return opened if fresh or opened is None else self._refresh(folder, opened, encoded)

    def find_upload_result(self, folder: BucketFolder, key: str, upload_id: str) -> Object | None:
        """Return the object that an upload became, if it is the current one or one of the last
        versions."""
        with self._lock(folder, key):  # else it may be restored between the two looks
            return self._find_upload_result(folder, key, upload_id)

    def _find_upload_result(self, folder: BucketFolder, key: str, upload_id: str) -> Object | None:
        encoded = encode_key(key)
        with contextlib.suppress(NoSuchKey), self.open(folder, key) as current:
            if current.object.upload_id == upload_id:
                return current.object
        for entry in (
            version_files.list_entries(folder, encoded)[:RECENT] if folder.versioned else ()
        ):
            opened = None if entry.is_marker else self.open_version(folder, key, encoded, entry)
            if opened:
                with opened:
                    if opened.object.upload_id == upload_id:
                        return opened.object
        return None

    def _open(
        self,
        folder: BucketFolder,
        key: str,
        encoded: bytes,
        entry: version_files.VersionFile | None = None,
    ) -> tuple[OpenObject | None, bool]:
        descriptor = _open_file(folder, encoded, entry)
        if descriptor is None:
            return None, False
        try:
            obj, fresh = _read_object(folder, key, encoded, descriptor)
            opened = OpenObject(obj, descriptor, entry, self._keys)
            if entry is not None:
                opened.object = replace(opened.object, version_key=entry.version_key)
        except BaseException:
            os.close(descriptor)
            raise
        return opened, fresh

    def _refresh(self, folder: BucketFolder, opened: OpenObject, encoded: bytes) -> OpenObject:
        """Give a file that was copied in or edited by hand the attributes that it lacks."""
        entry = opened.entry
        before = os.fstat(opened.fileno())
        encrypted = opened.object.sealed and encrypted_file.recover(opened.fileno(), opened.object)
        if encrypted:
            opened.object = encrypted
        else:  # the object is its file, byte for byte
            size, e_tag = os.fstat(opened.fileno()).st_size, self._md5_once.md5(opened.fileno())
            opened.object = replace(opened.object, size=size, e_tag=e_tag, sealed=None)
        with self._lock(folder, opened.object.key):
            after = os.fstat(opened.fileno())
            current = _open_file(folder, encoded, entry)
            if current is not None:
                same = os.path.sameopenfile(current, opened.fileno())
                os.close(current)
                if same and attributes.identity(before) == attributes.identity(after):
                    if entry is None and folder.versioned:
                        opened.object = self._versions.assign_version_id(
                            folder, encoded, opened.object
                        )
                    # a read-only folder still serves; attributes that get lost are made again
                    with contextlib.suppress(OSError):
                        self._write_attributes(folder, opened, encoded, durable=False)
                    self._update_index(opened.object, entry)
        return opened

    def _update_index(self, obj: Object, entry: version_files.VersionFile | None) -> None:
        if entry is None:
            self._index.add(obj)
        else:
            self._index.add_version(Version(obj, is_latest=False, is_marker=False))

    def _write_attributes(
        self, folder: BucketFolder, opened: OpenObject, encoded: bytes, *, durable: bool = True
    ) -> None:
        raw, status = attributes.encode(opened.object), os.fstat(opened.fileno())
        flush, needs_copy = folder.flush, durable and not folder.flush.is_ordered
        if needs_copy:  # XFS takes attributes off, and puts larger ones on in a later transaction
            key_files.write_sidecar(folder, encoded, status, raw)
            flush = ALWAYS if flush.relaxed else flush
        if attributes.write(opened.fileno(), raw):
            if durable:
                flush.file(opened.fileno())
            key_files.remove_sidecar(folder, encoded, status)
            return
        if not needs_copy:
            key_files.write_sidecar(folder, encoded, status, raw)
        attributes.remove(opened.fileno())
        if durable:  # as long as they are there the sidecar is not read
            flush.file(opened.fileno())

    def commit(
        self,
        folder: BucketFolder,
        temp_file: TempFile,
        new: Object,
        conditions: WritePreconditions | None = None,
    ) -> Object:
        """Make a temporary file that has its date the object `new`; on the disk when done."""
        encoded = encode_key(new.key)
        if folder.versioned:
            new = replace(
                new, version_key=version_ids.make(unique_time(), null=not folder.keeps_versions)
            )
        raw = attributes.encode(new)
        sidecar = None if attributes.write(temp_file.fd, raw) else raw
        folder.flush.content(temp_file.fd)
        with self._lock(folder, new.key):
            folder.ensure_not_deleted()
            self._check_preconditions(folder, new.key, conditions)
            with self._record_change(folder, new.key):
                if folder.versioned:
                    with self._open_current(folder, new.key) as current:
                        new, dir_fd = self._versions.commit(
                            folder, current, temp_file, new, sidecar
                        )
                else:
                    dir_fd = key_files.install_with_sidecar(folder, encoded, temp_file, sidecar)
                    self._index.add(new)
        try:
            folder.flush.folder(dir_fd)
        finally:
            os.close(dir_fd)
        return new

    def _check_preconditions(
        self, folder: BucketFolder, key: str, conditions: WritePreconditions | None
    ) -> None:
        if conditions is None or conditions == NO_CONDITIONS:
            return
        with self._open_current(folder, key) as current:
            conditions.check(folder.name, key, current.object if current else None)

    @contextlib.contextmanager
    def _open_current(self, folder: BucketFolder, key: str) -> Iterator[OpenObject | None]:
        """Open the object of a key, if there is one."""
        try:
            opened = self.open(folder, key)
        except NoSuchKey:
            yield None
            return
        with opened:
            yield opened

    @contextlib.contextmanager
    def _record_change(self, folder: BucketFolder, key: str) -> Iterator[None]:
        journal = self._index.journal
        if not folder.touched:
            index_generation.ensure_new_generation(folder, self._index)
        change, indexed = journal.begin(folder.name, key), False
        try:
            with self._index.change_at_once():
                try:
                    yield
                except BaseException:
                    self.reindex(folder, key)
                    indexed = True
                    raise
            indexed = True
        finally:
            journal.end(change, indexed=indexed)

    def delete(self, folder: BucketFolder, key: str, spec: DeleteSpec) -> Deleted:
        """Delete the object of a key or one of its versions, or write a delete marker; on the disk
        when done. Deleting nothing is no error."""
        encode_key(key)
        if spec.version_id:
            version_ids.check(spec.version_id)
        with self._lock(folder, key):
            folder.ensure_not_deleted()
            if not folder.versioned and spec.version_id not in ("", version_ids.NULL):
                return Deleted(version_id=spec.version_id)
            if folder.versioned or spec.needs_current:
                with self._open_current(folder, key) as current:
                    return self._delete(folder, key, current, spec)
            with self._record_change(folder, key):
                return Deleted(self._versions.remove_current(folder, key), spec.version_id)

    def _delete(
        self, folder: BucketFolder, key: str, current: OpenObject | None, spec: DeleteSpec
    ) -> Deleted:
        lost = self._find_lost(folder, key, current, spec.version_id)
        if not spec.version_id:
            present = current.object if current else None
            hidden = not present and self._is_hidden(folder, key)
            spec.conditions.check(folder.name, key, present, hidden=hidden)
        elif lost:
            spec.conditions.check(folder.name, key, lost)
        if lost and spec.check:
            spec.check(lost)
        if spec.check_current:
            spec.check_current(current.object if current else None)
        with self._record_change(folder, key):
            if not folder.versioned:
                return Deleted(self._versions.remove_current(folder, key), spec.version_id)
            if spec.version_id:
                marker = self._versions.delete_version(folder, key, current, spec.version_id)
                return Deleted(marker or lost is not None, spec.version_id, marker)
            made = self._versions.add_delete_marker(folder, key, current, spec.owner)
            return Deleted(lost is not None, made.version_id, delete_marker=True)

    def _is_hidden(self, folder: BucketFolder, key: str) -> bool:
        return folder.versioned and self._versions.newest(folder, encode_key(key)) is not None

    def _find_lost(
        self, folder: BucketFolder, key: str, current: OpenObject | None, version_id: str
    ) -> Object | None:
        """Return the object that a deletion removes for good, None if it removes none."""
        if not version_id and folder.keeps_versions:
            return None
        wanted = version_id or version_ids.NULL
        if current and current.object.version_id == wanted:
            return current.object
        encoded = encode_key(key)
        entry = version_files.get_version(version_files.list_entries(folder, encoded), wanted)
        if entry is None or entry.is_marker:
            return None
        opened = self.open_version(folder, key, encoded, entry)
        if opened is None:
            return None
        with opened:
            return opened.object

    def change(
        self,
        folder: BucketFolder,
        key: str,
        update: Callable[[ObjectProperties], ObjectProperties],
        version_id: str = "",
        check: Callable[[Object], object] | None = None,
    ) -> Object:
        """Change the properties of an object and not its content, on the disk when done; `check`
        gets the object before and may raise."""
        with self._lock(folder, key), self.open(folder, key, version_id) as opened:
            folder.ensure_not_deleted()
            if check:
                check(opened.object)
            opened.object = replace(opened.object, properties=update(opened.object.properties))
            with self._record_change(folder, key):
                self._write_attributes(folder, opened, encode_key(key))
                self._update_index(opened.object, opened.entry)
            return opened.object

    def reindex(self, folder: BucketFolder, key: str) -> Object | None:
        """Bring the index up to date with the files of a key and return its object."""
        with self._lock(folder, key), self._index.change_at_once():
            self._remove_torn(folder, key)
            if folder.versioned:
                self._reindex_versions(folder, key)
            encoded = encode_key(key)
            opened, fresh = self._open(folder, key, encoded)
            if opened is None:
                self._index.drop(folder.name, key)
                return None
            if fresh:
                with opened:
                    self._index.add(opened.object)
                    return opened.object
        with self._refresh(folder, opened, encoded):
            return opened.object

    def _remove_torn(self, folder: BucketFolder, key: str) -> None:
        """Remove what a loss of power left of files that nobody had flushed."""
        encoded = encode_key(key)
        if folder.versioned:
            torn_files.remove_versions(folder, encoded, self.doubtful_from)
        current = key_files.open_key(folder, encoded)
        if torn_files.is_torn(folder, encoded, current, self.doubtful_from):
            log.warning("a loss of power took the content of %s/%s", folder.name, key)
            self._versions.give_way(folder, key)

    def _reindex_versions(self, folder: BucketFolder, key: str) -> None:
        """Repair the versions of a key and bring the index up to date with them."""
        encoded = encode_key(key)
        self._repair_versions(folder, key)
        self._index.drop_versions(folder.name, key)
        for entry in version_files.list_entries(folder, encoded):
            if entry.is_marker:
                self._index.add_version(version_files.read_marker(folder, encoded, entry))
            elif opened := self.open_version(folder, key, encoded, entry):
                with opened:
                    self._update_index(opened.object, entry)

    def _repair_versions(self, folder: BucketFolder, key: str) -> None:
        encoded = encode_key(key)
        if not version_files.list_entries(folder, encoded):
            return
        opened, fresh = self._open(folder, key, encoded)
        if opened is None:
            self._versions.repair(folder, key, None)
            return
        with opened if fresh else self._refresh(folder, opened, encoded) as current:
            if self._versions.is_put_back(folder, current.object):
                plain = replace(current.object, version_key="")
                current.object = self._versions.assign_version_id(folder, encoded, plain)
                self._write_attributes(folder, current, encoded)
                self._index.add(current.object)
            self._versions.repair(folder, key, current.object)

    def clean_leftovers(self, folder: BucketFolder, encoded: bytes) -> None:
        """Remove files of a key that a killed change left beside its file."""
        with self._lock(folder, encoded.decode()):
            self._remove_torn(folder, encoded.decode())  # which their sidecars tell
            needed = version_files.list_sidecars(folder, encoded) if folder.versioned else ()
            key_files.remove_leftovers(folder, encoded, needed)


def _open_file(
    folder: BucketFolder, encoded: bytes, entry: version_files.VersionFile | None
) -> int | None:
    if entry is None:
        return key_files.open_key(folder, encoded)
    return version_files.open_entry(folder, encoded, entry)


def _read_object(
    folder: BucketFolder, key: str, encoded: bytes, descriptor: int
) -> tuple[Object | UsualObject, bool]:
    status = os.fstat(descriptor)
    raw = attributes.read(descriptor) or key_files.read_sidecar(folder, encoded, status)
    if raw is not None and attributes.is_usual(raw, status):
        return UsualObject(raw, folder.name, key), True
    if raw is not None:
        try:
            return attributes.decode(raw, folder.name, key, status)
        except ValueError:
            pass  # not ours
    content_type = mimetypes.guess_type(f"/{key}", strict=False)[0] or DEFAULT_TYPE
    properties = ObjectProperties(content_type=content_type, owner=folder.bucket.owner)
    modified = to_datetime(status.st_mtime_ns)
    plain = Object(folder.name, key, status.st_size, "", modified, properties)
    return encrypted_file.recover(descriptor, plain) or plain, False
