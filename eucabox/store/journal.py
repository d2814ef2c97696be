"""Names the keys whose files may be newer than the index; holds no index and no object.

A record is written before a file changes and needed until the index has the change. Records survive
a killed process. After a power loss the journal is ignored and the buckets are rescanned. A listing
waits for the changes under way, which readers of the files may have seen.
"""

import contextlib
import json
import math
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from eucabox.atomic_files import write_atomic

LIMIT = 1 << 20  # bytes in one file of the journal before the next is begun
_encode = json.JSONEncoder().encode  # of a text alone it is three times as fast as of a list
PATIENCE = 10.0  # seconds that a listing waits for changes under way
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass
class JournalFile:
    """One file of the journal; `active` counts its changes that are not yet in the index."""

    file: Path
    descriptor: int
    size: int = 0
    active: int = 0


@dataclass(eq=False, slots=True)
class KeyChange:
    """One change of a key that the index does not have yet."""

    file: JournalFile
    bucket: str
    key: str


class Journal:
    """The journal files in a folder, and the file `state` that tells whether they can be
    trusted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mark = folder / "state"
        self._lock = threading.Lock()
        self._ended = threading.Condition(self._lock)
        self._under_way: set[KeyChange] = set()
        self._waiting = 0  # listings
        self._full: list[JournalFile] = []
        self._number = 0
        self._current: JournalFile | None = None

    def is_trusted(self) -> bool:
        """Return whether the index and the journal together have all that the last process
        changed."""
        try:
            mark = json.loads(self._mark.read_text())
            return bool(mark["clean"]) or mark["boot"] == _boot()
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def find_loss(self) -> float:
        """Return when the last record was written before the power was lost, in seconds since
        1970: the last start if all records are lost too, and never, `inf`, if it was not lost."""
        if self.is_trusted():
            return math.inf
        files = [each for each in (self._mark, *self._files()) if each.exists()]
        return max((each.stat().st_mtime for each in files), default=math.inf)

    def invalidate(self) -> None:
        """Make the next start rescan the buckets, whatever happens until then."""
        with contextlib.suppress(OSError):
            self._mark.unlink(missing_ok=True)

    def list_changed(self) -> set[tuple[str, str]]:
        """Return (bucket, key) of every change that may be missing in the index."""
        return {key for file in self._files() for key in _read(file)}

    def start(self) -> None:
        """Delete the old files, whose changes are in the index by now, and begin to record."""
        self._write_mark(clean=False)
        for file in self._files():
            file.unlink()
        self._current = self._new()

    def begin(self, bucket: str, key: str) -> KeyChange:
        """Record that a key is about to change; raises OSError if the disk fails."""
        record = f"[{_encode(bucket)}, {_encode(key)}]\n".encode()
        with self._lock:
            if self._current is None:
                raise OSError("the bucket store is closed")
            if self._current.size > LIMIT:
                with contextlib.suppress(OSError):  # a full disk: go on with this file
                    full, self._current = self._current, self._new()
                    self._full.append(full)
            file = self._current
            file.active += 1
            file.size += len(record)
            change = KeyChange(file, bucket, key)
            self._under_way.add(change)
        self._append(file, record)
        return change

    def _append(self, file: JournalFile, record: bytes) -> None:
        try:
            complete = os.write(file.descriptor, record) == len(record)
        except OSError:
            complete = False
        if not complete:  # deleting must work on a full disk: after a kill, rescan instead
            self._mark.unlink(missing_ok=True)

    def end(self, change: KeyChange, *, indexed: bool = True) -> None:
        """Note that a change is over; unless the index has received it, its record is needed for
        the next start."""
        with self._lock:
            change.file.active -= int(indexed)
            self._under_way.discard(change)
            if self._waiting:
                self._ended.notify_all()

    def wait_for_changes(self, bucket: str, prefix: str) -> None:
        """Return when the changes of keys with a prefix that have begun by now have ended, or
        after PATIENCE."""
        if not self._under_way:
            return
        with self._lock:
            begun = {
                each
                for each in self._under_way
                if each.bucket == bucket and each.key.startswith(prefix)
            }
            self._waiting += 1
            try:
                self._ended.wait_for(lambda: begun.isdisjoint(self._under_way), PATIENCE)
            finally:
                self._waiting -= 1

    def list_completed(self) -> list[JournalFile]:
        """Return the full files all of whose changes the index has received."""
        with self._lock:
            return [file for file in self._full if file.active == 0]

    def drop(self, completed: list[JournalFile]) -> None:
        """Remove files, after the index has written their changes."""
        with self._lock:
            self._full = [file for file in self._full if file not in completed]
        for file in completed:
            os.close(file.descriptor)
            file.file.unlink(missing_ok=True)

    def close(self, *, clean: bool) -> None:
        """Stop recording; `clean` says that the index is complete and on the disk."""
        with self._lock:
            files = [*self._full, *([self._current] if self._current else [])]
            self._full, self._current = [], None
        for file in files:
            os.close(file.descriptor)
        if clean and files and self._mark.exists():
            self._write_mark(clean=True)
            for file in files:
                file.file.unlink()

    def _new(self) -> JournalFile:
        self._number += 1
        file = self._folder / f"journal.{self._number}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC | os.O_CLOEXEC
        return JournalFile(file, os.open(file, flags, 0o644))

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("journal.*"))

    def _write_mark(self, *, clean: bool) -> None:
        write_atomic(self._mark, json.dumps({"clean": clean, "boot": _boot()}).encode())


def _boot() -> str:
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return os.urandom(16).hex()  # unknown: never equal to another boot


def _read(file: Path) -> Iterator[tuple[str, str]]:
    for line in file.read_bytes().splitlines():
        try:
            bucket, key = json.loads(line)
        except ValueError:
            continue  # cut off by a kill: that change had not begun
        yield bucket, key
