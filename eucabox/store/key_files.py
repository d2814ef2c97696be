"""The file of a key in a bucket's folder: finds, opens, installs and removes it; takes no lock.

It lies at its path; or, if no path can hold the key or another object is in the way, under the
reserved folder by a hash, with the key beside it. If there are two, the file at the path counts.
"""

import contextlib
import os
from collections.abc import Collection, Sequence
from typing import Protocol

from eucabox.errors import NoSuchBucket
from eucabox.store import attributes, dirfd
from eucabox.store.bucket_folder import OBJECTS, BucketFolder
from eucabox.store.paths import digest
from eucabox.store.temp_file import TempFile, write_small

KEY = ".key"
WALKS = 1000  # a delete may prune a folder that a put has just made; then the put walks again


class Movable(Protocol):
    """A file that can be moved to its final place."""

    def move(self, name: bytes | str, dir_fd: int) -> None:
        """Rename the file, replacing any file of that name."""


def open_key(folder: BucketFolder, key: bytes) -> int | None:
    """Open the file of a key for reading; None if there is none."""
    names = folder.components(key)
    descriptor = dirfd.open_file(folder.fd, names) if names else None
    if descriptor is None and folder.has_hashed:
        descriptor = dirfd.open_file(folder.reserved, path_by_hash(key))
    return descriptor


def exists(folder: BucketFolder, key: bytes) -> bool:
    """Return whether a key has a file."""
    descriptor = open_key(folder, key)
    if descriptor is None:
        return False
    os.close(descriptor)
    return True


def is_hashed(folder: BucketFolder, key: bytes) -> bool:
    """Return whether a key has a file under its hash."""
    return dirfd.is_file("/".join(path_by_hash(key)), folder.reserved)


def path_by_hash(key: bytes) -> list[str]:
    """Return the names that lead to a key's file below the reserved folder."""
    name = digest(key)
    return [OBJECTS, name[:2], name]


def install(folder: BucketFolder, key: bytes, temp_file: Movable) -> int:
    """Move a written file to the place of its key; return its folder, which the caller flushes and
    closes."""
    names = folder.components(key)
    dir_fd = _install_at_path(folder, names, temp_file) if names else None
    if dir_fd is None:
        return _install_by_hash(folder, key, temp_file)
    _remove_by_hash(folder, key)
    return dir_fd


def install_with_sidecar(
    folder: BucketFolder,
    key: bytes,
    temp_file: TempFile,
    sidecar: bytes | None,
    *,
    keep_old: bool = False,
) -> int:
    """Move a written file to the place of its key, with its sidecar if it needs one; return the
    folder, which the caller flushes and closes. The sidecar of the file before is removed unless
    `keep_old`."""
    old = None if keep_old else status_with_sidecar(folder, key)
    if sidecar is not None and temp_file.status is not None:
        write_sidecar(folder, key, temp_file.status, sidecar)
    dir_fd = install(folder, key, temp_file)
    if old:
        remove_sidecar(folder, key, old)
    return dir_fd


def _install_at_path(folder: BucketFolder, names: list[bytes], temp_file: Movable) -> int | None:
    for _ in range(WALKS):
        try:
            dir_fd = dirfd.descend_making(folder.fd, names[:-1])
            if _rename(temp_file, names[-1], dir_fd):
                return dir_fd
        except FileNotFoundError:
            continue
        except OSError as error:
            dirfd.prune(folder.fd, names[:-1])
            if error.errno in dirfd.OCCUPIED:
                return None
            raise
        if _is_folder(folder, names):
            return None
    raise NoSuchBucket(name=folder.name)


def _rename(temp_file: Movable, name: bytes, dir_fd: int) -> bool:
    """Return whether the temporary file has its name now; False if a folder has that name."""
    try:
        temp_file.move(name, dir_fd)
    except OSError as error:
        os.close(dir_fd)
        if isinstance(error, IsADirectoryError):
            return False
        raise
    return True


def _is_folder(folder: BucketFolder, names: list[bytes]) -> bool:
    """Return whether a folder that is not empty is in the place of a file."""
    dirfd.prune(folder.fd, names)
    try:
        os.close(dirfd.descend(folder.fd, names))
    except OSError:
        return False
    return True


def _install_by_hash(folder: BucketFolder, key: bytes, temp_file: Movable) -> int:
    names = path_by_hash(key)
    folder.has_hashed = True
    dir_fd = dirfd.descend_making(folder.reserved, names[:-1])
    try:
        if not dirfd.is_file(names[-1] + KEY, dir_fd):
            write_small(folder, key, names[-1] + KEY, dir_fd)
        temp_file.move(names[-1], dir_fd)
    except BaseException:
        os.close(dir_fd)
        raise
    return dir_fd


def remove(folder: BucketFolder, key: bytes) -> bool:
    """Remove the file of a key and the folders that become empty; False if there was none. That it
    is gone is on the disk when done, whoever removed it, or owed by this thread."""
    removed = _remove(folder, key)
    if not removed and folder.flush.others_owe:
        if folder.has_hashed:
            _flush_absence(folder, folder.reserved, path_by_hash(key)[:-1])
        _flush_absence(folder, folder.fd, (folder.components(key) or [])[:-1])
    return removed


def _flush_absence(folder: BucketFolder, root: int, names: Sequence[dirfd.Name]) -> None:
    """Flush the folder in which a file is not; or, if that is gone too, where it is not."""
    for count in range(len(names), -1, -1):
        try:
            dir_fd = dirfd.open_folder(root, names[:count])
        except OSError as error:
            if error.errno not in dirfd.ABSENT:
                raise
            continue
        with dirfd.closing(dir_fd):
            folder.flush.absence(dir_fd)
        return


def _remove(folder: BucketFolder, key: bytes) -> bool:
    removed = _remove_by_hash(folder, key)  # first: else it would come back when the other is gone
    names = folder.components(key)
    if not names:
        return removed
    try:
        dir_fd = dirfd.open_folder(folder.fd, names[:-1])
    except OSError as error:
        if error.errno in dirfd.ABSENT:
            return removed
        raise
    try:
        if not dirfd.is_file(names[-1], dir_fd):
            return removed
        dirfd.remove(names[-1], dir_fd)
        folder.flush.folder(dir_fd)
    finally:
        os.close(dir_fd)
    dirfd.prune(folder.fd, names[:-1])
    return True


def _remove_by_hash(folder: BucketFolder, key: bytes) -> bool:
    if not folder.has_hashed:
        return False
    names = path_by_hash(key)
    path = "/".join(names)
    try:
        os.unlink(path, dir_fd=folder.reserved)
    except (FileNotFoundError, NotADirectoryError):
        return False
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path + KEY, dir_fd=folder.reserved)
    dir_fd = dirfd.open_folder(folder.reserved, names[:-1])
    try:
        folder.flush.folder(dir_fd)
    finally:
        os.close(dir_fd)
    return True


# --- sidecars: a line with the length of the attributes, the attributes, the key ---------------


def read_sidecar(folder: BucketFolder, key: bytes, status: os.stat_result) -> bytes | None:
    """Return the attributes of this content from its sidecar, None if it has none."""
    if not folder.has_sidecars:
        return None
    path, name = attributes.sidecar(key, status)
    parts = _split(dirfd.read_small(folder.reserved, [*path.split("/"), name]))
    return parts[0] if parts else None


def has_longer_sidecar(folder: BucketFolder, key: bytes, status: os.stat_result) -> bool:
    """Return whether a key has a sidecar of a longer content that was written at the same time."""
    if not folder.has_sidecars:
        return False
    try:
        dir_fd = dirfd.open_folder(folder.reserved, attributes.folder(key).split("/"))
    except OSError:
        return False
    with dirfd.closing(dir_fd):
        identities = [
            name.removeprefix(f"{digest(key)}.").partition("-")
            for name in dirfd.list_names(dir_fd)
            if name.startswith(digest(key))
        ]
    time = f"{status.st_mtime_ns:x}"
    return any(int(size, 16) > status.st_size for size, _, when in identities if when == time)


def sidecar_key(folder: BucketFolder, names: list[bytes]) -> bytes | None:
    """Return the key that a sidecar belongs to, given its path; None if it is gone."""
    parts = _split(dirfd.read_small(folder.reserved, names))
    return parts[1] if parts else None


def _split(content: bytes | None) -> tuple[bytes, bytes] | None:
    length, line, rest = (content or b"").partition(b"\n")
    if not line or not length.isdigit():
        return None
    return rest[: int(length)], rest[int(length) :]


def write_sidecar(folder: BucketFolder, key: bytes, status: os.stat_result, raw: bytes) -> None:
    """Write attributes to a sidecar; it is on the disk when done."""
    path, name = attributes.sidecar(key, status)
    folder.has_sidecars = True
    dir_fd = dirfd.descend_making(folder.reserved, path.split("/"))
    try:
        write_small(folder, b"%d\n" % len(raw) + raw + key, name, dir_fd)
    finally:
        os.close(dir_fd)


def remove_sidecar(folder: BucketFolder, key: bytes, status: os.stat_result) -> None:
    """Remove the sidecar of one content, if it has one."""
    if not folder.has_sidecars:
        return
    with contextlib.suppress(OSError):
        os.unlink("/".join(attributes.sidecar(key, status)), dir_fd=folder.reserved)


def status_with_sidecar(folder: BucketFolder, key: bytes) -> os.stat_result | None:
    """Return the status of a key's current file if it may have a sidecar, else None."""
    if not folder.has_sidecars:
        return None
    try:
        os.stat(attributes.folder(key), dir_fd=folder.reserved, follow_symlinks=False)
    except FileNotFoundError:
        return None
    descriptor = open_key(folder, key)
    if descriptor is None:
        return None
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def current_sidecar(folder: BucketFolder, key: bytes) -> str:
    """Return the name of the sidecar in use for a key, "" if none is."""
    descriptor = open_key(folder, key)
    if descriptor is None:
        return ""
    try:
        if attributes.read(descriptor) is not None:
            return ""
        return attributes.sidecar(key, os.fstat(descriptor))[1]
    finally:
        os.close(descriptor)


def remove_leftovers(folder: BucketFolder, key: bytes, needed: Collection[str] = ()) -> None:
    """Remove files of a key that are not in use, left by a killed process or copied in.

    `needed` names sidecars that are in use though they are not those of the current file.
    """
    names = path_by_hash(key)
    home = folder.components(key)
    descriptor = dirfd.open_file(folder.fd, home) if home else None
    if descriptor is not None:
        os.close(descriptor)
        _remove_by_hash(folder, key)
    elif home:
        dirfd.prune(folder.fd, home[:-1])
    if not exists(folder, key):
        with contextlib.suppress(OSError):
            os.unlink("/".join(names) + KEY, dir_fd=folder.reserved)
    _remove_other_sidecars(folder, key, {current_sidecar(folder, key), *needed})


def _remove_other_sidecars(folder: BucketFolder, key: bytes, needed: Collection[str]) -> None:
    try:
        dir_fd = dirfd.open_folder(folder.reserved, attributes.folder(key).split("/"))
    except OSError:
        return
    try:
        for other in dirfd.list_names(dir_fd):
            if other.startswith(digest(key)) and other not in needed:
                dirfd.remove(other, dir_fd)
    finally:
        os.close(dir_fd)
