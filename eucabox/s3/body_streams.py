"""Bodies of requests and responses as streams; never holds a whole body."""

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
    """A request's body: `length` bytes if that is known. After its end `trailers()` returns the
    trailing checksums {"CRC32": base64} for the `algorithms` announced."""

    stream: ByteStream
    length: int | None = None
    algorithms: tuple[str, ...] = ()
    trailers: Callable[[], dict[str, str]] = dict

    @classmethod
    def wrap(cls, body: ByteStream | bytes | None) -> RequestBody:
        """Make a body of any readable, or of plain bytes."""
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

    `direct` is true if the bytes on the disk are those of the object, so that sendfile may be used.
    """

    opened: OpenedObject
    start: int
    count: int
    direct: bool = True

    def __iter__(self) -> Iterator[bytes]:
        return self.opened.chunks(self.start, self.count)

    def fileno(self) -> int:
        """Return the descriptor of the file, for sendfile."""
        return self.opened.fileno()

    def close(self) -> None:
        """Close the object."""
        self.opened.close()


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._remaining = memoryview(data)

    def read(self, size: int, /) -> bytes:
        part, self._remaining = self._remaining[:size], self._remaining[size:]
        return bytes(part)


class ChunkReader:
    """An iterator of byte chunks as a readable."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._remaining = b""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, b"" at the end."""
        self._remaining = self._remaining or next(self._pieces, b"")
        piece, self._remaining = self._remaining[:size], self._remaining[size:]
        return piece
