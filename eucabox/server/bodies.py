"""The body of one HTTP request as a stream, by its length or in chunks; never all of it at once."""

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

MOST_DRAIN = 1 << 20
PIECE = 64 * 1024
CRLF = b"\r\n"
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n\Z")


@contextlib.contextmanager
def refuse_to_wait(stream: Any) -> Iterator[None]:
    """End the block where it would wait for the client, or where what came is malformed."""
    before, stream.nonblocking = stream.nonblocking, True
    try:
        yield
    except (OSError, ValueError):
        pass
    finally:
        stream.nonblocking = before


class LengthBody:
    """A body of Content-Length bytes. A client that vanishes is a short read, not an error."""

    def __init__(self, stream: Any, length: int, send_continue: Callable[[], None] | None) -> None:
        self._stream = stream
        self._left = length
        self._send_continue = send_continue

    @property
    def ended(self) -> bool:
        """Whether all of it was read."""
        return self._left == 0

    def read(self, size: int | None = None) -> bytes:
        """Return at most `size` bytes, all that is left without one; b"" at the end."""
        if self._left and self._send_continue:
            self._send_continue()
            self._send_continue = None
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        piece: bytes = self._stream.read(wanted) if wanted else b""
        self._left -= len(piece)
        return piece

    def drain(self) -> bool:
        """Read a small rest away if it has come; False where the connection can't be used for
        more. Nobody waits for a body that is not wanted."""
        if self._left == 0:
            return True
        if self._send_continue or self._left > MOST_DRAIN:
            return False
        with refuse_to_wait(self._stream):
            while self._left and self.read(min(self._left, PIECE)):
                pass
        return self.ended


class ChunkedBody:
    """A body in chunks of any size, read without keeping a whole one.

    Raises ValueError for a malformed chunk, ConnectionError for a client that vanishes.
    """

    def __init__(self, stream: Any, send_continue: Callable[[], None] | None) -> None:
        self._stream = stream
        self._left = 0  # of the chunk at hand
        self._started = False
        self._send_continue = send_continue
        self.ended = False

    def read(self, size: int | None = None) -> bytes:
        """Return at most `size` bytes, all that is left without one; b"" at the end."""
        if self._send_continue and not self.ended:
            self._send_continue()
            self._send_continue = None
        pieces: list[bytes] = []
        wanted = size if size is not None and size >= 0 else 1 << 62
        while wanted and not self.ended:
            if not self._left:
                self._read_size()
                continue
            piece = self._stream.read(min(wanted, self._left, MOST_DRAIN))
            if not piece:
                raise ConnectionResetError("The client left in the middle of a chunk.")
            self._left -= len(piece)
            wanted -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def drain(self) -> bool:
        """Read a small rest away if it has come; False where the connection can't be used for
        more."""
        if not self.ended and not self._send_continue:
            drained = 0
            with refuse_to_wait(self._stream):
                while not self.ended and drained <= MOST_DRAIN:
                    drained += len(self.read(PIECE))
        return self.ended

    def _read_size(self) -> None:
        if self._started and self._stream.readline(3) != CRLF:
            raise ValueError("A chunk does not end where its length says.")
        self._started = True
        match = CHUNK.match(self._stream.readline(1024))
        if not match:
            raise ValueError("A chunk's length is malformed.")
        self._left = int(match.group(1), 16)
        if self._left == 0:
            self._skip_trailers()
            self.ended = True

    def _skip_trailers(self) -> None:
        for _ in range(64):
            line = self._stream.readline(8192)
            if line == CRLF:
                return
            if not line.endswith(CRLF):
                break
        raise ValueError("The body's trailers are malformed.")
