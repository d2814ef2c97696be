"""The leader/followers loop: one thread, the leader, serves all active connections.

Under the GIL a thread switch costs more than a small request. So the leader polls all active
connections and serves what comes. Before it waits for a disk or a client it gives the lead to
another thread (`gil_turns.yield_leadership`); after 20 ms on one request the lead is taken from
it. No connection is ever with two threads. Connections that wait for the disk after each request
are served together where several have sent one: they share a thread and a flush.
"""

from __future__ import annotations

import contextlib
import select
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol

from eucabox import gil_turns
from eucabox.server.write_batch import serve_together

if TYPE_CHECKING:
    from eucabox.server.connection import ClientConnection
    from eucabox.server.worker_threads import WorkerThreads

PAUSE = 0.02  # seconds without a request that end the lead
TOGETHER = 16  # connections that are served at once at most
SILENT = 1.0  # seconds after which a connection is none of the busy ones


class ConnectionOwner(Protocol):
    """What the loop needs of the listener whose connections it serves."""

    ready: bool
    requests: Any  # cheroot's pool, which takes a WorkItem
    threads: WorkerThreads

    def put_conn(self, conn: ClientConnection, busy: bool = False) -> None:
        """Take a connection back."""


class LeaderFollowers:
    """The active connections of one listener, and which thread leads."""

    def __init__(self, listener: ConnectionOwner) -> None:
        self._listener = listener
        self._lock = threading.Lock()
        self._epoll: select.epoll | None = None  # made at first use
        self._members: dict[int, ClientConnection] = {}
        self._leader: object | None = None
        self._current: list[ClientConnection] = []  # the leader serves them
        self._served = 0
        self._swept_at = 0.0
        self._has_leader = threading.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._members)

    def run_as_leader(self) -> None:
        """Serve the active connections while requests come, unless another thread leads."""
        while (me := self._become_leader()) is not None:
            gil_turns.on_yield(lambda me=me: self._lose_leadership(me))  # type: ignore[misc]
            try:
                while self._serve_next(me):
                    pass
            finally:
                gil_turns.on_yield(None)
                self._lose_leadership(me)

    def add(self, connection: ClientConnection) -> None:
        """Take a connection that was served and belongs to no thread."""
        connection.last_used = time.time()
        with self._lock:
            if self._closed:
                connection.end()
                return
            descriptor = connection.socket.fileno()
            self._members[descriptor] = connection
            self._poll.register(descriptor, select.EPOLLIN)

    def watch(self) -> None:
        """Take the lead from a thread that is slow with a request; runs while the listener does."""
        while self._has_leader.wait() and self._listener.ready:
            before = self._leader, self._served, bool(self._current)
            time.sleep(gil_turns.PATIENCE)
            if before != (self._leader, self._served, bool(self._current)):
                continue
            if before[2]:
                self._lose_leadership(before[0])
            elif before[0] is None:
                self._return_all()

    def close(self) -> None:
        """End the watch. The listener is not ready any more, so no thread leads again."""
        self._has_leader.set()
        with self._lock:
            self._closed = True
            members, self._members = list(self._members.values()), {}
            if self._epoll is not None:
                self._epoll.close()
        for each in members:
            each.end()

    @property
    def _poll(self) -> select.epoll:
        if self._epoll is None:
            self._epoll = select.epoll()
        return self._epoll

    def _become_leader(self) -> object | None:
        with self._lock:
            if self._leader is not None or not self._members:
                return None
            self._leader = object()
            self._has_leader.set()
            return self._leader

    def _serve_next(self, me: object) -> bool:
        """Serve the first request that comes, and what shares its flush; return whether to go
        on."""
        events = self._poll.poll(PAUSE, TOGETHER) if self._listener.ready else []
        if not events:
            self._go_idle(me)
            return False
        connections = self._claim(me, [descriptor for descriptor, _ in events])
        if not connections:
            return False
        if self._listener.threads.is_at_limit(connections[0].remote_addr):
            return self._defer(me, connections)
        keep: set[ClientConnection] = set()
        try:
            if connections[1:]:
                keep = serve_together(connections)
            elif connections[0].serve_pending():
                keep = set(connections)
        finally:
            leads = self._finish(me, connections, keep)
        return leads

    def _claim(self, me: object, descriptors: list[int]) -> list[ClientConnection]:
        """Return the first of the connections, with others that share a flush with it."""
        with self._lock:
            if self._leader is not me:
                return []
            first = self._members[descriptors[0]]
            self._current = [first]
            if first.shares_flushes:
                others = (self._members[each] for each in descriptors[1:])
                self._current += [each for each in others if self._may_join(each, first)]
            return self._current

    def _may_join(self, connection: ClientConnection, first: ClientConnection) -> bool:
        if connection.remote_addr == first.remote_addr:
            return connection.shares_flushes
        threads = self._listener.threads
        return connection.shares_flushes and not threads.is_at_limit(connection.remote_addr)

    def _finish(
        self, me: object, connections: list[ClientConnection], keep: set[ClientConnection]
    ) -> bool:
        now = time.time()
        # of a request has come, or of an answer has left, and the rest may take long
        half = {
            each for each in keep if each.unsent or (each.rfile.has_data() and not each.continues)
        }
        with self._lock:
            leads = self._leader is me
            if leads:
                self._current = []
                self._served += 1
            for each in connections:
                each.last_used = now
                if leads and (each in half or each not in keep):
                    self._unregister(each)
        if not leads:
            self._listener.threads.end(connections[0])
        for each in connections:
            if each not in keep:
                each.close()
            elif each in half or not leads:
                self._listener.put_conn(each, busy=True)
        if leads and now > self._swept_at + SILENT:
            self._sweep(now)
        return leads

    def _defer(self, me: object, connections: list[ClientConnection]) -> bool:
        """Queue the first, whose source has all its threads; return whether to go on."""
        first, *others = connections
        with self._lock:
            leads = self._leader is me
            if leads:
                self._current = []
                self._unregister(first)
        self._listener.threads.end(first)
        for each in (first,) if leads else (first, *others):
            self._listener.put_conn(each)
        return leads

    def _lose_leadership(self, me: object) -> None:
        """Take the lead from a thread; it keeps the connection that it serves."""
        with self._lock:
            if me is None or self._leader is not me:
                return
            self._leader = None
            if self._current:
                self._listener.threads.take(self._current[0])
            for each in self._current:
                self._unregister(each)
            self._current = []
            others = bool(self._members)
        if others:
            self._listener.requests.put(WorkItem(self))

    def _go_idle(self, me: object) -> None:
        """No request came: give all connections back to wait without a thread."""
        with self._lock:
            if self._leader is not me:
                return
            self._leader = None
        self._return_all()

    def _return_all(self) -> None:
        """No thread leads: give all connections back to wait without a thread."""
        with self._lock:
            if self._leader is not None:
                return
            self._has_leader.clear()
            members = list(self._members.values())
            for each in members:
                self._unregister(each)
        self._return_to_selector(members)

    def _sweep(self, now: float) -> None:
        self._swept_at = now
        with self._lock:
            members = list(self._members.values())
            idle = [each for each in members if now - (each.last_used or 0) > SILENT]
            for each in idle:
                self._unregister(each)
        self._return_to_selector(idle)

    def _return_to_selector(self, idle: list[ClientConnection]) -> None:
        for each in idle:
            self._listener.put_conn(each)

    def _unregister(self, connection: ClientConnection) -> None:
        descriptor = connection.socket.fileno()
        del self._members[descriptor]
        with contextlib.suppress(OSError, ValueError):  # closed meanwhile, one or the other
            self._poll.unregister(descriptor)


class WorkItem:
    """One turn of a pool thread: serve a connection, if one is given, then lead if no other thread
    does. For cheroot it is a connection that ends after it."""

    rfile = SimpleNamespace(closed=True)  # nothing that cheroot should cut off: the listener does
    remote_addr = remote_port = None

    def __init__(self, loop: LeaderFollowers, connection: ClientConnection | None = None) -> None:
        self._loop = loop
        self._connection = connection

    def communicate(self) -> bool:
        """Serve; never to be kept."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.run_in_own_thread()
        self._loop.run_as_leader()
        return False

    def close(self) -> Any:
        """Do nothing: every connection belongs to a thread or to the waiting ones, or is closed."""
