"""A client so light that the server is what is measured: raw sockets, signatures made before."""

import re
import selectors
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bench.s3.signing import Target

BUFFER = 1 << 20
SECONDS = 60
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
CODED = re.compile(rb"(?i)\r\ntransfer-encoding: *chunked")
Pieces = Sequence[bytes | memoryview]


class Refused(Exception):  # noqa: N818
    """The server did not say 2xx."""


class Connection:
    """One connection that is kept; reads whole answers into a buffer of its own."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._buffer = bytearray(BUFFER)
        self._open()

    def _open(self) -> None:
        self._socket = socket.create_connection((self.target.host, self.target.port), SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, pieces: Pieces) -> tuple[int, bytes]:
        """Send a request; the status and at most BUFFER bytes of the body, which is read whole."""
        for piece in pieces:
            if piece:
                self._socket.sendall(piece)
        head, body = self._head()
        if CODED.search(head):
            return int(head[9:12]), self._chunked(body)
        found = LENGTH.search(head)
        bodiless = pieces[0][:4] == b"HEAD"
        left = 0 if bodiless else (int(found[1]) if found else 0) - len(body)
        kept = [body] if left <= BUFFER else []
        while left > 0:
            count = self._socket.recv_into(self._buffer, min(left, BUFFER))
            if not count:
                raise Refused("the connection ended")
            if kept:
                kept.append(bytes(self._buffer[:count]))
            left -= count
        if b"connection: close" in head.lower():
            self.close()
            self._open()
        return int(head[9:12]), b"".join(kept)

    def done(self, pieces: Pieces) -> bytes:
        """Send a request that must succeed."""
        status, body = self.ask(pieces)
        if not 200 <= status < 300:
            raise Refused(f"{status} {body[:300]!r}")
        return body

    def close(self) -> None:
        self._socket.close()

    def _head(self) -> tuple[bytes, bytes]:
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            count = self._socket.recv_into(self._buffer)
            if not count:
                raise Refused(f"the connection ended after {data[:300]!r}")
            data += self._buffer[:count]
        return data[: end + 2], data[end + 4 :]

    def _chunked(self, data: bytes) -> bytes:
        while not data.endswith(b"0\r\n\r\n"):
            more = self._socket.recv(BUFFER)
            if not more:
                raise Refused("the connection ended")
            data += more
        body = b""
        while True:
            size, _, data = data.partition(b"\r\n")
            length = int(size, 16)
            if not length:
                return body
            body += data[:length]
            data = data[length + 2 :]


@dataclass
class _Busy:
    socket: socket.socket
    waiting: bytes = b""
    length: int = -1  # of the whole answer, once its head is there
    sent: float = 0.0
    bodiless: bool = False
    closes: bool = False


def many(target: Target, requests: Iterable[bytes], clients: int) -> tuple[float, list[float]]:
    """Send small requests over so many connections, each with one under way at a time.

    Returns the seconds that all took, and those of each. A connection that the server ends after
    an answer is opened again.
    """
    queue = iter(requests)
    selector = selectors.EpollSelector()
    times: list[float] = []
    open_ = [_Busy(_connected(target)) for _ in range(clients)]
    for each in open_:
        selector.register(each.socket, selectors.EVENT_READ, each)
    began = time.perf_counter()
    busy = sum(_send(each, queue) for each in open_)
    while busy:
        for found, _ in selector.select(SECONDS) or _stuck():
            each = found.data
            if not _answered(each):
                continue
            times.append(time.perf_counter() - each.sent)
            if each.closes:
                selector.unregister(each.socket)
                each.socket.close()
                each.socket = _connected(target)
                selector.register(each.socket, selectors.EVENT_READ, each)
            busy -= not _send(each, queue)
    seconds = time.perf_counter() - began
    for each in open_:
        each.socket.close()
    selector.close()
    return seconds, times


def _connected(target: Target) -> socket.socket:
    sock = socket.create_connection((target.host, target.port), SECONDS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _stuck() -> list[tuple[selectors.SelectorKey, int]]:
    raise Refused(f"no answer within {SECONDS} s")


def _send(each: _Busy, queue: Iterator[bytes]) -> bool:
    request = next(queue, None)
    if request is None:
        return False
    each.waiting, each.length, each.sent = b"", -1, time.perf_counter()
    each.bodiless = request.startswith(b"HEAD")
    each.socket.sendall(request)
    return True


def _answered(each: _Busy) -> bool:
    data = each.socket.recv(1 << 16)
    if not data:
        raise Refused(f"the connection ended after {each.waiting[:300]!r}")
    each.waiting += data
    if each.length < 0:
        end = each.waiting.find(b"\r\n\r\n")
        if end < 0:
            return False
        if each.waiting[9:10] != b"2":
            raise Refused(repr(each.waiting[:500]))
        found = None if each.bodiless else LENGTH.search(each.waiting, 0, end + 2)
        each.length = end + 4 + (int(found[1]) if found else 0)
        each.closes = b"connection: close" in each.waiting[:end].lower()
    return len(each.waiting) >= each.length
