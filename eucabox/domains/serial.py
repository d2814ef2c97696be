"""What a guest wrote to its serial port: the files of it, never a live console."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from eucabox.atomic_files import make_folder
from eucabox.errors import ConsoleUnreadable

LONGEST = 2**21  # bytes of a file, and how many older ones are kept: both are virtlogd's
OLDER = 3


def create(console: Path) -> None:
    """Make the file before libvirt does, so that it belongs to us; libvirt appends to it."""
    make_folder(console.parent, 0o751)
    os.close(os.open(console, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))


def append(console: Path, data: bytes) -> None:
    """Append what a guest wrote, with the limits that virtlogd has; raises OSError."""
    if console.exists() and console.stat().st_size + len(data) > LONGEST:
        _rotate(console)
    descriptor = os.open(console, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "ab", buffering=0) as file:
        file.write(data)


def _rotate(console: Path) -> None:
    names = [console, *(console.with_name(f"{console.name}.{number}") for number in range(OLDER))]
    for newer, older in reversed(list(pairwise(names))):
        if newer.exists():
            newer.replace(older)


def tail(console: Path, most: int) -> tuple[bytes, datetime | None]:
    """Return the last `most` bytes and the time of the last one; b"" and None without a file.

    virtlogd moves a file that grew too long to `.0`, which is read when the new one is short.
    Raises ConsoleUnreadable.
    """
    try:
        content = _read_end(console, most)
        older = console.with_name(console.name + ".0")
        if len(content) < most and older.exists():
            content = _read_end(older, most - len(content)) + content
        return content, datetime.fromtimestamp(console.stat().st_mtime, UTC)
    except FileNotFoundError:
        return b"", None
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise ConsoleUnreadable(id=console.parent.name, reason=reason) from None


@dataclass(frozen=True)
class LogMark:
    """A place in a console's file, which stays that when the file is moved away."""

    inode: int
    size: int

    def go_back(self, count: int) -> "LogMark":
        """Return the place so many bytes before, in the same file."""
        return LogMark(self.inode, max(0, self.size - count))


def read_marked(console: Path, most: int) -> tuple[bytes, LogMark]:
    """Return the last `most` bytes and the place where they end; b"" without a file."""
    try:
        with console.open("rb") as opened:
            facts = os.fstat(opened.fileno())
            start = max(0, facts.st_size - most)
            opened.seek(start)
            content = opened.read(facts.st_size - start)
        return content, LogMark(facts.st_ino, facts.st_size)
    except OSError:
        return b"", LogMark(0, 0)


def read_since(console: Path, mark: LogMark, most: int) -> bytes:
    """Return what was appended after a place, at most its last `most` bytes."""
    older = console.with_name(console.name + ".0")
    content = b""
    for file in (older, console):
        if content or file is console or _has_inode(file, mark):
            end, place = read_marked(file, most)
            new = place.size - mark.size if place.inode == mark.inode else place.size
            content += end[max(0, len(end) - new) :] if new > 0 else b""
    return content[-most:]


def _has_inode(file: Path, mark: LogMark) -> bool:
    try:
        return file.stat().st_ino == mark.inode
    except OSError:
        return False


def _read_end(file: Path, most: int) -> bytes:
    with file.open("rb") as opened:
        size = opened.seek(0, os.SEEK_END)
        opened.seek(max(0, size - most))
        return opened.read(most)
