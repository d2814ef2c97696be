"""The threads of a listener: how many there are, and which source has how many of them.

A thread that waits for its client, to send a large body or to take a large answer, is lent: in
its place another is made, up to MOST_LENT, so that slow clients leave as many threads to the rest
as there were. One source has at most `most` threads that work; what it asks beyond waits in line.
"""

import contextlib
import logging
import socket
import threading
from collections import Counter, deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from eucabox import gil_turns

if TYPE_CHECKING:
    from eucabox.server.connection import ClientConnection
    from eucabox.server.listener import Listener

MOST_LENT = 128  # threads that wait for clients
STEP = 8  # threads that are made at a time
WINDOW = 10.0  # seconds of waiting for a client, after each of which its rate is looked at
LEAST_RATE = 1024  # bytes a second of a body, or of an answer
YOUNG = 5.0  # seconds of waiting before a client is sent away for others

log = logging.getLogger("eucabox.server")


class WorkerThreads:
    """The threads of one listener. `number` of them work; of one source, at most `most`."""

    def __init__(self, listener: "Listener", number: int, most: int) -> None:
        self._listener = listener
        self._number = number
        self._most = most
        self._lock = threading.Lock()
        self._working: Counter[str] = Counter()
        self._queues: dict[str, deque[ClientConnection]] = {}
        self._lent: set[ClientConnection] = set()
        self._needs_threads = threading.Event()

    def is_at_limit(self, source: str) -> bool:
        """Whether a source has as many threads as it may."""
        return self._working[source] >= self._most

    def begin(self, connection: "ClientConnection") -> bool:
        """Count a thread for a connection; False if it has to wait in its source's line."""
        source = connection.remote_addr
        with self._lock:
            if self._working[source] >= self._most:
                self._queues.setdefault(source, deque()).append(connection)
                return False
            self._working[source] += 1
            connection.counted = True
            return True

    def take(self, connection: "ClientConnection") -> None:
        """Count a thread that has begun already."""
        with self._lock:
            self._working[connection.remote_addr] += 1
            connection.counted = True

    def end(self, connection: "ClientConnection") -> None:
        """A connection's thread does something else."""
        if not connection.counted:
            return
        connection.counted = False
        self._release(connection.remote_addr)

    def _release(self, source: str) -> None:
        with self._lock:
            self._working[source] -= 1
            line = self._queues.get(source)
            following = line.popleft() if line and self._working[source] < self._most else None
            if not line:
                self._queues.pop(source, None)
                if self._working[source] <= 0:
                    del self._working[source]
        if following is not None:
            self._listener.process_conn(following)

    def close(self) -> None:
        """Close what waits in line, and make no more threads."""
        with self._lock:
            connections = [each for queue in self._queues.values() for each in queue]
            self._queues.clear()
        for each in connections:
            each.end()
        self._needs_threads.set()

    # --- threads that wait for a client -------------------------------------------------------

    @contextlib.contextmanager
    def lent(self, connection: "ClientConnection", how: int) -> Iterator[None]:
        """Have others served while the block waits for a client; `how` a shutdown ends the wait,
        SHUT_RD or SHUT_RDWR."""
        gil_turns.yield_leadership()
        counted, connection.counted = connection.counted, False
        connection.waits = how
        with self._lock:
            self._lent.add(connection)
            if self._count_missing() > 0:
                self._needs_threads.set()
        if counted:
            self._release(connection.remote_addr)
        try:
            yield
        finally:
            connection.waits = None
            with self._lock:
                self._lent.discard(connection)
                if counted:
                    self._working[connection.remote_addr] += 1
                    connection.counted = True

    def _count_missing(self) -> int:
        lent = min(len(self._lent), MOST_LENT)
        return self._number + lent - len(self._listener.requests._threads)

    def grow(self) -> None:
        """Make threads as they are needed; runs as long as the listener."""
        while self._needs_threads.wait() and self._listener.ready:
            self._needs_threads.clear()
            lacking = self._count_missing()
            if lacking > 0:
                self._listener.requests.grow(lacking + STEP)

    # --- clients that are too slow ------------------------------------------------------------

    def drop_slow_clients(self, seconds: float) -> None:
        """Hang up on clients that are below the least rate, and on the slowest where threads run
        out; called every `seconds`."""
        with self._lock:
            lent = list(self._lent)
        for each in lent:
            if each.is_slow(seconds):
                log.info("source=%s is too slow: hanging up", each.remote_addr)
                each.shut_down(each.waits or socket.SHUT_RD)
        self._drop_slowest(lent)

    def _drop_slowest(self, lent: list["ClientConnection"]) -> None:
        """Where one source, or all, have many threads lent, the slowest go."""
        most = Counter(each.remote_addr for each in lent)
        for source, count in most.items():
            of_source = [each for each in lent if each.remote_addr == source]
            self._hang_up_slowest(of_source, count - MOST_LENT * 3 // 4)
        self._hang_up_slowest(lent, len(lent) - MOST_LENT)

    def _hang_up_slowest(self, connections: list["ClientConnection"], count: int) -> None:
        old = [each for each in connections if each.waited >= YOUNG]
        for each in sorted(old, key=lambda each: each.rate)[: max(count, 0)]:
            log.info("source=%s is the slowest of many: hanging up", each.remote_addr)
            each.shut_down(each.waits or socket.SHUT_RD)


class TransferRate:
    """How fast a connection's client is, seen from samples while a thread waits for it."""

    waits: int | None = None  # a thread waits for the client; how a shutdown would end that
    waited = 0.0  # seconds, of this window
    rate = 0.0  # bytes a second, of this window so far
    _since: int | None = None  # bytes at its begin

    def sample(self, moved: int, seconds: float) -> bool:
        """Count so many seconds of waiting; whether the client was too slow in a whole window."""
        if self._since is None:
            self._since, self.waited = moved, 0.0
            return False
        self.waited += seconds
        self.rate = (moved - self._since) / self.waited
        if self.waited < WINDOW:
            return False
        self._since = None
        return self.rate < LEAST_RATE
