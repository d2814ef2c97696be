"""Brings the index up to date with the files of one bucket; changes no object."""

from collections.abc import Callable, Iterator

from eucabox.store import dirfd, key_files, version_files
from eucabox.store.bucket_folder import ATTRIBUTES, OBJECTS, BucketFolder
from eucabox.store.index import Index
from eucabox.store.objects import Objects
from eucabox.store.paths import LONGEST_KEY, RESERVED, digest, encode_key

Progress = Callable[[int], None]  # gets the number of files read so far
PAGE = 1000


def rescan(
    folder: BucketFolder, objects: Objects, index: Index, progress: Progress | None = None
) -> int:
    """Read every file of a bucket into the index and drop rows without a file; return the number of
    objects.

    Files whose names are not UTF-8, or too long for a key, are no objects and ignored.
    """
    count = 0
    folder.look_for_special_files()
    for key in _keys(folder, objects):
        if objects.reindex(folder, key) is not None:
            count += 1
            if progress and count % PAGE == 0:
                progress(count)
    for encoded in version_files.list_keys(folder) if folder.versioned else ():
        if not key_files.exists(folder, encoded):
            objects.reindex(folder, encoded.decode())
    _drop_missing(folder, objects, index)
    _drop_missing_versions(folder, objects, index)
    _remove_stale_sidecars(folder, objects)
    index.flush()
    index.add_bucket(folder.name, folder.generation)
    if progress:
        progress(count)
    return count


def _keys(folder: BucketFolder, objects: Objects) -> Iterator[str]:
    for names in dirfd.files(folder.fd, RESERVED.encode()):
        encoded = b"/".join(names)
        if len(encoded) <= LONGEST_KEY and (key := _text(encoded)) is not None:
            yield key
    for names in dirfd.files(folder.reserved, b""):
        if names[0] == OBJECTS.encode() and names[-1].endswith(key_files.KEY.encode()):
            encoded = dirfd.read_small(folder.reserved, names) or b""
            key = _text(encoded)
            if key and names[-1] == f"{digest(encoded)}{key_files.KEY}".encode():
                objects.clean_leftovers(folder, encoded)
                if key_files.is_hashed(folder, encoded):
                    yield key


def _text(encoded: bytes) -> str | None:
    try:
        return encoded.decode()
    except UnicodeDecodeError:
        return None


def _drop_missing(folder: BucketFolder, objects: Objects, index: Index) -> None:
    index.flush()
    low = ""
    while rows := index.rows(folder.name, low, None, PAGE):
        for key, *_ in rows:
            if not key_files.exists(folder, encode_key(key)):
                objects.reindex(folder, key)
        low = rows[-1][0] + "\0"


def _drop_missing_versions(folder: BucketFolder, objects: Objects, index: Index) -> None:
    index.flush()
    low = ""
    while rows := index.version_rows(folder.name, (low, ""), None, PAGE):
        for key in {row[0] for row in rows}:
            if not version_files.list_entries(folder, encode_key(key)):
                objects.reindex(folder, key)
        low = rows[-1][0] + "\0"


def _remove_stale_sidecars(folder: BucketFolder, objects: Objects) -> None:
    """Remove sidecars whose content is gone."""
    cleaned: set[bytes] = set()
    for names in dirfd.files(folder.reserved, b"", [ATTRIBUTES.encode()]):
        key = key_files.sidecar_key(folder, names)
        if key is not None and key not in cleaned and _text(key) is not None:
            if key_files.current_sidecar(folder, key) != names[-1].decode():
                cleaned.add(key)
                objects.clean_leftovers(folder, key)
