"""The connections of a listener that are with no thread: accepted, shaken hands with, heard until
a request is whole, watched while they are silent, seen off; never what a request says.

One thread, the listener's own, does all of it and waits for nobody, so no number of clients that
are slow, silent or half there takes a thread from those that are not. It answers the health check
itself: that is true of the process while every other thread is busy.
"""

import contextlib
import errno
import heapq
import logging
import os
import select
import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    from eucabox.server.connection import ClientConnection
    from eucabox.server.listener import Listener

IDLE_SECONDS = 30  # between two requests
HEAD_SECONDS = 15  # for a TLS handshake and a whole head
BODY_SECONDS = 60  # for a small body, which is received before a thread is taken
LINGER_SECONDS = 2.0
BATCH = 64  # connections that are accepted before others are heard
MOST_CONNECTIONS = 2048
# The process or the system has no descriptor, or no memory, for one more connection.
FULL = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
BACK_OFF = 0.25  # seconds without accepting then
QUIET = 60.0  # seconds until that is logged again
GIVEN_UP = 16  # silent connections that are closed then, to have descriptors again

log = logging.getLogger("eucabox.server")


class WaitingConnections:
    """What cheroot calls a connection manager. `most` is how many connections one source has."""

    def __init__(self, listener: "Listener", most: int) -> None:
        self._listener = listener
        self._most = most
        self._lock = threading.Lock()
        self._epoll = select.epoll()
        self._waiting: dict[int, ClientConnection] = {}
        self._sources: Counter[str] = Counter()
        self.connections = 0  # of the listener, here and with its threads
        self._ready: deque[ClientConnection] = deque()  # those that asked for more than one thing
        self._stopping = False
        self._running = False
        self._listening_fd = listener.socket.fileno()
        self._spare_fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._accept_after = 0.0  # no connection is accepted before
        self._logged_at = -QUIET
        listener.socket.setblocking(False)
        self._epoll.register(self._listening_fd, select.EPOLLIN)

    # --- what cheroot calls -------------------------------------------------------------------

    def run(self, interval: float) -> None:
        """Serve until `stop`."""
        self._running = True
        checked = 0.0
        try:
            while not self._stopping:
                for descriptor, _ in self._epoll.poll(0 if self._ready else interval):
                    self._handle_event(descriptor)
                for _ in range(len(self._ready)):
                    self._advance(self._ready.popleft())
                now = time.monotonic()
                if now > checked + interval:
                    checked = now
                    self._close_overdue(now)
        finally:
            self._running = False

    def stop(self) -> None:
        """End `run`."""
        self._stopping = True
        while self._running:
            time.sleep(0.01)

    def put(self, connection: "ClientConnection") -> None:
        """Take a connection that is with nobody else; from any thread."""
        connection.begin_wait()
        self._advance(connection)

    def close(self) -> None:
        """Close every connection that is here."""
        with self._lock:
            connections = [*self._waiting.values(), *self._ready]
            self._waiting.clear()
            self._ready.clear()
        for connection in connections:
            connection.end()
        self._epoll.close()
        os.close(self._spare_fd)

    def __len__(self) -> int:
        return len(self._waiting)

    def forget(self, connection: "ClientConnection") -> None:
        """A connection is closed."""
        with self._lock:
            source = connection.remote_addr
            self.connections -= 1
            self._sources[source] -= 1
            if self._sources[source] <= 0:
                del self._sources[source]

    # --- one connection -----------------------------------------------------------------------

    def _handle_event(self, descriptor: int) -> None:
        if descriptor == self._listening_fd:
            self._accept()
            return
        with self._lock:
            connection = self._waiting.pop(descriptor, None)
        if connection is None:
            return
        with contextlib.suppress(OSError):
            self._epoll.unregister(descriptor)
        self._advance(connection)

    def _advance(self, connection: "ClientConnection") -> None:
        """Have a connection say what it can, and see who is to have it then."""
        try:
            whole = connection.receive()
            if whole and not connection.is_over() and connection.is_health_check():
                self._answer_health(connection)
                return
        except OSError as problem:
            log.debug("source=%s connection lost: %s", connection.remote_addr, problem)
            connection.end()
            return
        if not whole:
            self._wait(connection)
        elif connection.is_over():
            connection.end()
        else:
            self._listener.process_conn(connection)

    def _answer_health(self, connection: "ClientConnection") -> None:
        """One at a time: many that came at once let others have their turn between them."""
        if connection.answer_health():
            connection.begin_wait()
            self._ready.append(connection)
        else:
            connection.close()

    def _wait(self, connection: "ClientConnection") -> None:
        descriptor = connection.socket.fileno()
        with self._lock:
            if not self._stopping and descriptor >= 0:
                self._waiting[descriptor] = connection
                self._epoll.register(descriptor, connection.wants)
                return
        connection.end()

    # --- who comes ----------------------------------------------------------------------------

    def _accept(self) -> None:
        for _ in range(BATCH):
            try:
                sock, address = self._listener.socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionError):
                return
            except OSError as problem:
                if problem.errno not in FULL:
                    raise
                self._back_off(problem)
                return
            with contextlib.suppress(OSError):  # a client that has left again
                self._admit(sock, address[0])

    def _admit(self, sock: "socket.socket", source: str) -> None:
        try:
            connection = self._listener.make_connection(sock, source)
        except BaseException:
            sock.close()
            raise
        with self._lock:
            self._sources[source] += 1
            self.connections += 1
            count, total = self._sources[source], self.connections
        if count > self._most and not self._close_idle(1, source):
            log.info("source=%s has %d connections, as many as it may", source, self._most)
            connection.end()
            return
        if total > MOST_CONNECTIONS and not self._close_idle(1, self._busiest_source()):
            connection.end()
            return
        self.put(connection)

    def _busiest_source(self) -> str:
        with self._lock:
            return max(self._sources, key=lambda each: self._sources[each])

    def _close_idle(self, count: int, source: str | None = None) -> bool:
        """Close the connections, of one source or any, that have been silent for longest."""
        with self._lock:
            idle = [each for each in self._waiting.values() if source in (None, each.remote_addr)]
            idle = heapq.nsmallest(count, idle, key=lambda each: each.waiting_since)
            for each in idle:
                del self._waiting[each.socket.fileno()]
        for each in idle:
            each.end()
        return bool(idle)

    def _back_off(self, problem: OSError) -> None:
        """Accept nobody for a moment; the reserve lets one of those that wait be told so."""
        now = time.monotonic()
        self._accept_after = now + BACK_OFF
        self._epoll.unregister(self._listening_fd)
        self._close_idle(GIVEN_UP)
        os.close(self._spare_fd)
        with contextlib.suppress(OSError):
            self._listener.socket.accept()[0].close()
        with contextlib.suppress(OSError):
            self._spare_fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        if now > self._logged_at + QUIET:
            self._logged_at = now
            log.error(
                "role=cloud no more connections can be taken: %s; `eucabox doctor` tells how many"
                " files eucabox may open",
                problem.strerror,
            )

    # --- who stays ----------------------------------------------------------------------------

    def _close_overdue(self, now: float) -> None:
        """Close the connections that are past their time, and accept again after a pause."""
        if self._accept_after and now > self._accept_after and not self._stopping:
            self._accept_after = 0.0
            self._epoll.register(self._listening_fd, select.EPOLLIN)
        with self._lock:
            late = [each for each in self._waiting.values() if now > each.due]
            for each in late:
                del self._waiting[each.socket.fileno()]
        for each in late:
            each.end()
