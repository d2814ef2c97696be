"""Buckets and objects as folders and files: streams in, streams out; never HTTP or an account.

The tree is the truth. Keys, attributes, index and uploads are looked after behind this door,
in `store/`.
"""

import builtins
import contextlib
import logging
import os
import resource
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from eucabox.errors import (
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    BucketNotEmpty,
    BucketUnusable,
    Fault,
    InvalidBucketName,
    KeysUnusable,
    NoSuchBucket,
    StoreInUse,
)
from eucabox.lock import Lock
from eucabox.store import copying, frames, listing, marks, sse, tree, version_listing, versions
from eucabox.store.disk import told
from eucabox.store.facts import (
    FULL_OBJECT,
    Bucket,
    Deleted,
    Listing,
    Object,
    ObjectFacts,
    Part,
    Upload,
    Uploads,
    Version,
    Versions,
    moment,
    to_datetime,
)
from eucabox.store.flushing import COMMIT, Flush
from eucabox.store.index import Index, IndexBroken
from eucabox.store.keyring import Keyring, Sealing
from eucabox.store.multipart import Ending, Multipart, Wanted
from eucabox.store.opened import OpenObject
from eucabox.store.paths import RESERVED, check_bucket_name, encode_key
from eucabox.store.quota import Quota
from eucabox.store.rescan import Progress, rescan
from eucabox.store.rescans import Rescans
from eucabox.store.room import Room, clear_away, make, put_away, workshop
from eucabox.store.shelf import Conditions, Deletion, Shelf
from eucabox.store.writing import Promise, Stream, Trailers, receive

__all__ = [
    "Bucket",
    "Deleted",
    "Listing",
    "Object",
    "ObjectFacts",
    "OpenObject",
    "Part",
    "Store",
    "Upload",
    "Uploads",
    "Version",
    "Versions",
]

FOLDER_MODE = 0o750  # objects are for who may read them by the API, not for all users of the host
MOST_FILES = 65_536  # open at once; three for each bucket stay open
T = TypeVar("T")
log = logging.getLogger("eucabox.bucket")


class Store:
    """All buckets in a folder, for one process; safe for many threads. Close it at the end.

    Every method raises Faults: NoSuchBucket where a bucket is named, DiskFull and StorageFailed
    where the disk is written. What has returned is on the disk, or with the durability `relaxed`
    in the operating system's hands, whence a killed process loses nothing.
    """

    @told
    def __init__(self, root: Path, keys: Keyring | None = None, durability: str = COMMIT) -> None:
        root.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        reserved = root / RESERVED
        reserved.mkdir(parents=True, exist_ok=True)
        self._root = root.resolve()
        self._keys = keys
        self._lock = threading.RLock()
        self._process = Lock(reserved / "lock")
        if not self._process.take():
            raise StoreInUse(folder=root, pid=self._process.holder())
        _allow_many_files()
        self._flush = Flush(durability)
        self._index = Index(reserved)
        self._shelf = Shelf(self._index, keys)
        self._multipart = Multipart(self._shelf, keys)
        self._rooms: dict[str, Room] = {}
        self.quota = Quota(self._weights, self.buckets)
        self.rescans = Rescans(self.rescan)
        self._recover()

    def _recover(self) -> None:
        """Sweep what a killed process left and make the index say what the tree has."""
        for name in ("new", "gone"):
            with workshop(self._root, name) as (beside, _):
                tree.clear(beside)
        usable = self._index.open()
        for name in self._names():
            try:
                self._rooms[name] = Room(self._root / name, self._flush)
            except BucketUnusable as fault:
                log.error("%s", fault.message)
                continue
            self._rooms[name].clear_temporary()
        if usable:
            self._index_again(self._replay)
        self._index_again(self._rescan_unknown)
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
        for bucket, key in self._index.journal.changed():
            room = self._rooms.get(bucket)
            if room is not None:
                self._shelf.sweep(room, encode_key(key))
                self._shelf.recheck(room, key)
        self._index.flush()

    def _rescan_unknown(self) -> None:
        known = self._index.buckets()
        for name in known.keys() - self._rooms.keys():
            self._index.drop_bucket(name)
        for name, room in self._rooms.items():
            if room.mark not in known.get(name, ()):
                rescan(room, self._shelf, self._index)

    def close(self) -> None:
        """Leave the index complete on the disk and let another process have the folder."""
        self.rescans.close()
        for room in self._rooms.values():
            marks.close(room, self._index)
        self._index.close()
        self._rooms.clear()
        self._process.release()

    @property
    def keys(self) -> Keyring:
        """The keys that encrypt objects; KeysUnusable where the store was opened without any."""
        if self._keys is None:
            raise KeysUnusable(file="the keys", reason="this store was opened without any")
        return self._keys

    def default_sealing(self, bucket: str) -> Sealing | None:
        """Return how an object that eucabox itself writes into a bucket is encrypted."""
        return sse.by_default(self.bucket(bucket), self)

    def _room(self, name: str) -> Room:
        room = self._rooms.get(name)
        if room is None:
            raise NoSuchBucket(name=name)
        return room

    # --- buckets -----------------------------------------------------------------------------

    @told
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
            existing = self._rooms.get(name)
            if existing is not None and existing.bucket.owner == owner:
                raise BucketAlreadyOwnedByYou(name=name)
            if existing is not None or os.path.lexists(self._root / name):
                raise BucketAlreadyExists(name=name)
            self.quota.check_buckets(owner)
            bucket = Bucket(name, owner, to_datetime(moment()), acl, location, settings or {})
            room = Room(make(self._root, bucket), self._flush)
            self._index_again(lambda: self._index.add_bucket(name, room.mark))
            self._rooms[name] = room
            return bucket

    @told
    def delete_bucket(self, name: str) -> None:
        """Remove a bucket and its uploads in progress; BucketNotEmpty if it has an object."""
        self.quota.may_count_less()
        with self._lock, self._shelf.all_locked():
            room = self._room(name)
            self._check_empty(room)
            gone = put_away(self._root, name)
            room.gone = True
            del self._rooms[name]
            self._index_again(lambda: self._index.drop_bucket(name))
        clear_away(self._root, gone)

    def _check_empty(self, room: Room) -> None:
        def first() -> str | None:
            self._index.flush()
            rows = self._index.rows(room.name, "", None, 1)
            return rows[0][0] if rows else None

        while (key := self._index_again(first)) is not None:
            if self._shelf.recheck(room, key) is not None:
                raise BucketNotEmpty(name=room.name, what=key)
        for names in tree.files(room.fd, RESERVED.encode()):
            raise BucketNotEmpty(name=room.name, what=b"/".join(names).decode(errors="replace"))
        if (kept := versions.any_key(room)) is not None:
            raise BucketNotEmpty(name=room.name, what=f"a version of {kept}")

    def bucket(self, name: str) -> Bucket:
        """Return a bucket."""
        return self._room(name).bucket

    def buckets(self, owner: str | None = None) -> "builtins.list[Bucket]":
        """Return all buckets, or those of an account, by name."""
        every = sorted(self._rooms.copy().items())
        return [room.bucket for _, room in every if owner in {None, room.bucket.owner}]

    @told
    def set_bucket_acl(self, name: str, acl: dict[str, Any] | None) -> Bucket:
        """Keep a bucket's ACL."""
        with self._lock:
            return self._room(name).configure(acl=acl)

    @told
    def set_bucket_owner(self, name: str, owner: str) -> Bucket:
        """Give a bucket, for one whose configuration was lost, to an account."""
        with self._lock:
            return self._room(name).configure(owner=owner)

    @told
    def set_bucket_setting(self, name: str, setting: str, value: Any) -> Bucket:
        """Keep one of a bucket's settings, plain JSON; None forgets it."""
        with self._lock:
            room = self._room(name)
            kept = {key: each for key, each in room.bucket.settings.items() if key != setting}
            return room.configure(settings=kept if value is None else {**kept, setting: value})

    @told
    def change_bucket_setting(self, name: str, setting: str, how: Callable[[Any], Any]) -> Bucket:
        """Keep what `how` makes of one of a bucket's settings, None where it has none."""
        with self._lock:
            kept = self._room(name).bucket.settings.get(setting)
            return self.set_bucket_setting(name, setting, how(kept))

    # --- objects -----------------------------------------------------------------------------

    @told
    def put(
        self,
        bucket: str,
        key: str,
        stream: Stream,
        facts: ObjectFacts,
        *,
        size: int | None = None,
        content_md5: bytes | None = None,
        checksums: dict[str, str] | None = None,
        algorithms: Iterable[str] = (),
        if_none_match: str = "",
        if_match: str = "",
        trailers: Trailers | None = None,
        sealing: Sealing | None = None,
    ) -> Object:
        """Read a stream to its end into an object, which is there whole or not at all.

        Raises InvalidDigest, BadDigest, InvalidChecksum, IncompleteBody, EntityTooLarge,
        KeyTooLong, InvalidKey, PreconditionFailed, NoSuchKey where there is nothing to match, and
        what the stream raises. Conditions are ETags, or "*" for any object.
        """
        room = self._room(bucket)
        encode_key(key)
        promise = Promise(size, content_md5, checksums or {}, tuple(algorithms), trailers)
        stream = self._admitted(room, stream, size, lambda: self._overwritten(room, key))
        with frames.begin(room, sealing, key) as draft:
            received = receive(draft, stream, promise)
            said = _with_sums(facts, received.checksums)
            e_tag, sealed = draft.finish(received.md5)
            new = Object(bucket, key, received.size, e_tag, draft.date(), said, sealed=sealed)
            return self._shelf.commit(room, draft, new, Conditions(if_none_match, if_match))

    @told
    def open(self, bucket: str, key: str, version_id: str = "") -> OpenObject:
        """Open an object, or a version of it ("null" for the null version), for reading.

        Raises NoSuchKey, whose facts name the delete marker if one hides the object; and
        NoSuchVersion, InvalidVersionId, and IsDeleteMarker of a version that is one.
        """
        return self._shelf.find(self._room(bucket), key, version_id)

    def head(self, bucket: str, key: str, version_id: str = "") -> Object:
        """Return an object without its content; Faults as of `open`."""
        with self.open(bucket, key, version_id) as found:
            return found.object

    @told
    def delete(
        self,
        bucket: str,
        key: str,
        *,
        version_id: str = "",
        owner: str = "",
        if_match: str = "",
        if_modified: datetime | None = None,
        if_size: int | None = None,
        check: Callable[[Object], object] | None = None,
        still: Callable[[Object | None], object] | None = None,
    ) -> Deleted:
        """Remove an object, or hide it behind a delete marker of `owner` if the bucket has
        versioning; with a version id remove that version for good. What is not there is no fault.

        `check` is shown the object that would be lost for good, if one is, and may raise; so may
        `still`, which is shown the key's present object.
        Raises PreconditionFailed, and NoSuchKey where there is nothing to match.
        """
        self.quota.may_count_less()
        conditions = Conditions("", if_match, if_modified, if_size)
        wish = Deletion(version_id, owner, conditions, check, still)
        return self._shelf.delete(self._room(bucket), key, wish)

    @told
    def copy(
        self,
        source_bucket: str,
        source_key: str,
        bucket: str,
        key: str,
        facts: ObjectFacts | None = None,
        *,
        algorithm: str = "",
        if_none_match: str = "",
        if_match: str = "",
        check: Callable[[Object], object] | None = None,
        version_id: str = "",
        sealing: Sealing | None = None,
        customer: bytes | None = None,
    ) -> Object:
        """Copy an object, or the version named, with the given facts, or all of its own;
        checksums are the copy's.

        `check` is shown the source that will be copied, and may raise; `customer` is the key that
        the source was written with, of SSE-C.
        """
        room = self._room(bucket)
        encode_key(key)
        with self.open(source_bucket, source_key, version_id) as source:
            if check is not None:
                check(source.object)
            source.unlock(customer)
            size = source.object.size
            self.quota.admit(room.bucket, size, lambda: self._overwritten(room, key))
            conditions = Conditions(if_none_match, if_match)
            return copying.copy(
                self._shelf, source, room, key, facts, algorithm, conditions, sealing
            )

    def set_object_acl(
        self, bucket: str, key: str, acl: dict[str, Any] | None, version_id: str = ""
    ) -> Object:
        """Keep an object's ACL."""
        return self.change_object(bucket, key, lambda facts: replace(facts, acl=acl), version_id)

    def set_object_tags(
        self, bucket: str, key: str, tags: dict[str, str], version_id: str = ""
    ) -> Object:
        """Keep an object's tags in place of those it had."""
        return self.change_object(bucket, key, lambda facts: replace(facts, tags=tags), version_id)

    @told
    def change_object(
        self,
        bucket: str,
        key: str,
        how: Callable[[ObjectFacts], ObjectFacts],
        version_id: str = "",
        check: Callable[[Object], object] | None = None,
    ) -> Object:
        """Change what is kept of an object, or of a version of it; its content, ETag, version id
        and time stay. Faults as of `open`."""
        return self._shelf.change(self._room(bucket), key, how, version_id, check)

    @told
    def list(
        self,
        bucket: str,
        prefix: str = "",
        delimiter: str = "",
        start_after: str = "",
        limit: int = 1000,
    ) -> Listing:
        """Return a page of keys by their bytes; with a delimiter, common prefixes among them."""
        room = self._room(bucket)
        return self._index_again(
            lambda: listing.page(self._index, room.name, prefix, delimiter, start_after, limit)
        )

    @told
    def versions(
        self,
        bucket: str,
        prefix: str = "",
        delimiter: str = "",
        key_marker: str = "",
        version_id_marker: str = "",
        limit: int = 1000,
    ) -> Versions:
        """Return a page of versions and delete markers, by key and of a key the newest first,
        after the markers; with a delimiter, common prefixes among them."""
        room, after = self._room(bucket), (key_marker, version_id_marker)
        return self._index_again(
            lambda: version_listing.page(self._index, room.name, prefix, delimiter, after, limit)
        )

    # --- uploads in parts --------------------------------------------------------------------

    @told
    def create_upload(
        self,
        bucket: str,
        key: str,
        facts: ObjectFacts,
        checksum_algorithm: str = "",
        checksum_type: str = "",
        sealing: Sealing | None = None,
    ) -> str:
        """Begin an upload in parts and return its id."""
        room = self._room(bucket)
        return self._multipart.create(room, key, facts, checksum_algorithm, checksum_type, sealing)

    def upload(self, bucket: str, key: str, upload_id: str) -> Upload:
        """Return an upload in progress; NoSuchUpload."""
        return self._multipart.upload(self._room(bucket), key, upload_id)

    @told
    def put_part(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        number: int,
        stream: Stream,
        *,
        size: int | None = None,
        content_md5: bytes | None = None,
        checksums: dict[str, str] | None = None,
        algorithms: Iterable[str] = (),
        trailers: Trailers | None = None,
        customer: bytes | None = None,
    ) -> Part:
        """Read a stream to its end into a part; Faults as of `put`, NoSuchUpload.

        `customer` is the key that the upload was begun with, of SSE-C.
        """
        promise = Promise(size, content_md5, checksums or {}, tuple(algorithms), trailers)
        room = self._room(bucket)
        stream = self._admitted(room, stream, size)
        return self._multipart.put_part(room, key, upload_id, number, stream, promise, customer)

    @told
    def parts(
        self, bucket: str, key: str, upload_id: str, after: int = 0, limit: int | None = None
    ) -> "builtins.list[Part]":
        """Return the parts put so far, by number: at most `limit` with numbers above `after`."""
        return self._multipart.parts(self._room(bucket), key, upload_id, after, limit)

    @told
    def uploads(
        self,
        bucket: str,
        prefix: str = "",
        delimiter: str = "",
        key_marker: str = "",
        upload_id_marker: str = "",
        limit: int = 1000,
    ) -> Uploads:
        """Return a page of uploads in progress, by key and then by the time they began."""
        after = key_marker, upload_id_marker
        return self._multipart.uploads(self._room(bucket), prefix, delimiter, after, limit)

    @told
    def complete_upload(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        parts: Wanted,
        *,
        checksums: dict[str, str] | None = None,
        size: int | None = None,
        if_none_match: str = "",
        if_match: str = "",
    ) -> Object:
        """Make an object of parts [(number, ETag, checksums)]; safe to ask again.

        Raises NoSuchUpload, InvalidPart, InvalidPartOrder, EntityTooSmall, MalformedPartList,
        BadDigest, InvalidObjectSize, PreconditionFailed.
        """
        if self.quota.bounds_objects:
            named = {number for number, _, _ in parts}
            kept = self.parts(bucket, key, upload_id)
            self.quota.check_object(sum(each.size for each in kept if each.number in named))
        ending = Ending(checksums or {}, size, Conditions(if_none_match, if_match))
        return self._multipart.complete(self._room(bucket), key, upload_id, parts, ending)

    @told
    def abort_upload(self, bucket: str, key: str, upload_id: str) -> None:
        """Forget an upload and its parts; NoSuchUpload."""
        self.quota.may_count_less()
        self._multipart.abort(self._room(bucket), key, upload_id)

    # --- the whole ---------------------------------------------------------------------------

    @told
    def adopt(self, buckets: Iterable[str] = ()) -> "builtins.list[str]":
        """Make buckets of folders that were copied in; return the buckets named, or all."""
        with self._lock:
            for name in set(self._names()) - self._rooms.keys():
                self._rooms[name] = Room(self._root / name, self._flush)
            return [self._room(name).name for name in buckets] or sorted(self._rooms)

    @told
    def rescan(self, bucket: str, progress: Progress | None = None) -> int:
        """Make the index say what the folder has, also one that was copied in; return the count.

        `progress` is called with the number of files read so far.
        """
        self.adopt([bucket])
        room = self._room(bucket)
        return self._index_again(lambda: rescan(room, self._shelf, self._index, progress))

    def _admitted(
        self, room: Room, stream: Stream, size: int | None, freed: Callable[[], int] = lambda: 0
    ) -> Stream:
        if size is None:
            return self.quota.metered(room.bucket, stream)
        self.quota.admit(room.bucket, size, freed)
        return stream

    def _overwritten(self, room: Room, key: str) -> int:
        """The bytes that a put will free; those of a bucket with versioning stay."""
        if room.bucket.settings.get("versioning"):
            return 0
        try:
            return self.head(room.name, key).size
        except Fault:
            return 0

    def _weights(self) -> dict[str, int]:
        weights = self._index_again(self._index.weights)
        for name, room in self._rooms.copy().items():
            weights[name] = weights.get(name, 0) + self._multipart.weight(room)
        return weights

    @told
    def usage(self) -> dict[str, Any]:
        """Return objects, bytes, free_bytes and, for each bucket, its objects and bytes."""
        counted = self._index_again(self._index.usage)
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

    def _index_again(self, question: Callable[[], T]) -> T:
        """Ask the index; if it turns out broken, make it anew and ask once more."""
        try:
            return question()
        except IndexBroken:
            with self._lock:
                self._index.reset()
                for room in self._rooms.copy().values():
                    rescan(room, self._shelf, self._index)
            return question()


def _with_sums(facts: ObjectFacts, sums: dict[str, str]) -> ObjectFacts:
    if not sums and not facts.checksums:
        return facts
    return replace(facts, checksums=sums, checksum_type=FULL_OBJECT if sums else "")


def _allow_many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
