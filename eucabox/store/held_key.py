"""The files of one key held open while others write, so that they stay as they were together.

No lock of the process that serves the store is taken: a file is never changed once it has its
name, so what was opened stays; and a key whose files are the same before and after they were
opened was so at that moment. What a change leaves half done meanwhile is what a kill would leave,
and the next start repairs it.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from eucabox.errors import SourceChanged
from eucabox.store import attributes, dirfd, key_files, version_files
from eucabox.store.bucket_folder import BucketFolder
from eucabox.store.version_files import VersionFile

MOST_HELD = 400  # files of a key that are open at once; older versions are opened when read
TRIES = 50
PAUSE = 0.002  # seconds; a little more after each try
READ = 1 << 18

Identity = tuple[int, int, int, int]


@dataclass
class HeldFile:
    """An open file with its attributes, None where it has none."""

    descriptor: int
    status: os.stat_result
    attributes: bytes | None

    def chunks(self) -> Iterator[bytes]:
        """Yield the content; SourceChanged if another program cuts the file meanwhile."""
        offset = 0
        while offset < self.status.st_size:
            size = min(READ, self.status.st_size - offset)
            chunk = os.pread(self.descriptor, size, offset)
            if not chunk:
                raise SourceChanged(what=Path(f"/proc/self/fd/{self.descriptor}").readlink())
            offset += len(chunk)
            yield chunk

    def close(self) -> None:
        """Let the file go."""
        os.close(self.descriptor)


@dataclass
class HeldKey:
    """A key's files at one moment: the current one, and the versions, the newest first.

    A version is None where it is opened when it is read, since there are too many.
    """

    folder: BucketFolder
    key: bytes
    current: HeldFile | None = None
    is_hashed: bool = False
    versions: list[tuple[VersionFile, HeldFile | None]] = field(default_factory=list)

    def __enter__(self) -> "HeldKey":
        return self

    def __exit__(self, *_: object) -> None:
        for held in (self.current, *(each for _, each in self.versions)):
            if held is not None:
                held.close()

    def read_versions(self) -> Iterator[tuple[VersionFile, HeldFile]]:
        """Yield each version and delete marker with its file, the oldest first."""
        for entry, held in reversed(self.versions):
            opened = held or _open_version(self.folder, self.key, entry)
            if opened is None:
                continue  # deleted meanwhile
            try:
                yield entry, opened
            finally:
                if held is None:
                    opened.close()


def hold_key(folder: BucketFolder, key: bytes) -> HeldKey:
    """Return what a key is now. The folder's `has_hashed` and `has_sidecars` must be true.

    Where others change the key all the time, some of its older versions may be missing that were
    deleted meanwhile.
    """
    for attempt in range(TRIES):
        held = _try_to_hold(folder, key)
        if held is not None:
            return held
        time.sleep(PAUSE * attempt)
    return _hold_what_is_there(folder, key)


def _try_to_hold(folder: BucketFolder, key: bytes) -> HeldKey | None:
    held = HeldKey(folder, key)
    try:
        _hold_current(held)
        entries = version_files.list_entries(folder, key)
        for entry in entries[:MOST_HELD]:
            opened = _open_version(folder, key, entry)
            if opened is None:
                break
            held.versions.append((entry, opened))
        held.versions += [(entry, None) for entry in entries[MOST_HELD:]]
        if [entry for entry, _ in held.versions] == entries and _is_unchanged(held, entries):
            return held
    except BaseException:
        held.__exit__()
        raise
    held.__exit__()
    return None


def _hold_what_is_there(folder: BucketFolder, key: bytes) -> HeldKey:
    held = HeldKey(folder, key)
    _hold_current(held)
    held.versions = [(entry, None) for entry in version_files.list_entries(folder, key)]
    return held


def _hold_current(held: HeldKey) -> None:
    descriptor, held.is_hashed = _open_current(held.folder, held.key)
    if descriptor is not None:
        held.current = _describe(held.folder, held.key, descriptor)


def _open_current(folder: BucketFolder, key: bytes) -> tuple[int | None, bool]:
    """Return the descriptor of a key's file, and whether it lies under its hash."""
    names = folder.components(key)
    descriptor = dirfd.open_file(folder.fd, names) if names else None
    if descriptor is not None:
        return descriptor, False
    return dirfd.open_file(folder.reserved, key_files.path_by_hash(key)), True


def _open_version(folder: BucketFolder, key: bytes, entry: VersionFile) -> HeldFile | None:
    descriptor = version_files.open_entry(folder, key, entry)
    return None if descriptor is None else _describe(folder, key, descriptor)


def _describe(folder: BucketFolder, key: bytes, descriptor: int) -> HeldFile:
    try:
        status = os.fstat(descriptor)
        raw = attributes.read(descriptor) or key_files.read_sidecar(folder, key, status)
    except BaseException:
        os.close(descriptor)
        raise
    return HeldFile(descriptor, status, raw)


def _is_unchanged(held: HeldKey, entries: list[VersionFile]) -> bool:
    descriptor, is_hashed = _open_current(held.folder, held.key)
    now = None
    if descriptor is not None:
        with dirfd.closing(descriptor):
            now = _identity(os.fstat(descriptor))
    before = _identity(held.current.status) if held.current else None
    same = now == before and (now is None or is_hashed == held.is_hashed)
    return same and version_files.list_entries(held.folder, held.key) == entries


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
