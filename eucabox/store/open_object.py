"""One object's content held open, plain or encrypted; knows no key and changes nothing."""

import os
from collections.abc import Iterator
from types import TracebackType
from typing import NamedTuple

from eucabox.store import attributes, version_files
from eucabox.store.encrypted_file import EncryptedReader
from eucabox.store.keyring import Keyring, require
from eucabox.store.temp_file import CHUNK
from eucabox.store.types import Object


class UsualObject(NamedTuple):
    """An object of usual attributes: `OpenObject.object` decodes them."""

    attributes: bytes
    bucket: str
    key: str


class OpenObject:
    """An object open for reading; its content stays whole whatever happens to its key. Close it.

    `entry` is its file among the versions, None if it is the current object. `usual` has its
    attributes if attributes.is_usual, and b"" for any other and for a noncurrent version.
    """

    def __init__(
        self,
        obj: Object | UsualObject,
        descriptor: int,
        entry: version_files.VersionFile | None = None,
        keys: Keyring | None = None,
    ) -> None:
        self._object = obj
        self.usual = obj.attributes if isinstance(obj, UsualObject) else b""
        self.entry = entry
        self._descriptor = descriptor
        self._offset = 0
        self._keys = keys
        self._reader: EncryptedReader | None = None

    @property
    def object(self) -> Object:
        """What is known of the object."""
        if isinstance(self._object, UsualObject):
            self._object = attributes.decode_usual(*self._object)
        return self._object

    @object.setter  # noqa: A003
    def object(self, obj: Object) -> None:
        self._object, self.usual = obj, b""

    def fileno(self) -> int:
        """Return the descriptor, for sendfile; of an encrypted object it reads encrypted bytes."""
        return self._descriptor

    def unlock(self, customer_key: bytes | None = None) -> EncryptedReader | None:
        """Prepare to decrypt an encrypted object, with the caller's key for SSE-C; None for a plain
        object.

        Raises a Fault if that is not possible. Without this call, reading the first bytes raises
        it.
        """
        sealed = self.object.sealed
        if sealed is None or self._reader is not None:
            return self._reader
        keys = require(self._keys)
        self._reader = EncryptedReader(
            self.object,
            sealed,
            self._descriptor,
            lambda header: keys.data_key(header, self.object, customer_key),
        )
        return self._reader

    def read(self, size: int = CHUNK) -> bytes:
        """Return the next bytes, b"" at the end; so an open object is a body stream."""
        if self.object.sealed:
            data = b"".join(self.chunks(self._offset, min(size, self.object.size - self._offset)))
        else:
            data = os.pread(self._descriptor, size, self._offset)
        self._offset += len(data)
        return data

    def chunks(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield `length` bytes from `start`, some at a time; all the rest if None."""
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
