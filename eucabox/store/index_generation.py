"""Detects an index or a bucket folder that was restored from a backup; reads no object.

A bucket's folder and its row in the index hold the same random id, its generation. It is renewed
with the first change that a process makes to the bucket, and at the end. A restored index or folder
has an old one, and the bucket is rescanned.
"""

import contextlib
import secrets

from eucabox.errors import DiskFull, NoSuchBucket
from eucabox.store.bucket_folder import BucketFolder
from eucabox.store.index import Index, IndexBroken
from eucabox.store.temp_file import write_small

# Without a new generation the bucket is only rescanned once more than needed.
HARMLESS = (OSError, DiskFull, IndexBroken, NoSuchBucket)


def new_generation(folder: BucketFolder, index: Index) -> None:
    """Give a bucket and its row a new generation. A kill in between leaves one that both know."""
    new = secrets.token_hex(8)
    index.mark_bucket(folder.name, folder.generation, new)
    write_small(folder, new.encode(), folder.MARK, folder.reserved)
    folder.generation = new
    index.mark_bucket(folder.name, new)


def ensure_new_generation(folder: BucketFolder, index: Index) -> None:
    """Renew the generation before the first change of this process; if the disk is full, go on
    without."""
    if folder.touched:
        return
    with folder.generation_lock:
        if not folder.touched:
            with contextlib.suppress(*HARMLESS):
                new_generation(folder, index)
                folder.touched = True


def close(folder: BucketFolder, index: Index) -> None:
    """Renew the generation of a bucket that changed, so that a copy of a running cloud's index is
    old."""
    if folder.touched and not folder.deleted:
        with contextlib.suppress(*HARMLESS):
            new_generation(folder, index)
