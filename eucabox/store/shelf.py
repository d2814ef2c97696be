"""One key at a time: finds, commits, changes and removes an object so that no two interfere.

The order that a kill at any point survives: attributes and content on the disk, key into the
journal, sidecar, rename, index.
"""

import contextlib
import mimetypes
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import TracebackType

from eucabox.errors import KeysUnusable, NoSuchKey, PreconditionFailed
from eucabox.store import attributes, frames, place
from eucabox.store.facts import DEFAULT_TYPE, Object, ObjectFacts, to_datetime
from eucabox.store.frames import Reader
from eucabox.store.index import Index
from eucabox.store.keyring import Keyring
from eucabox.store.paths import encode_key
from eucabox.store.room import Room
from eucabox.store.writing import CHUNK, Draft, summed

STRIPES = 64


@dataclass(frozen=True)
class Conditions:
    """What must hold of the present object: that there is none, or that it has this ETag.

    An `if_match` of "*" asks for any object.
    """

    if_none_match: bool = False
    if_match: str | None = None

    def check(self, bucket: str, key: str, current: Object | None) -> None:
        """Raise PreconditionFailed, or NoSuchKey if there is nothing to match."""
        if self.if_none_match and current:
            raise PreconditionFailed(condition="If-None-Match")
        if self.if_match is None:
            return
        if current is None:
            raise NoSuchKey(bucket=bucket, key=key)
        if self.if_match.strip('"') not in {"*", current.e_tag}:
            raise PreconditionFailed(condition="If-Match")


class OpenObject:
    """An object open for reading; it stays whole whatever happens to its key. Close it."""

    def __init__(self, found: Object, descriptor: int, keys: Keyring | None = None) -> None:
        self.object = found
        self._descriptor = descriptor
        self._offset = 0
        self._keys = keys
        self._reader: Reader | None = None

    def fileno(self) -> int:
        """Return the descriptor, for sendfile; what it reads of an encrypted object is sealed."""
        return self._descriptor

    def unlock(self, customer: bytes | None = None) -> Reader | None:
        """Open an encrypted object, of SSE-C with the caller's key; a Fault says why it can't be.

        Who reads without it gets the fault with the first bytes. None stands for a plain object.
        """
        sealed, keys = self.object.sealed, self._keys
        if sealed is None or self._reader is not None:
            return self._reader
        if keys is None:
            raise KeysUnusable(file="the keys", reason="this store was opened without any")
        self._reader = Reader(
            self.object,
            sealed,
            self._descriptor,
            lambda header: keys.data_key(header, self.object, customer),
        )
        return self._reader

    def read(self, size: int = CHUNK) -> bytes:
        """Return the next bytes, b"" at the end; so that an object can be put again."""
        if self.object.sealed:
            data = b"".join(self.chunks(self._offset, min(size, self.object.size - self._offset)))
        else:
            data = os.pread(self._descriptor, size, self._offset)
        self._offset += len(data)
        return data

    def chunks(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield `length` bytes from `start`, up to 1 MiB at a time; all the rest if None."""
        left = self.object.size - start if length is None else length
        if reader := self.unlock():
            yield from reader.chunks(start, left)
            return
        while left > 0 and (data := os.pread(self._descriptor, min(CHUNK, left), start)):
            start += len(data)
            left -= len(data)
            yield data

    def close(self) -> None:
        """Close the file; closing again does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> "OpenObject":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Shelf:
    """The objects of all buckets, one key at a time."""

    def __init__(self, index: Index, keys: Keyring | None = None) -> None:
        self._index = index
        self._keys = keys
        self._locks = [threading.RLock() for _ in range(STRIPES)]

    def _lock(self, room: Room, key: str) -> threading.RLock:
        return self._locks[hash((room.name, key)) % STRIPES]

    @contextlib.contextmanager
    def all_locked(self) -> Iterator[None]:
        """Keep every key as it is."""
        with contextlib.ExitStack() as stack:
            for lock in self._locks:
                stack.enter_context(lock)
            yield

    def find(self, room: Room, key: str) -> OpenObject:
        """Open the object of a key; NoSuchKey if there is none."""
        encoded = encode_key(key)
        found, fresh = self._open(room, key, encoded)
        if found is None or not fresh:
            if found:
                found.close()
            with self._lock(room, key):  # a put may have been moving it, or its sidecar
                found, fresh = self._open(room, key, encoded)
        if found is None:
            room.check()
            raise NoSuchKey(bucket=room.name, key=key)
        return found if fresh else self._refresh(room, found, encoded)

    def _open(self, room: Room, key: str, encoded: bytes) -> tuple[OpenObject | None, bool]:
        descriptor = place.open_key(room, encoded)
        if descriptor is None:
            return None, False
        try:
            found, fresh = _load(room, key, encoded, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return OpenObject(found, descriptor, self._keys), fresh

    def _refresh(self, room: Room, found: OpenObject, encoded: bytes) -> OpenObject:
        """Give a file that came or was changed by hand the attributes it lacks."""
        before = os.fstat(found.fileno())
        sealed = found.object.sealed and frames.recover(found.fileno(), found.object)
        found.object = sealed or _plain(found)
        with self._lock(room, found.object.key):
            after = os.fstat(found.fileno())
            current = place.open_key(room, encoded)
            if current is not None:
                same = os.path.sameopenfile(current, found.fileno())
                os.close(current)
                if same and attributes.identity(before) == attributes.identity(after):
                    with contextlib.suppress(OSError):  # a folder that is only read still serves
                        self._keep(room, found, encoded)
                    self._index.add(found.object)
        return found

    def _keep(self, room: Room, found: OpenObject, encoded: bytes) -> None:
        raw, status = attributes.encode(found.object), os.fstat(found.fileno())
        if attributes.write(found.fileno(), raw):
            os.fsync(found.fileno())
            place.remove_sidecar(room, encoded, status)
        else:
            place.write_sidecar(room, encoded, status, raw)
            attributes.erase(found.fileno())

    def commit(
        self, room: Room, draft: Draft, new: Object, conditions: Conditions | None = None
    ) -> Object:
        """Make a dated draft the object `new`, on the disk when done."""
        encoded = encode_key(new.key)
        raw = attributes.encode(new)
        sidecar = None if attributes.write(draft.fd, raw) else raw
        os.fdatasync(draft.fd)
        with self._lock(room, new.key):
            room.check()
            self._check(room, new.key, conditions)
            with self._change(room, new.key):
                folder = _replace(room, encoded, draft, sidecar)
                self._index.add(new)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return new

    def _check(self, room: Room, key: str, conditions: Conditions | None) -> None:
        if conditions is None or conditions == Conditions():
            return
        try:
            with self.find(room, key) as found:
                current: Object | None = found.object
        except NoSuchKey:
            current = None
        conditions.check(room.name, key, current)

    @contextlib.contextmanager
    def _change(self, room: Room, key: str) -> Iterator[None]:
        journal = self._index.journal
        volume = journal.begin(room.name, key)
        try:
            yield
        except BaseException:
            self.recheck(room, key)
            journal.end(volume)
            raise
        journal.end(volume)

    def delete(self, room: Room, key: str, conditions: Conditions | None = None) -> bool:
        """Remove the object of a key, from the disk when done; False if there was none."""
        encoded = encode_key(key)
        with self._lock(room, key):
            room.check()
            self._check(room, key, conditions)
            with self._change(room, key):
                old = _status_with_sidecar(room, encoded)
                found = place.take_away(room, encoded)
                if old:
                    place.remove_sidecar(room, encoded, old)
                self._index.drop(room.name, key)
        return found

    def change(self, room: Room, key: str, how: Callable[[ObjectFacts], ObjectFacts]) -> Object:
        """Change the facts of an object and not its content, on the disk when done."""
        with self._lock(room, key), self.find(room, key) as found:
            room.check()
            found.object = replace(found.object, facts=how(found.object.facts))
            with self._change(room, key):
                self._keep(room, found, encode_key(key))
                self._index.add(found.object)
            return found.object

    def recheck(self, room: Room, key: str) -> Object | None:
        """Tell the index what the disk has of a key and return it."""
        with self._lock(room, key):
            found, fresh = self._open(room, key, encode_key(key))
            if found is None:
                self._index.drop(room.name, key)
                return None
            with found:
                if fresh:
                    self._index.add(found.object)
                    return found.object
        with self.find(room, key) as found:
            return found.object

    def sweep(self, room: Room, encoded: bytes) -> None:
        """Remove what a killed change has left of a key beside its file."""
        with self._lock(room, encoded.decode()):
            place.remove_leftovers(room, encoded)


def _load(room: Room, key: str, encoded: bytes, descriptor: int) -> tuple[Object, bool]:
    status = os.fstat(descriptor)
    raw = attributes.read(descriptor) or place.read_sidecar(room, encoded, status)
    if raw is not None:
        with contextlib.suppress(ValueError):
            return attributes.decode(raw, room.name, key, status)
    facts = ObjectFacts(content_type=_guess_type(key), owner=room.bucket.owner)
    modified = to_datetime(status.st_mtime_ns)
    plain = Object(room.name, key, status.st_size, "", modified, facts)
    return frames.recover(descriptor, plain) or plain, False


def _plain(found: OpenObject) -> Object:
    """Return an object that is its file, byte for byte, with the ETag of those bytes."""
    size, e_tag = os.fstat(found.fileno()).st_size, summed(found.fileno())[0]
    return replace(found.object, size=size, e_tag=e_tag, sealed=None)


def _guess_type(key: str) -> str:
    return mimetypes.guess_type(f"/{key}", strict=False)[0] or DEFAULT_TYPE


def _replace(room: Room, encoded: bytes, draft: Draft, sidecar: bytes | None) -> int:
    old = _status_with_sidecar(room, encoded)
    if sidecar is not None and draft.status is not None:
        place.write_sidecar(room, encoded, draft.status, sidecar)
    folder = place.put(room, encoded, draft)
    if old:
        place.remove_sidecar(room, encoded, old)
    return folder


def _status_with_sidecar(room: Room, encoded: bytes) -> os.stat_result | None:
    """Return the status of a key's present file if it may have a sidecar."""
    try:
        os.stat(attributes.folder(encoded), dir_fd=room.reserved, follow_symlinks=False)
    except FileNotFoundError:
        return None
    descriptor = place.open_key(room, encoded)
    if descriptor is None:
        return None
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)
