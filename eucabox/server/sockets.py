"""A connection's socket as streams, faster than cheroot's Python ones; reads no meaning."""

import contextlib
import os
import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

PIECE = 64 * 1024
SMALL = 64 * 1024  # bytes of a body that are received before a thread is taken
WITHOUT_BODY = (b"GET ", b"HEAD ")
CRLF, LENGTH, EXPECTS = b"\r\n", b"\r\ncontent-length:", b"\r\nexpect:"
TOGETHER = 64 * 1024  # bytes of a body that are copied to leave with their head
STEP = 1 << 30


class HeadTooLong(Exception):  # noqa: N818  # a condition that the request answers
    """A head is longer than it may be; `line` if not even its first line ends."""

    def __init__(self, line: bool) -> None:
        super().__init__(line)
        self.line = line


class SocketReader:
    """Reads what a client sends; buffers bytes that came early."""

    bytes_read = 0
    closed = False
    ended = False  # the client sends no more
    nonblocking = False  # nothing is waited for: TimeoutError where it would be

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._is_tls = isinstance(sock, ssl.SSLSocket)
        self._buffer = b""
        self._end = -1  # of the head at hand, once it is there
        self._whole = 0  # bytes of the request at hand that have to come before it is served
        self.lend: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext

    def has_data(self) -> bool:
        """Whether there is something that was received and not read."""
        return bool(self._buffer)

    @property
    def waiting(self) -> int:
        """How many bytes were received and not read."""
        return len(self._buffer)

    @property
    def lacks_body(self) -> bool:
        """Whether a head is there and its small body is not."""
        return self._whole > len(self._buffer)

    @property
    def end_of_head(self) -> int:
        """Where the head ends that `gather` has found at the begin of what was received, -1 for
        none; its blank line begins there."""
        return self._end

    def await_body(self, count: int) -> bool:
        """Let `gather` receive a whole request of so many bytes; False where it has tried."""
        if self._whole == count or self.ended:
            return False
        self._whole = count
        return True

    def skip(self, count: int) -> None:
        """Drop a request that was read by `peek`."""
        self._buffer = self._buffer[count:]
        self._end, self._whole = -1, 0

    def peek(self) -> bytes:
        """Return what was received and not read."""
        return self._buffer

    def gather(self, most: int) -> bool:
        """Receive without waiting; whether a thread can serve now: a whole head and a small body
        are there, or an invalid head, or the end."""
        while not self._buffer or not self._is_whole(most):
            more = self._receive_now()
            if more is None:
                return False
            if not more:
                self.ended = True
                return True
            self._buffer += more
        return True

    def _is_whole(self, most: int) -> bool:
        data = self._buffer
        if self._end < 0:
            self._end = data.find(b"\r\n\r\n", 2 if data[:2] == b"\r\n" else 0)
            if self._end < 0:
                return len(data) > most or self._is_no_head()
            if self._end + 4 == len(data) and data.startswith(WITHOUT_BODY):
                return True
            self._whole = self._end + 4 + _small_body_length(data[: self._end + 2])
        return len(data) >= self._whole

    def _is_no_head(self) -> bool:
        line = self._buffer.find(b"\n", 2 if self._buffer[:2] == b"\r\n" else 0)
        return line >= 0 and self._buffer[line - 1 : line] != b"\r"

    def head(self, most: int) -> tuple[bytes, bool]:
        """Return the request head and whether its blank line arrived; it is missing if the client
        hung up or sent no valid line. Call it after `gather`. Raises HeadTooLong."""
        data, end = self._buffer, self._end
        start = 2 if data[:2] == b"\r\n" else 0  # one empty line before a request is forgiven
        self._end, self._whole = -1, 0
        if end > most or (end < 0 and len(data) > most):
            line = data.find(b"\n", start)
            raise HeadTooLong(line < 0 or line > most)
        if end < 0:
            self._buffer = b""
            return data[start:], False
        self._buffer = data[end + 4 :]
        return data[start:end], True

    def readline(self, size: int = -1) -> bytes:
        """Return a line with its end, or at most `size` bytes of it; less only at the end."""
        data = self._buffer
        while (end := data.find(b"\n")) < 0 and (size < 0 or len(data) < size):
            more = self._receive()
            if not more:
                break
            data += more
        cut = len(data) if end < 0 else end + 1
        cut = cut if size < 0 else min(cut, size)
        self._buffer = data[cut:]
        return data[:cut]

    def read(self, size: int) -> bytes:
        """Return `size` bytes; fewer when the client has left."""
        buffered = self._buffer
        if len(buffered) >= size:
            self._buffer = buffered[size:]
            return buffered[:size]
        self._buffer = b""
        whole = bytearray(size)
        view = memoryview(whole)
        view[: len(buffered)] = buffered
        filled = len(buffered)
        while filled < size:
            count = self._receive_into(view[filled:])
            if not count:
                view.release()
                del whole[filled:]
                break
            filled += count
        return whole  # type: ignore[return-value]  # it is not shared, so it never changes

    def close(self) -> None:
        """Drop the buffer."""
        self._buffer = b""

    def _receive_now(self) -> bytes | None:
        """Receive what is there: None if that is nothing, b"" if the client hung up."""
        try:
            if self._is_tls:
                return self._socket.recv(PIECE)  # it never waits here
            return self._socket.recv(PIECE, socket.MSG_DONTWAIT)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except ConnectionError:
            return b""

    def _receive(self) -> bytes:
        piece = bytearray(PIECE)
        count = self._receive_into(memoryview(piece))
        return bytes(piece[:count])

    def _receive_into(self, view: memoryview) -> int:
        """Receive into `view`; the thread is lent to others while it waits for the client."""
        if not self._is_tls:
            with contextlib.suppress(BlockingIOError):
                return self._socket.recv_into(view, 0, socket.MSG_DONTWAIT)
        if self.nonblocking and not (
            isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()
        ):
            raise TimeoutError("timed out")
        with self.lend():
            try:
                return self._socket.recv_into(view)
            except BlockingIOError:
                raise TimeoutError("timed out") from None


def _small_body_length(lines: bytes) -> int:
    """Return how many bytes follow a head that ends with `lines`, 0 where they need not be there
    before the request is served: a large body, or one that waits for 100 Continue."""
    lines = lines.lower()  # no regular expression: this is done for every small body
    start = lines.find(LENGTH)
    if start < 0 or EXPECTS in lines:
        return 0
    start += len(LENGTH)
    digits = lines[start : lines.find(CRLF, start)].strip(b" \t")
    length = int(digits) if digits.isdigit() and len(digits) < 19 else 0
    return length if length <= SMALL else 0


class SocketWriter:
    """Writes to a client, without a buffer."""

    bytes_written = 0
    closed = False
    nonblocking = False  # nothing is waited for: TimeoutError where it would be

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._is_tls = isinstance(sock, ssl.SSLSocket)
        self.lend: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext

    def write(self, data: bytes) -> int:
        """Send all of the bytes; the thread is lent to others while it waits for the client."""
        if rest := self.send_now(data):
            self.send_rest(rest)
        return len(data)

    def close(self) -> None:
        """Do nothing: there is no buffer."""

    def send_now(self, data: bytes) -> memoryview:
        """Send what the kernel takes without a wait; return the rest. With TLS that is all."""
        sent = 0
        if not self._is_tls:
            with contextlib.suppress(BlockingIOError):
                sent = self._socket.send(data, socket.MSG_DONTWAIT)
        return memoryview(data)[sent:]

    def send_rest(self, data: memoryview) -> None:
        """Send bytes; the thread is lent to others while it waits for the client."""
        if self.nonblocking:
            if not self._is_tls or self._socket.send(data) < len(data):
                raise TimeoutError("timed out")
            return
        with self.lend():
            self._socket.sendall(data)


def make_stream(sock: Any, mode: str = "r", _size: int = 0) -> Any:
    """Return a socket's stream: cheroot's hook."""
    return SocketReader(sock) if "r" in mode else SocketWriter(sock)


def set_socket_timeouts(sock: socket.socket, seconds: float) -> None:
    """Let the kernel end calls that take too long. Python's own timeout costs one more system
    call each time."""
    if isinstance(sock, ssl.SSLSocket):
        return
    limit = struct.pack("@ll", int(seconds), int(seconds % 1 * 1_000_000))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    sock.setblocking(True)


def clear_socket_timeouts(sock: socket.socket) -> None:
    """Let no call on the socket wait, and none be ended by the kernel."""
    if not isinstance(sock, ssl.SSLSocket):
        set_socket_timeouts(sock, 0)
    sock.setblocking(False)


def send_file(sock: socket.socket, descriptor: int, offset: int, count: int) -> None:
    """Send part of a file without copying it; OSError if it ends before."""
    end = offset + count
    while offset < end:
        sent = os.sendfile(sock.fileno(), descriptor, offset, min(end - offset, STEP))
        if not sent:
            raise OSError(f"the file ended {end - offset} bytes before its recorded end")
        offset += sent


def count_traffic(sock: socket.socket) -> int:
    """Return how many bytes the client has sent and acknowledged, as the kernel counts them."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 136)
    if len(info) < 136:
        return 0
    acked, received = struct.unpack_from("=QQ", info, 120)
    return int(acked) + int(received)
