"""Writes a file whole or not at all; knows nothing of what is in it."""

import os
from pathlib import Path


def write_atomic(file: Path, content: bytes, mode: int = 0o644) -> None:
    """Put content at a path so that readers, and a crash, see the old file or the new one."""
    temporary = file.with_name(f".{file.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as made:
        os.fchmod(descriptor, mode)
        made.write(content)
        made.flush()
        os.fsync(descriptor)
    temporary.replace(file)
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
