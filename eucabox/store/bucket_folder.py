"""The folder of one bucket: its descriptors, configuration and reserved folder; never an object."""

import contextlib
import json
import os
import secrets
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from eucabox.errors import BucketUnusable, NoSuchBucket
from eucabox.store import dirfd
from eucabox.store.fsync import Flush
from eucabox.store.open_folders import OPEN_FOLDERS, OpenFolder
from eucabox.store.paths import RESERVED, components
from eucabox.store.types import Bucket, to_datetime, to_nanoseconds

CONFIGURATION = "bucket.json"
OBJECTS, TEMPORARY, UPLOADS, ATTRIBUTES = "objects", "temporary", "uploads", "attributes"
VERSIONS = "versions"  # made with the first version of a bucket
INSIDE = (OBJECTS, TEMPORARY, UPLOADS, ATTRIBUTES)


class BucketFolder:
    """The folder of a bucket, opened when it is needed. `deleted` is true once the bucket is
    deleted.

    Raises BucketUnusable where one of its folders is something else, such as a link; links are
    never followed.
    """

    MARK = "mark"
    # Whether any key has a file under its hash, and whether any file has a sidecar: most buckets
    # have neither, and then no read has to look for one.
    has_hashed = has_sidecars = True

    def __init__(self, path: Path, flush: Flush) -> None:
        self.path = path
        self.flush = flush
        self.name = path.name
        self._path_length = len(os.fsencode(path)) + 1
        self.deleted = False
        self.used = True
        self._opened: tuple[OpenFolder, OpenFolder, OpenFolder] | None
        try:
            self._opened = opened = self._open()
            for name in INSIDE:
                os.close(_ensure_folder(name, opened[1]))
        except OSError as error:
            raise BucketUnusable(name=path.name, reason=error.strerror) from error
        self._identity = _identity(os.fstat(opened[0]))
        OPEN_FOLDERS.add(self)
        self.look_for_special_files()
        self.bucket = _read_configuration(path.name, self.fd, self.reserved)
        self.generation = (dirfd.read_small(self.reserved, [self.MARK]) or b"").decode(
            "ascii", "replace"
        )
        self.touched = False  # since the start; see index_generation.py
        self.generation_lock = threading.Lock()

    def _open(self) -> tuple[OpenFolder, OpenFolder, OpenFolder]:
        """Open the bucket's folder, the reserved folder in it, and that for temporary files."""
        dir_fd = OpenFolder(os.open(self.path, dirfd.FOLDER))
        reserved = OpenFolder(_ensure_folder(RESERVED, dir_fd))
        return dir_fd, reserved, OpenFolder(_ensure_folder(TEMPORARY, reserved))

    def _open_folders(self) -> tuple[OpenFolder, OpenFolder, OpenFolder]:
        """Return the three folders; opens them if they were closed."""
        opened = self._opened
        if opened is None:
            opened = self._open_again()
        self.used = True
        return opened

    def _open_again(self) -> tuple[OpenFolder, OpenFolder, OpenFolder]:
        self.ensure_exists()
        try:
            opened = self._open()
        except OSError as error:
            if error.errno in dirfd.ABSENT:
                raise NoSuchBucket(name=self.name) from error
            raise
        if _identity(os.fstat(opened[0])) != self._identity:
            raise NoSuchBucket(name=self.name)
        self._opened = opened
        OPEN_FOLDERS.add(self)
        return opened

    def look_for_special_files(self) -> None:
        """Look for files under a hash and for sidecars, also those that a backup put there."""
        self.has_hashed = not dirfd.is_empty(OBJECTS, self.reserved)
        self.has_sidecars = not dirfd.is_empty(ATTRIBUTES, self.reserved)

    def close_folders(self) -> None:
        """Forget the open folders; each closes when nobody uses it any more."""
        self._opened = None

    @property
    def fd(self) -> OpenFolder:
        """The bucket's folder."""
        return self._open_folders()[0]

    @property
    def reserved(self) -> OpenFolder:
        """The reserved folder in it, which no key reaches."""
        return self._open_folders()[1]

    @property
    def temporary(self) -> OpenFolder:
        """The folder for files that are being written."""
        return self._open_folders()[2]

    @property
    def versioned(self) -> bool:
        """True if the bucket has, or had, versioning."""
        return bool(self.bucket.settings.get("versioning"))

    @property
    def keeps_versions(self) -> bool:
        """True if overwritten and deleted objects become versions."""
        versioning: dict[str, Any] = self.bucket.settings.get("versioning") or {}
        return versioning.get("status") == "Enabled"

    def ensure_not_deleted(self) -> None:
        """Raise NoSuchBucket if the bucket was deleted since the caller got it."""
        if self.deleted:
            raise NoSuchBucket(name=self.name)

    def ensure_exists(self) -> None:
        """Raise NoSuchBucket if the bucket was deleted or its folder removed by hand. It is called
        when something was missing."""
        if self.deleted or not self.exists():
            raise NoSuchBucket(name=self.name)

    def exists(self) -> bool:
        """True unless the bucket's folder was removed or replaced by hand."""
        try:
            return _identity(self.path.lstat()) == self._identity
        except FileNotFoundError:
            return False

    def components(self, key: bytes) -> list[bytes] | None:
        """Return the names of folders and file for a key, None if no path can hold the key."""
        return components(key, self._path_length)

    def configure(self, **changed: Any) -> Bucket:
        """Change fields of the bucket and store them."""
        bucket = replace(self.bucket, **changed)
        _write_configuration(self.reserved, self.temporary, bucket)
        self.bucket = bucket
        return bucket

    def clear_temporary(self) -> None:
        """Remove the temporary files of a killed process."""
        dirfd.clear(self.temporary)


def _ensure_folder(name: str, dir_fd: int) -> int:
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o755, dir_fd=dir_fd)
    return os.open(name, dirfd.FOLDER, dir_fd=dir_fd)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _write_configuration(reserved: int, temporary: int, bucket: Bucket) -> None:
    """Write the fields of a bucket to its reserved folder."""
    record = {**vars(bucket), "created": to_nanoseconds(bucket.created)}
    content = json.dumps(record, indent=1).encode()
    dirfd.write_whole(content, CONFIGURATION, reserved, temporary)


def create(root: Path, bucket: Bucket) -> Path:
    """Make the folder of a new bucket and return it; it is on the disk when done."""
    name = secrets.token_hex(8)
    with open_beside(root, "new") as (beside, buckets):
        with dirfd.closing(dirfd.descend_making(beside, [name, RESERVED])) as reserved:
            for inner in INSIDE:
                os.mkdir(inner, 0o755, dir_fd=reserved)
            with dirfd.closing(os.open(TEMPORARY, dirfd.FOLDER, dir_fd=reserved)) as temporary:
                _write_configuration(reserved, temporary, bucket)
        with dirfd.closing(dirfd.open_folder(beside, [name])) as made:
            os.fsync(made)
        os.rename(name, bucket.name, src_dir_fd=beside, dst_dir_fd=buckets)
        os.fsync(buckets)
    return root / bucket.name


def move_to_trash(root: Path, bucket: str) -> str:
    """Move a bucket's folder to `gone` in one step; return its name there."""
    name = secrets.token_hex(8)
    with open_beside(root, "gone") as (beside, buckets):
        os.rename(bucket, name, src_dir_fd=buckets, dst_dir_fd=beside)
        os.fsync(buckets)
    return name


def delete_trash(root: Path, name: str) -> None:
    """Delete a folder that `move_to_trash` moved."""
    with open_beside(root, "gone") as (beside, _), contextlib.suppress(OSError):
        with dirfd.closing(dirfd.open_folder(beside, [name])) as gone:
            dirfd.clear(gone)
        os.rmdir(
            name, dir_fd=beside
        )  # a late put may have left a file in it, for the next start to clear


@contextlib.contextmanager
def open_beside(root: Path, name: str) -> Iterator[tuple[int, int]]:
    """Open one of the folders beside the buckets, `new` or `gone`, and that of the buckets."""
    with contextlib.ExitStack() as stack:
        buckets = stack.enter_context(dirfd.closing(os.open(root, dirfd.FOLDER)))
        beside = dirfd.descend_making(buckets, [RESERVED, name])
        yield stack.enter_context(dirfd.closing(beside)), buckets


def _read_configuration(name: str, dir_fd: int, reserved: int) -> Bucket:
    """Return a bucket's fields; without its configuration only name and age are known."""
    try:
        record = json.loads(dirfd.read_small(reserved, [CONFIGURATION]) or b"")
        created = to_datetime(record["created"])
        return Bucket(**{**record, "name": name, "created": created})
    except (OSError, ValueError, KeyError, TypeError):
        settings = {}
        if dirfd.is_folder(VERSIONS, reserved):
            settings["versioning"] = {"status": "Enabled"}  # else its old versions could be lost
        created = to_datetime(os.fstat(dir_fd).st_mtime_ns)
        return Bucket(name, "", created, settings=settings)
