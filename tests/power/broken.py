"""A eucabox with one flush left out, which the cuts must find: `python -m tests.power.broken WHAT`.

What follows WHAT on the command line is eucabox's own. Only calls of the operating system and of
SQLite are changed, so that no order of the store's is taken for granted.
"""

import os
import sqlite3
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eucabox.cli import main

fsync, connect = os.fsync, sqlite3.connect


def _flush_no_objects() -> None:
    _leave_out(lambda mode, path: stat.S_ISREG(mode) and "/buckets/" in path)


def _flush_no_folders() -> None:
    _leave_out(lambda mode, path: stat.S_ISDIR(mode) and "/buckets/" in path)


def _leave_out(fits: Callable[[int, str], bool]) -> None:
    def flush(fd: Any) -> None:
        path = str(Path(f"/proc/self/fd/{int(fd)}").readlink())
        if not fits(os.fstat(fd).st_mode, path):
            fsync(fd)

    os.fsync = os.fdatasync = flush


def _flush_no_rows() -> None:
    """A database whose transactions are whole but wait for the disk some other time."""

    def connected(*args: Any, factory: Any = sqlite3.Connection, **kw: Any) -> Any:
        class Lazy(factory):  # type: ignore[misc]
            def execute(self, sql: str, *params: Any) -> Any:
                return super().execute(sql.replace("= FULL", "= NORMAL"), *params)

        return connect(*args, factory=Lazy, **kw)

    sqlite3.connect = connected


BROKEN = {"objects": _flush_no_objects, "folders": _flush_no_folders, "rows": _flush_no_rows}

if __name__ == "__main__":
    BROKEN[sys.argv.pop(1)]()
    main()
