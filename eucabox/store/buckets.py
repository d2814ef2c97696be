"""The buckets of a store: opens, recovers, makes, configures, counts and deletes them; no
object."""

import builtins
import contextlib
import errno
import functools
import logging
import math
import os
import resource
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from eucabox.errors import (
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    BucketNameInTheWay,
    BucketNotEmpty,
    BucketUnusable,
    DiskFull,
    InvalidBucketName,
    NoSuchBucket,
    StorageFailed,
    StoreInUse,
)
from eucabox.process_lock import ProcessLock
from eucabox.store import dirfd, file_system, index_generation, version_files
from eucabox.store.bucket_folder import (
    BucketFolder,
    create,
    delete_trash,
    move_to_trash,
    open_beside,
)
from eucabox.store.fsync import COMMIT, Flush, PostponedFlush, is_ordered
from eucabox.store.index import Index, IndexBroken
from eucabox.store.keyring import Keyring, require
from eucabox.store.multipart import Multipart
from eucabox.store.objects import Objects
from eucabox.store.paths import RESERVED, TAKEN, check_bucket_name, encode_key
from eucabox.store.quota import Quota
from eucabox.store.rescan import Progress, rescan
from eucabox.store.rescan_jobs import Rescans, log_progress
from eucabox.store.types import (
    Acl,
    Bucket,
    BucketChanges,
    BucketContents,
    to_datetime,
    unique_time,
)

FOLDER_MODE = 0o750  # only the API decides who reads objects, not the users of the host
MOST_FILES = 65_536  # open at once, most of them connections
REFUSED = {
    errno.EIO,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EMFILE,
    errno.ENFILE,
    errno.EFBIG,
    errno.ESTALE,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ELOOP,
}
P = ParamSpec("P")
T = TypeVar("T")
log = logging.getLogger("eucabox.bucket")
DOUBTFUL = 180  # seconds before the last change: the operating system needs less to write all


def translate_disk_errors(method: Callable[P, T]) -> Callable[P, T]:
    """Turn ENOSPC, EIO and the like of the wrapped function into DiskFull and StorageFailed."""

    @functools.wraps(method)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except OSError as error:
            if error.errno in dirfd.FULL:
                raise DiskFull from error
            if error.errno in REFUSED:
                raise StorageFailed(reason=error.strerror) from error
            raise

    return wrapper


class Buckets:
    """The root folder of a store and its buckets; `bucket.Store` adds their objects."""

    @translate_disk_errors
    def __init__(self, root: Path, keys: Keyring | None = None, durability: str = COMMIT) -> None:
        root.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        reserved = root / RESERVED
        reserved.mkdir(parents=True, exist_ok=True)
        self._root = root.resolve()
        self._keys = keys
        self._lock = threading.RLock()
        self._process = ProcessLock(reserved / "lock")
        if not self._process.acquire():
            raise StoreInUse(folder=root, pid=self._process.holder())
        file_system.check(reserved)
        _allow_many_files()
        self._flush = Flush(durability, is_ordered=is_ordered(self._root))
        self._index = Index(reserved)
        self._objects = Objects(self._index, keys)
        self._multipart = Multipart(self._objects, keys)
        self._folders: dict[str, BucketFolder] = {}
        self.quota = Quota(self._bytes_per_bucket, self.buckets)
        self.rescans = Rescans(self.rescan)
        self._recover()

    def _recover(self) -> None:
        """Remove what a killed process left and bring the index up to date with the folders."""
        for name in ("new", "gone"):
            with open_beside(self._root, name) as (beside, _):
                dirfd.clear(beside)
        last_change = self._index.journal.find_loss()
        usable = self._index.open()
        if not usable and self._flush.relaxed:
            self._objects.doubtful_from = last_change - DOUBTFUL
        for name in self._names():
            try:
                self._folders[name] = self._open_folder(self._root / name)
            except BucketUnusable as fault:
                log.error("%s", fault.message)
                continue
            self._folders[name].clear_temporary()
        if usable:
            self._with_index(self._replay)
        self._with_index(self._rescan_unknown)
        self._objects.doubtful_from = math.inf
        self._index.journal.start()
        for folder in self._folders.values():
            self._multipart.finish(folder)

    def _open_folder(self, path: Path) -> BucketFolder:
        flush = self._flush
        if not flush.relaxed and path.stat().st_dev != self._root.stat().st_dev:  # mounted there
            flush = Flush(COMMIT, is_ordered=is_ordered(path), is_apart=True)
        return BucketFolder(path, flush)

    def _names(self) -> Iterator[str]:
        for path in self._root.iterdir():
            with contextlib.suppress(InvalidBucketName):
                check_bucket_name(path.name)
                if path.is_dir() and not path.is_symlink():
                    yield path.name

    def _replay(self) -> None:
        for bucket, key in self._index.journal.list_changed():
            folder = self._folders.get(bucket)
            if folder is not None:
                self._objects.clean_leftovers(folder, encode_key(key))
                self._objects.reindex(folder, key)
        self._index.flush()

    def _rescan_unknown(self) -> None:
        known = self._index.buckets()
        for name in known.keys() - self._folders.keys():
            self._index.drop_bucket(name)
        for name, folder in self._folders.items():
            if folder.generation not in known.get(name, ()):
                log.info("the index is not that of the bucket %s: reading it", name)
                count = rescan(folder, self._objects, self._index, log_progress(name))
                log.info("read the bucket %s: %d objects", name, count)

    def close(self) -> None:
        """Write the index completely to the disk and release the folder to other processes."""
        self.rescans.close()
        for folder in self._folders.values():
            index_generation.close(folder, self._index)
        self._index.close()
        self._folders.clear()
        self._process.release()

    @property
    def keys(self) -> Keyring:
        """The encryption keys; KeysUnusable if the store was opened without any."""
        return require(self._keys)

    def _get_folder(self, name: str) -> BucketFolder:
        folder = self._folders.get(name)
        if folder is None:
            raise NoSuchBucket(name=name)
        return folder

    # --- buckets -----------------------------------------------------------------------------

    @translate_disk_errors
    def create_bucket(
        self,
        name: str,
        owner: str,
        acl: Acl | None = None,
        location: str = "",
        settings: dict[str, Any] | None = None,
    ) -> Bucket:
        """Make a bucket, with settings as `set_bucket_setting` stores them.

        Raises BucketAlreadyOwnedByYou, BucketAlreadyExists, InvalidBucketName.
        """
        check_bucket_name(name)
        with self._lock:
            self._forget_removed([name])
            existing = self._folders.get(name)
            if existing is not None and existing.bucket.owner == owner:
                raise BucketAlreadyOwnedByYou(name=name)
            if existing is not None:
                raise BucketAlreadyExists(name=name)
            if name.lower() in TAKEN:
                raise InvalidBucketName(name=name)
            if os.path.lexists(self._root / name):
                raise BucketNameInTheWay(name=name)
            self.quota.check_buckets(owner)
            bucket = Bucket(name, owner, to_datetime(unique_time()), acl, location, settings or {})
            folder = BucketFolder(create(self._root, bucket), self._flush)
            self._with_index(lambda: self._index.add_bucket(name, folder.generation))
            self._folders[name] = folder
            return bucket

    @translate_disk_errors
    def delete_bucket(self, name: str) -> None:
        """Delete a bucket and its uploads in progress; BucketNotEmpty if it has an object."""
        self.quota.mark_stale()
        with self._lock, self._objects.all_locked():
            self._forget_removed([name])
            folder = self._get_folder(name)
            self._check_empty(folder)
            gone = move_to_trash(self._root, name)
            folder.deleted = True
            del self._folders[name]
            self._with_index(lambda: self._index.drop_bucket(name))
        delete_trash(self._root, gone)

    def _check_empty(self, folder: BucketFolder) -> None:
        def first() -> str | None:
            self._index.flush()
            rows = self._index.rows(folder.name, "", None, 1)
            return rows[0][0] if rows else None

        while (key := self._with_index(first)) is not None:
            if self._objects.reindex(folder, key) is not None:
                raise BucketNotEmpty(name=folder.name, what=key)
        for names in dirfd.files(folder.fd, RESERVED.encode()):
            file = b"/".join(names).decode(errors="backslashreplace")
            raise BucketNotEmpty(name=folder.name, what=f"the file {file}")
        if (key_left := version_files.find_any_key(folder)) is not None:
            raise BucketNotEmpty(name=folder.name, what=f"a version of {key_left}")

    def bucket(self, name: str) -> Bucket:
        """Return a bucket."""
        return self._get_folder(name).bucket

    def buckets(self, owner: str | None = None) -> "builtins.list[Bucket]":
        """Return all buckets, or those of an account, by name."""
        every = sorted(self._folders.copy().items())
        return [folder.bucket for _, folder in every if owner in {None, folder.bucket.owner}]

    @translate_disk_errors
    def set_bucket_acl(self, name: str, acl: Acl | None) -> Bucket:
        """Store a bucket's ACL."""
        with self._lock:
            return self._get_folder(name).configure(acl=acl)

    @translate_disk_errors
    def set_bucket_setting(self, name: str, setting: str, value: Any) -> Bucket:
        """Store one of a bucket's settings, plain JSON; None removes it."""
        with self._lock:
            folder = self._get_folder(name)
            others = {key: each for key, each in folder.bucket.settings.items() if key != setting}
            return folder.configure(
                settings=others if value is None else {**others, setting: value}
            )

    @translate_disk_errors
    def change_bucket_setting(
        self, name: str, setting: str, change: Callable[[Any], Any]
    ) -> Bucket:
        """Store what `change` returns for one of a bucket's settings; it gets None if there is
        none."""
        with self._lock:
            value = self._get_folder(name).bucket.settings.get(setting)
            return self.set_bucket_setting(name, setting, change(value))

    # --- the whole store ---------------------------------------------------------------------

    @translate_disk_errors
    def scan_folders(self, buckets: Iterable[str] = ()) -> "builtins.list[str]":
        """Add folders that were copied in as buckets and drop buckets whose folder was removed;
        return the buckets named, or all."""
        with self._lock:
            self._forget_removed(list(self._folders))
            for name in set(self._names()) - self._folders.keys():
                self._folders[name] = self._open_folder(self._root / name)
            return [self._get_folder(name).name for name in buckets] or sorted(self._folders)

    def _forget_removed(self, names: Iterable[str]) -> None:
        for name in names:
            folder = self._folders.get(name)
            if folder is not None and not folder.exists():
                log.warning("the folder of the bucket %s is gone, and so is the bucket", name)
                folder.deleted = True
                del self._folders[name]
                self._with_index(partial(self._index.drop_bucket, name))

    @translate_disk_errors
    def rescan(self, bucket: str, progress: Progress | None = None) -> int:
        """Bring the index up to date with a bucket's folder, also of one that was copied in; return
        the number of objects.

        `progress` is called with the number of files read so far.
        """
        self.scan_folders([bucket])
        folder = self._get_folder(bucket)
        return self._with_index(lambda: rescan(folder, self._objects, self._index, progress))

    def _bytes_per_bucket(self) -> dict[str, int]:
        weights = self._with_index(self._index.count_bytes)
        for name, folder in self._folders.copy().items():
            weights[name] = weights.get(name, 0) + self._multipart.count_bytes(folder)
        return weights

    @translate_disk_errors
    def usage(self) -> dict[str, Any]:
        """Return objects, bytes, free_bytes and, for each bucket, its objects and bytes."""
        counted = self._with_index(self._index.usage)
        buckets = {
            name: dict(zip(("objects", "bytes"), counted.get(name, (0, 0)), strict=True))
            for name in sorted(self._folders.copy())
        }
        total = {
            what: sum(bucket[what] for bucket in buckets.values()) for what in ("objects", "bytes")
        }
        return {**total, "free_bytes": self.free_bytes(), "buckets": buckets}

    @translate_disk_errors
    def count_bucket(self, name: str) -> BucketContents:
        """Return what one bucket holds."""
        folder = self._get_folder(name)
        counted = self._with_index(partial(self._index.count_bucket, name))
        return replace(counted, upload_bytes=self._multipart.count_bytes(folder))

    def list_changes(self, name: str, position: str, limit: int = 1000) -> BucketChanges:
        """Return the keys of a bucket that changed after a position of an earlier answer, oldest
        change first; cheap, so that one may ask every second."""
        return self._index.read_changes(self._get_folder(name).name, position, limit)

    def free_bytes(self) -> int:
        """Return how many more bytes fit into the folder."""
        status = os.statvfs(self._root)
        return status.f_bavail * status.f_frsize

    def can_postpone_flush(self, bucket: str) -> bool:
        """Whether one thread may flush once for changes of a bucket and of others, as
        PostponedFlush does."""
        folder = self._folders.get(bucket)
        return folder is not None and folder.flush.can_postpone

    @translate_disk_errors
    def flush(self, postponed: PostponedFlush) -> None:
        """Bring the changes of a thread that has postponed its flush to the disk."""
        postponed.flush()

    def _with_index(self, query: Callable[[], T]) -> T:
        """Run a query of the index; if the index is broken, rebuild it and run the query again."""
        try:
            return query()
        except IndexBroken:
            with self._lock:
                self._index.reset()
                log.error("the index is damaged: reading all buckets again")
                for folder in self._folders.copy().values():
                    rescan(folder, self._objects, self._index, log_progress(folder.name))
            return query()


def _allow_many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= MOST_FILES:
        return
    enough = hard == resource.RLIM_INFINITY or hard >= MOST_FILES
    if not enough:  # root may raise the hard limit
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (MOST_FILES, MOST_FILES))
            return
    resource.setrlimit(resource.RLIMIT_NOFILE, (MOST_FILES if enough else hard, hard))
