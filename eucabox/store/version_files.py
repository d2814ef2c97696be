"""Files of the noncurrent versions and the delete markers of a key; never its current object.

Each key that has any has a folder of its own below the reserved one, with the key in it. A version
is a file named by its version key, a delete marker by its version key and an ending. A version's
sidecar, where it has one, stays where it was while the version was current.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from eucabox.store import attributes, dirfd, key_files, version_ids
from eucabox.store.bucket_folder import VERSIONS, BucketFolder
from eucabox.store.paths import digest
from eucabox.store.temp_file import TempFile, copy_file, write_small
from eucabox.store.types import Object, ObjectProperties, Version, to_datetime, to_nanoseconds

KEY = "key"
MARKER = ".marker"


@dataclass(frozen=True)
class VersionFile:
    """A file in the folder of a key's versions."""

    version_key: str
    is_marker: bool = False

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.version_key + MARKER if self.is_marker else self.version_key

    @property
    def version_id(self) -> str:
        """The version as clients name it."""
        return version_ids.version_id(self.version_key)


def version_folder(key: bytes) -> list[str]:
    """Return the names that lead to the folder of a key's versions below the reserved one."""
    name = digest(key)
    return [VERSIONS, name[:2], name]


def list_entries(folder: BucketFolder, key: bytes) -> list[VersionFile]:
    """Return the noncurrent versions and delete markers of a key, the newest first."""
    try:
        dir_fd = dirfd.open_folder(folder.reserved, version_folder(key))
    except OSError as error:
        if error.errno in dirfd.ABSENT:
            return []
        raise
    try:
        files = map(_parse_name, dirfd.list_names(dir_fd))
        return sorted((each for each in files if each), key=lambda each: each.version_key)
    finally:
        os.close(dir_fd)


def _parse_name(name: str) -> VersionFile | None:
    version_key = name.removesuffix(MARKER)
    return (
        VersionFile(version_key, version_key != name)
        if version_ids.VERSION_KEY.fullmatch(version_key)
        else None
    )


def get_version(entries: list[VersionFile], version_id: str) -> VersionFile | None:
    """Return the entry of a version id, None if there is none."""
    return next((each for each in entries if each.version_id == version_id), None)


def open_entry(folder: BucketFolder, key: bytes, entry: VersionFile) -> int | None:
    """Open the file of an entry for reading; None if it is gone."""
    return dirfd.open_file(folder.reserved, [*version_folder(key), entry.name])


def archive_current(folder: BucketFolder, key: bytes, current: Object, descriptor: int) -> Object:
    """Give the current file of a key a second name among its versions, on the disk when done;
    return the version."""
    old = with_version_id(current)
    dir_fd = _open_or_make_folder(folder, key)
    try:
        try:
            _link(descriptor, old.version_key, dir_fd)
        except OSError as error:
            if error.errno in dirfd.FULL:
                raise
            _copy(
                folder, descriptor, old, dir_fd
            )  # no hard links here, or the file of another user
        folder.flush.folder(dir_fd)
    finally:
        os.close(dir_fd)
    return old


def _link(descriptor: int, name: str, dir_fd: int) -> None:
    # by descriptor: another file may have the name by now
    source = f"/proc/self/fd/{descriptor}"
    try:
        os.link(source, name, dst_dir_fd=dir_fd)
    except FileExistsError:  # left by a change that was interrupted
        os.unlink(name, dir_fd=dir_fd)
        os.link(source, name, dst_dir_fd=dir_fd)


def with_version_id(current: Object) -> Object:
    """Return an object with a version key, made of its time if it is older than versioning."""
    return (
        current
        if current.version_key
        else replace(current, version_key=version_key_of_object(current))
    )


def version_key_of_object(current: Object) -> str:
    """Return the version key of an object that is older than its bucket's versioning."""
    return version_ids.version_key_of_time(to_nanoseconds(current.last_modified))


def _open_or_make_folder(folder: BucketFolder, key: bytes) -> int:
    dir_fd = dirfd.descend_making(folder.reserved, version_folder(key))
    try:
        if not dirfd.is_file(KEY, dir_fd):
            write_small(folder, key, KEY, dir_fd)
    except BaseException:
        os.close(dir_fd)
        raise
    return dir_fd


@contextlib.contextmanager
def open_version_folder(folder: BucketFolder, key: bytes) -> Iterator[int]:
    """Open the folder of a key's versions, which is made if there is none."""
    with dirfd.closing(_open_or_make_folder(folder, key)) as dir_fd:
        yield dir_fd


def _copy(folder: BucketFolder, descriptor: int, old: Object, dir_fd: int) -> None:
    status = os.fstat(descriptor)
    with TempFile(folder) as temp_file:
        copy_file(descriptor, temp_file, status.st_size)
        raw = attributes.read(descriptor)
        if raw is not None:
            attributes.write(temp_file.fd, raw)
        os.utime(temp_file.fd, ns=(status.st_atime_ns, status.st_mtime_ns))
        folder.flush.content(temp_file.fd)
        temp_file.move(old.version_key, dir_fd)


class ArchivedVersion:
    """A noncurrent version that can be moved back to be the current object."""

    def __init__(self, folder: BucketFolder, key: bytes, entry: VersionFile) -> None:
        self._room, self._path = folder, "/".join((*version_folder(key), entry.name))

    def move(self, name: bytes | str, dir_fd: int) -> None:
        """Rename the file, replacing any file of that name."""
        os.rename(self._path, name, src_dir_fd=self._room.reserved, dst_dir_fd=dir_fd)


def restore_current(folder: BucketFolder, key: bytes, entry: VersionFile) -> None:
    """Make a version the current object again, replacing another; on the disk when done."""
    dir_fd = key_files.install(folder, key, ArchivedVersion(folder, key, entry))
    try:
        folder.flush.folder(dir_fd)
    finally:
        os.close(dir_fd)
    _flush(folder, key)


def remove(folder: BucketFolder, key: bytes, entry: VersionFile) -> None:
    """Remove a version or a delete marker for good, from the disk when done."""
    descriptor = open_entry(folder, key, entry)
    if descriptor is None:
        return
    try:
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    with contextlib.suppress(FileNotFoundError):
        os.unlink("/".join((*version_folder(key), entry.name)), dir_fd=folder.reserved)
    if not entry.is_marker:
        remove_sidecar(folder, key, status)
    _flush(folder, key)


def _flush(folder: BucketFolder, key: bytes) -> None:
    dir_fd = dirfd.open_folder(folder.reserved, version_folder(key))
    try:
        folder.flush.folder(dir_fd)
    finally:
        os.close(dir_fd)


def prune(folder: BucketFolder, key: bytes) -> None:
    """Remove the folder of a key that has no more versions."""
    if list_entries(folder, key):
        return
    path = "/".join(version_folder(key))
    with contextlib.suppress(OSError):
        os.unlink(f"{path}/{KEY}", dir_fd=folder.reserved)
        os.rmdir(path, dir_fd=folder.reserved)


def remove_sidecar(folder: BucketFolder, key: bytes, status: os.stat_result) -> None:
    """Remove the sidecar of a removed file, unless a version with the same content needs it."""
    path, name = attributes.sidecar(key, status)
    if not dirfd.is_file(f"{path}/{name}", folder.reserved):
        return
    if name != key_files.current_sidecar(folder, key) and name not in list_sidecars(folder, key):
        key_files.remove_sidecar(folder, key, status)


def list_sidecars(folder: BucketFolder, key: bytes) -> set[str]:
    """Return the names of the sidecars that the versions of a key need."""
    names = set()
    for entry in list_entries(folder, key):
        descriptor = None if entry.is_marker else open_entry(folder, key, entry)
        if descriptor is not None:
            try:
                if attributes.read(descriptor) is None:
                    names.add(attributes.sidecar(key, os.fstat(descriptor))[1])
            finally:
                os.close(descriptor)
    return names


# --- delete markers ---------------------------------------------------------------------------


def write_marker(folder: BucketFolder, key: bytes, marker: Version) -> VersionFile:
    """Write a delete marker, on the disk when done."""
    entry = VersionFile(marker.object.version_key, is_marker=True)
    record = {
        "owner": marker.object.properties.owner,
        "modified": to_nanoseconds(marker.object.last_modified),
    }
    dir_fd = _open_or_make_folder(folder, key)
    try:
        write_small(folder, json.dumps(record).encode(), entry.name, dir_fd)
    finally:
        os.close(dir_fd)
    return entry


def make_marker(
    folder: BucketFolder, key: str, version_key: str, owner: str, modified: datetime
) -> Version:
    """Return a delete marker."""
    properties = ObjectProperties(owner=owner)
    obj = Object(folder.name, key, 0, "", modified, properties, version_key=version_key)
    return Version(obj, is_latest=False, is_marker=True)


def read_marker(folder: BucketFolder, key: bytes, entry: VersionFile) -> Version:
    """Return a delete marker; if its file is damaged, its time is that of its version key."""
    try:
        record = json.loads(
            dirfd.read_small(folder.reserved, [*version_folder(key), entry.name]) or b""
        )
        owner, modified = str(record["owner"]), int(record["modified"])
    except (ValueError, KeyError, TypeError):
        owner, modified = folder.bucket.owner, version_ids.time_of(entry.version_key)
    return make_marker(folder, key.decode(), entry.version_key, owner, to_datetime(modified))


# --- in a whole bucket ------------------------------------------------------------------------


def list_keys(folder: BucketFolder) -> Iterator[bytes]:
    """Yield every key that has a folder of versions."""
    for names in _files(folder):
        if names[-1] == KEY.encode() and len(names) == len(version_folder(b"")) + 1:
            key = dirfd.read_small(folder.reserved, names) or b""
            if digest(key).encode() == names[-2]:
                with contextlib.suppress(UnicodeDecodeError):
                    key.decode()
                    yield key


def find_any_key(folder: BucketFolder) -> str | None:
    """Return the key of any version or delete marker that is left, None if none is."""
    for names in _files(folder):
        if names[-1] != KEY.encode():
            key = dirfd.read_small(folder.reserved, [*names[:-1], KEY.encode()]) or names[-1]
            return key.decode(errors="replace")
    return None


def _files(folder: BucketFolder) -> Iterator[list[bytes]]:
    return dirfd.files(folder.reserved, b"", [VERSIONS.encode()])
