"""The buckets of a folder: opened, recovered, made, set, counted, removed; never an object."""

import builtins
import contextlib
import logging
import os
import resource
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from eucabox.errors import (
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    BucketNameInTheWay,
    BucketNotEmpty,
    BucketUnusable,
    InvalidBucketName,
    NoSuchBucket,
    StoreInUse,
)
from eucabox.process_lock import ProcessLock
from eucabox.store import dirfd, index_generation, version_files
from eucabox.store.bucket_folder import (
    BucketFolder,
    create,
    delete_trash,
    move_to_trash,
    open_beside,
)
from eucabox.store.disk_errors import translate_disk_errors
from eucabox.store.fsync import COMMIT, Flush
from eucabox.store.index import Index, IndexBroken
from eucabox.store.keyring import Keyring, require
from eucabox.store.multipart import Multipart
from eucabox.store.objects import Objects
from eucabox.store.paths import RESERVED, TAKEN, check_bucket_name, encode_key
from eucabox.store.quota import Quota
from eucabox.store.rescan import Progress, rescan
from eucabox.store.rescan_jobs import Rescans, log_progress
from eucabox.store.types import Bucket, moment, to_datetime

FOLDER_MODE = 0o750  # objects are for who may read them by the API, not for all users of the host
MOST_FILES = 65_536  # open at once: connections, above all
T = TypeVar("T")
log = logging.getLogger("eucabox.bucket")


class Buckets:
    """The folder of a store and the buckets in it; `bucket.Store` adds what is in them."""

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
        _allow_many_files()
        self._flush = Flush(durability)
        self._index = Index(reserved)
        self._shelf = Objects(self._index, keys)
        self._multipart = Multipart(self._shelf, keys)
        self._rooms: dict[str, BucketFolder] = {}
        self.quota = Quota(self._bytes_per_bucket, self.buckets)
        self.rescans = Rescans(self.rescan)
        self._recover()

    def _recover(self) -> None:
        """Sweep what a killed process left and make the index say what the tree has."""
        for name in ("new", "gone"):
            with open_beside(self._root, name) as (beside, _):
                dirfd.clear(beside)
        usable = self._index.open()
        for name in self._names():
            try:
                self._rooms[name] = BucketFolder(self._root / name, self._flush)
            except BucketUnusable as fault:
                log.error("%s", fault.message)
                continue
            self._rooms[name].clear_temporary()
        if usable:
            self._with_index(self._replay)
        self._with_index(self._rescan_unknown)
        self._index.journal.start()
        for room in self._rooms.values():
            self._multipart.finish(room)

    def _names(self) -> Iterator[str]:
        for path in self._root.iterdir():
            with contextlib.suppress(InvalidBucketName):
                check_bucket_name(path.name)
                if path.is_dir() and not path.is_symlink():
                    yield path.name

    def _replay(self) -> None:
        for bucket, key in self._index.journal.list_changed():
            room = self._rooms.get(bucket)
            if room is not None:
                self._shelf.clean_leftovers(room, encode_key(key))
                self._shelf.reindex(room, key)
        self._index.flush()

    def _rescan_unknown(self) -> None:
        known = self._index.buckets()
        for name in known.keys() - self._rooms.keys():
            self._index.drop_bucket(name)
        for name, room in self._rooms.items():
            if room.generation not in known.get(name, ()):
                log.info("the index is not that of the bucket %s: reading it", name)
                count = rescan(room, self._shelf, self._index, log_progress(name))
                log.info("read the bucket %s: %d objects", name, count)

    def close(self) -> None:
        """Leave the index complete on the disk and let another process have the folder."""
        self.rescans.close()
        for room in self._rooms.values():
            index_generation.close(room, self._index)
        self._index.close()
        self._rooms.clear()
        self._process.release()

    @property
    def keys(self) -> Keyring:
        """The keys that encrypt objects; KeysUnusable where the store was opened without any."""
        return require(self._keys)

    def _room(self, name: str) -> BucketFolder:
        room = self._rooms.get(name)
        if room is None:
            raise NoSuchBucket(name=name)
        return room

    # --- buckets -----------------------------------------------------------------------------

    @translate_disk_errors
    def create_bucket(
        self,
        name: str,
        owner: str,
        acl: dict[str, Any] | None = None,
        location: str = "",
        settings: dict[str, Any] | None = None,
    ) -> Bucket:
        """Make a bucket, with settings as `set_bucket_setting` keeps them;
        BucketAlreadyOwnedByYou, BucketAlreadyExists, InvalidBucketName."""
        check_bucket_name(name)
        with self._lock:
            self._forget_removed([name])
            existing = self._rooms.get(name)
            if existing is not None and existing.bucket.owner == owner:
                raise BucketAlreadyOwnedByYou(name=name)
            if existing is not None:
                raise BucketAlreadyExists(name=name)
            if name.lower() in TAKEN:
                raise InvalidBucketName(name=name)
            if os.path.lexists(self._root / name):
                raise BucketNameInTheWay(name=name)
            self.quota.check_buckets(owner)
            bucket = Bucket(name, owner, to_datetime(moment()), acl, location, settings or {})
            room = BucketFolder(create(self._root, bucket), self._flush)
            self._with_index(lambda: self._index.add_bucket(name, room.generation))
            self._rooms[name] = room
            return bucket

    @translate_disk_errors
    def delete_bucket(self, name: str) -> None:
        """Remove a bucket and its uploads in progress; BucketNotEmpty if it has an object."""
        self.quota.mark_stale()
        with self._lock, self._shelf.all_locked():
            self._forget_removed([name])
            room = self._room(name)
            self._check_empty(room)
            gone = move_to_trash(self._root, name)
            room.deleted = True
            del self._rooms[name]
            self._with_index(lambda: self._index.drop_bucket(name))
        delete_trash(self._root, gone)

    def _check_empty(self, room: BucketFolder) -> None:
        def first() -> str | None:
            self._index.flush()
            rows = self._index.rows(room.name, "", None, 1)
            return rows[0][0] if rows else None

        while (key := self._with_index(first)) is not None:
            if self._shelf.reindex(room, key) is not None:
                raise BucketNotEmpty(name=room.name, what=key)
        for names in dirfd.files(room.fd, RESERVED.encode()):
            file = b"/".join(names).decode(errors="backslashreplace")
            raise BucketNotEmpty(name=room.name, what=f"the file {file}")
        if (kept := version_files.any_key(room)) is not None:
            raise BucketNotEmpty(name=room.name, what=f"a version of {kept}")

    def bucket(self, name: str) -> Bucket:
        """Return a bucket."""
        return self._room(name).bucket

    def buckets(self, owner: str | None = None) -> "builtins.list[Bucket]":
        """Return all buckets, or those of an account, by name."""
        every = sorted(self._rooms.copy().items())
        return [room.bucket for _, room in every if owner in {None, room.bucket.owner}]

    @translate_disk_errors
    def set_bucket_acl(self, name: str, acl: dict[str, Any] | None) -> Bucket:
        """Keep a bucket's ACL."""
        with self._lock:
            return self._room(name).configure(acl=acl)

    @translate_disk_errors
    def set_bucket_setting(self, name: str, setting: str, value: Any) -> Bucket:
        """Keep one of a bucket's settings, plain JSON; None forgets it."""
        with self._lock:
            room = self._room(name)
            kept = {key: each for key, each in room.bucket.settings.items() if key != setting}
            return room.configure(settings=kept if value is None else {**kept, setting: value})

    @translate_disk_errors
    def change_bucket_setting(self, name: str, setting: str, how: Callable[[Any], Any]) -> Bucket:
        """Keep what `how` makes of one of a bucket's settings, None where it has none."""
        with self._lock:
            kept = self._room(name).bucket.settings.get(setting)
            return self.set_bucket_setting(name, setting, how(kept))

    # --- the whole ---------------------------------------------------------------------------

    @translate_disk_errors
    def scan_folders(self, buckets: Iterable[str] = ()) -> "builtins.list[str]":
        """Make buckets of folders that were copied in, and let go of those whose folder was taken
        away; return the buckets named, or all."""
        with self._lock:
            self._forget_removed(list(self._rooms))
            for name in set(self._names()) - self._rooms.keys():
                self._rooms[name] = BucketFolder(self._root / name, self._flush)
            return [self._room(name).name for name in buckets] or sorted(self._rooms)

    def _forget_removed(self, names: Iterable[str]) -> None:
        for name in names:
            room = self._rooms.get(name)
            if room is not None and not room.exists():
                log.warning("the folder of the bucket %s is gone, and so is the bucket", name)
                room.deleted = True
                del self._rooms[name]
                self._with_index(partial(self._index.drop_bucket, name))

    @translate_disk_errors
    def rescan(self, bucket: str, progress: Progress | None = None) -> int:
        """Make the index say what the folder has, also one that was copied in; return the count.

        `progress` is called with the number of files read so far.
        """
        self.scan_folders([bucket])
        room = self._room(bucket)
        return self._with_index(lambda: rescan(room, self._shelf, self._index, progress))

    def _bytes_per_bucket(self) -> dict[str, int]:
        weights = self._with_index(self._index.weights)
        for name, room in self._rooms.copy().items():
            weights[name] = weights.get(name, 0) + self._multipart.weight(room)
        return weights

    @translate_disk_errors
    def usage(self) -> dict[str, Any]:
        """Return objects, bytes, free_bytes and, for each bucket, its objects and bytes."""
        counted = self._with_index(self._index.usage)
        buckets = {
            name: dict(zip(("objects", "bytes"), counted.get(name, (0, 0)), strict=True))
            for name in sorted(self._rooms.copy())
        }
        total = {
            what: sum(each[what] for each in buckets.values()) for what in ("objects", "bytes")
        }
        return {**total, "free_bytes": self.free_bytes(), "buckets": buckets}

    def free_bytes(self) -> int:
        """Return how many bytes more the folder can take."""
        status = os.statvfs(self._root)
        return status.f_bavail * status.f_frsize

    def _with_index(self, question: Callable[[], T]) -> T:
        """Ask the index; if it turns out broken, make it anew and ask once more."""
        try:
            return question()
        except IndexBroken:
            with self._lock:
                self._index.reset()
                log.error("the index is damaged: reading all buckets again")
                for room in self._rooms.copy().values():
                    rescan(room, self._shelf, self._index, log_progress(room.name))
            return question()


def _allow_many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= MOST_FILES:
        return
    enough = hard == resource.RLIM_INFINITY or hard >= MOST_FILES
    if not enough:  # root may have more than it was given
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (MOST_FILES, MOST_FILES))
            return
    resource.setrlimit(resource.RLIMIT_NOFILE, (MOST_FILES if enough else hard, hard))
