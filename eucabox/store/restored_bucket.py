"""Puts the files of a bucket back into an empty store; every path is made here, of a checked key.

Nothing is flushed: whoever restores flushes the file system once, at the end.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from eucabox.errors import InvalidKey
from eucabox.store import attributes, bucket_folder, dirfd, key_files, version_files
from eucabox.store.bucket_folder import UPLOADS, BucketFolder
from eucabox.store.fsync import RELAXED, Flush
from eucabox.store.paths import check_bucket_name, encode_key
from eucabox.store.temp_file import TempFile, write_small
from eucabox.store.types import Bucket, to_datetime
from eucabox.store.upload_parts import sidecar_name
from eucabox.store.version_files import VersionFile

BLOCK = 1 << 16
ZEROS = bytes(BLOCK)
Chunks = Iterable[bytes]


class RestoredBucket:
    """A bucket that is being restored. Raises Faults for names and keys that none can have."""

    def __init__(self, root: Path, name: str, configuration: bytes) -> None:
        check_bucket_name(name)
        bucket = _parse(name, configuration)
        self.name = name
        self._folder = BucketFolder(bucket_folder.create(root, bucket), Flush(RELAXED))

    def configure(self, configuration: bytes) -> None:
        """Give the bucket another configuration."""
        bucket = vars(_parse(self.name, configuration))
        self._folder.configure(**{name: bucket[name] for name in bucket if name != "name"})

    def put_current(self, key: bytes, chunks: Chunks, mtime: int, raw: bytes | None) -> None:
        """Put the current object of a key."""
        _check(key)
        with TempFile(self._folder) as temp_file:
            _fill(temp_file, chunks, mtime)
            sidecar = _put_attributes(temp_file, raw)
            os.close(
                key_files.install_with_sidecar(self._folder, key, temp_file, sidecar, keep_old=True)
            )

    def put_version(
        self, key: bytes, entry: VersionFile, chunks: Chunks, mtime: int, raw: bytes | None
    ) -> None:
        """Put a noncurrent version or a delete marker of a key."""
        _check(key)
        with (
            TempFile(self._folder) as temp_file,
            version_files.open_version_folder(self._folder, key) as dir_fd,
        ):
            _fill(temp_file, chunks, mtime)
            sidecar = _put_attributes(temp_file, raw)
            if sidecar is not None and temp_file.status is not None:
                key_files.write_sidecar(self._folder, key, temp_file.status, sidecar)
            temp_file.move(entry.name, dir_fd)

    def put_upload_file(
        self, upload_id: str, name: str, chunks: Chunks, mtime: int, raw: bytes | None
    ) -> None:
        """Put a file of an upload in progress; the caller has checked id and name."""
        with (
            TempFile(self._folder) as temp_file,
            dirfd.closing(
                dirfd.descend_making(self._folder.reserved, [UPLOADS, upload_id])
            ) as dir_fd,
        ):
            _fill(temp_file, chunks, mtime)
            sidecar = _put_attributes(temp_file, raw)
            if sidecar is not None and temp_file.status is not None:
                write_small(self._folder, sidecar, sidecar_name(name, temp_file.status), dir_fd)
            temp_file.move(name, dir_fd)


def _check(key: bytes) -> None:
    try:
        encode_key(key.decode())
    except UnicodeDecodeError:
        raise InvalidKey(reason="is not UTF-8") from None


def _parse(name: str, configuration: bytes) -> Bucket:
    """Return a bucket of its stored configuration; ValueError if that is none."""
    try:
        record = json.loads(configuration)
        bucket = Bucket(**{**record, "name": name, "created": to_datetime(int(record["created"]))})
    except (TypeError, KeyError, RecursionError) as problem:
        raise ValueError("not the configuration of a bucket") from problem
    if not isinstance(bucket.owner, str) or not isinstance(bucket.settings, dict):
        raise ValueError("not the configuration of a bucket")
    return bucket


def _fill(temp_file: TempFile, chunks: Chunks, mtime: int) -> None:
    fill(temp_file.fd, chunks)
    os.utime(temp_file.fd, ns=(mtime, mtime))
    temp_file.status = os.fstat(temp_file.fd)


def fill(descriptor: int, chunks: Chunks) -> int:
    """Write a new file, with blocks of zeros left out as holes; return its bytes."""
    size = 0
    for chunk in chunks:
        view = memoryview(chunk)
        for start in range(0, len(view), BLOCK):
            block = view[start : start + BLOCK]
            if block != ZEROS[: len(block)]:
                _write_at(descriptor, block, size + start)
        size += len(view)
    os.ftruncate(descriptor, size)
    return size


def _write_at(descriptor: int, data: memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written


def _put_attributes(temp_file: TempFile, raw: bytes | None) -> bytes | None:
    """Put attributes on a file; return them if they need a sidecar."""
    if raw is None or attributes.write(temp_file.fd, raw):
        return None
    return raw
