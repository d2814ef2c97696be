"""Asks a file system, by doing it, for what the store relies on; mends nothing.

Local ones have all of it. Those that are mounted over a network, or made for other systems, may
fold names, keep no hard links or forget locks, which would lose objects without a word.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from eucabox.errors import FileSystemUnfit
from eucabox.store import dirfd

NAMES = (
    "a", "A", "\u00e9", "e\u0301", 'colon: back\\slash *?"<>|', "dot.", "blank ", "n" * 255,
)  # fmt: skip
SECOND = 1_000_000_000
MOMENT = 1_700_000_000 * SECOND + 123_456_000  # whole microseconds, as objects have them
OLD, NEW = b"old", b"new"
# What a disk says that is full, read-only or failing; the store tells of it by itself.
PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}
Probe = Callable[[int], str]


def check(folder: Path) -> None:
    """Raise FileSystemUnfit unless the file system of a folder has what the store relies on.

    One that takes no files now, as it is full or read-only, is not judged.
    """
    try:
        place = tempfile.mkdtemp(prefix="probe-", dir=folder)
    except OSError:
        return
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for probe, what in PROBES.items():
            if reason := _run(probe, descriptor):
                raise FileSystemUnfit(folder=folder, what=what, reason=reason)
    finally:
        os.close(descriptor)
        shutil.rmtree(place, ignore_errors=True)


def _run(probe: Probe, folder: int) -> str:
    """Return why a probe failed, or ""."""
    try:
        return probe(folder)
    except OSError as problem:
        if problem.errno in PASSING:
            return ""
        return problem.strerror or str(problem)


def _keep_names(folder: int) -> str:
    for name in NAMES:
        _write(folder, name, b"")
    missing = set(NAMES) - set(dirfd.list_names(folder))
    for name in NAMES:
        os.unlink(name, dir_fd=folder)
    return f"{min(missing)!r} is listed under another name" if missing else ""


def _keep_times(folder: int) -> str:
    _write(folder, "times", OLD)
    os.utime("times", ns=(MOMENT, MOMENT), dir_fd=folder)
    found = os.stat("times", dir_fd=folder).st_mtime_ns
    exact = found == MOMENT or found == MOMENT // SECOND * SECOND  # whole seconds will do
    return "" if exact else f"{MOMENT} ns became {found} ns"


def _replace_whole(folder: int) -> str:
    """Rename a file over one that is open: its reader goes on with the old content."""
    _write(folder, "target", OLD)
    _write(folder, "source", NEW)
    with _open("target", folder, os.O_RDONLY) as reader:
        os.rename("source", "target", src_dir_fd=folder, dst_dir_fd=folder)
        kept = os.pread(reader, 9, 0)
    with _open("target", folder) as reader:
        after = os.pread(reader, 9, 0)
    return "" if (kept, after) == (OLD, NEW) else f"{kept!r} and then {after!r} were read"


def _open_at_once(folder: int) -> str:
    """Look whether GlusterFS, which tells it below each mount, puts off opening files until they
    are read: one that was replaced meanwhile is gone then for who has opened it."""
    place = Path(f"/proc/self/fd/{folder}").readlink()
    while not place.is_mount() and place != place.parent:
        place = place.parent
    late = list(place.glob(".meta/graphs/active/*-open-behind"))
    volume = late[0].name.removesuffix("-open-behind") if late else ""
    return f"type: gluster volume set {volume} performance.open-behind off" if late else ""


def _link(folder: int) -> str:
    """Give an open file a second name, also when the first one is another file's by now."""
    _write(folder, "linked", OLD)
    with _open("linked", folder) as file:
        os.link(f"/proc/self/fd/{file}", "second", dst_dir_fd=folder)
        count = os.fstat(file).st_nlink
    return "" if count > 1 else "a second name is no second link"


def _lock(folder: int) -> str:
    _write(folder, "lock", b"")
    with _open("lock", folder) as first, _open("lock", folder) as second:
        fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return "two have the same lock"
    return ""


def _flush(folder: int) -> str:
    _write(folder, "flushed", NEW)
    with _open("flushed", folder) as file:
        os.fdatasync(file)
    os.fsync(folder)
    return ""


def _write(folder: int, name: str, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(name, flags, 0o600, dir_fd=folder)
    try:
        os.write(file, content)
    finally:
        os.close(file)


@contextlib.contextmanager
def _open(name: str, folder: int, mode: int = os.O_RDWR) -> Iterator[int]:
    file = os.open(name, mode | os.O_CLOEXEC, dir_fd=folder)
    try:
        yield file
    finally:
        os.close(file)


PROBES: dict[Probe, str] = {
    _keep_names: "keep names of files byte for byte",
    _keep_times: "keep the times of files",
    _replace_whole: "replace a file by another at once",
    _open_at_once: "open files at once",
    _link: "give a file a second name (a hard link)",
    _lock: "lock files",
    _flush: "flush files and folders to the disk",
}
