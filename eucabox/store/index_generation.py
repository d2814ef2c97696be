"""Tells an index of another time from the index of this folder; reads no object.

A bucket's folder and its row in the index have the same mark, a new one with the first change
that a process makes to the bucket and with its end. An index, or a folder, that comes back from a
backup has an old one, and the bucket is read again.
"""

import contextlib
import secrets

from eucabox.errors import DiskFull, NoSuchBucket
from eucabox.store.bucket_folder import BucketFolder
from eucabox.store.index import Index, IndexBroken
from eucabox.store.temp_file import write_small

# Without a new mark the bucket is read once more than needed, if it is still there.
HARMLESS = (OSError, DiskFull, IndexBroken, NoSuchBucket)


def new_generation(folder: BucketFolder, index: Index) -> None:
    """Give a bucket and its row a new mark. A kill in between leaves one that both know."""
    new = secrets.token_hex(8)
    index.mark_bucket(folder.name, folder.generation, new)
    write_small(folder, new.encode(), folder.MARK, folder.reserved)
    folder.generation = new
    index.mark_bucket(folder.name, new)


def ensure_new_generation(folder: BucketFolder, index: Index) -> None:
    """Renew the mark before the first change of this process; without room for it, go on."""
    if folder.touched:
        return
    with folder.generation_lock:
        if not folder.touched:
            with contextlib.suppress(*HARMLESS):
                new_generation(folder, index)
                folder.touched = True


def close(folder: BucketFolder, index: Index) -> None:
    """Renew the mark of a bucket that changed: a copy of a running cloud's index is old, too."""
    if folder.touched and not folder.deleted:
        with contextlib.suppress(*HARMLESS):
            new_generation(folder, index)
