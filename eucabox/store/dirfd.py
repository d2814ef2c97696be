"""Paths below an open directory (openat): never follows a symbolic link; knows no key and no
bucket."""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator, Sequence

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
PASSAGE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a FIFO in the folder would block the thread; regular files ignore it
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
ABSENT = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.EISDIR,
    errno.ENXIO,
    errno.EINVAL,
}
FULL = {errno.ENOSPC, errno.EDQUOT}
OCCUPIED = {
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENOTEMPTY,
    errno.EEXIST,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.EINVAL,
}
Name = bytes | str


def descend(root: int, folders: Sequence[Name]) -> int:
    """Return an O_PATH descriptor of root/folders...; the caller closes it."""
    here = root
    try:
        for name in folders:
            below = os.open(name, PASSAGE, dir_fd=here)
            if here != root:
                os.close(here)
            here = below
    except OSError:
        if here != root:
            os.close(here)
        raise
    return os.dup(root) if here == root else here


@contextlib.contextmanager
def closing(descriptor: int) -> Iterator[int]:
    """Close a descriptor at the end of the `with`."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_folder(root: int, folders: Sequence[Name]) -> int:
    """Return a descriptor of root/folders... that can be read and flushed; the caller closes it."""
    passage = descend(root, folders)
    try:
        return os.open(".", FOLDER, dir_fd=passage)
    finally:
        os.close(passage)


def descend_making(root: int, folders: Sequence[Name]) -> int:
    """Return a descriptor of root/folders..., made and flushed as needed; the caller closes it.

    Raises FileNotFoundError if a delete removes one of the folders meanwhile: call it again.
    """
    here = root
    try:
        for name in folders:
            below = _enter(here, name)
            if here != root:
                os.close(here)
            here = below
    except BaseException:
        if here != root:
            os.close(here)
        raise
    return os.dup(root) if here == root else here


def _enter(here: int, name: Name) -> int:
    try:
        return os.open(name, FOLDER, dir_fd=here)
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=here)
        os.fsync(here)
        return os.open(name, FOLDER, dir_fd=here)


def open_file(root: int, names: Sequence[Name]) -> int | None:
    """Open root/names... for reading; None if that is not a regular file."""
    try:
        if len(names) == 1:
            descriptor = os.open(names[0], FILE, dir_fd=root)
        else:
            dir_fd = descend(root, names[:-1])
            try:
                descriptor = os.open(names[-1], FILE, dir_fd=dir_fd)
            finally:
                os.close(dir_fd)
    except OSError as error:
        if error.errno in ABSENT:
            return None
        raise
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def read_small(root: int, names: Sequence[Name]) -> bytes | None:
    """Return the content of a file; None if there is no such regular file."""
    descriptor = open_file(root, names)
    if descriptor is None:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def list_names(dir_fd: int) -> list[str]:
    """Return the names in an open folder, also those that are newer than its descriptor."""
    os.lseek(dir_fd, 0, os.SEEK_SET)  # Btrfs lists only what was there at the last rewind
    return os.listdir(dir_fd)


def is_file(name: Name, dir_fd: int) -> bool:
    """Return whether a folder has a regular file of that name."""
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=dir_fd, follow_symlinks=False).st_mode)
    except OSError as error:
        if error.errno in ABSENT:
            return False
        raise


def is_folder(name: Name, dir_fd: int) -> bool:
    """Return whether a folder has a folder of that name."""
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=dir_fd, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def is_empty(name: Name, dir_fd: int) -> bool:
    """Return whether a folder inside another one is empty or missing."""
    try:
        inner = os.open(name, FOLDER, dir_fd=dir_fd)
    except FileNotFoundError:
        return True
    with closing(inner), os.scandir(inner) as entries:
        return next(entries, None) is None


def remove(name: Name, dir_fd: int) -> bool:
    """Remove a file from a folder; False if it is not there."""
    try:
        os.unlink(name, dir_fd=dir_fd)
    except FileNotFoundError:
        return False
    return True


def prune(root: int, folders: Sequence[Name]) -> None:
    """Remove nested folders that are empty, innermost first."""
    for depth in range(len(folders), 0, -1):
        try:
            with closing(descend(root, folders[: depth - 1])) as above:
                os.rmdir(folders[depth - 1], dir_fd=above)
        except FileNotFoundError:
            continue  # a kill, or another thread, has removed some of them
        except OSError:
            return


def files(root: int, skip: bytes, below: Sequence[bytes] = ()) -> Iterator[list[bytes]]:
    """Yield the names that lead to each regular file, one open folder at a time.

    `skip` is a name at the top that is not entered, `below` the folder to list. A folder that
    vanishes meanwhile is empty.
    """
    waiting: list[list[bytes]] = [[*below]]
    while waiting:
        names = waiting.pop()
        for name, is_folder in _entries(root, names):
            if names or name != skip:
                if is_folder:
                    waiting.append([*names, name])
                else:
                    yield [*names, name]


def _entries(root: int, names: list[bytes]) -> list[tuple[bytes, bool]]:
    try:
        dir_fd = open_folder(root, names)
    except OSError:
        return []
    try:
        with os.scandir(dir_fd) as entries:
            return [
                (os.fsencode(entry.name), entry.is_dir(follow_symlinks=False))
                for entry in entries
                if entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)
            ]
    finally:
        os.close(dir_fd)


def write_whole(content: bytes, name: Name, dir_fd: int, temporary: int) -> None:
    """Write a small file into a folder, whole or not at all, by way of `temporary`; on the disk
    when done."""
    made = secrets.token_hex(8)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(made, flags, 0o644, dir_fd=temporary)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.rename(made, name, src_dir_fd=temporary, dst_dir_fd=dir_fd)
    except BaseException:
        remove(made, temporary)
        raise
    os.fsync(dir_fd)


def clear(dir_fd: int) -> None:
    """Remove everything in a folder but not the folder; links are removed, not followed."""
    walk = os.fwalk(".", topdown=False, follow_symlinks=False, dir_fd=dir_fd)
    for base, folders, names, descriptor in walk:
        del base
        for name in names:
            remove(name, descriptor)
        for name in folders:
            _remove_folder(name, descriptor)


def _remove_folder(name: str, descriptor: int) -> None:
    # another thread may still remove, or have just made, a temporary file in it
    try:
        os.rmdir(name, dir_fd=descriptor)
    except NotADirectoryError:
        remove(name, descriptor)
    except OSError as error:
        if error.errno not in {errno.ENOENT, errno.ENOTEMPTY}:
            raise
