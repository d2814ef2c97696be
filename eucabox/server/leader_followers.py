"""The leader/followers loop: one thread, the leader, serves all active connections.

Under the GIL a thread switch costs more than a small request. So the leader polls all active
connections and serves what comes. Before it waits for a disk or a client it gives the lead to
another thread (`gil_turns.yield_leadership`); after 20 ms on one request the lead is taken from
it. No connection is ever with two threads.
"""

from __future__ import annotations

import contextlib
import select
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol

from eucabox import gil_turns

if TYPE_CHECKING:
    from eucabox.server.connection import ClientConnection
    from eucabox.server.worker_threads import WorkerThreads

PAUSE = 0.02  # seconds without a request that end the lead
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
        self._current: ClientConnection | None = None  # the leader serves it
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
            before = self._leader, self._served, self._current
            time.sleep(gil_turns.PATIENCE)
            if before != (self._leader, self._served, self._current):
                continue
            if before[2] is not None:
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
        """Serve the first request that comes; return whether to go on."""
        events = self._poll.poll(PAUSE, 1) if self._listener.ready else []
        if not events:
            self._go_idle(me)
            return False
        connection = self._claim(me, events[0][0])
        if connection is None:
            return False
        if self._listener.threads.is_at_limit(connection.remote_addr):
            return self._defer(me, connection)
        keep = False
        try:
            keep = connection.serve_pending()
        finally:
            leads = self._finish(me, connection, keep)
        return leads

    def _claim(self, me: object, descriptor: int) -> ClientConnection | None:
        with self._lock:
            if self._leader is not me:
                return None
            self._current = self._members[descriptor]
            return self._current

    def _finish(self, me: object, connection: ClientConnection, keep: bool) -> bool:
        now = time.time()
        connection.last_used = now
        # of a request has come, and the rest may be long in coming
        half = keep and connection.rfile.has_data() and not connection.continues
        with self._lock:
            leads = self._leader is me
            if leads:
                self._current = None
                self._served += 1
                if half or not keep:
                    self._unregister(connection)
        if not leads:
            self._listener.threads.end(connection)
        if not keep:
            connection.close()
        elif half or not leads:
            self._listener.put_conn(connection, busy=True)
        if leads and now > self._swept_at + SILENT:
            self._sweep(now)
        return leads

    def _defer(self, me: object, connection: ClientConnection) -> bool:
        """Queue a connection whose source has all its threads; return whether to go on."""
        with self._lock:
            leads = self._leader is me
            if leads:
                self._current = None
                self._unregister(connection)
        self._listener.threads.end(connection)
        self._listener.put_conn(connection)
        return leads

    def _lose_leadership(self, me: object) -> None:
        """Take the lead from a thread; it keeps the connection that it serves."""
        with self._lock:
            if me is None or self._leader is not me:
                return
            self._leader = None
            if self._current is not None:
                self._unregister(self._current)
                self._listener.threads.take(self._current)
                self._current = None
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
