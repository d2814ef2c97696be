"""Counts requests and their seconds, a table for each thread: counting waits for no lock."""

import threading
from bisect import bisect_left
from collections.abc import Container, Iterator
from functools import cache

from eucabox import errors
from eucabox.errors import Fault

# Upper edges of the buckets of seconds; a last one has the rest.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
OTHER = "other"  # for a name that is not ours: a client must not make labels
Labels = tuple[str, str, str]
Row = list[float]  # the sum of seconds, and then how many requests fell into each bucket
MOST_TABLES = 64  # of threads that may have ended, until theirs are put together


class _Tables(threading.local):
    """What one thread has counted."""

    def __init__(self, counts: "RequestCounts") -> None:
        self.rows: dict[Labels, Row] = {}
        counts.add_table(self.rows)


class RequestCounts:
    """How often requests came, by service, name and outcome, and how long they took.

    `names` has the pairs of service and name that are counted by their names.
    """

    def __init__(self) -> None:
        self.names: Container[tuple[str, str]] = ()
        self._tables: list[tuple[threading.Thread, dict[Labels, Row]]] = []
        self._ended: dict[Labels, Row] = {}
        self._lock = threading.Lock()
        self.mine = _Tables(self)

    def count(self, service: str, name: str, outcome: str, seconds: float) -> None:
        """Count a request; takes less than a microsecond where the thread had one like it."""
        row = self.mine.rows.get((service, name, outcome)) or self.find_row(service, name, outcome)
        row[0] += seconds
        row[1 + bisect_left(SECONDS, seconds)] += 1

    def find_row(self, service: str, name: str, outcome: str) -> Row:
        """Return this thread's row of requests like one, made if there is none."""
        return self.mine.rows.setdefault(self._clean(service, name, outcome), _make_row())

    def sum_up(self) -> dict[Labels, Row]:
        """Return the counts of all threads together."""
        with self._lock:
            self._put_together()
            total = {labels: row.copy() for labels, row in self._ended.items()}
            for _, rows in self._tables:
                _add(total, rows)
        return total

    def add_table(self, rows: dict[Labels, Row]) -> None:
        """Take the table of the thread that calls."""
        with self._lock:
            if len(self._tables) >= MOST_TABLES:
                self._put_together()
            self._tables.append((threading.current_thread(), rows))

    def _put_together(self) -> None:
        """Keep what threads counted that have ended since."""
        alive = []
        for thread, rows in self._tables:
            if thread.is_alive():
                alive.append((thread, rows))
            else:
                _add(self._ended, rows)
        self._tables = alive

    def _clean(self, service: str, name: str, outcome: str) -> Labels:
        known = not name or (service, name) in self.names
        return service, name if known else OTHER, outcome if outcome in _list_codes() else OTHER


def count_below(row: Row) -> Iterator[tuple[str, float]]:
    """Yield each bucket's upper edge and how many requests took no longer."""
    below = 0.0
    for edge, count in zip((*map(str, SECONDS), "+Inf"), row[1:], strict=True):
        below += count
        yield edge, below


@cache
def _list_codes() -> frozenset[str]:
    """Every error's code, "ok", and the statuses of HTTP."""
    kinds = [each for each in vars(errors).values() if isinstance(each, type)]
    codes = {each.code for each in kinds if issubclass(each, Fault)}
    return frozenset({"ok", Fault.code, *codes, *map(str, range(100, 600))})


def _make_row() -> Row:
    return [0.0] * (len(SECONDS) + 2)


def _add(total: dict[Labels, Row], rows: dict[Labels, Row]) -> None:
    for labels, row in rows.copy().items():
        before = total.get(labels)
        total[labels] = row.copy() if before is None else [
            one + other for one, other in zip(before, row, strict=True)
        ]  # fmt: skip


REQUESTS = RequestCounts()  # of the APIs
PAGES = RequestCounts()  # of the console
