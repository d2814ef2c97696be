"""A connection's socket as streams, in C where cheroot's own are Python; never what is said."""

import os
import socket
import ssl
import struct
from typing import Any

from eucabox import turns

PIECE = 64 * 1024
TOGETHER = 64 * 1024  # bytes of a body that are copied to leave with their head
STEP = 1 << 30


class HeadTooLong(Exception):  # noqa: N818  # a condition that the request answers
    """A head is longer than it may be; `line` if not even its first line ends."""

    def __init__(self, line: bool) -> None:
        super().__init__(line)
        self.line = line


class Inbox:
    """What a client sends. Bytes that came too early wait here."""

    bytes_read = 0
    closed = False

    def __init__(self, sock: Any) -> None:
        self._socket = sock
        self._kept = b""

    def has_data(self) -> bool:
        """Whether there is something that was received and not read."""
        return bool(self._kept)

    @property
    def waiting(self) -> int:
        """How many bytes were received and not read."""
        return len(self._kept)

    def head(self, most: int) -> tuple[bytes, bool]:
        """Return a request's lines without the empty one at their end, and whether it was there:
        the client may have left, or the first line be none. Raises HeadTooLong."""
        data = self._kept or self._receive()
        while data[:2] == b"\r\n" and len(data) < 4:
            data += self._receive() or b"\r\n"
        start = 2 if data[:2] == b"\r\n" else 0  # one empty line before a request is forgiven
        while (end := data.find(b"\r\n\r\n", start)) < 0:
            line = data.find(b"\n", start)
            if len(data) > most:
                raise HeadTooLong(line < 0)
            if line >= 0 and data[line - 1 : line] != b"\r":
                break
            turns.leave()
            more = self._receive()
            if not more:
                break
            data += more
        if end < 0:
            self._kept = b""
            return data[start:], False
        if end > most:
            raise HeadTooLong(data.find(b"\n", start) > most)
        self._kept = data[end + 4 :]
        return data[start:end], True

    def readline(self, size: int = -1) -> bytes:
        """Return a line with its end, or at most `size` bytes of it; less only at the end."""
        data = self._kept
        while (end := data.find(b"\n")) < 0 and (size < 0 or len(data) < size):
            more = self._receive()
            if not more:
                break
            data += more
        cut = len(data) if end < 0 else end + 1
        cut = cut if size < 0 else min(cut, size)
        self._kept = data[cut:]
        return data[:cut]

    def read(self, size: int) -> bytes:
        """Return `size` bytes; fewer when the client has left."""
        kept = self._kept
        if len(kept) >= size:
            self._kept = kept[size:]
            return kept[:size]
        self._kept = b""
        whole = bytearray(size)
        view = memoryview(whole)
        view[: len(kept)] = kept
        filled = len(kept)
        while filled < size:
            count = self._into(view[filled:])
            if not count:
                view.release()
                del whole[filled:]
                break
            filled += count
        return whole  # type: ignore[return-value]  # nobody else has it, so none can change it

    def close(self) -> None:
        """Forget what waits."""
        self._kept = b""

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(PIECE)  # type: ignore[no-any-return]
        except BlockingIOError:
            raise TimeoutError("timed out") from None

    def _into(self, view: memoryview) -> int:
        try:
            return self._socket.recv_into(view)  # type: ignore[no-any-return]
        except BlockingIOError:
            raise TimeoutError("timed out") from None


class Outbox:
    """What a client is sent, at once."""

    bytes_written = 0
    closed = False

    def __init__(self, sock: Any) -> None:
        self._socket = sock

    def write(self, data: bytes) -> int:
        """Send all of the bytes."""
        self._socket.sendall(data)
        return len(data)

    def close(self) -> None:
        """Do nothing: nothing waits here."""


def make_file(sock: Any, mode: str = "r", _size: int = 0) -> Any:
    """Return a socket's stream: cheroot's hook."""
    return Inbox(sock) if "r" in mode else Outbox(sock)


def let_kernel_wait(sock: socket.socket, seconds: float) -> None:
    """Have the kernel end what takes too long. Python would ask before every call whether it
    may, which is a system call more each time."""
    if isinstance(sock, ssl.SSLSocket):
        return
    limit = struct.pack("@ll", int(seconds), int(seconds % 1 * 1_000_000))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    sock.setblocking(True)


def send_file(sock: socket.socket, descriptor: int, offset: int, count: int) -> None:
    """Send part of a file without copying it; OSError if it ends before."""
    end = offset + count
    while offset < end:
        sent = os.sendfile(sock.fileno(), descriptor, offset, min(end - offset, STEP))
        if not sent:
            raise OSError(f"the file ended {end - offset} bytes before its recorded end")
        offset += sent
