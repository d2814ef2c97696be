"""Every WebSocket of the console: what asks for one is checked and counted, and served by threads
of its own, so that the listener's threads stay with the pages."""

import logging
import socket
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from flask import Response, request
from werkzeug.exceptions import BadRequest, Forbidden, TooManyRequests
from wsproto import WSConnection

from eucabox.console.answers import get_status
from eucabox.console.nudge_board import NudgeBoard
from eucabox.console.refused_peer import RefusedPeer
from eucabox.console.site import current_console
from eucabox.console.socket_loop import SocketLoop, SocketPeer
from eucabox.console.socket_right import SocketRight
from eucabox.console.visitor import current_visitor, make_call
from eucabox.console.web_socket import ASKING, WebSocket, accept
from eucabox.errors import Fault

if TYPE_CHECKING:
    from eucabox.cloud import Cloud

log = logging.getLogger("eucabox.console")
MOST_REASON = 120  # characters of why a socket ends
MOST_LOOPS = 256  # threads of consoles, also of those that are just ending


@dataclass(frozen=True)
class SocketKind:
    """How many sockets of a kind there may be, of one user and of all, and how large a message of
    the browser may be, in bytes."""

    name: str
    most_of_user: int
    most: int
    message: int


NUDGES = SocketKind("nudges", 96, 768, 1024)  # one for each page that is open
CONSOLES = SocketKind("consoles", 64, 128, 64 * 1024)
MakePeer = Callable[[WebSocket, SocketRight, SocketLoop], SocketPeer]
TakeOver = Callable[[Callable[[socket.socket, bytes], None]], None]


class Sockets:
    """The sockets that are open, by user and kind, and the threads that serve them."""

    def __init__(self, cloud: "Cloud") -> None:
        self.nudges = NudgeBoard(cloud)
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._loops: dict[str, SocketLoop] = {}

    def open(
        self,
        kind: SocketKind,
        begin: Callable[[], tuple[SocketLoop, MakePeer]],
        verb: tuple[str, str] | None = None,
        params: Mapping[str, object] | None = None,
    ) -> Response:
        """Answer a request that asks for a WebSocket, whose origin the guard has checked.

        `begin` is called once it may be opened, and performs `verb` with `params`, by which the
        right to it is looked at again; it returns the loop and what the socket is for. A Fault of
        it that is no refusal is told as the reason of the socket's end, which scripts can read.
        Raises BadRequest, TooManyRequests, and the Fault of a refusal.
        """
        protocol, greeting = _accept()
        take_over = cast(TakeOver | None, request.environ.get("eucabox.take_over"))
        if take_over is None:
            raise BadRequest("There is no connection here that could become a WebSocket.")
        visitor, console = current_visitor(), current_console()
        assert visitor.session is not None
        right = SocketRight(
            console.login_sessions, visitor.session, make_call(visitor.caller), verb, params or {}
        )
        release = self._count(kind, visitor.session["user_id"])
        try:
            loop, make = self._begin(begin)
        except BaseException:
            release()
            raise

        def take(sock: socket.socket, rest: bytes) -> None:
            web_socket = WebSocket(sock, protocol, greeting, rest, kind.message)
            web_socket.on_end = release
            try:
                loop.add(make(web_socket, right, loop))
            except Exception:
                log.exception("a WebSocket of the console could not begin")
                web_socket.end()

        take_over(take)
        return Response(status=101)

    def find_loop(self, name: str) -> SocketLoop:
        """Return the thread for one console, which all who look on share."""
        with self._lock:
            if len(self._loops) > MOST_LOOPS:
                self._loops = {key: loop for key, loop in self._loops.items() if loop.is_busy}
            return self._loops.setdefault(name, SocketLoop(name))

    def close(self) -> None:
        """End all sockets; browsers are told that it is for a moment."""
        with self._lock:
            loops = [*self._loops.values(), self.nudges.loop]
        for loop in loops:
            loop.close()
        self.nudges.close()

    def _begin(
        self, begin: Callable[[], tuple[SocketLoop, MakePeer]]
    ) -> tuple[SocketLoop, MakePeer]:
        try:
            return begin()
        except Fault as fault:
            if get_status(fault) == Forbidden.code:
                raise
            reason = fault.message[:MOST_REASON]
            return self.find_loop("refused"), lambda web, _right, _loop: RefusedPeer(web, reason)

    def _count(self, kind: SocketKind, user_id: str) -> Callable[[], None]:
        """Count one more of a user; return what takes it from the count, once."""
        keys = ((kind.name, user_id), (kind.name, ""))
        with self._lock:
            for key, most in zip(keys, (kind.most_of_user, kind.most), strict=True):
                if self._counts[key] >= most:
                    raise TooManyRequests(f"{most} {kind.name} are open, and no more may be.")
            self._counts.update(keys)
        left = [keys]

        def release() -> None:
            with self._lock:
                for each in left:
                    self._counts.subtract(each)
                left.clear()
                self._counts += Counter()  # forget those of which none is left

        return release


def _accept() -> tuple[WSConnection, bytes]:
    if request.content_length or request.headers.get("Transfer-Encoding"):
        raise BadRequest("A request for a WebSocket has no body.")
    try:
        return accept({name: request.headers.get(name, "") for name in ASKING})
    except ValueError as problem:
        raise BadRequest(f"This address is for a WebSocket: {problem}.") from None
