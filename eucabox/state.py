"""The SQLite file that holds what can't be rebuilt: schema, migrations, transactions; no policy."""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import sqlite_utils

from eucabox.errors import DryRunOperation, StateTooNew
from eucabox.schema import MIGRATIONS

Row = dict[str, Any]  # for a query that one function reads; others have a type of schema.py
RowType = TypeVar("RowType")
Params = Sequence[object] | Mapping[str, object]
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


class State:
    """The database: one connection a thread, every write in an explicit transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._open: set[_Connection] = set()
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

    def select(self, row_type: type[RowType], sql: str, params: Params = ()) -> list[RowType]:
        """Return the rows as a TypedDict. Raises TypeError where the query lacks a column of it."""
        rows = self.query(sql, params)
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

    def insert(self, table: str, row: Mapping[str, object]) -> None:
        """Add a row; a column that it leaves out gets its default."""
        with self.transaction() as database:
            database.table(table).insert(dict(row))

    def delete(self, table: str, where: Mapping[str, object]) -> int:
        """Delete the rows that equal `where`; return how many there were."""
        conditions = " and ".join(f"[{name}] = ?" for name in where)
        with self.transaction() as database:
            sql = f"delete from [{table}] where {conditions}"
            return int(database.conn.execute(sql, list(where.values())).rowcount)

    def update(self, table: str, where: Mapping[str, object], **columns: object) -> int:
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
            for connection in self._open:
                connection.close()
            self._open.clear()
        self._local = threading.local()

    def _connection(self) -> _Connection:
        connection: _Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
        return connection

    def _connect(self) -> _Connection:
        # Autocommit, so that only our own BEGIN opens a transaction, in every sqlite-utils.
        connection = sqlite3.connect(
            self.path,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            factory=_Connection,
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        with self._lock:
            self._open.add(connection)
        return connection

    def _migrate(self) -> None:
        with self.transaction() as database:
            version = database.conn.execute("PRAGMA user_version").fetchone()[0]
            if version > len(MIGRATIONS):
                raise StateTooNew(file=self.path, found=version, known=len(MIGRATIONS))
            for statements in MIGRATIONS[version:]:
                for statement in statements.split(";"):
                    database.conn.execute(statement)
            database.conn.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _required_columns(row_type: type) -> frozenset[str]:
    required: frozenset[str] = getattr(row_type, "__required_keys__", frozenset())
    return required
