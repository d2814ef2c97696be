"""The listing index: a SQLite file that can always be rebuilt; reads no object.

Changes are collected in memory and written by the next listing, or when there are many. The journal
names those that a killed process did not write.
"""

import contextlib
import logging
import os
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from eucabox.errors import DiskFull
from eucabox.store.disk_reserve import Reserve
from eucabox.store.journal import Journal
from eucabox.store.recent_changes import RecentChanges
from eucabox.store.types import (
    BucketChanges,
    BucketContents,
    Object,
    ObjectProperties,
    Version,
    to_datetime,
    to_nanoseconds,
)

log = logging.getLogger("eucabox.bucket")
VERSION = 3
WAITING = 512  # changes in memory before they are written
MOST_IDLE = 8  # readers that wait for the next listing
SCHEMA = """
CREATE TABLE objects (bucket TEXT, key TEXT, size INTEGER, e_tag TEXT, modified INTEGER,
    traits TEXT, stamp TEXT, PRIMARY KEY (bucket, key)) WITHOUT ROWID;
CREATE TABLE versions (bucket TEXT, key TEXT, size INTEGER, e_tag TEXT, modified INTEGER,
    traits TEXT, stamp TEXT, PRIMARY KEY (bucket, key, stamp)) WITHOUT ROWID;
CREATE TABLE buckets (name TEXT PRIMARY KEY, marks TEXT) WITHOUT ROWID;
"""
ADD = "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)"
DROP = "DELETE FROM objects WHERE bucket = ? AND key = ?"
ADD_VERSION = "INSERT OR REPLACE INTO versions VALUES (?, ?, ?, ?, ?, ?, ?)"
DROP_VERSION = "DELETE FROM versions WHERE bucket = ? AND key = ? AND stamp = ?"
DROP_VERSIONS = "DELETE FROM versions WHERE bucket = ? AND key = ?"
COLUMNS = "SELECT key, size, e_tag, modified, traits, stamp FROM"
MARKER = -1  # in place of the size, for a delete marker

# COLUMNS' values: traits are the few properties that a listing shows, the stamp a version's key.
IndexRow = tuple[str, int, str, int, str, str]


class IndexBroken(Exception):  # noqa: N818  # internal: no caller of the store sees it
    """The index file can't be used: rebuild it."""


class _ThreadsOwn(threading.local):
    """What one thread does in several steps that others see as one."""

    changes: list[Callable[[], None]] | None = None
    snapshot: sqlite3.Connection | None = None


class Index:
    """The index in a folder, with its journal."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder)
        self._home = self._file = folder / "index.db"
        self._reserve = Reserve(folder / "reserve")
        self._temporary_folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.RLock()
        self._pending: dict[tuple[str, str], IndexRow | None] = {}
        self._steps: list[
            tuple[str, tuple[object, ...]]
        ] = []  # pending changes of versions, in order
        self._changes = RecentChanges()
        self._readers: list[sqlite3.Connection] = []
        self._writer: sqlite3.Connection | None = None
        self._own = _ThreadsOwn()

    def open(self) -> bool:
        """Open the file; False if it had to be made anew and is empty."""
        try:
            self._writer = self._connect()
            (version,) = self._writer.execute("PRAGMA user_version").fetchone()
            usable = version == VERSION and self.journal.is_trusted()
        except sqlite3.DatabaseError:
            usable = False
        if not usable:
            self.reset()
        self._reserve.allocate()
        return usable

    def reset(self) -> None:
        """Replace the index by an empty one; on another disk if this one fails."""
        with self._lock:
            self._disconnect()
            self._pending.clear()
            self._steps.clear()
            try:
                self._make()
            except (OSError, sqlite3.Error) as error:
                self._move_to_temporary_folder()
                log.error("the index is in %s: %s fails: %s", self._file, self._home, error)

    def _make(self) -> None:
        for ending in ("", "-wal", "-shm"):
            self._file.with_name(self._file.name + ending).unlink(missing_ok=True)
        self._writer = self._connect()
        self._writer.executescript(f"{SCHEMA} PRAGMA user_version = {VERSION};")

    def _move_to_temporary_folder(self) -> None:
        """Put the index among the host's temporary files until the end of this process."""
        self.journal.invalidate()
        self._disconnect()
        self._temporary_folder = tempfile.TemporaryDirectory(prefix="eucabox-index-")
        self._file = Path(self._temporary_folder.name) / self._home.name
        self._make()

    def close(self) -> None:
        """Write the pending changes, flush the file, and note in the journal that it is
        complete."""
        clean = False
        with contextlib.suppress(IndexBroken, DiskFull, sqlite3.Error), self._lock:
            self.flush()
            if self._writer:
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            clean = self._temporary_folder is None
        self._disconnect()
        if clean:
            _sync(self._file)
        if self._temporary_folder:
            self._temporary_folder.cleanup()
        self.journal.close(clean=clean)

    def add(self, obj: Object) -> None:
        """Add or replace an object."""
        self._queue(obj.bucket, obj.key, _row(obj, obj.size))

    def drop(self, bucket: str, key: str) -> None:
        """Remove an object."""
        self._queue(bucket, key, None)

    def add_version(self, version: Version) -> None:
        """Add or replace a noncurrent version or a delete marker."""
        row = _row(version.object, MARKER if version.is_marker else version.object.size)
        self._queue_version_step(ADD_VERSION, version.object.bucket, *row)

    def drop_version(self, bucket: str, key: str, version_key: str) -> None:
        """Remove a noncurrent version."""
        self._queue_version_step(DROP_VERSION, bucket, key, version_key)

    def drop_versions(self, bucket: str, key: str) -> None:
        """Remove every noncurrent version of a key."""
        self._queue_version_step(DROP_VERSIONS, bucket, key)

    def read_changes(self, bucket: str, position: str, limit: int) -> BucketChanges:
        """Return at most `limit` keys that changed after a position; it reads no file."""
        with self._lock:
            return self._changes.read(bucket, position, limit)

    @contextlib.contextmanager
    def change_at_once(self) -> Iterator[list[Callable[[], None]]]:
        """Let no listing see a part of what this thread adds and removes meanwhile."""
        if self._own.changes is not None:  # a part of a larger change
            yield self._own.changes
            return
        changes = self._own.changes = []
        try:
            yield changes
        finally:
            self._own.changes = None
            with self._lock:
                for change in changes:
                    change()
                self._flush_if_many()

    def _queue_version_step(self, step: str, bucket: str, key: str, *values: object) -> None:
        def change() -> None:
            self._steps.append((step, (bucket, key, *values)))
            self._changes.note(bucket, key)

        self._queue_change(change)

    def _queue(self, bucket: str, key: str, row: IndexRow | None) -> None:
        def change() -> None:
            self._pending[bucket, key] = row
            self._changes.note(bucket, key)

        self._queue_change(change)

    def _queue_change(self, change: Callable[[], None]) -> None:
        if (changes := self._own.changes) is not None:
            changes.append(change)
            return
        with self.change_at_once() as changes:
            changes.append(change)

    def _flush_if_many(self) -> None:
        if len(self._pending) + len(self._steps) >= WAITING:
            with contextlib.suppress(IndexBroken, DiskFull):  # the next listing reports it
                self.flush()

    def flush(self) -> None:
        """Write the pending changes; raises IndexBroken, or DiskFull and they stay pending."""
        with self._lock:
            try:
                self._write()
                self._reserve.allocate()
            except DiskFull:
                if not self._reserve.release():
                    raise
                self._write()

    def _write(self) -> None:
        with self._lock:
            completed = self.journal.list_completed()
            if self._pending or self._steps:
                added = [(bucket, *row) for (bucket, _), row in self._pending.items() if row]
                dropped = [where for where, row in self._pending.items() if row is None]
                with self._transaction() as writer:
                    writer.executemany(ADD, added)
                    writer.executemany(DROP, dropped)
                    for step, values in self._steps:
                        writer.execute(step, values)
                self._pending.clear()
                self._steps.clear()
            self.journal.drop(completed)

    def knows(self, bucket: str, key: str) -> bool:
        """True if the index has an object of this key, also one whose removal is still pending."""
        if (bucket, key) in self._pending:
            return self._pending.get((bucket, key)) is not None
        with self._reading() as reader:
            query = "SELECT 1 FROM objects WHERE bucket = ? AND key = ?"
            return reader.execute(query, (bucket, key)).fetchone() is not None

    @contextlib.contextmanager
    def snapshot(self, bucket: str, prefix: str) -> Iterator[None]:
        """Let all that this thread reads meanwhile be of one moment, with every change of these
        keys that had begun before; raises IndexBroken, DiskFull."""
        self.journal.wait_for_changes(bucket, prefix)
        self.flush()
        with self._reading() as reader:
            reader.execute("BEGIN")
            self._own.snapshot = reader
            try:
                yield
            finally:
                self._own.snapshot = None
            reader.execute("ROLLBACK")

    def rows(self, bucket: str, low: str, high: str | None, limit: int) -> list[IndexRow]:
        """Return at most `limit` rows with low <= key < high, ordered by the bytes of the key."""
        end, values = ("", ()) if high is None else (" AND key < ?", (high,))
        where = f"bucket = ? AND key >= ?{end} ORDER BY key LIMIT ?"
        with self._reading() as reader:
            query = f"{COLUMNS} objects WHERE {where}"
            return reader.execute(query, (bucket, low, *values, limit)).fetchall()

    def version_rows(
        self, bucket: str, low: tuple[str, str], high: str | None, limit: int
    ) -> list[IndexRow]:
        """Return at most `limit` rows of noncurrent versions with low <= (key, version key) and key
        < high, ordered by the bytes of the key and then from the newest."""
        end, values = ("", ()) if high is None else (" AND key < ?", (high,))
        where = f"bucket = ? AND (key, stamp) >= (?, ?){end} ORDER BY key, stamp LIMIT ?"
        with self._reading() as reader:
            query = f"{COLUMNS} versions WHERE {where}"
            return reader.execute(query, (bucket, *low, *values, limit)).fetchall()

    def usage(self) -> dict[str, tuple[int, int]]:
        """Return {bucket: (objects, bytes)} of the buckets that have any."""
        self.flush()
        with self._reading() as reader:
            query = "SELECT bucket, count(*), sum(size) FROM objects GROUP BY bucket"
            return {name: (count, size) for name, count, size in reader.execute(query)}

    def count_bucket(self, bucket: str) -> BucketContents:
        """Return the usage of one bucket, without that of uploads."""
        self.flush()
        counted = "SELECT count(*), coalesce(sum(max(size, 0)), 0)"
        with self._reading() as reader:
            numbers = [
                number
                for table in ("objects", "versions")
                for number in reader.execute(
                    f"{counted} FROM {table} WHERE bucket = ?", (bucket,)
                ).fetchone()
            ]
        return BucketContents(*numbers)

    def count_bytes(self) -> dict[str, int]:
        """Return {bucket: bytes} of objects and noncurrent versions, of the buckets that have
        any."""
        self.flush()
        both = "SELECT bucket, size FROM objects UNION ALL SELECT bucket, size FROM versions"
        query = f"SELECT bucket, sum(max(size, 0)) FROM ({both}) GROUP BY bucket"
        with self._reading() as reader:
            return dict(reader.execute(query))

    def buckets(self) -> dict[str, list[str]]:
        """Return {bucket: possible generations} of the buckets that the index has completely."""
        with self._reading() as reader:
            rows = reader.execute("SELECT name, marks FROM buckets")
            return {name: marks.split(" ") for name, marks in rows}

    def add_bucket(self, name: str, mark: str) -> None:
        """Note that the index has a bucket completely."""
        with self._lock, self._transaction() as writer:
            writer.execute("INSERT OR REPLACE INTO buckets VALUES (?, ?)", (name, mark))

    def mark_bucket(self, name: str, *marks: str) -> None:
        """Note which generations a bucket's folder may have, if the index has the bucket."""
        with self._lock, self._transaction() as writer:
            values = " ".join(marks), name
            writer.execute("UPDATE buckets SET marks = ? WHERE name = ?", values)

    def drop_bucket(self, name: str) -> None:
        """Remove a bucket and its objects."""
        with self._lock:
            self.flush()
            with self._transaction() as writer:
                writer.execute("DELETE FROM buckets WHERE name = ?", (name,))
                writer.execute("DELETE FROM objects WHERE bucket = ?", (name,))
                writer.execute("DELETE FROM versions WHERE bucket = ?", (name,))

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._file, timeout=60, isolation_level=None, check_same_thread=False
        )
        try:
            # no fsync: after a power loss the index is rebuilt
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.DatabaseError:
            connection.close()
            raise
        return connection

    def _disconnect(self) -> None:
        readers, self._readers = self._readers, []
        writer, self._writer = self._writer, None
        _close_all(readers)
        if writer:
            writer.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with _translate_errors():
            if self._writer is None:
                raise IndexBroken
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        if self._own.snapshot is not None:
            yield self._own.snapshot
            return
        with _translate_errors():
            readers = self._readers  # of this file: a rebuilt index has another list
            try:
                reader = readers.pop()
            except IndexError:
                reader = self._connect()
            try:
                yield reader
            except BaseException:
                reader.close()
                raise
            self._give_back(reader, readers)

    def _give_back(self, reader: sqlite3.Connection, readers: list[sqlite3.Connection]) -> None:
        if len(readers) >= MOST_IDLE:
            reader.close()
            return
        readers.append(reader)
        if readers is not self._readers:  # the index was rebuilt or closed meanwhile
            _close_all(readers)


def _close_all(connections: list[sqlite3.Connection]) -> None:
    with contextlib.suppress(IndexError):
        while True:
            connections.pop().close()


@contextlib.contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        if "full" in str(error):
            raise DiskFull from error
        raise IndexBroken from error


def _sync(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# The properties in a listing have few different values: one text, one shared instance.


def _row(obj: Object, size: int) -> IndexRow:
    modified = to_nanoseconds(obj.last_modified)
    return obj.key, size, obj.e_tag, modified, _traits(obj.properties), obj.version_key


def _traits(properties: ObjectProperties) -> str:
    sums = ",".join(properties.checksums)
    return "\t".join((properties.owner, properties.storage_class, properties.checksum_type, sums))


class IndexReader:
    """Turns rows of one bucket into objects; for one thread only."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._properties: dict[str, ObjectProperties] = {}

    def object(self, row: IndexRow) -> Object:
        """Return the object of a row."""
        key, size, e_tag, modified, traits, version_key = row
        properties = self._properties.get(traits)
        if properties is None:
            properties = self._properties[traits] = _parse_traits(traits)
        obj = Object.__new__(Object)
        # takes a third of the time of __init__, which sets each field of a frozen object
        vars(obj).update(
            bucket=self._bucket,
            key=key,
            size=size,
            e_tag=e_tag,
            last_modified=to_datetime(modified),
            properties=properties,
            version_key=version_key,
        )
        return obj

    def version(self, row: IndexRow, *, is_latest: bool) -> Version:
        """Return the version of a row."""
        marker = row[1] == MARKER
        row = (row[0], 0, *row[2:]) if marker else row
        return Version(self.object(row), is_latest=is_latest, is_marker=marker)


def _parse_traits(traits: str) -> ObjectProperties:
    owner, storage_class, kind, sums = traits.split("\t")
    names = {name: "" for name in sums.split(",") if name}
    return ObjectProperties(
        owner=owner, storage_class=storage_class, checksum_type=kind, checksums=names
    )
