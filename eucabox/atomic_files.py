"""Writes a file whole or not at all, makes a folder of a mode; knows nothing of what is in them."""

import os
import pwd
from pathlib import Path

OTHERS_PASS = 0o001


def make_folder(folder: Path, mode: int) -> None:
    """Make a folder of this very mode, and those above it of 0755, whatever the umask is.

    One that is there already keeps its mode, but lets others pass where `mode` does: the
    hypervisor's user has to reach its disks.
    """
    if not folder.parent.exists():
        make_folder(folder.parent, 0o755)
    try:
        folder.mkdir()
        folder.chmod(mode)
    except FileExistsError:
        has = folder.stat().st_mode & 0o777
        if mode & OTHERS_PASS & ~has:
            folder.chmod(has | OTHERS_PASS)


def name_owner(path: Path) -> str:
    """Return the name of a path's owner; without the path, of the nearest folder above it."""
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    return name_user(path.lstat().st_uid)


def name_user(uid: int) -> str:
    """Return the name of a user, or the number of one that this host does not know."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


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
