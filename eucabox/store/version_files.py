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
from eucabox.store.bucket_folder import VERSIONS, Room
from eucabox.store.paths import digest
from eucabox.store.temp_file import Draft, copy_file, write_small
from eucabox.store.types import Object, ObjectFacts, Version, to_datetime, to_nanoseconds

KEY = "key"
MARKER = ".marker"


@dataclass(frozen=True)
class Entry:
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


def home(key: bytes) -> list[str]:
    """Return the names that lead to the folder of a key's versions below the reserved one."""
    name = digest(key)
    return [VERSIONS, name[:2], name]


def entries(room: Room, key: bytes) -> list[Entry]:
    """Return what is kept of a key beside its current object, the newest first."""
    try:
        folder = dirfd.open_folder(room.reserved, home(key))
    except OSError as error:
        if error.errno in dirfd.ABSENT:
            return []
        raise
    try:
        found = map(_entry, dirfd.names(folder))
        return sorted((each for each in found if each), key=lambda each: each.stamp)
    finally:
        os.close(folder)


def _entry(name: str) -> Entry | None:
    stamp = name.removesuffix(MARKER)
    return Entry(stamp, stamp != name) if version_ids.STAMP.fullmatch(stamp) else None


def named(found: list[Entry], version_id: str) -> Entry | None:
    """Return the entry of a version id, None if there is none."""
    return next((each for each in found if each.version_id == version_id), None)


def open_entry(room: Room, key: bytes, entry: Entry) -> int | None:
    """Open the file of an entry for reading; None if it is gone."""
    return dirfd.open_file(room.reserved, [*home(key), entry.name])


def keep(room: Room, key: bytes, current: Object, descriptor: int) -> Object:
    """Give the current file of a key a second name among its versions, on the disk when done;
    return it as the version that it will be."""
    old = stamped(current)
    folder = _making(room, key)
    try:
        try:
            _link(descriptor, old.stamp, folder)
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


def stamped(current: Object) -> Object:
    """Return an object with a stamp, one made of its time if it is older than versioning."""
    return current if current.stamp else replace(current, stamp=of_time(current))


def of_time(current: Object) -> str:
    """Return the stamp of an object that is older than its bucket's versioning."""
    return version_ids.of_time(to_nanoseconds(current.last_modified))


def _making(room: Room, key: bytes) -> int:
    folder = dirfd.descend_making(room.reserved, home(key))
    try:
        if not dirfd.is_file(KEY, folder):
            write_small(room, key, KEY, folder)
    except BaseException:
        os.close(folder)
        raise
    return folder


def _copy(room: Room, descriptor: int, old: Object, folder: int) -> None:
    status = os.fstat(descriptor)
    with Draft(room) as draft:
        copy_file(descriptor, draft, status.st_size)
        raw = attributes.read(descriptor)
        if raw is not None:
            attributes.write(draft.fd, raw)
        os.utime(draft.fd, ns=(status.st_atime_ns, status.st_mtime_ns))
        room.flush.file(draft.fd)
        draft.move(old.stamp, folder)


class Kept:
    """A version on its way back to be current, as a draft is on its way there."""

    def __init__(self, room: Room, key: bytes, entry: Entry) -> None:
        self._room, self._path = room, "/".join((*home(key), entry.name))

    def move(self, name: bytes | str, folder: int) -> None:
        """Give the file its name, in place of any other file that has it."""
        os.rename(self._path, name, src_dir_fd=self._room.reserved, dst_dir_fd=folder)


def promote(room: Room, key: bytes, entry: Entry) -> None:
    """Make a version the current object again, in place of another; on the disk when done."""
    folder = key_files.put(room, key, Kept(room, key, entry))
    try:
        room.flush.folder(folder)
    finally:
        os.close(folder)
    _flush(room, key)


def remove(room: Room, key: bytes, entry: Entry) -> None:
    """Remove a version or a marker for good, from the disk when done."""
    descriptor = open_entry(room, key, entry)
    if descriptor is None:
        return
    try:
        status = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    with contextlib.suppress(FileNotFoundError):
        os.unlink("/".join((*home(key), entry.name)), dir_fd=room.reserved)
    if not entry.is_marker:
        remove_sidecar(room, key, status)
    _flush(room, key)


def _flush(room: Room, key: bytes) -> None:
    folder = dirfd.open_folder(room.reserved, home(key))
    try:
        room.flush.folder(folder)
    finally:
        os.close(folder)


def prune(room: Room, key: bytes) -> None:
    """Remove the folder of a key that has no more versions."""
    if entries(room, key):
        return
    path = "/".join(home(key))
    with contextlib.suppress(OSError):
        os.unlink(f"{path}/{KEY}", dir_fd=room.reserved)
        os.rmdir(path, dir_fd=room.reserved)


def remove_sidecar(room: Room, key: bytes, status: os.stat_result) -> None:
    """Remove the sidecar of a file that is gone, unless the key has the same content elsewhere."""
    folder, name = attributes.sidecar(key, status)
    if not dirfd.is_file(f"{folder}/{name}", room.reserved):
        return
    if name != key_files.current_sidecar(room, key) and name not in sidecars(room, key):
        key_files.remove_sidecar(room, key, status)


def sidecars(room: Room, key: bytes) -> set[str]:
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


def mark(room: Room, key: bytes, marker: Version) -> Entry:
    """Keep a delete marker, on the disk when done."""
    entry = Entry(marker.object.stamp, is_marker=True)
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


def marker(room: Room, key: str, stamp: str, owner: str, modified: datetime) -> Version:
    """Return a delete marker."""
    facts = ObjectFacts(owner=owner)
    made = Object(room.name, key, 0, "", modified, facts, stamp=stamp)
    return Version(made, is_latest=False, is_marker=True)


def read_marker(room: Room, key: bytes, entry: Entry) -> Version:
    """Return what is kept of a delete marker; one that can't be read is as old as its stamp."""
    try:
        said = json.loads(dirfd.read_small(room.reserved, [*home(key), entry.name]) or b"")
        owner, modified = str(said["owner"]), int(said["modified"])
    except (ValueError, KeyError, TypeError):
        owner, modified = room.bucket.owner, version_ids.time_of(entry.stamp)
    return marker(room, key.decode(), entry.stamp, owner, to_datetime(modified))


# --- of a whole bucket ------------------------------------------------------------------------


def keys(room: Room) -> Iterator[bytes]:
    """Yield every key that has a folder of versions."""
    for names in _files(room):
        if names[-1] == KEY.encode() and len(names) == len(home(b"")) + 1:
            key = dirfd.read_small(room.reserved, names) or b""
            if digest(key).encode() == names[-2]:
                with contextlib.suppress(UnicodeDecodeError):
                    key.decode()
                    yield key


def any_key(room: Room) -> str | None:
    """Return the key of some version or marker that is left, None if none is."""
    for names in _files(room):
        if names[-1] != KEY.encode():
            key = dirfd.read_small(room.reserved, [*names[:-1], KEY.encode()]) or names[-1]
            return key.decode(errors="replace")
    return None


def _files(room: Room) -> Iterator[list[bytes]]:
    return dirfd.files(room.reserved, b"", [VERSIONS.encode()])
