"""The threads of a listener: how many there are, and how many each source address has.

A listener begins with FIRST threads, of which each takes 20 KiB, and has all of its number once so
many requests come at once. A thread that waits for its client, to send a large body or to receive a
large answer, is lent: up to MOST_LENT others are started in their place, so that slow clients take
no threads from the rest. One source has at most `most` working threads, and the last RESERVED of
all are for sources that have none; its further requests wait in a queue.
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
FIRST = 4  # threads of a listener that nobody needs
SPARE = 2  # more than work: one leads, one takes what comes next
STEP = 8  # threads that are made at a time
RESERVED = 4  # one thread in so many is kept for sources that have none
WINDOW = 10.0  # seconds of waiting for a client, after each of which its rate is looked at
LEAST_RATE = 1024  # bytes a second of a body, or of an answer
MOST_LENT_OF_SOURCE = MOST_LENT * 3 // 4
IMPATIENT = 1.0  # seconds of waiting before one below the least rate is cut off for others
YOUNG = 5.0  # seconds of waiting before a client is cut off in favour of others

log = logging.getLogger("eucabox.server")


class WorkerThreads:
    """The threads of one listener. `number` of them work; of one source, at most `most`."""

    def __init__(self, listener: "Listener", number: int, most: int) -> None:
        self._listener = listener
        self._number = number
        self._most = most
        self._shared = number - max(1, number // RESERVED)
        self._count = 0  # of threads that work
        self._lock = threading.Lock()
        self._working: dict[str, int] = {}
        self._queues: dict[str, deque[ClientConnection]] = {}
        self._lent: set[ClientConnection] = set()
        self._slow: Counter[str] = Counter()  # how many of them each source has
        self._needs_threads = threading.Event()
        self._is_growing = True

    def is_at_limit(self, source: str) -> bool:
        """Whether a source has as many threads as it may."""
        own = self._working.get(source, 0)
        if not own:
            return self._slow.get(source, 0) >= MOST_LENT_OF_SOURCE
        if own >= self._most or self._count >= self._shared:
            return True
        return self._slow.get(source, 0) >= MOST_LENT_OF_SOURCE

    def begin(self, connection: "ClientConnection") -> bool:
        """Count a thread for a connection; False if it has to wait in its source's line."""
        source = connection.remote_addr
        with self._lock:
            if self.is_at_limit(source):
                self._queues.setdefault(source, deque()).append(connection)
                return False
            self._add(connection)
            return True

    def take(self, connection: "ClientConnection") -> None:
        """Count a thread that works already."""
        with self._lock:
            self._add(connection)

    def _add(self, connection: "ClientConnection") -> None:
        source = connection.remote_addr
        self._working[source] = self._working.get(source, 0) + 1
        self._count += 1
        connection.counted = True
        self._ask_for_threads()

    def end(self, connection: "ClientConnection") -> None:
        """Count a connection's thread no more."""
        if not connection.counted:
            return
        connection.counted = False
        self._release(connection.remote_addr)

    def _release(self, source: str) -> None:
        with self._lock:
            self._count -= 1
            self._working[source] -= 1
            if self._working[source] <= 0:
                del self._working[source]
            following = self._following(source) if self._queues else None
        if following is not None:
            self._listener.process_conn(following)

    def _following(self, source: str) -> "ClientConnection | None":
        """Take who is next from the lines: of the source that has a thread less, or of another
        that had to wait because all together had too many."""
        for each in (source, *self._queues):
            line = self._queues.get(each)
            if line and not self.is_at_limit(each):
                found = line.popleft()
                if not line:
                    del self._queues[each]
                return found
        return None

    def close(self) -> None:
        """Close what waits in line."""
        with self._lock:
            connections = [each for queue in self._queues.values() for each in queue]
            self._queues.clear()
        for each in connections:
            each.end()

    # --- threads that wait for a client -------------------------------------------------------

    @contextlib.contextmanager
    def lend(self, connection: "ClientConnection", how: int) -> Iterator[None]:
        """Let others work while the block waits for a client; shutdown(`how`), SHUT_RD or
        SHUT_RDWR, would end the wait."""
        gil_turns.yield_leadership()
        counted, connection.counted = connection.counted, False
        connection.waits = how
        with self._lock:
            self._lent.add(connection)
            self._slow[connection.remote_addr] += 1
            self._ask_for_threads()
        if counted:
            self._release(connection.remote_addr)
        try:
            yield
        finally:
            connection.waits = None
            with self._lock:
                self._return(connection)
                if counted:
                    self._add(connection)

    def _return(self, connection: "ClientConnection") -> None:
        source = connection.remote_addr
        self._lent.discard(connection)
        self._slow[source] -= 1
        if self._slow[source] <= 0:
            del self._slow[source]

    def _ask_for_threads(self) -> None:
        if self._count_missing() > 0:
            self._needs_threads.set()

    def _count_missing(self) -> int:
        working = min(self._count + SPARE, self._number)
        lent = min(len(self._lent), MOST_LENT)
        return working + lent - len(self._listener.requests._threads)

    def grow(self) -> None:
        """Make threads as they are needed, until `stop_growing`."""
        while self._needs_threads.wait() and self._is_growing:
            self._needs_threads.clear()
            lacking = self._count_missing()
            if lacking > 0:
                rest = self._number - len(self._listener.requests._threads)
                self._listener.requests.grow(max(rest, lacking + STEP) if self._lent else rest)

    def stop_growing(self) -> None:
        """Make no more threads: one that comes while the others are told to end would never end."""
        self._is_growing = False
        self._needs_threads.set()

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
        """Hang up on the slowest where one source, or all, have too many lent threads."""
        most = Counter(each.remote_addr for each in lent)
        for source, count in most.items():
            own = [each for each in lent if each.remote_addr == source]
            over = count - MOST_LENT_OF_SOURCE
            waiting = len(self._queues.get(source, ()))
            self._hang_up_slowest(own, over if over < 0 else over + waiting)
        self._hang_up_slowest(lent, len(lent) - MOST_LENT)

    def _hang_up_slowest(self, connections: list["ClientConnection"], count: int) -> None:
        old = [each for each in connections if each.waited >= _patience(each)]
        for each in sorted(old, key=lambda each: each.rate)[: max(count, 0)]:
            log.info("source=%s is the slowest of many: hanging up", each.remote_addr)
            each.shut_down(each.waits or socket.SHUT_RD)


def _patience(connection: "TransferRate") -> float:
    return IMPATIENT if connection.rate < LEAST_RATE else YOUNG


class TransferRate:
    """How fast a client is, sampled while a thread waits for it."""

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
