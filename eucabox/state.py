"""The SQLite file that holds what can't be rebuilt: schema, migrations, transactions; no policy."""

import sqlite3
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import sqlite_utils

from eucabox.errors import DryRunOperation, StateTooNew
from eucabox.schema import MIGRATIONS

Row = dict[str, Any]
Params = Sequence[Any] | Mapping[str, Any]
BUSY_SECONDS = 30.0


class _Connection(sqlite3.Connection):
    """A connection that leaves committing to State.transaction.

    sqlite-utils 3.x commits after each of its writes, 4.x does not inside a transaction: with
    `in_transaction_block` set neither can end what the caller of State.transaction began.
    """

    in_transaction_block = False

    def __enter__(self) -> "_Connection":
        return self

    def __exit__(self, *exception: object) -> Literal[False]:
        if not self.in_transaction_block:
            super().__exit__(*exception)  # type: ignore[arg-type]
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


class State:
    """The database: one connection a thread, every write in an explicit transaction.

    The thread alone holds its connection, which is closed when the thread ends.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._open: weakref.WeakSet[_ThreadConnection] = weakref.WeakSet()
        self._lock = threading.Lock()
        path.touch(mode=0o600)
        self._migrate()

    def query(self, sql: str, params: Params = ()) -> list[Row]:
        """Return the rows as dicts, seeing this thread's open transaction if there is one."""
        cursor = self._connection().execute(sql, params)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, values, strict=True)) for values in cursor]

    def mark(self) -> tuple[int, int] | None:
        """Return what changes with every change of the file, by whichever process; for this
        thread alone, to be compared with an earlier one of its own. None inside a transaction,
        which may yet be undone."""
        connection = self._connection()
        if connection.in_transaction:
            return None
        (others,) = connection.execute("PRAGMA data_version").fetchone()
        return others, connection.total_changes

    def one(self, sql: str, params: Params = ()) -> Row | None:
        """Return the first row, or None."""
        rows = self.query(sql, params)
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
        connection.execute("BEGIN IMMEDIATE")
        connection.in_transaction_block = True
        try:
            yield database
            if self.rehearses and not for_good:
                raise DryRunOperation()
        except BaseException:
            connection.in_transaction_block = False
            connection.execute("ROLLBACK")
            raise
        connection.in_transaction_block = False
        connection.execute("COMMIT")

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

    def insert(self, table: str, row: Mapping[str, Any]) -> None:
        """Add a row; a column that it leaves out gets its default."""
        with self.transaction() as database:
            database.table(table).insert(dict(row))

    def delete(self, table: str, where: Mapping[str, Any]) -> int:
        """Delete the rows that equal `where`; return how many there were."""
        conditions = " and ".join(f"[{name}] = ?" for name in where)
        with self.transaction() as database:
            sql = f"delete from [{table}] where {conditions}"
            return int(database.conn.execute(sql, list(where.values())).rowcount)

    def update(self, table: str, where: Mapping[str, Any], **columns: Any) -> int:
        """Set columns on the rows that equal `where`; return how many there were."""
        sets = ", ".join(f"[{name}] = ?" for name in columns)
        conditions = " and ".join(f"[{name}] = ?" for name in where)
        sql = f"update [{table}] set {sets} where {conditions}"
        with self.transaction() as database:
            cursor = database.conn.execute(sql, [*columns.values(), *where.values()])
            return int(cursor.rowcount)

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
        )
        thread_connection = _ThreadConnection(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        with self._lock:
            self._open.add(thread_connection)
        return thread_connection

    def _migrate(self) -> None:
        with self.transaction() as database:
            version = database.conn.execute("PRAGMA user_version").fetchone()[0]
            if version > len(MIGRATIONS):
                raise StateTooNew(file=self.path, found=version, known=len(MIGRATIONS))
            for statements in MIGRATIONS[version:]:
                for statement in statements.split(";"):
                    database.conn.execute(statement)
            database.conn.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
