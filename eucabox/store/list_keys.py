"""Pages of keys and common prefixes, from the index; reads no file."""

from eucabox.store.index import Index, IndexReader, IndexRow
from eucabox.store.paths import common_prefix, end_of_prefix
from eucabox.store.types import Listing, Object

MOST = 1001  # rows fetched at once: a page, and one to know whether there are more
FEW = 8  # rows fetched first if the next common prefix may be near


def page(
    index: Index, bucket: str, prefix: str, delimiter: str, start_after: str, limit: int
) -> Listing:
    """Return the page of at most `limit` objects and common prefixes after `start_after`.

    A common prefix counts once, however many keys it has; they are skipped.
    """
    if limit <= 0:
        return Listing([], [], None, truncated=False)
    with index.snapshot(bucket, prefix):
        return _KeyPage(index, bucket, prefix, delimiter, limit).read(start_after)


class _KeyPage:
    def __init__(self, index: Index, bucket: str, prefix: str, delimiter: str, limit: int) -> None:
        self._index, self._bucket = index, bucket
        self._prefix, self._delimiter, self._limit = prefix, delimiter, limit
        self._end = end_of_prefix(prefix)
        self._reader = IndexReader(bucket)
        self._objects: list[Object] = []
        self._prefixes: list[str] = []
        self._last: str | None = None
        self._stride = FEW if delimiter else MOST

    def read(self, start_after: str) -> Listing:
        low: str | None = self._begin(start_after)
        while low is not None:
            if self._end is not None and low >= self._end:
                break
            wanted = self._limit - len(self._objects) - len(self._prefixes) + 1
            count = min(wanted, self._stride)
            rows = self._index.rows(self._bucket, low, self._end, count)
            if wanted == 1:
                return self._listing(truncated=bool(rows))
            self._stride = min(self._stride * 2, MOST)
            low = self._take(rows, more=len(rows) == count)
        return self._listing(truncated=False)

    def _begin(self, start_after: str) -> str | None:
        if not start_after or start_after < self._prefix:
            return self._prefix
        common = self._common(start_after)
        if common == start_after:  # the last page ended with this prefix
            return end_of_prefix(common)
        return start_after + "\0"

    def _take(self, rows: list[IndexRow], *, more: bool) -> str | None:
        """Take rows until the page is full; return where to go on, None if nothing is left."""
        if not self._delimiter:
            return self._take_all(rows, more=more)
        for row in rows:
            if len(self._objects) + len(self._prefixes) == self._limit:
                return row[0]
            common = self._common(row[0])
            if common is not None:
                self._prefixes.append(common)
                self._last, self._stride = common, FEW
                return end_of_prefix(common)
            self._objects.append(self._reader.object(row))
            self._last = row[0]
        return rows[-1][0] + "\0" if rows and more else None

    def _take_all(self, rows: list[IndexRow], *, more: bool) -> str | None:
        space = self._limit - len(self._objects)
        self._objects += map(self._reader.object, rows[:space])
        if rows:
            self._last = rows[:space][-1][0]
        if len(rows) > space:
            return rows[space][0]
        return rows[-1][0] + "\0" if rows and more else None

    def _common(self, key: str) -> str | None:
        return common_prefix(key, self._prefix, self._delimiter)

    def _listing(self, *, truncated: bool) -> Listing:
        return Listing(
            self._objects, self._prefixes, self._last if truncated else None, truncated=truncated
        )
