"""Which keys the buckets of a folder have, in a file of its own that nobody else sees; no content.

Keys are read from the folders, the index and the journal: some file systems leave out of a list
what is replaced while they make it. A key that has no file any more does no harm.
"""

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

from eucabox.store import dirfd, key_files, version_files
from eucabox.store.bucket_folder import OBJECTS, UPLOADS, VERSIONS, BucketFolder
from eucabox.store.journal import Journal
from eucabox.store.paths import LONGEST_KEY, RESERVED, digest

PAGE = 1000
TRIES = 20  # to read the journal, whose files come and go
SCHEMA = """
CREATE TABLE keys (bucket TEXT, key BLOB, PRIMARY KEY (bucket, key)) WITHOUT ROWID;
CREATE TABLE folders (id INTEGER PRIMARY KEY, path BLOB);
"""
ADD = "INSERT OR IGNORE INTO keys VALUES (?, ?)"


class KeyPlan:
    """The keys of buckets, sorted, and how many bytes their files have. Close it at the end."""

    def __init__(self) -> None:
        # with "" SQLite makes a file that has no name: it is gone with this process
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("PRAGMA journal_mode = OFF").fetchone()
        self._database.executescript(SCHEMA)
        self.bytes = 0

    def close(self) -> None:
        """Drop the plan."""
        self._database.close()

    def add_bucket(self, folder: BucketFolder) -> None:
        """Add the keys of a bucket's folder."""
        for key in self._walk(folder):
            if 0 < len(key) <= LONGEST_KEY and _is_text(key):
                self._database.execute(ADD, (folder.name, key))

    def add_index(self, reserved: Path, buckets: list[str]) -> None:
        """Add the keys of buckets that the journal and then the index name, as far as these can be
        read: they are no more than a help."""
        known = set(buckets)
        changed = _read_journal(reserved)
        rows = ((bucket, key.encode()) for bucket, key in changed if bucket in known)
        self._database.executemany(ADD, rows)
        file = reserved / "index.db"
        with contextlib.suppress(sqlite3.Error), contextlib.closing(_open_index(file)) as index:
            for bucket in buckets:
                for table in ("objects", "versions"):
                    query = f"SELECT DISTINCT key FROM {table} WHERE bucket = ?"
                    keys = ((bucket, key.encode()) for (key,) in index.execute(query, (bucket,)))
                    self._database.executemany(ADD, keys)

    def read_keys(self, bucket: str, after: bytes = b"") -> Iterator[bytes]:
        """Yield the keys of a bucket above `after`, sorted."""
        query = "SELECT key FROM keys WHERE bucket = ? AND key > ? ORDER BY key LIMIT ?"
        while rows := self._database.execute(query, (bucket, after, PAGE)).fetchall():
            for (key,) in rows:
                yield key
            after = rows[-1][0]

    def _walk(self, folder: BucketFolder) -> Iterator[bytes]:
        yield from self._files(folder.fd, b"", skip=RESERVED.encode())
        for path in self._files(folder.reserved, OBJECTS.encode()):
            if path.endswith(key_files.KEY.encode()):
                key = dirfd.read_small(folder.reserved, path.split(b"/")) or b""
                if path.endswith(f"/{digest(key)}{key_files.KEY}".encode()):
                    yield key
        for path in self._files(folder.reserved, VERSIONS.encode()):
            if path.endswith(b"/" + version_files.KEY.encode()):
                key = dirfd.read_small(folder.reserved, path.split(b"/")) or b""
                if path.split(b"/")[-2] == digest(key).encode():
                    yield key
        for _ in self._files(folder.reserved, UPLOADS.encode()):
            pass  # for their bytes

    def _files(self, root: int, top: bytes, skip: bytes = b"") -> Iterator[bytes]:
        """Yield the path of each file; the folders that wait are kept in the plan's file."""
        self._database.execute("DELETE FROM folders")
        self._push(top)
        while (path := self._pop()) is not None:
            for name, status in _entries(root, path.split(b"/") if path else []):
                below = path + b"/" + name if path else name
                if stat.S_ISDIR(status.st_mode) and below != skip:
                    self._push(below)
                elif stat.S_ISREG(status.st_mode):
                    self.bytes += status.st_size
                    yield below

    def _push(self, path: bytes) -> None:
        self._database.execute("INSERT INTO folders (path) VALUES (?)", (path,))

    def _pop(self) -> bytes | None:
        query = "SELECT id, path FROM folders ORDER BY id DESC LIMIT 1"
        row = self._database.execute(query).fetchone()
        if row is None:
            return None
        self._database.execute("DELETE FROM folders WHERE id = ?", (row[0],))
        return bytes(row[1])


def _entries(root: int, names: list[bytes]) -> Iterator[tuple[bytes, os.stat_result]]:
    """Yield name and status of what a folder holds; a folder that is gone is empty."""
    try:
        dir_fd = dirfd.open_folder(root, names)
    except OSError as error:
        if error.errno in dirfd.ABSENT:
            return
        raise
    with dirfd.closing(dir_fd), os.scandir(dir_fd) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                yield os.fsencode(entry.name), entry.stat(follow_symlinks=False)


def _read_journal(reserved: Path) -> set[tuple[str, str]]:
    for _ in range(TRIES):
        with contextlib.suppress(FileNotFoundError):
            return Journal(reserved).list_changed()
    return set()


def _open_index(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=5)


def _is_text(key: bytes) -> bool:
    try:
        key.decode()
    except UnicodeDecodeError:
        return False
    return True
