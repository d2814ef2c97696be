"""Makes the index say what the tree of one bucket has; changes no object."""

from collections.abc import Callable, Iterator

from eucabox.store import dirfd, key_files, version_files
from eucabox.store.bucket_folder import ATTRIBUTES, OBJECTS, BucketFolder
from eucabox.store.index import Index
from eucabox.store.objects import Objects
from eucabox.store.paths import LONGEST_KEY, RESERVED, digest, encode_key

Progress = Callable[[int], None]  # told how many files were read so far
PAGE = 1000


def rescan(
    room: BucketFolder, shelf: Objects, index: Index, progress: Progress | None = None
) -> int:
    """Read every file of a bucket into the index, drop rows without a file; return the count.

    Files whose names are not UTF-8, or longer than a key, can't be objects and are passed over.
    """
    count = 0
    for key in _keys(room, shelf):
        if shelf.reindex(room, key) is not None:
            count += 1
            if progress and count % PAGE == 0:
                progress(count)
    for encoded in version_files.keys(room) if room.versioned else ():
        if not key_files.exists(room, encoded):
            shelf.reindex(room, encoded.decode())
    _drop_missing(room, shelf, index)
    _drop_missing_versions(room, shelf, index)
    _sweep_sidecars(room, shelf)
    index.flush()
    index.add_bucket(room.name, room.generation)
    if progress:
        progress(count)
    return count


def _keys(room: BucketFolder, shelf: Objects) -> Iterator[str]:
    for names in dirfd.files(room.fd, RESERVED.encode()):
        encoded = b"/".join(names)
        if len(encoded) <= LONGEST_KEY and (key := _text(encoded)) is not None:
            yield key
    for names in dirfd.files(room.reserved, b""):
        if names[0] == OBJECTS.encode() and names[-1].endswith(key_files.KEY.encode()):
            encoded = dirfd.read_small(room.reserved, names) or b""
            key = _text(encoded)
            if key and names[-1] == f"{digest(encoded)}{key_files.KEY}".encode():
                shelf.clean_leftovers(room, encoded)
                if key_files.is_hashed(room, encoded):
                    yield key


def _text(encoded: bytes) -> str | None:
    try:
        return encoded.decode()
    except UnicodeDecodeError:
        return None


def _drop_missing(room: BucketFolder, shelf: Objects, index: Index) -> None:
    index.flush()
    low = ""
    while rows := index.rows(room.name, low, None, PAGE):
        for key, *_ in rows:
            if not key_files.exists(room, encode_key(key)):
                shelf.reindex(room, key)
        low = rows[-1][0] + "\0"


def _drop_missing_versions(room: BucketFolder, shelf: Objects, index: Index) -> None:
    index.flush()
    low = ""
    while rows := index.version_rows(room.name, (low, ""), None, PAGE):
        for key in {row[0] for row in rows}:
            if not version_files.entries(room, encode_key(key)):
                shelf.reindex(room, key)
        low = rows[-1][0] + "\0"


def _sweep_sidecars(room: BucketFolder, shelf: Objects) -> None:
    """Remove sidecars of contents that are no more."""
    swept: set[bytes] = set()
    for names in dirfd.files(room.reserved, b"", [ATTRIBUTES.encode()]):
        key = key_files.sidecar_key(room, names)
        if key is not None and key not in swept and _text(key) is not None:
            if key_files.current_sidecar(room, key) != names[-1].decode():
                swept.add(key)
                shelf.clean_leftovers(room, key)
