"""A thread that serves several WebSockets, and what they show; it waits for none of them."""

import contextlib
import logging
import os
import selectors
import threading
import time
from typing import Protocol

from eucabox.console.web_socket import GOING_AWAY, WebSocket

TURN_SECONDS = 1.0  # between two looks at what no event tells of
CHECK_SECONDS = 2.0  # between two looks at whether its user may still have a socket

log = logging.getLogger("eucabox.console")


class SocketPeer(Protocol):
    """What one WebSocket is for. All is called in the loop's thread, and never waits."""

    web_socket: WebSocket

    def take(self, message: str | bytes) -> None:
        """The browser has sent something."""

    def can_take(self) -> bool:
        """Whether the browser may send more."""

    def refill(self) -> float:
        """Send what there is for the browser; return in how many seconds to be asked again."""

    def other_descriptor(self) -> int:
        """What is to be read beside the socket, at the moment; -1 for nothing."""

    def check(self) -> None:
        """Close the socket where its user may not have it any more."""

    def leave(self) -> None:
        """The socket is gone."""


class SocketLoop:
    """One thread for the peers that it has; there is none while it has no peer."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._new: list[SocketPeer] = []
        self._peers: list[SocketPeer] = []
        self._wake_descriptor = -1  # there is one while the thread runs
        self._is_woken = self._is_closing = False
        self._checked_at = 0.0
        self._registered: dict[int, int] = {}  # descriptor -> what is waited for
        self._selector: selectors.BaseSelector

    def add(self, peer: SocketPeer) -> None:
        """Serve one more; call it from any thread."""
        with self._lock:
            if self._is_closing:
                peer.web_socket.end()
                peer.leave()
                return
            self._new.append(peer)
            if self._wake_descriptor < 0:
                self._wake_descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
                self._selector = selectors.DefaultSelector()
                self._selector.register(self._wake_descriptor, selectors.EVENT_READ)
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
        self.wake()

    @property
    def is_busy(self) -> bool:
        """Whether it has a thread."""
        return self._wake_descriptor >= 0

    def wake(self) -> None:
        """Have every peer look for what there is to send; call it from any thread."""
        with self._lock:
            if self._wake_descriptor >= 0 and not self._is_woken:
                self._is_woken = True
                os.eventfd_write(self._wake_descriptor, 1)

    def close(self) -> None:
        """End all sockets, and take no more."""
        with self._lock:
            self._is_closing = True
        self.wake()

    def _run(self) -> None:
        wait = 0.0
        while self._admit():
            ready = self._wait(wait)
            self._check_all()
            wait = min([TURN_SECONDS, *[self._serve(peer, ready) for peer in self._peers]])
            self._drop()

    def _admit(self) -> bool:
        """Take in who is new; False once there is nobody, and then the thread has ended."""
        with self._lock:
            self._take_in()
            if self._peers:
                return True
            self._selector.close()
            self._registered.clear()
            os.close(self._wake_descriptor)
            self._wake_descriptor, self._is_woken = -1, False
            return False

    def _take_in(self) -> None:
        self._peers += self._new
        self._new = []

    def _wait(self, seconds: float) -> set[int]:
        """Return the descriptors that can be read; who came meanwhile has its turn now."""
        events = self._selector.select(seconds)
        with self._lock:
            if self._is_woken:
                self._is_woken = False
                os.eventfd_read(self._wake_descriptor)
            self._take_in()
        return {key.fd for key, mask in events if mask & selectors.EVENT_READ}

    def _serve(self, peer: SocketPeer, ready: set[int]) -> float:
        """Give a peer its turn; return in how many seconds it needs another."""
        try:
            return self._turn(peer, ready)
        except Exception:  # one page's failure must not end those of others
            log.exception("a WebSocket of the console failed")
            peer.web_socket.is_over = True
            return 0.0

    def _turn(self, peer: SocketPeer, ready: set[int]) -> float:
        web_socket = peer.web_socket
        if (
            web_socket.fileno() in ready
            or web_socket.fileno() not in self._registered
            or (web_socket.has_more and peer.can_take())
        ):
            for message in web_socket.receive():
                peer.take(message)
        if self._is_closing:
            web_socket.close(GOING_AWAY, "eucabox ends or is restarted")
        web_socket.tend()
        wait = peer.refill()
        web_socket.flush()
        self._watch(peer)
        return 0.0 if web_socket.has_more and peer.can_take() else wait

    def _check_all(self) -> None:
        """Close the sockets of those who may not have them any more."""
        now = time.monotonic()
        if now < self._checked_at + CHECK_SECONDS:
            return
        self._checked_at = now
        for peer in self._peers:
            try:
                peer.check()
            except Exception:  # what can't be judged is not allowed
                log.exception("the right to a WebSocket could not be judged")
                peer.web_socket.is_over = True

    def _watch(self, peer: SocketPeer) -> None:
        """Wait for what this peer needs next."""
        web_socket = peer.web_socket
        if web_socket.is_over:
            return
        wanted = selectors.EVENT_WRITE if web_socket.wants_to_write else 0
        if web_socket.is_closing or peer.can_take():
            wanted |= selectors.EVENT_READ
        self._register(web_socket.fileno(), wanted)
        other = peer.other_descriptor()
        if other >= 0:
            self._register(other, selectors.EVENT_READ if web_socket.has_room else 0)

    def _register(self, descriptor: int, wanted: int) -> None:
        known = self._registered.get(descriptor)
        if known == wanted:
            return
        self._registered[descriptor] = wanted
        if known and wanted:
            self._selector.modify(descriptor, wanted)
        elif wanted:
            self._selector.register(descriptor, wanted)
        elif known:
            self._selector.unregister(descriptor)

    def _drop(self) -> None:
        """Forget the peers whose sockets are over."""
        over = [each for each in self._peers if each.web_socket.is_over]
        if not over:
            return
        self._peers = [each for each in self._peers if not each.web_socket.is_over]
        for peer in over:
            for descriptor in (peer.web_socket.fileno(), peer.other_descriptor()):
                if self._registered.pop(descriptor, 0):
                    with contextlib.suppress(KeyError, ValueError):
                        self._selector.unregister(descriptor)
            peer.web_socket.end()
            peer.leave()
