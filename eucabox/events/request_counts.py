"""Counts requests and their seconds."""

import threading
from array import array
from bisect import bisect_left
from collections.abc import Container, Iterator, MutableSequence, Sequence
from functools import cache

from eucabox import errors
from eucabox.errors import Fault

# Upper edges of the buckets of seconds; a last one has the rest.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
OTHER = "other"  # for a name that is not ours: a client must not make labels
Labels = tuple[str, str, str]
Row = MutableSequence[float]  # the sum of seconds, and then how many requests fell into each bucket


class RequestCounts:
    """How often requests came, by service, name and outcome, and how long they took.

    `names` has the pairs of service and name that are counted by their names.
    """

    def __init__(self) -> None:
        self.names: Container[tuple[str, str]] = ()
        self.rows: dict[Labels, Row] = {}
        self.lock = threading.Lock()  # of all rows; a request holds it for less than a microsecond

    def count(self, service: str, name: str, outcome: str, seconds: float) -> None:
        """Count a request."""
        row = self.rows.get((service, name, outcome)) or self.find_row(service, name, outcome)
        bucket = 1 + bisect_left(SECONDS, seconds)
        with self.lock:
            row[0] += seconds
            row[bucket] += 1

    def find_row(self, service: str, name: str, outcome: str) -> Row:
        """Return the row of requests like one, made if there is none."""
        return self.rows.setdefault(self._clean(service, name, outcome), _make_row())

    def copy(self) -> dict[Labels, Row]:
        """Return the counts of one moment."""
        with self.lock:
            return {labels: row[:] for labels, row in self.rows.copy().items()}

    def _clean(self, service: str, name: str, outcome: str) -> Labels:
        known = not name or (service, name) in self.names
        return service, name if known else OTHER, outcome if outcome in _list_codes() else OTHER


def count_below(row: Sequence[float]) -> Iterator[tuple[str, float]]:
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
    return array("d", bytes(8 * (len(SECONDS) + 2)))


REQUESTS = RequestCounts()  # of the APIs
PAGES = RequestCounts()  # of the console
