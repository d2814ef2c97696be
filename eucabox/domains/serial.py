"""What a guest wrote to its serial port: reads the files, never a live console."""

import os
from datetime import UTC, datetime
from pathlib import Path

from eucabox.atomic_files import make_folder
from eucabox.errors import ConsoleUnreadable


def create(console: Path) -> None:
    """Make the file before libvirt does, so that it belongs to us; libvirt appends to it."""
    make_folder(console.parent, 0o751)
    os.close(os.open(console, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))


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


def _read_end(file: Path, most: int) -> bytes:
    with file.open("rb") as opened:
        size = opened.seek(0, os.SEEK_END)
        opened.seek(max(0, size - most))
        return opened.read(most)
