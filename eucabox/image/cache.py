"""The image cache: files named by their content, the least used dropped first; never in use."""

import contextlib
import json
import os
import secrets
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypedDict, Unpack

from eucabox.atomic_files import make_folder, write_atomic
from eucabox.image import sparse
from eucabox.image.key_injection import SlotRecord

PARTIAL = "partial-"
WAIT = 0.25  # seconds between two looks at whether to wait on


class ImageFacts(TypedDict, total=False):
    """What is known of a cached file: its format and bytes, and by its kind the rest.

    `slot` is where a key goes, or `no_slot` says why it has none."""

    format: str
    bytes: int
    kind: str
    size: int
    slot: SlotRecord | None
    no_slot: str


@dataclass(frozen=True)
class CacheEntry:
    """A file of the cache: its name there, its path, its format raw or qcow2, its facts."""

    name: str
    path: Path
    format: str
    facts: ImageFacts


class Cache:
    """A folder of finished files, each with a small JSON file of facts beside it.

    The JSON file is written last and its time is the entry's last use. `limit` gives the bytes
    that all may take, `in_use` the names of entries that live instances need.
    """

    def __init__(
        self, folder: Path, limit: Callable[[], int], in_use: Callable[[], set[str]]
    ) -> None:
        self.folder, self.limit, self.in_use = folder, limit, in_use
        self._pins: Counter[str] = Counter()
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()
        make_folder(folder, 0o711)

    def find(self, name: str) -> CacheEntry | None:
        """Return an entry and note its use, or None."""
        note = self._facts_file(name)
        try:
            facts = json.loads(note.read_text("utf-8"))
            os.utime(note)
        except FileNotFoundError:
            return None
        return CacheEntry(name, self.folder / f"{name}.{facts['format']}", facts["format"], facts)

    @contextlib.contextmanager
    def only_one(self, key: str, go_on: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Let one thread at a time work on a key; `go_on` may raise where one waits for it."""
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        while not lock.acquire(timeout=WAIT):
            go_on()
        try:
            go_on()
            yield
        finally:
            lock.release()

    @contextlib.contextmanager
    def pin(self, name: str) -> Iterator[None]:
        """Keep an entry, there already or not, from being dropped meanwhile."""
        with self._guard:
            self._pins[name] += 1
        try:
            yield
        finally:
            with self._guard:
                self._pins[name] -= 1

    @contextlib.contextmanager
    def partial(self) -> Iterator[BinaryIO]:
        """Yield a new file in the cache's folder; unless adopted it is gone afterwards."""
        path = self.folder / (PARTIAL + secrets.token_hex(8))
        with path.open("x+b") as file:
            try:
                yield file
            finally:
                path.unlink(missing_ok=True)

    def adopt(self, partial: Path, name: str, form: str, **facts: Unpack[ImageFacts]) -> CacheEntry:
        """Make a finished partial file the entry of that name, then drop what is too much.

        An entry that is there already stays: overlays may rely on its very bytes.
        """
        with self.pin(name):
            entry = self.find(name)
            if entry is None:
                entry = self._add(partial, name, form, facts)
            self.evict()
        return entry

    def evict(self) -> list[str]:
        """Drop the least used entries until the rest fits the limit; return their names."""
        protected = self._names_protected()
        entries = self._list_by_use()
        total = sum(size for _, size in entries)
        dropped = []
        for name, size in entries:
            if total <= self.limit():
                break
            if name not in protected:
                self._drop(name)
                dropped.append(name)
                total -= size
        return dropped

    def make_room(self, needed: int) -> int:
        """Drop the least used entries until so many bytes are free on the disk; return how many
        are."""
        for name, _ in self._list_by_use() if self._free_bytes() < needed else ():
            if name not in self._names_protected():
                self._drop(name)
            if self._free_bytes() >= needed:
                break
        return self._free_bytes()

    def drop(self, digest: str) -> None:
        """Drop every entry of a content, unless it is in use."""
        protected = self._names_protected()
        for name, _ in self._list_by_use():
            if name.split("-")[0] == digest and name not in protected:
                self._drop(name)

    def keep_only(self, contents: set[str]) -> None:
        """Drop the entries of every other content, unless they are in use."""
        for content in {name.split("-")[0] for name in self._names()} - contents:
            self.drop(content)

    def sweep(self) -> None:
        """Remove what a killed process left: partial files, entries without their other half."""
        whole = {name for name in self._names() if self._is_whole(name)} | self._names_protected()
        for path in self.folder.iterdir():
            if path.stem not in whole:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            elif path.stat().st_uid != os.geteuid():  # libvirt gave it to its own user once
                with contextlib.suppress(PermissionError):  # it keeps its owner; all may read
                    os.chown(path, os.geteuid(), os.getegid())

    def usage(self) -> int:
        """Return the bytes that all entries take on the disk."""
        return sum(size for _, size in self._list_by_use())

    def _add(self, partial: Path, name: str, form: str, facts: ImageFacts) -> CacheEntry:
        known: ImageFacts = {"format": form, "bytes": partial.stat().st_size, **facts}
        entry = CacheEntry(name, self.folder / f"{name}.{form}", form, known)
        partial.chmod(0o444)  # the hypervisor's user reads it; nobody writes it
        partial.rename(entry.path)
        write_atomic(self._facts_file(name), json.dumps(known).encode())
        return entry

    def _free_bytes(self) -> int:
        status = os.statvfs(self.folder)
        return status.f_bavail * status.f_frsize

    def _names_protected(self) -> set[str]:
        with self._guard:
            pinned = {name for name, count in self._pins.items() if count > 0}
        return pinned | self.in_use()

    def _names(self) -> list[str]:
        return [path.stem for path in self.folder.glob("*.json")]

    def _list_by_use(self) -> list[tuple[str, int]]:
        entries = []
        for name in self._names():
            with contextlib.suppress(FileNotFoundError):
                time = self._facts_file(name).stat().st_mtime_ns
                entries.append(
                    (time, name, sum(map(sparse.disk_bytes, self.folder.glob(f"{name}.*"))))
                )
        return [(name, size) for _, name, size in sorted(entries)]

    def _is_whole(self, name: str) -> bool:
        try:
            facts = json.loads(self._facts_file(name).read_text("utf-8"))
            path = self.folder / f"{name}.{facts['format']}"
            return bool(path.stat().st_size == facts["bytes"])
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _drop(self, name: str) -> None:
        self._facts_file(name).unlink(missing_ok=True)
        for path in self.folder.glob(f"{name}.*"):
            path.unlink(missing_ok=True)

    def _facts_file(self, name: str) -> Path:
        return self.folder / f"{name}.json"
