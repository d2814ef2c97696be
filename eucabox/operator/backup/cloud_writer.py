"""Writes what is not in the buckets into a backup: database, keys, images, kept disks, settings.

The database is copied after the buckets, so that it knows every owner of what they hold, and before
images and disks, of which it says which are needed.
"""

import contextlib
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from eucabox.atomic_files import make_folder
from eucabox.config import Config
from eucabox.errors import KeyFileUnusable, SourceChanged
from eucabox.image import moved_disks
from eucabox.image.instance_disks import NOTE
from eucabox.operator.backup import places
from eucabox.operator.backup.contents import Contents
from eucabox.operator.backup.facts import KeptDisk
from eucabox.operator.backup.members import READ, write_member, write_small
from eucabox.operator.backup.sealed_file import SealedWriter
from eucabox.state import write_copy

SMALL = 1 << 20  # bytes of a file of settings, keys or notes at most
OLD = 3600.0  # seconds after which a copy of the database is a killed run's
PREFIX = ".backup-"
STOPPED = "select instance_id, state_clock from instances where state = 'stopped'"
REGISTERED = """select distinct digest from images
  where digest is not null and state not in ('deregistered', 'failed')"""
FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

Share = Callable[[str], None]  # gets what is being written


class CloudWriter:
    """Writes a data directory, but for its buckets."""

    def __init__(self, config: Config, sink: SealedWriter, contents: Contents) -> None:
        self._config, self._sink, self._contents = config, sink, contents
        self._data = config.cloud.data_dir
        self._needed: set[str] = set()  # names in the cache

    def write(self) -> dict[str, KeptDisk]:
        """Write all of it; return which instances keep their disks."""
        stopped = self._write_database()
        kept = {
            instance_id: KeptDisk(clock, bases)
            for instance_id, clock in stopped.items()
            if (bases := self._write_instance(instance_id, clock)) is not None
        }
        for name in sorted(self._needed):
            self._write_image(name)
        self._write_keys()
        for name, file in _list_settings(self._config):
            self._write_file(f"settings/{name}", file)
        self._contents.instances = len(kept)
        return kept

    # --- the database, keys, settings ----------------------------------------------------------

    def _write_database(self) -> dict[str, str]:
        """Write the database as it is now; return the clocks of the stopped instances."""
        database = self._data / places.DATABASE
        with _copying(database, self._data / "backups") as copy:
            with contextlib.closing(sqlite3.connect(copy)) as rows:
                stopped = dict(rows.execute(STOPPED).fetchall())
                self._needed.update(digest for (digest,) in rows.execute(REGISTERED))
            descriptor = os.open(copy, FLAGS)
        with os.fdopen(descriptor, "rb") as file:
            self._write_open(f"state/{places.DATABASE}", file.fileno())
        return stopped

    def _write_keys(self) -> None:
        for name in places.STATE_FILES:
            if name != places.DATABASE and not self._write_file(f"state/{name}", self._data / name):
                if name == "key":
                    raise KeyFileUnusable(file=self._data / name, reason="it is missing")

    def _write_file(self, name: str, file: Path) -> bool:
        """Write a small file; False if it is not there."""
        content = _read(file)
        if content is not None:
            write_small(self._sink, name, content)
        return content is not None

    # --- images and disks ----------------------------------------------------------------------

    def _write_image(self, name: str) -> None:
        """Write a file of the cache, if it is there: else it is in its bucket."""
        facts = _read(self._data / "cache" / f"{name}.json")
        if facts is None or places.parse_name(f"images/{name}.json") is None:
            return
        for form in ("raw", "qcow2"):
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(self._data / "cache" / f"{name}.{form}", FLAGS)
                with os.fdopen(descriptor, "rb") as file:
                    self._write_open(f"images/{name}.{form}", file.fileno())
                write_small(self._sink, f"images/{name}.json", facts)
                self._contents.images += 1

    def _write_instance(self, instance_id: str, clock: str) -> dict[str, str] | None:
        """Write an instance's disks; return what each lies over, None if it can't be kept."""
        folder = self._data / "instances" / instance_id
        with contextlib.ExitStack() as stack:
            try:  # nothing is written yet: a fault within a member would tear the backup
                note = _read(folder / NOTE)
                if note is None:
                    return None
                stripped, files = moved_disks.strip_folders(note), _open_disks(folder, stack)
                bases = {
                    name: moved_disks.read_base(file)
                    for name, file in files.items()
                    if name.endswith(".qcow2")
                }
            except (OSError, ValueError) as problem:
                self._contents.note(f"The disk of {instance_id} is not in the backup: {problem}.")
                return None
            for name, file in files.items():
                self._write_open(f"instances/{instance_id}/{name}", file.fileno())
        write_small(self._sink, f"instances/{instance_id}/{NOTE}", stripped)
        if not self._is_still_stopped(instance_id, clock):
            self._contents.note(f"{instance_id} was started meanwhile: its disk does not count.")
            return None
        self._needed.update(moved_disks.list_cached(note))
        return bases

    def _is_still_stopped(self, instance_id: str, clock: str) -> bool:
        with contextlib.closing(sqlite3.connect(self._data / places.DATABASE)) as database:
            rows = database.execute(f"{STOPPED} and instance_id = ?", (instance_id,)).fetchall()
        return rows == [(instance_id, clock)]

    def _write_open(self, name: str, descriptor: int) -> None:
        status = os.fstat(descriptor)
        chunks = _read_chunks(descriptor, status.st_size)
        write_member(self._sink, name, status.st_size, chunks, status.st_mtime_ns)
        self._contents.bytes += status.st_size


@contextlib.contextmanager
def _copying(database: Path, folder: Path) -> Iterator[Path]:
    """Copy the database into a file for the time of the block."""
    make_folder(folder, 0o700)
    for old in folder.glob(f"{PREFIX}*"):
        if time.time() - old.stat().st_mtime > OLD:
            old.unlink(missing_ok=True)
    copy = folder / f"{PREFIX}{secrets.token_hex(8)}"
    try:
        copy.touch(mode=0o600)
        write_copy(database, copy)
        yield copy
    finally:
        for file in folder.glob(f"{copy.name}*"):
            file.unlink(missing_ok=True)


def _open_disks(folder: Path, stack: contextlib.ExitStack) -> dict[str, BinaryIO]:
    """Open the files of an instance that are there, but for its note."""
    return {
        name: stack.enter_context(os.fdopen(os.open(folder / name, FLAGS), "rb"))
        for name in places.INSTANCE_FILES
        if name != NOTE and (folder / name).exists()
    }


def _read(file: Path) -> bytes | None:
    """Return a small file's content; None if it is not there."""
    try:
        descriptor = os.open(file, FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        return None
    with os.fdopen(descriptor, "rb") as opened:
        return opened.read(SMALL)


def _read_chunks(descriptor: int, size: int) -> Iterator[bytes]:
    """Yield exactly `size` bytes; SourceChanged where the file is cut meanwhile."""
    offset = 0
    while offset < size:
        chunk = os.pread(descriptor, min(READ, size - offset), offset)
        if not chunk:
            raise SourceChanged(what=Path(f"/proc/self/fd/{descriptor}").readlink())
        offset += len(chunk)
        yield chunk


def _list_settings(config: Config) -> Iterator[tuple[str, Path]]:
    """Yield the files of the configuration, each with its name in the backup."""
    if config.file is None:
        return
    yield config.file.name, config.file
    folder = config.file.with_name(f"{config.file.name}.d")
    for file in sorted(folder.glob("*.conf")) if folder.is_dir() else ():
        name = f"{folder.name}/{file.name}"
        if places.parse_name(f"settings/{name}") is not None:
            yield name, file
