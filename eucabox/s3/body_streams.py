"""What a caller sends and what a caller gets of an object's bytes; never holds a whole body."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol


class ByteStream(Protocol):
    """A body."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, b"" at the end."""


class OpenedObject(Protocol):
    """An object's content held open."""

    def chunks(self, start: int, length: int) -> Iterator[bytes]:
        """Yield `length` bytes from `start`."""

    def fileno(self) -> int:
        """Return the file's descriptor."""

    def close(self) -> None:
        """Close the file."""


@dataclass
class RequestBody:
    """A body on its way in: `length` bytes if that is known; after its end `trailers()` has
    the checksums that followed it, {"CRC32": base64}, for the `algorithms` announced."""

    stream: ByteStream
    length: int | None = None
    algorithms: tuple[str, ...] = ()
    trailers: Callable[[], dict[str, str]] = dict

    @classmethod
    def wrap(cls, body: ByteStream | bytes | None) -> RequestBody:
        """Take any readable, or plain bytes, for a body."""
        if isinstance(body, RequestBody):
            return body
        if body is None or isinstance(body, bytes):
            return cls(_Bytes(body or b""), len(body or b""))
        return cls(body)

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, b"" at the end."""
        return self.stream.read(size)


@dataclass
class ResponseBody:
    """`count` bytes of an open object from `start`; iterate it once, then close it.

    `direct` tells that the bytes are those of the file.
    """

    opened: OpenedObject
    start: int
    count: int
    direct: bool = True

    def __iter__(self) -> Iterator[bytes]:
        return self.opened.chunks(self.start, self.count)

    def fileno(self) -> int:
        """The descriptor of the file, for who can send from it directly."""
        return self.opened.fileno()

    def close(self) -> None:
        """Let go of the object."""
        self.opened.close()


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._rest = memoryview(data)

    def read(self, size: int, /) -> bytes:
        part, self._rest = self._rest[:size], self._rest[size:]
        return bytes(part)


class ChunkReader:
    """Pieces that something else yields, as a readable."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, b"" at the end."""
        self._rest = self._rest or next(self._pieces, b"")
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece
