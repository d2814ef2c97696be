"""Pages of versions, delete markers and common prefixes, from the index; reads no file."""

import heapq

from eucabox.store import version_ids
from eucabox.store.index import Index, IndexReader, IndexRow
from eucabox.store.list_keys import FEW, MOST
from eucabox.store.paths import common_prefix, end_of_prefix
from eucabox.store.types import Version, Versions

Place = tuple[str, str]  # a key and a version key, or the least text after one


def page(
    index: Index, bucket: str, prefix: str, delimiter: str, after: tuple[str, str], limit: int
) -> Versions:
    """Return the page of at most `limit` versions and common prefixes after a key and, if one is
    named, a version id of it; sorted by key and then from the newest."""
    if limit <= 0:
        return Versions([], [], None, None, truncated=False)
    if after[1]:
        version_ids.check(after[1])
    with index.snapshot(bucket, prefix):
        return _VersionPage(index, bucket, prefix, delimiter, limit).read(*after)


class _VersionPage:
    def __init__(self, index: Index, bucket: str, prefix: str, delimiter: str, limit: int) -> None:
        self._index, self._bucket = index, bucket
        self._prefix, self._delimiter, self._limit = prefix, delimiter, limit
        self._end = end_of_prefix(prefix)
        self._reader = IndexReader(bucket)
        self._versions: list[Version] = []
        self._prefixes: list[str] = []
        self._last: Place | None = None
        self._latest_listed = ""  # the key whose newest version was listed
        self._stride = FEW if delimiter else MOST

    def read(self, key: str, version_id: str) -> Versions:
        low: Place | None = self._begin(key, version_id)
        while low is not None:
            if self._end is not None and low[0] >= self._end:
                break
            wanted = self._limit - len(self._versions) - len(self._prefixes) + 1
            count = min(wanted, self._stride)
            rows = self._rows(low, count)
            if wanted == 1:
                return self._page(truncated=bool(rows))
            self._stride = min(self._stride * 2, MOST)
            low = self._take(rows, more=len(rows) == count)
        return self._page(truncated=False)

    def _begin(self, key: str, version_id: str) -> Place | None:
        if not key or key < self._prefix:
            return self._prefix, ""
        common = self._common(key)
        if common == key:  # the last page ended with this prefix
            after = end_of_prefix(common)
            return None if after is None else (after, "")
        if not version_id:
            return key + "\0", ""
        return self._place_after(key, version_id)

    def _place_after(self, key: str, version_id: str) -> Place:
        version_key: str | None = version_id
        if version_id == version_ids.NULL:
            version_key = self._null_version_key(key)
        if version_key is None:  # it was deleted since the last page; its position is unknown
            return key, ""
        newest = self._rows((key, ""), 1)
        if newest and newest[0][0] == key and newest[0][5] <= version_key:
            self._latest_listed = key
        return key, version_key + "\0"

    def _null_version_key(self, key: str) -> str | None:
        objects = self._index.rows(self._bucket, key, key + "\0", 1)
        if objects and version_ids.is_null(objects[0][5]):
            return objects[0][5]
        low = key, ""
        while rows := self._index.version_rows(self._bucket, low, key + "\0", MOST):
            for row in rows:
                if version_ids.is_null(row[5]):
                    return row[5]
            low = key, rows[-1][5] + "\0"
        return None

    def _rows(self, low: Place, count: int) -> list[IndexRow]:
        current = self._index.rows(self._bucket, low[0], self._end, count)
        if current and (current[0][0], current[0][5]) < low:
            current = self._index.rows(self._bucket, low[0] + "\0", self._end, count)
        older = self._index.version_rows(self._bucket, low, self._end, count)
        return list(heapq.merge(current, older, key=_place))[:count]

    def _take(self, rows: list[IndexRow], *, more: bool) -> Place | None:
        """Take rows until the page is full; return where to go on, None if nothing is left."""
        for row in rows:
            if len(self._versions) + len(self._prefixes) == self._limit:
                return _place(row)
            common = self._common(row[0])
            if common is not None:
                self._prefixes.append(common)
                self._last, self._stride = (common, ""), FEW
                after = end_of_prefix(common)
                return None if after is None else (after, "")
            is_latest, self._latest_listed = row[0] != self._latest_listed, row[0]
            self._versions.append(self._reader.version(row, is_latest=is_latest))
            self._last = row[0], version_ids.version_id(row[5])
        return (rows[-1][0], rows[-1][5] + "\0") if rows and more else None

    def _common(self, key: str) -> str | None:
        return common_prefix(key, self._prefix, self._delimiter)

    def _page(self, *, truncated: bool) -> Versions:
        key, version_id = self._last if truncated and self._last else (None, None)
        return Versions(
            self._versions, self._prefixes, key, version_id or None, truncated=truncated
        )


def _place(row: IndexRow) -> Place:
    return row[0], row[5]
