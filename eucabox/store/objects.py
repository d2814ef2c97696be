"""One key at a time: finds, commits, changes and removes an object so that no two interfere.

The order that a kill at any point survives: attributes and content on the disk, key into the
journal, sidecar, rename, index.
"""

import contextlib
import mimetypes
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from eucabox.errors import DiskFull, IsDeleteMarker, NoSuchKey, NoSuchVersion, PreconditionFailed
from eucabox.store import (
    attributes,
    encrypted_file,
    index_generation,
    key_files,
    version_files,
    version_ids,
)
from eucabox.store.bucket_folder import BucketFolder
from eucabox.store.index import Index, IndexBroken
from eucabox.store.keyring import Keyring
from eucabox.store.md5_once import Md5Once
from eucabox.store.open_object import OpenObject
from eucabox.store.paths import encode_key
from eucabox.store.temp_file import TempFile
from eucabox.store.types import (
    DEFAULT_TYPE,
    Deleted,
    Object,
    ObjectProperties,
    Version,
    moment,
    to_datetime,
)
from eucabox.store.version_changes import VersionChanges

STRIPES = 64
RECENT = 100  # versions among which an upload that was just completed is looked for


@dataclass(frozen=True)
class WritePreconditions:
    """What must hold of the present object: that it has this ETag, or not this one, that it is
    of this second, or of this size. A tag of "*" stands for any object.

    What is not there has no tag but any time and size: to delete it is no fault. What a delete
    marker hides has none of these.
    """

    if_none_match: str = ""
    if_match: str = ""
    if_modified: datetime | None = None
    if_size: int | None = None

    def check(self, bucket: str, key: str, current: Object | None, *, hidden: bool = False) -> None:
        """Raise PreconditionFailed, or NoSuchKey if there is nothing to match."""
        if current is None:
            if self.if_match:
                raise NoSuchKey(bucket=bucket, key=key)
            if hidden and (self.if_modified or self.if_size is not None):
                raise PreconditionFailed(condition="x-amz-if-match-size")
            return
        if self.if_none_match.strip('"') in {"*", current.e_tag}:
            raise PreconditionFailed(condition="If-None-Match")
        if self.if_match and self.if_match.strip('"') not in {"*", current.e_tag}:
            raise PreconditionFailed(condition="If-Match")
        if self.if_size not in {None, current.size}:
            raise PreconditionFailed(condition="x-amz-if-match-size")
        second = current.last_modified.replace(microsecond=0)
        if self.if_modified and self.if_modified.replace(microsecond=0) != second:
            raise PreconditionFailed(condition="x-amz-if-match-last-modified-time")


@dataclass(frozen=True)
class DeleteSpec:
    """What a caller wants deleted: the object or, for good, a version of it, if it is as the
    conditions say and `check`, which is shown an object that would be lost for good, does not
    raise, nor `still`, which is shown the present object. A delete marker belongs to `owner`."""

    version_id: str = ""
    owner: str = ""
    conditions: WritePreconditions = WritePreconditions()
    check: Callable[[Object], object] | None = None
    still: Callable[[Object | None], object] | None = None

    @property
    def asks(self) -> bool:
        """True if the present object must be known."""
        return bool(self.check or self.still) or self.conditions != WritePreconditions()


class Objects:
    """The objects of all buckets, one key at a time."""

    def __init__(self, index: Index, keys: Keyring | None = None) -> None:
        self._index = index
        self._keys = keys
        self._history = VersionChanges(index, self.open_version)
        self._summing = Md5Once()
        self._locks = [threading.RLock() for _ in range(STRIPES)]

    def _lock(self, room: BucketFolder, key: str) -> threading.RLock:
        return self._locks[hash((room.name, key)) % STRIPES]

    def lock_key(self, room: BucketFolder, key: str) -> contextlib.AbstractContextManager[object]:
        """Keep one key as others have left it, for several steps of the holder."""
        return self._lock(room, key)

    @contextlib.contextmanager
    def all_locked(self) -> Iterator[None]:
        """Keep every key as it is."""
        with contextlib.ExitStack() as stack:
            for lock in self._locks:
                stack.enter_context(lock)
            yield

    def open(self, room: BucketFolder, key: str, version_id: str = "") -> OpenObject:
        """Open the object of a key, or one version of it; NoSuchKey, NoSuchVersion,
        IsDeleteMarker."""
        encoded = encode_key(key)
        if version_id:
            return self._find_version(room, key, encoded, version_id)
        found, fresh = self._open(room, key, encoded)
        if found is None or not fresh:
            if found:
                found.close()
            with self._lock(room, key):  # a put may have been moving it, or its sidecar
                found, fresh = self._open(room, key, encoded)
        if found is None:
            room.ensure_exists()
            raise self._missing(room, key, encoded)
        return found if fresh else self._refresh(room, found, encoded)

    def _missing(self, room: BucketFolder, key: str, encoded: bytes) -> NoSuchKey:
        """Return the fault of a key that has no object; it says if a delete marker hides some."""
        newest = self._history.newest(room, encoded) if room.versioned else None
        if newest is None:
            self._forget(room, key)
            return NoSuchKey(bucket=room.name, key=key)
        if not newest.is_marker:
            with self._lock(room, key):
                self._settle(room, key)
            newest = self._history.newest(room, encoded)
        if newest is None or not newest.is_marker:  # it has just come back
            return NoSuchKey(bucket=room.name, key=key)
        return NoSuchKey(bucket=room.name, key=key, delete_marker=newest.version_id)

    def _forget(self, room: BucketFolder, key: str) -> None:
        """Take a file that somebody removed by hand out of the listings."""
        with contextlib.suppress(IndexBroken, DiskFull):  # a listing will say so
            if self._index.knows(room.name, key):
                self.reindex(room, key)

    def _find_version(
        self, room: BucketFolder, key: str, encoded: bytes, version_id: str
    ) -> OpenObject:
        version_ids.check(version_id)
        found = self._look(room, key, encoded, version_id)
        if found is None:
            with self._lock(room, key):  # it may just be on its way from one place to another
                found = self._look(room, key, encoded, version_id)
        if found is None:
            room.ensure_exists()
            raise NoSuchVersion(bucket=room.name, key=key, version=version_id)
        return found

    def _look(
        self, room: BucketFolder, key: str, encoded: bytes, version_id: str
    ) -> OpenObject | None:
        with contextlib.suppress(NoSuchKey):
            found = self.open(room, key)
            if found.object.version_id == version_id:
                return found
            found.close()
        entry = version_files.get_version(version_files.entries(room, encoded), version_id)
        if entry is None:
            return None
        if entry.is_marker:
            marker = version_files.read_marker(room, encoded, entry).object
            modified = marker.last_modified
            raise IsDeleteMarker(
                bucket=room.name,
                key=key,
                version=version_id,
                delete_marker=version_id,
                last_modified=modified,
                ResourceType="DeleteMarker",
            )
        return self.open_version(room, key, encoded, entry)

    def open_version(
        self, room: BucketFolder, key: str, encoded: bytes, entry: version_files.VersionFile
    ) -> OpenObject | None:
        """Open a version that is not current; None if it is gone."""
        found, fresh = self._open(room, key, encoded, entry)
        return found if fresh or found is None else self._refresh(room, found, encoded)

    def find_upload_result(self, room: BucketFolder, key: str, upload_id: str) -> Object | None:
        """Return what an upload became, if that is the key's object or one of its last versions."""
        encoded = encode_key(key)
        with contextlib.suppress(NoSuchKey), self.open(room, key) as current:
            if current.object.upload_id == upload_id:
                return current.object
        for entry in version_files.entries(room, encoded)[:RECENT] if room.versioned else ():
            found = None if entry.is_marker else self.open_version(room, key, encoded, entry)
            if found:
                with found:
                    if found.object.upload_id == upload_id:
                        return found.object
        return None

    def _open(
        self,
        room: BucketFolder,
        key: str,
        encoded: bytes,
        entry: version_files.VersionFile | None = None,
    ) -> tuple[OpenObject | None, bool]:
        descriptor = _descriptor(room, encoded, entry)
        if descriptor is None:
            return None, False
        try:
            found, fresh = _load(room, key, encoded, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        if entry is not None:
            found = replace(found, version_key=entry.stamp)
        return OpenObject(found, descriptor, entry, self._keys), fresh

    def _refresh(self, room: BucketFolder, found: OpenObject, encoded: bytes) -> OpenObject:
        """Give a file that came or was changed by hand the attributes it lacks."""
        entry = found.entry
        before = os.fstat(found.fileno())
        sealed = found.object.sealed and encrypted_file.recover(found.fileno(), found.object)
        found.object = sealed or self._plain(found)
        with self._lock(room, found.object.key):
            after = os.fstat(found.fileno())
            current = _descriptor(room, encoded, entry)
            if current is not None:
                same = os.path.sameopenfile(current, found.fileno())
                os.close(current)
                if same and attributes.identity(before) == attributes.identity(after):
                    if entry is None and room.versioned:
                        found.object = self._history.assign_version_id(room, encoded, found.object)
                    with contextlib.suppress(OSError):  # a folder that is only read still serves
                        self._keep(room, found, encoded, durable=False)  # or found once more
                    self._tell(found.object, entry)
        return found

    def _plain(self, found: OpenObject) -> Object:
        """Return an object that is its file, byte for byte, with the ETag of those bytes."""
        size, e_tag = os.fstat(found.fileno()).st_size, self._summing.md5(found.fileno())
        return replace(found.object, size=size, e_tag=e_tag, sealed=None)

    def _tell(self, found: Object, entry: version_files.VersionFile | None) -> None:
        if entry is None:
            self._index.add(found)
        else:
            self._index.add_version(Version(found, is_latest=False, is_marker=False))

    def _keep(
        self, room: BucketFolder, found: OpenObject, encoded: bytes, *, durable: bool = True
    ) -> None:
        raw, status = attributes.encode(found.object), os.fstat(found.fileno())
        if attributes.write(found.fileno(), raw):
            if durable:
                room.flush.file(found.fileno())
            key_files.remove_sidecar(room, encoded, status)
        else:
            key_files.write_sidecar(room, encoded, status, raw)
            attributes.remove(found.fileno())

    def commit(
        self,
        room: BucketFolder,
        draft: TempFile,
        new: Object,
        conditions: WritePreconditions | None = None,
    ) -> Object:
        """Make a dated draft the object `new`, on the disk when done."""
        encoded = encode_key(new.key)
        if room.versioned:
            new = replace(new, version_key=version_ids.make(moment(), null=not room.keeps_versions))
        raw = attributes.encode(new)
        sidecar = None if attributes.write(draft.fd, raw) else raw
        room.flush.file(draft.fd)
        with self._lock(room, new.key):
            room.ensure_not_deleted()
            self._check(room, new.key, conditions)
            with self._change(room, new.key):
                if room.versioned:
                    with self._current(room, new.key) as current:
                        new, folder = self._history.commit(room, current, draft, new, sidecar)
                else:
                    folder = key_files.install_with_sidecar(room, encoded, draft, sidecar)
                    self._index.add(new)
        try:
            room.flush.folder(folder)
        finally:
            os.close(folder)
        return new

    def _check(self, room: BucketFolder, key: str, conditions: WritePreconditions | None) -> None:
        if conditions is None or conditions == WritePreconditions():
            return
        with self._current(room, key) as found:
            conditions.check(room.name, key, found.object if found else None)

    @contextlib.contextmanager
    def _current(self, room: BucketFolder, key: str) -> Iterator[OpenObject | None]:
        """Open the object of a key, if there is one."""
        try:
            found = self.open(room, key)
        except NoSuchKey:
            yield None
            return
        with found:
            yield found

    @contextlib.contextmanager
    def _change(self, room: BucketFolder, key: str) -> Iterator[None]:
        journal = self._index.journal
        index_generation.ensure_new_generation(room, self._index)
        volume = journal.begin(room.name, key)
        try:
            yield
        except BaseException:
            self.reindex(room, key)
            journal.end(volume)
            raise
        journal.end(volume)

    def delete(self, room: BucketFolder, key: str, wish: DeleteSpec) -> Deleted:
        """Remove the object of a key, or a version of it, or hide it behind a delete marker; on
        the disk when done. That there was nothing to remove is no fault."""
        encode_key(key)
        if wish.version_id:
            version_ids.check(wish.version_id)
        with self._lock(room, key):
            room.ensure_not_deleted()
            if not room.versioned and wish.version_id not in ("", version_ids.NULL):
                return Deleted(version_id=wish.version_id)
            if room.versioned or wish.asks:
                with self._current(room, key) as current:
                    return self._delete(room, key, current, wish)
            with self._change(room, key):
                return Deleted(self._history.remove_current(room, key), wish.version_id)

    def _delete(
        self, room: BucketFolder, key: str, current: OpenObject | None, wish: DeleteSpec
    ) -> Deleted:
        lost = self._lost(room, key, current, wish.version_id)
        if not wish.version_id:
            present = current.object if current else None
            hidden = not present and self._is_hidden(room, key)
            wish.conditions.check(room.name, key, present, hidden=hidden)
        elif lost:
            wish.conditions.check(room.name, key, lost)
        if lost and wish.check:
            wish.check(lost)
        if wish.still:
            wish.still(current.object if current else None)
        with self._change(room, key):
            if not room.versioned:
                return Deleted(self._history.remove_current(room, key), wish.version_id)
            if wish.version_id:
                marker = self._history.delete_version(room, key, current, wish.version_id)
                return Deleted(marker or lost is not None, wish.version_id, marker)
            made = self._history.add_delete_marker(room, key, current, wish.owner)
            return Deleted(lost is not None, made.version_id, delete_marker=True)

    def _is_hidden(self, room: BucketFolder, key: str) -> bool:
        return room.versioned and self._history.newest(room, encode_key(key)) is not None

    def _lost(
        self, room: BucketFolder, key: str, current: OpenObject | None, version_id: str
    ) -> Object | None:
        """Return the object that a deletion removes for good, None if it removes none."""
        if not version_id and room.keeps_versions:
            return None
        wanted = version_id or version_ids.NULL
        if current and current.object.version_id == wanted:
            return current.object
        encoded = encode_key(key)
        entry = version_files.get_version(version_files.entries(room, encoded), wanted)
        if entry is None or entry.is_marker:
            return None
        found = self.open_version(room, key, encoded, entry)
        if found is None:
            return None
        with found:
            return found.object

    def change(
        self,
        room: BucketFolder,
        key: str,
        how: Callable[[ObjectProperties], ObjectProperties],
        version_id: str = "",
        check: Callable[[Object], object] | None = None,
    ) -> Object:
        """Change the facts of an object and not its content, on the disk when done; `check` is
        shown the object before and may raise."""
        with self._lock(room, key), self.open(room, key, version_id) as found:
            room.ensure_not_deleted()
            if check:
                check(found.object)
            found.object = replace(found.object, facts=how(found.object.facts))
            with self._change(room, key):
                self._keep(room, found, encode_key(key))
                self._tell(found.object, found.entry)
            return found.object

    def reindex(self, room: BucketFolder, key: str) -> Object | None:
        """Tell the index what the disk has of a key and return its object."""
        with self._lock(room, key):
            if room.versioned:
                self._recheck_versions(room, key)
            encoded = encode_key(key)
            found, fresh = self._open(room, key, encoded)
            if found is None:
                self._index.drop(room.name, key)
                return None
            if fresh:
                with found:
                    self._index.add(found.object)
                    return found.object
        with self._refresh(room, found, encoded):
            return found.object

    def _recheck_versions(self, room: BucketFolder, key: str) -> None:
        """Settle what the disk has of a key's versions and tell the index."""
        encoded = encode_key(key)
        self._settle(room, key)
        self._index.drop_versions(room.name, key)
        for entry in version_files.entries(room, encoded):
            if entry.is_marker:
                self._index.add_version(version_files.read_marker(room, encoded, entry))
            elif found := self.open_version(room, key, encoded, entry):
                with found:
                    self._tell(found.object, entry)

    def _settle(self, room: BucketFolder, key: str) -> None:
        encoded = encode_key(key)
        if not version_files.entries(room, encoded):
            return
        found, fresh = self._open(room, key, encoded)
        if found is None:
            self._history.repair(room, key, None)
            return
        with found if fresh else self._refresh(room, found, encoded) as current:
            if self._history.is_put_back(room, current.object):
                self._keep_as_new(room, current)
            self._history.repair(room, key, current.object)

    def _keep_as_new(self, room: BucketFolder, current: OpenObject) -> None:
        encoded = encode_key(current.object.key)
        plain = replace(current.object, version_key="")
        current.object = self._history.assign_version_id(room, encoded, plain)
        self._keep(room, current, encoded)
        self._index.add(current.object)

    def clean_leftovers(self, room: BucketFolder, encoded: bytes) -> None:
        """Remove what a killed change has left of a key beside its file."""
        with self._lock(room, encoded.decode()):
            needed = version_files.sidecars(room, encoded) if room.versioned else ()
            key_files.remove_leftovers(room, encoded, needed)


def _descriptor(
    room: BucketFolder, encoded: bytes, entry: version_files.VersionFile | None
) -> int | None:
    if entry is None:
        return key_files.open_key(room, encoded)
    return version_files.open_entry(room, encoded, entry)


def _load(room: BucketFolder, key: str, encoded: bytes, descriptor: int) -> tuple[Object, bool]:
    status = os.fstat(descriptor)
    raw = attributes.read(descriptor) or key_files.read_sidecar(room, encoded, status)
    if raw is not None:
        with contextlib.suppress(ValueError):
            return attributes.decode(raw, room.name, key, status)
    facts = ObjectProperties(content_type=_guess_type(key), owner=room.bucket.owner)
    modified = to_datetime(status.st_mtime_ns)
    plain = Object(room.name, key, status.st_size, "", modified, facts)
    return encrypted_file.recover(descriptor, plain) or plain, False


def _guess_type(key: str) -> str:
    return mimetypes.guess_type(f"/{key}", strict=False)[0] or DEFAULT_TYPE
