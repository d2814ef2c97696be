"""Finds files that a loss of power left without their content, or a part of it; `relaxed` may.

Most are shorter than their attributes say. Where the end of a file came to the disk before its
middle, only its ETag tells, so what was written shortly before has to be read.
"""

import contextlib
import hashlib
import logging
import os

from eucabox.store import attributes, key_files, version_files
from eucabox.store.bucket_folder import BucketFolder
from eucabox.store.temp_file import CHUNK
from eucabox.store.types import Object
from eucabox.store.upload_parts import MD5, join_etags

log = logging.getLogger("eucabox.bucket")


def is_torn(folder: BucketFolder, key: bytes, descriptor: int | None, doubtful_from: float) -> bool:
    """Return whether an open file of a key is torn; closes it. None is no file. One whose time in
    seconds since 1970 is before the doubtful ones is not: a bad disk has cut that, and what it left
    is not ours to remove."""
    if descriptor is None:
        return False
    try:
        status = os.fstat(descriptor)
        if status.st_mtime < doubtful_from:
            return False
        raw = attributes.read(descriptor) or key_files.read_sidecar(folder, key, status)
        if raw is None:
            return key_files.has_longer_sidecar(folder, key, status)
        with contextlib.suppress(ValueError):
            obj, fresh = attributes.decode(raw, "", "", status)
            if fresh:
                return not _has_etag(descriptor, obj)
            return attributes.is_cut_short(raw, status)
    except OSError as problem:  # of the disk: one file must not keep the others from a start
        log.error("%s/%r can't be read: %s", folder.name, key, problem.strerror)
    finally:
        os.close(descriptor)
    return False


def _has_etag(descriptor: int, obj: Object) -> bool:
    """Return whether a content is that of an object's ETag, if that is a sum of it; an encrypted
    one is authenticated whenever it is read."""
    if obj.sealed or not (obj.parts or MD5.fullmatch(obj.e_tag)):
        return True
    sums, offset = [], 0
    for size in obj.parts or (obj.size,):
        sums.append(_md5(descriptor, offset, size))
        offset += size
    return obj.e_tag == (join_etags(sums) if obj.parts else sums[0])


def _md5(descriptor: int, offset: int, size: int) -> str:
    md5, end = hashlib.md5(usedforsecurity=False), offset + size
    while offset < end and (data := os.pread(descriptor, min(CHUNK, end - offset), offset)):
        md5.update(data)
        offset += len(data)
    return md5.hexdigest()


def remove_versions(folder: BucketFolder, key: bytes, doubtful_from: float) -> None:
    """Remove the torn ones of a key's noncurrent versions."""
    for entry in version_files.list_entries(folder, key):
        if entry.is_marker:
            continue
        opened = version_files.open_entry(folder, key, entry)
        if is_torn(folder, key, opened, doubtful_from):
            log.warning("a loss of power took a version of %s/%r", folder.name, key)
            version_files.remove(folder, key, entry)
