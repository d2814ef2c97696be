"""Pages of uploads in progress, by key and then by time; reads only the uploads of the page."""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from weakref import WeakKeyDictionary

from eucabox.store.bucket_folder import BucketFolder
from eucabox.store.paths import common_prefix
from eucabox.store.types import Upload, Uploads

KeyAndId = tuple[str, str]  # key and upload id


class UploadKeys:
    """Remembers the keys of uploads, which never change, so that a page reads only its own
    uploads."""

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[BucketFolder, dict[str, str]] = WeakKeyDictionary()

    def sort(
        self, folder: BucketFolder, ids: Iterable[str], read: Callable[[str], Upload | None]
    ) -> list[KeyAndId]:
        """Return (key, id) of uploads, sorted; `read` returns the upload of an id."""
        old, new = self._known.get(folder, {}), {}
        for upload_id in ids:
            key = old.get(upload_id)
            if key is None:
                upload = read(upload_id)
                if upload is None:
                    continue
                key = upload.key
            new[upload_id] = key
        self._known[folder] = new
        return sorted((key, upload_id) for upload_id, key in new.items())


class UploadPage:
    """At most `limit` uploads and common prefixes, after a key and an upload id of that key."""

    def __init__(self, prefix: str, delimiter: str, after: KeyAndId, limit: int) -> None:
        self._prefix, self._delimiter, self._limit = prefix, delimiter, limit
        self._after = after
        self._uploads: list[Upload] = []
        self._prefixes: list[str] = []
        self._last: KeyAndId | None = None

    def read(self, entries: list[KeyAndId], read: Callable[[str], Upload | None]) -> Uploads:
        """Fill the page from all (key, id), which are sorted."""
        for entry in entries[bisect_left(entries, (max(self._prefix, self._after[0]), "")) :]:
            key, upload_id = entry
            if not key.startswith(self._prefix):
                break
            if self._is_before(entry):
                continue
            common = self._common(key)
            if common is not None and common in self._prefixes[-1:]:
                continue
            if len(self._uploads) + len(self._prefixes) >= self._limit:
                return self._page(truncated=self._limit > 0)  # a page of size 0 is never truncated
            self._add(entry, common, None if common else read(upload_id))
        return self._page(truncated=False)

    def _add(self, entry: KeyAndId, common: str | None, upload: Upload | None) -> None:
        if common is not None:
            self._prefixes.append(common)
            self._last = common, ""
        elif upload is not None:
            self._uploads.append(upload)
            self._last = entry

    def _is_before(self, entry: KeyAndId) -> bool:
        key, upload_id = self._after
        if key and self._common(entry[0]) == key:
            return True
        if upload_id:
            return entry <= self._after
        return bool(key) and entry[0] <= key

    def _common(self, key: str) -> str | None:
        return common_prefix(key, self._prefix, self._delimiter)

    def _page(self, *, truncated: bool) -> Uploads:
        key, upload_id = self._last if truncated and self._last else (None, None)
        return Uploads(self._uploads, self._prefixes, key, upload_id, truncated=truncated)
