"""Where the file of a key is in a bucket's folder: put there, opened, taken away; never locked.

At home, at its path; or, if no path can hold the key or another object is in the way, under
the reserved folder by a hash, with the key beside it. A file at home comes first.
"""

import contextlib
import os
from collections.abc import Collection
from typing import Protocol

from eucabox.errors import NoSuchBucket
from eucabox.store import attributes, dirfd
from eucabox.store.bucket_folder import OBJECTS, BucketFolder
from eucabox.store.paths import digest
from eucabox.store.temp_file import TempFile, write_small

KEY = ".key"
WALKS = 1000  # a delete may prune the folder that a put has just made; each walk is a new race


class Movable(Protocol):
    """A file that waits for its place."""

    def move(self, name: bytes | str, folder: int) -> None:
        """Give the file its name, in place of any other file that has it."""


def open_key(room: BucketFolder, key: bytes) -> int | None:
    """Open the file of a key for reading; None if there is none."""
    names = room.components(key)
    found = dirfd.open_file(room.fd, names) if names else None
    return found if found is not None else dirfd.open_file(room.reserved, path_by_hash(key))


def exists(room: BucketFolder, key: bytes) -> bool:
    """Tell whether a key has a file."""
    found = open_key(room, key)
    if found is None:
        return False
    os.close(found)
    return True


def is_hashed(room: BucketFolder, key: bytes) -> bool:
    """Tell whether a key has a file under its hash."""
    return dirfd.is_file("/".join(path_by_hash(key)), room.reserved)


def path_by_hash(key: bytes) -> list[str]:
    """Return the names that lead to a key's file below the reserved folder."""
    name = digest(key)
    return [OBJECTS, name[:2], name]


def install(room: BucketFolder, key: bytes, draft: Movable) -> int:
    """Put a written file in the place of its key; return its folder, to be flushed and closed."""
    names = room.components(key)
    folder = _put_home(room, names, draft) if names else None
    if folder is None:
        return _put_hashed(room, key, draft)
    _remove_hashed(room, key)
    return folder


def install_with_sidecar(
    room: BucketFolder,
    key: bytes,
    draft: TempFile,
    sidecar: bytes | None,
    *,
    keep_old: bool = False,
) -> int:
    """Put a written file in the place of its key with its sidecar, if it needs one, and without
    that of the file before unless it is needed; return the folder, to be flushed and closed."""
    old = None if keep_old else status_with_sidecar(room, key)
    if sidecar is not None and draft.status is not None:
        write_sidecar(room, key, draft.status, sidecar)
    folder = install(room, key, draft)
    if old:
        remove_sidecar(room, key, old)
    return folder


def _put_home(room: BucketFolder, names: list[bytes], draft: Movable) -> int | None:
    for _ in range(WALKS):
        try:
            folder = dirfd.descend_making(room.fd, names[:-1])
            if _rename(draft, names[-1], folder):
                return folder
        except FileNotFoundError:
            continue
        except OSError as error:
            dirfd.prune(room.fd, names[:-1])
            if error.errno in dirfd.OCCUPIED:
                return None
            raise
        if _is_folder(room, names):
            return None
    raise NoSuchBucket(name=room.name)


def _rename(draft: Movable, name: bytes, folder: int) -> bool:
    """Tell whether a draft has its name now; False if a folder has it."""
    try:
        draft.move(name, folder)
    except OSError as error:
        os.close(folder)
        if isinstance(error, IsADirectoryError):
            return False
        raise
    return True


def _is_folder(room: BucketFolder, names: list[bytes]) -> bool:
    """Tell whether a folder that can't be removed has the place of a file."""
    dirfd.prune(room.fd, names)
    try:
        os.close(dirfd.descend(room.fd, names))
    except OSError:
        return False
    return True


def _put_hashed(room: BucketFolder, key: bytes, draft: Movable) -> int:
    names = path_by_hash(key)
    folder = dirfd.descend_making(room.reserved, names[:-1])
    try:
        if not dirfd.is_file(names[-1] + KEY, folder):
            write_small(room, key, names[-1] + KEY, folder)
        draft.move(names[-1], folder)
    except BaseException:
        os.close(folder)
        raise
    return folder


def remove(room: BucketFolder, key: bytes) -> bool:
    """Remove the file of a key and the folders it leaves empty; False if there was none."""
    found = _remove_hashed(room, key)  # first: it must not come back when the other is gone
    names = room.components(key)
    if not names:
        return found
    try:
        folder = dirfd.open_folder(room.fd, names[:-1])
    except OSError as error:
        if error.errno in dirfd.ABSENT:
            return found
        raise
    try:
        if not dirfd.is_file(names[-1], folder):
            return found
        dirfd.remove(names[-1], folder)
        room.flush.folder(folder)
    finally:
        os.close(folder)
    dirfd.prune(room.fd, names[:-1])
    return True


def _remove_hashed(room: BucketFolder, key: bytes) -> bool:
    names = path_by_hash(key)
    path = "/".join(names)
    try:
        os.unlink(path, dir_fd=room.reserved)
    except (FileNotFoundError, NotADirectoryError):
        return False
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path + KEY, dir_fd=room.reserved)
    folder = dirfd.open_folder(room.reserved, names[:-1])
    try:
        room.flush.folder(folder)
    finally:
        os.close(folder)
    return True


# --- sidecars: a line with the length of the attributes, then they, then the key --------------


def read_sidecar(room: BucketFolder, key: bytes, status: os.stat_result) -> bytes | None:
    """Return the attributes that a sidecar has for this content, None if there is none."""
    folder, name = attributes.sidecar(key, status)
    found = _split(dirfd.read_small(room.reserved, [*folder.split("/"), name]))
    return found[0] if found else None


def sidecar_key(room: BucketFolder, names: list[bytes]) -> bytes | None:
    """Return the key of a sidecar, given the names that lead to it; None if it is gone."""
    found = _split(dirfd.read_small(room.reserved, names))
    return found[1] if found else None


def _split(content: bytes | None) -> tuple[bytes, bytes] | None:
    length, line, rest = (content or b"").partition(b"\n")
    if not line or not length.isdigit():
        return None
    return rest[: int(length)], rest[int(length) :]


def write_sidecar(room: BucketFolder, key: bytes, status: os.stat_result, raw: bytes) -> None:
    """Keep attributes beside a file; on the disk when done."""
    where, name = attributes.sidecar(key, status)
    folder = dirfd.descend_making(room.reserved, where.split("/"))
    try:
        write_small(room, b"%d\n" % len(raw) + raw + key, name, folder)
    finally:
        os.close(folder)


def remove_sidecar(room: BucketFolder, key: bytes, status: os.stat_result) -> None:
    """Remove the sidecar of one content, if it has one."""
    with contextlib.suppress(OSError):
        os.unlink("/".join(attributes.sidecar(key, status)), dir_fd=room.reserved)


def status_with_sidecar(room: BucketFolder, key: bytes) -> os.stat_result | None:
    """Return the status of a key's present file if it may have a sidecar."""
    try:
        os.stat(attributes.folder(key), dir_fd=room.reserved, follow_symlinks=False)
    except FileNotFoundError:
        return None
    descriptor = open_key(room, key)
    if descriptor is None:
        return None
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def current_sidecar(room: BucketFolder, key: bytes) -> str:
    """Return the name of the sidecar that counts for a key, "" if none does."""
    descriptor = open_key(room, key)
    if descriptor is None:
        return ""
    try:
        if attributes.read(descriptor) is not None:
            return ""
        return attributes.sidecar(key, os.fstat(descriptor))[1]
    finally:
        os.close(descriptor)


def remove_leftovers(room: BucketFolder, key: bytes, needed: Collection[str] = ()) -> None:
    """Remove what does not count of a key: a killed process, or a file copied in, left it.

    `needed` names sidecars that count though they are not those of the file.
    """
    names = path_by_hash(key)
    home = room.components(key)
    found = dirfd.open_file(room.fd, home) if home else None
    if found is not None:
        os.close(found)
        _remove_hashed(room, key)
    elif home:
        dirfd.prune(room.fd, home[:-1])
    if not exists(room, key):
        with contextlib.suppress(OSError):
            os.unlink("/".join(names) + KEY, dir_fd=room.reserved)
    _remove_other_sidecars(room, key, {current_sidecar(room, key), *needed})


def _remove_other_sidecars(room: BucketFolder, key: bytes, needed: Collection[str]) -> None:
    try:
        folder = dirfd.open_folder(room.reserved, attributes.folder(key).split("/"))
    except OSError:
        return
    try:
        for other in dirfd.list_names(folder):
            if other.startswith(digest(key)) and other not in needed:
                dirfd.remove(other, folder)
    finally:
        os.close(folder)
