"""The SQLite file that holds what can't be rebuilt: schema, migrations, transactions; no policy."""

import json
import logging
import os
import re
import sqlite3
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar, cast

import sqlite_utils

from eucabox import __version__, gil_turns
from eucabox.atomic_files import sync_folder
from eucabox.errors import (
    ConcurrentModification,
    DryRunOperation,
    StateNotCopied,
    StateTooNew,
    StateTooOld,
)
from eucabox.schema import MIGRATIONS

log = logging.getLogger("eucabox.state")

Row = dict[str, Any]  # for a query that one function reads; others have a type of schema.py
RowType = TypeVar("RowType")
Params = Sequence[object] | Mapping[str, object]
BUSY_SECONDS = 30.0
CACHE_KIB = 256  # of pages in each thread's memory; the operating system has all of them once
MOST_STATEMENTS = 32  # that each thread keeps prepared, of 4 KiB each
LOOK_SECONDS = 0.005  # between two looks for what other processes committed
LOST_REFERENCE = "FOREIGN KEY"  # in SQLite's words
_IDENTITY_VERSION = "select version from identity_version"
MOST_COPIES = 6  # of the database as it was before its schema changed
MOST_COPIES_OF_A_SCHEMA = 2  # so that repeated killed starts remove no older copies


class _Connection(sqlite3.Connection):
    """A connection that leaves committing to State.transaction.

    sqlite-utils 3.x commits after each of its writes, 4.x does not inside a transaction: with
    `in_transaction_block` set neither can end what the caller of State.transaction began.
    """

    in_transaction_block = False

    def __enter__(self) -> "_Connection":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        if not self.in_transaction_block:
            super().__exit__(kind, exception, trace)
        return False

    def commit(self) -> None:
        if not self.in_transaction_block:
            super().commit()


class _ThreadConnection:
    """The connection that a thread has: closed when the thread ends, which drops this object.

    A connection alone would wait for the garbage collector: it is part of a cycle of its own.
    """

    def __init__(self, connection: _Connection) -> None:
        self.connection = connection

    def __del__(self) -> None:
        self.connection.close()


@contextmanager
def _refuse_lost_references() -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as problem:
        if LOST_REFERENCE in str(problem):
            raise ConcurrentModification() from problem
        raise


class State:
    """The database: one connection a thread, every write in an explicit transaction.

    The thread alone holds its connection, which is closed when the thread ends. An older program's
    database is copied and brought up to date; with `migrates` false it raises StateTooOld, for a
    command that may run beside the service. Raises StateTooNew for a newer program's.
    """

    _last_commit = object()  # another one after each commit of this process

    def __init__(self, path: Path, *, migrates: bool = True) -> None:
        self.path = path
        # Called with an account and a topic for what `announce` was told; must be quick.
        self.on_announced: Callable[[str, str], None] = lambda account_id, topic: None
        self._local = threading.local()
        self._open: weakref.WeakSet[_ThreadConnection] = weakref.WeakSet()
        self._lock = threading.Lock()
        path.touch(mode=0o600)
        try:
            self._bring_up_to_date(migrates=migrates)
        except BaseException:
            self.close()
            raise

    def query(self, sql: str, params: Params = (), *, at_once: bool = False) -> list[Row]:
        """Return the rows as dicts, seeing this thread's open transaction if there is one.

        `at_once` is for many rows of texts and whole numbers: SQLite writes all of them as one JSON
        text. A row by itself costs more, and gives up the interpreter, which a busy thread then
        keeps for milliseconds.
        """
        if at_once:
            return self._query_at_once(sql, params)
        cursor = self._connection().execute(sql, params)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, values, strict=True)) for values in cursor]

    def _query_at_once(self, sql: str, params: Params) -> list[Row]:
        connection = self._connection()
        described = connection.execute(f"select * from ({sql}) limit 0", params).description
        names = [name for name, *_ in described]
        columns = ", ".join(f"[{name}]" for name in names)
        all_rows = f"select json_group_array(json_array({columns})) from ({sql})"
        (text,) = connection.execute(all_rows, params).fetchone()
        return [dict(zip(names, values, strict=True)) for values in json.loads(text)]

    def mark(self) -> tuple[int, int] | None:
        """Return what changes with every change of the file, by whichever process; for this
        thread alone, to be compared with an earlier one of its own. None inside a transaction,
        which may yet be undone."""
        connection = self._connection()
        if connection.in_transaction:
            return None
        (others,) = connection.execute("PRAGMA data_version").fetchone()
        return others, connection.total_changes

    def identity_mark(self) -> int | None:
        """Return what changes with every change of who a caller is or what it may do
        (schema.IDENTITY_TABLES), the same for every thread; None as for `mark`.

        A change of this process counts at once, one of another process LOOK_SECONDS later at most:
        to ask SQLite is a good part of a small request's time.
        """
        connection, local, commit = self._connection(), self._local, State._last_commit
        if connection.in_transaction:
            return None
        now = time.monotonic()
        seen: tuple[object, float, int] | None = getattr(local, "identity", None)
        if seen is None or seen[0] is not commit or now - seen[1] > LOOK_SECONDS:
            (version,) = connection.execute(_IDENTITY_VERSION).fetchone()
            seen = local.identity = (commit, now, int(version))
        return seen[2]

    def one(self, sql: str, params: Params = ()) -> Row | None:
        """Return the first row, or None."""
        rows = self.query(sql, params)
        return rows[0] if rows else None

    def select(
        self, row_type: type[RowType], sql: str, params: Params = (), *, at_once: bool = False
    ) -> list[RowType]:
        """Return the rows as a TypedDict, `at_once` as `query` does. Raises TypeError where the
        query lacks a column of it."""
        rows = self.query(sql, params, at_once=at_once)
        if rows and (lacking := _required_columns(row_type) - rows[0].keys()):
            raise TypeError(f"No {', '.join(sorted(lacking))} for {row_type.__name__} in: {sql}")
        return cast(list[RowType], rows)

    def select_one(self, row_type: type[RowType], sql: str, params: Params = ()) -> RowType | None:
        """Return the first row as a TypedDict, or None; raises as `select`."""
        rows = self.select(row_type, sql, params)
        return rows[0] if rows else None

    @contextmanager
    def transaction(self, *, for_good: bool = False) -> Iterator[sqlite_utils.Database]:
        """Hold the write lock until the end of the block, then commit; roll back on an exception.

        An inner block of the same thread joins the outer one. `for_good` is for rows that are
        created when they are first read: a rehearsal keeps them.
        """
        connection = self._connection()
        database = sqlite_utils.Database(connection)
        if connection.in_transaction:
            yield database
            return
        gil_turns.yield_leadership()  # another's transaction, and at the end the disk, take time
        connection.execute("BEGIN IMMEDIATE")
        connection.in_transaction_block = True
        try:
            yield database
            if self.rehearses and not for_good:
                raise DryRunOperation()
        except BaseException:
            connection.in_transaction_block = False
            connection.execute("ROLLBACK")
            self._take_announced()
            raise
        connection.in_transaction_block = False
        connection.execute("COMMIT")
        State._last_commit = object()
        for account_id, topic in self._take_announced():
            self.on_announced(account_id, topic)

    def announce(self, account_id: str, topic: str) -> None:
        """Tell `on_announced` that an account's things of this kind changed: once this thread's
        transaction is committed, and not at all where it is undone."""
        if self._connection().in_transaction:
            announced: set[tuple[str, str]] = self._local.__dict__.setdefault("announced", set())
            announced.add((account_id, topic))
        else:
            self.on_announced(account_id, topic)

    def _take_announced(self) -> set[tuple[str, str]]:
        announced: set[tuple[str, str]] = self._local.__dict__.pop("announced", set())
        return announced

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Within the block, this thread's first commit is a rollback that raises DryRunOperation.

        What a verb checks comes before its commit, and what it does beside the rows after it.
        """
        self._local.rehearses = True
        try:
            yield
        finally:
            self._local.rehearses = False

    @property
    def rehearses(self) -> bool:
        """Whether this thread is in a rehearsal: what is not a row must not be made either."""
        return getattr(self._local, "rehearses", False)

    def insert(self, table: str, row: Mapping[str, object]) -> None:
        """Add a row; a column that it leaves out gets its default.

        Raises ConcurrentModification if what the row refers to was deleted meanwhile.
        """
        with self.transaction() as database, _refuse_lost_references():
            database.table(table).insert(dict(row))

    def delete(self, table: str, where: Mapping[str, object]) -> int:
        """Delete the rows that equal `where`; return how many there were."""
        conditions = " and ".join(f"[{name}] = ?" for name in where)
        with self.transaction() as database:
            sql = f"delete from [{table}] where {conditions}"
            return int(database.conn.execute(sql, list(where.values())).rowcount)

    def update(self, table: str, where: Mapping[str, object], **columns: object) -> int:
        """Set columns on the rows that equal `where`; return how many there were. Raises as
        `insert`."""
        sets = ", ".join(f"[{name}] = ?" for name in columns)
        conditions = " and ".join(f"[{name}] = ?" for name in where)
        sql = f"update [{table}] set {sets} where {conditions}"
        with self.transaction() as database, _refuse_lost_references():
            cursor = database.conn.execute(sql, [*columns.values(), *where.values()])
            return int(cursor.rowcount)

    def release(self) -> None:
        """Close this thread's connection, as it waits for long from here on."""
        self._local.__dict__.pop("connection", None)

    def close(self) -> None:
        """Close every thread's connection."""
        with self._lock:
            for each in list(self._open):
                each.connection.close()
            self._open.clear()
        self._local = threading.local()

    def _connection(self) -> _Connection:
        thread_connection: _ThreadConnection | None = getattr(self._local, "connection", None)
        if thread_connection is None:
            thread_connection = self._local.connection = self._connect()
        return thread_connection.connection

    def _connect(self) -> _ThreadConnection:
        # Autocommit, so that only our own BEGIN opens a transaction, in every sqlite-utils.
        connection = sqlite3.connect(
            self.path,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            factory=_Connection,
            cached_statements=MOST_STATEMENTS,
        )
        thread_connection = _ThreadConnection(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        with self._lock:
            self._open.add(thread_connection)
        return thread_connection

    def _schema(self) -> int:
        """Return how many steps of MIGRATIONS the file has; raises StateTooNew."""
        (schema,) = self._connection().execute("PRAGMA user_version").fetchone()
        if schema > len(MIGRATIONS):
            raise StateTooNew(
                file=self.path,
                schema=schema,
                writer=self._writer(),
                this=__version__,
                known=len(MIGRATIONS),
                copy=_find_copy(self.path, len(MIGRATIONS)),
            )
        return int(schema)

    def _writer(self) -> str:
        row = self.one("select program from schema_changes order by schema desc limit 1")
        return row["program"] if row else "?"

    def _bring_up_to_date(self, *, migrates: bool) -> None:
        schema, known = self._schema(), len(MIGRATIONS)
        if schema < known and not migrates:
            raise StateTooOld(file=self.path, schema=schema, known=known, this=__version__)
        if schema < known:
            self._migrate()

    def _migrate(self) -> None:
        with self.transaction() as database:
            schema = self._schema()  # once more: another process may have been quicker
            copy = _copy(self.path, schema) if 0 < schema < len(MIGRATIONS) else None
            for statements in MIGRATIONS[schema:]:
                for statement in _split(statements):
                    database.conn.execute(statement)
            database.conn.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            change = len(MIGRATIONS), __version__, datetime.now(UTC).isoformat()
            database.conn.execute("insert or ignore into schema_changes values (?, ?, ?)", change)
        if copy:
            text = "the database went from schema %d to %d; as it was before, it is in %s"
            log.warning(text, schema, len(MIGRATIONS), copy)


def _split(statements: str) -> Iterator[str]:
    """Yield each statement; that of a trigger has semicolons of its own."""
    statement = ""
    for part in statements.split(";"):
        statement += f"{part};"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


# --- copies of the file as an older program left it ----------------------------------------------


def _copy(database: Path, schema: int) -> Path:
    """Copy the file, whole or not at all, while the caller holds its write lock."""
    folder = database.parent / "backups"
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    copy, temporary = folder / f"{database.stem}-schema-{schema}-{stamp}.db", folder / ".new"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        _drop_temporary(folder)
        temporary.touch(mode=0o600)
        write_copy(database, temporary)
        temporary.replace(copy)
        sync_folder(folder)
        _drop_old_copies(database)
    except (OSError, sqlite3.Error) as error:
        _drop_temporary(folder)
        reason = getattr(error, "strerror", None) or str(error)
        raise StateNotCopied(file=database, folder=folder, reason=reason) from error
    return copy


def _drop_temporary(folder: Path) -> None:
    for file in folder.glob(".new*"):  # with what SQLite puts beside it
        file.unlink()


def write_copy(database: Path, copy: Path) -> None:
    """Copy a database, as it is at one moment, into an empty file; it is on the disk when done."""
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE").fetchone()  # one file, to be moved by hand
    descriptor = os.open(copy, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _list_copies(database: Path) -> list[tuple[int, str, Path]]:
    """Return (schema, when, file) of each copy, the newest schema first and of it the newest."""
    name = re.compile(rf"{re.escape(database.stem)}-schema-(\d+)-(\d{{8}}T\d{{6}}Z)\.db")
    files = (database.parent / "backups").glob("*.db")
    copies = [(match, file) for file in files if (match := name.fullmatch(file.name))]
    return sorted(((int(match[1]), match[2], file) for match, file in copies), reverse=True)


def _drop_old_copies(database: Path) -> None:
    kept: Counter[int] = Counter()
    for schema, _, file in _list_copies(database):
        if kept[schema] < MOST_COPIES_OF_A_SCHEMA and kept.total() < MOST_COPIES:
            kept[schema] += 1
        else:
            file.unlink()


def _find_copy(database: Path, known: int) -> str:
    """Return the newest copy that a program which knows so many steps can read."""
    files = (str(file) for schema, _, file in _list_copies(database) if schema <= known)
    return next(files, f"a copy of it with schema {known} or older")


def _required_columns(row_type: type) -> frozenset[str]:
    required: frozenset[str] = getattr(row_type, "__required_keys__", frozenset())
    return required
