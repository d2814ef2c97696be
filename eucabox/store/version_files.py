"""The older versions and the delete markers of a key, as files; never its current object.

Each key that has any has a folder of its own below the reserved one, with the key in it. A
version is a file named by its stamp, a delete marker by its stamp and an ending; a version's
sidecar, where it has one, lies where it lay while the version was current.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from eucabox.store import attributes, dirfd, disk_errors, key_files, version_ids
from eucabox.store.bucket_folder import VERSIONS, BucketFolder
from eucabox.store.paths import digest
from eucabox.store.temp_file import TempFile, copy_file, write_small
from eucabox.store.types import Object, ObjectProperties, Version, to_datetime, to_nanoseconds

KEY = "key"
MARKER = ".marker"


@dataclass(frozen=True)
class VersionFile:
    """A file among the versions of a key."""

    stamp: str
    is_marker: bool = False

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.stamp + MARKER if self.is_marker else self.stamp

    @property
    def version_id(self) -> str:
        """The version as clients name it."""
        return version_ids.version_id(self.stamp)


def version_folder(key: bytes) -> list[str]:
    """Return the names that lead to the folder of a key's versions below the reserved one."""
    name = digest(key)
    return [VERSIONS, name[:2], name]


def entries(room: BucketFolder, key: bytes) -> list[VersionFile]:
    """Return what is kept of a key beside its current object, the newest first."""
    try:
        folder = dirfd.open_folder(room.reserved, version_folder(key))
    except OSError as error:
        if error.errno in dirfd.ABSENT:
            return []
        raise
    try:
        found = map(_entry, dirfd.list_names(folder))
        return sorted((each for each in found if each), key=lambda each: each.stamp)
    finally:
        os.close(folder)


def _entry(name: str) -> VersionFile | None:
    stamp = name.removesuffix(MARKER)
    return VersionFile(stamp, stamp != name) if version_ids.STAMP.fullmatch(stamp) else None


def get_version(found: list[VersionFile], version_id: str) -> VersionFile | None:
    """Return the entry of a version id, None if there is none."""
    return next((each for each in found if each.version_id == version_id), None)


def open_entry(room: BucketFolder, key: bytes, entry: VersionFile) -> int | None:
    """Open the file of an entry for reading; None if it is gone."""
    return dirfd.open_file(room.reserved, [*version_folder(key), entry.name])


def archive_current(room: BucketFolder, key: bytes, current: Object, descriptor: int) -> Object:
    """Give the current file of a key a second name among its versions, on the disk when done;
    return it as the version that it will be."""
    old = with_version_id(current)
    folder = _making(room, key)
    try:
        try:
            _link(descriptor, old.version_key, folder)
        except OSError as error:
            if error.errno in disk_errors.FULL:
                raise
            _copy(room, descriptor, old, folder)  # a file system without links, or another's file
        room.flush.folder(folder)
    finally:
        os.close(folder)
    return old


def _link(descriptor: int, name: str, folder: int) -> None:
    # By its descriptor: whatever has its name by now, this is the file that was read.
    source = f"/proc/self/fd/{descriptor}"
    try:
        os.link(source, name, dst_dir_fd=folder)
    except FileExistsError:  # what a change that did not end has left
        os.unlink(name, dir_fd=folder)
        os.link(source, name, dst_dir_fd=folder)


def with_version_id(current: Object) -> Object:
    """Return an object with a stamp, one made of its time if it is older than versioning."""
    return (
        current
        if current.version_key
        else replace(current, version_key=version_key_of_object(current))
    )


def version_key_of_object(current: Object) -> str:
    """Return the stamp of an object that is older than its bucket's versioning."""
    return version_ids.version_key_of_time(to_nanoseconds(current.last_modified))


def _making(room: BucketFolder, key: bytes) -> int:
    folder = dirfd.descend_making(room.reserved, version_folder(key))
    try:
        if not dirfd.is_file(KEY, folder):
            write_small(room, key, KEY, folder)
    except BaseException:
        os.close(folder)
        raise
    return folder


def _copy(room: BucketFolder, descriptor: int, old: Object, folder: int) -> None:
    status = os.fstat(descriptor)
    with TempFile(room) as draft:
        copy_file(descriptor, draft, status.st_size)
        raw = attributes.read(descriptor)
        if raw is not None:
            attributes.write(draft.fd, raw)
        os.utime(draft.fd, ns=(status.st_atime_ns, status.st_mtime_ns))
        room.flush.file(draft.fd)
        draft.move(old.version_key, folder)


class ArchivedVersion:
    """A version on its way back to be current, as a draft is on its way there."""

    def __init__(self, room: BucketFolder, key: bytes, entry: VersionFile) -> None:
        self._room, self._path = room, "/".join((*version_folder(key), entry.name))

    def move(self, name: bytes | str, folder: int) -> None:
        """Give the file its name, in place of any other file that has it."""
        os.rename(self._path, name, src_dir_fd=self._room.reserved, dst_dir_fd=folder)


def restore_current(room: BucketFolder, key: bytes, entry: VersionFile) -> None:
    """Make a version the current object again, in place of another; on the disk when done."""
    folder = key_files.install(room, key, ArchivedVersion(room, key, entry))
    try:
        room.flush.folder(folder)
    finally:
        os.close(folder)
    _flush(room, key)


def remove(room: BucketFolder, key: bytes, entry: VersionFile) -> None:
    """Remove a version or a marker for good, from the disk when done."""
    descriptor = open_entry(room, key, entry)
    if descriptor is None:
        return
    try:
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    with contextlib.suppress(FileNotFoundError):
        os.unlink("/".join((*version_folder(key), entry.name)), dir_fd=room.reserved)
    if not entry.is_marker:
        remove_sidecar(room, key, status)
    _flush(room, key)


def _flush(room: BucketFolder, key: bytes) -> None:
    folder = dirfd.open_folder(room.reserved, version_folder(key))
    try:
        room.flush.folder(folder)
    finally:
        os.close(folder)


def prune(room: BucketFolder, key: bytes) -> None:
    """Remove the folder of a key that has no more versions."""
    if entries(room, key):
        return
    path = "/".join(version_folder(key))
    with contextlib.suppress(OSError):
        os.unlink(f"{path}/{KEY}", dir_fd=room.reserved)
        os.rmdir(path, dir_fd=room.reserved)


def remove_sidecar(room: BucketFolder, key: bytes, status: os.stat_result) -> None:
    """Remove the sidecar of a file that is gone, unless the key has the same content elsewhere."""
    folder, name = attributes.sidecar(key, status)
    if not dirfd.is_file(f"{folder}/{name}", room.reserved):
        return
    if name != key_files.current_sidecar(room, key) and name not in sidecars(room, key):
        key_files.remove_sidecar(room, key, status)


def sidecars(room: BucketFolder, key: bytes) -> set[str]:
    """Return the names of the sidecars that the versions of a key need."""
    found = set()
    for entry in entries(room, key):
        descriptor = None if entry.is_marker else open_entry(room, key, entry)
        if descriptor is not None:
            try:
                if attributes.read(descriptor) is None:
                    found.add(attributes.sidecar(key, os.fstat(descriptor))[1])
            finally:
                os.close(descriptor)
    return found


# --- delete markers ---------------------------------------------------------------------------


def mark(room: BucketFolder, key: bytes, marker: Version) -> VersionFile:
    """Keep a delete marker, on the disk when done."""
    entry = VersionFile(marker.object.version_key, is_marker=True)
    said = {
        "owner": marker.object.facts.owner,
        "modified": to_nanoseconds(marker.object.last_modified),
    }
    folder = _making(room, key)
    try:
        write_small(room, json.dumps(said).encode(), entry.name, folder)
    finally:
        os.close(folder)
    return entry


def marker(room: BucketFolder, key: str, stamp: str, owner: str, modified: datetime) -> Version:
    """Return a delete marker."""
    facts = ObjectProperties(owner=owner)
    made = Object(room.name, key, 0, "", modified, facts, version_key=stamp)
    return Version(made, is_latest=False, is_marker=True)


def read_marker(room: BucketFolder, key: bytes, entry: VersionFile) -> Version:
    """Return what is kept of a delete marker; one that can't be read is as old as its stamp."""
    try:
        said = json.loads(
            dirfd.read_small(room.reserved, [*version_folder(key), entry.name]) or b""
        )
        owner, modified = str(said["owner"]), int(said["modified"])
    except (ValueError, KeyError, TypeError):
        owner, modified = room.bucket.owner, version_ids.time_of(entry.stamp)
    return marker(room, key.decode(), entry.stamp, owner, to_datetime(modified))


# --- of a whole bucket ------------------------------------------------------------------------


def keys(room: BucketFolder) -> Iterator[bytes]:
    """Yield every key that has a folder of versions."""
    for names in _files(room):
        if names[-1] == KEY.encode() and len(names) == len(version_folder(b"")) + 1:
            key = dirfd.read_small(room.reserved, names) or b""
            if digest(key).encode() == names[-2]:
                with contextlib.suppress(UnicodeDecodeError):
                    key.decode()
                    yield key


def any_key(room: BucketFolder) -> str | None:
    """Return the key of some version or marker that is left, None if none is."""
    for names in _files(room):
        if names[-1] != KEY.encode():
            key = dirfd.read_small(room.reserved, [*names[:-1], KEY.encode()]) or names[-1]
            return key.decode(errors="replace")
    return None


def _files(room: BucketFolder) -> Iterator[list[bytes]]:
    return dirfd.files(room.reserved, b"", [VERSIONS.encode()])
