"""A client's connection, with or without a thread: handshake, deadlines, close."""

import contextlib
import logging
import os
import re
import select
import socket
import ssl
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cheroot import server as cheroot

from eucabox import gil_turns
from eucabox.api import HEALTH
from eucabox.server import waiting_connections
from eucabox.server.request import CONTINUE, FORM, HttpRequest, write_answer
from eucabox.server.sockets import (
    PIECE,
    clear_socket_timeouts,
    count_traffic,
    make_stream,
    set_socket_timeouts,
)
from eucabox.server.worker_threads import TransferRate

if TYPE_CHECKING:
    from eucabox.server.listener import Listener
    from eucabox.wire.request import Request
    from eucabox.wire.s3.habits import KnownClient
    from eucabox.wire.s3.passages import Served
    from eucabox.wire.s3.straight_road import StraightRoad

log = logging.getLogger("eucabox.server")
# Who goes on with a connection gets its socket, which never blocks, and what was received early.
Taker = Callable[[socket.socket, bytes], None]

FORM_SECONDS = 60  # for a whole form, which is read before its signature is checked
DRAINS = 16  # pieces that are thrown away before other connections get a turn
HEALTH_CHECK = re.compile(rb"(?:GET|HEAD) /_eucabox/health[ ?].*?\r\n\r\n", re.DOTALL)
HOST = re.compile(rb"\r\nhost:([^\r\n]*)\r\n", re.IGNORECASE)  # with blanks it would try for hours


class ClientConnection(TransferRate, cheroot.HTTPConnection):
    """A client's connection: its handshake, its deadlines, its end."""

    server: "Listener"
    RequestHandlerClass = HttpRequest
    lingers = False  # the client is to read our answer before the end
    continues = False  # a small body was sent for and is about to come
    shares_flushes = False  # its last request was a change that others of its kind can join
    unsent: memoryview | None = None  # what its client has not taken of an answer
    counted = False  # among the threads of its source
    handshake_done = False
    deadline: float | None = None
    body: Any = None
    client: "KnownClient | None" = None  # once it has sent something that it may send again
    wants = select.EPOLLIN
    waiting_since = due = 0.0  # since when it is with no thread, and until when it may be
    _awaited = ""
    _taker: Taker | None = None
    _lingering = _closed = False

    def __init__(self, server: "Listener", sock: socket.socket, source: str) -> None:
        super().__init__(server, sock, make_stream)
        self.remote_addr = source
        self._is_tls = isinstance(sock, ssl.SSLSocket)
        if self._is_tls:
            self.ssl_env = {"wsgi.url_scheme": "https", "HTTPS": "on"}
        self.rfile.lend = lambda: server.threads.lend(self, socket.SHUT_RD)
        self.wfile.lend = self.lend
        set_socket_timeouts(sock, server.timeout)

    def lend(self) -> contextlib.AbstractContextManager[None]:
        """Let another thread work while this one waits for the client to receive."""
        return self.server.threads.lend(self, socket.SHUT_RDWR)

    # --- with no thread -------------------------------------------------------------------------

    def begin_wait(self) -> None:
        """Begin to wait without a thread."""
        self.waiting_since = time.monotonic()
        self._awaited = ""
        self._set_deadline("end" if self._lingering else "request")
        if self._is_tls:
            self.socket.settimeout(0)

    def receive(self) -> bool:
        """Receive what has come, without waiting; whether that is a whole request, or the end."""
        if self._lingering:
            self._drain()
            return bool(self.rfile.ended)
        if not self._handshake():
            return False
        self.wants = select.EPOLLIN
        if self.rfile.gather(self.server.max_request_header_size):
            return True
        if self.rfile.has_data():
            self._set_deadline("body" if self.rfile.lacks_body else "head")
        return False

    def is_over(self) -> bool:
        """Whether the client has hung up and no request of it is left."""
        return bool(self.rfile.ended and not self.rfile.has_data())

    def _set_deadline(self, awaited: str) -> None:
        if awaited != self._awaited:
            self._awaited = awaited
            self.due = time.monotonic() + TIMEOUTS[awaited]()

    def is_health_check(self) -> bool:
        """Whether the request that was received is the health check."""
        dispatcher = self.server.dispatcher
        match = HEALTH_CHECK.match(self.rfile.peek()) if dispatcher else None
        if not dispatcher or not match:
            return False
        host = HOST.search(match.group(0))
        name = host.group(1).strip(b" \t").decode("latin-1") if host else ""
        return not dispatcher.is_api_request(HEALTH, name)

    def answer_health(self) -> bool:
        """Answer it; whether to keep the connection. TimeoutError instead of a wait."""
        self.rfile.nonblocking = self.wfile.nonblocking = True
        try:
            return HttpRequest(self.server, self).answer_health()
        finally:
            self.rfile.nonblocking = self.wfile.nonblocking = False

    # --- with a thread --------------------------------------------------------------------------

    def run_in_own_thread(self) -> None:
        """Serve the request in this thread, then give the connection back."""
        if self._is_tls:
            self.socket.settimeout(self.server.timeout)
        try:
            keep = self.serve_pending()
        except BaseException:
            self.close()
            raise
        finally:
            self.server.threads.end(self)
        if keep:
            self.server.put_conn(self, busy=True)
        else:
            self.close()

    def serve_pending(self) -> bool:
        """Serve a request and those that came right after it; True to keep the connection."""
        self.continues = False
        if self._is_tls:  # TLS can't tell what has come without waiting for more
            return self._serve()
        if self.unsent and not self._work(self._send_unsent):
            return False
        while self.rfile.gather(self.server.max_request_header_size):
            if not self._serve():
                return False
            if self.continues or not self.rfile.has_data():
                break
        return True

    def _serve(self) -> bool:
        return self._work(self._serve_one)

    def _serve_one(self) -> bool:
        if self.client is not None and self._serve_straight(self.client):
            return True
        self.shares_flushes = False
        return bool(self.communicate())  # type: ignore[no-untyped-call]

    def _send_unsent(self) -> bool:
        unsent, self.unsent = self.unsent, None
        if unsent:
            self.wfile.send_rest(unsent)
        return True

    def _work(self, work: Callable[[], bool]) -> bool:
        """Do what may wait for the client, and may be cut off; False if the connection is lost."""
        self.deadline, self.body = None, None
        self.server.active.add(self)
        try:
            return work()
        except OSError as problem:
            log.debug("source=%s connection lost: %s", self.remote_addr, problem)
            return False
        finally:
            gil_turns.release()
            self.server.active.discard(self)

    def _serve_straight(self, client: "KnownClient") -> bool:
        """Answer the request that has come on the straight road; False if it does not go there."""
        served = self._take_straight_road(client)
        if served is None:
            return False
        self.wfile.write(CONTINUE if served.lacks_body else self._finish(served.complete()))
        return True

    def _take_straight_road(self, client: "KnownClient") -> "Served | None":
        """Begin to serve the request that has come; None if it goes the general road. If it
        lacks its body, that is to be sent for."""
        road, end = self.straight_road, self.rfile.end_of_head
        if road is None or end < 0 or not self.server.can_add_keepalive_connection:
            return None
        gil_turns.acquire()
        served = road.serve(client, self.rfile.peek(), end)
        if served is None:
            return None
        if not served.lacks_body:
            self.rfile.skip(served.length)
            bucket = served.passage.bucket.name
            self.shares_flushes = served.is_change and road.store.can_postpone_flush(bucket)
            return served
        if not self.rfile.await_body(served.length):
            return None
        self.continues = True
        return served

    def _finish(self, served: "Served") -> bytes:
        served.record()
        assert served.answer is not None
        return write_answer(served.answer, served.request, self.server.server_name)

    # --- with others, whose changes share a flush -----------------------------------------------

    def serve_in_batch(self) -> "Served | None":
        """Begin to serve a request that has come, if it goes the straight road; once it is
        complete its answer is `send`'s."""
        self.continues = False
        if self.client is None or not self.rfile.gather(self.server.max_request_header_size):
            return None
        served = self._take_straight_road(self.client)
        if served is None:
            self.shares_flushes = False  # and it will be served alone
        elif served.lacks_body:
            self._send_now(CONTINUE)
        else:
            return served
        return None

    def send(self, served: "Served") -> None:
        """Send an answer without waiting; the rest of it, if there is one, is `unsent`."""
        self._send_now(self._finish(served))

    def _send_now(self, data: bytes) -> None:
        self.unsent = self.wfile.send_now(data) or None

    def learn(self, head: bytes, request: "Request") -> None:
        """Remember how the client sent a request that was served just now."""
        if (road := self.straight_road) is not None:
            self.client = road.learn(self.client, head, request)

    @property
    def straight_road(self) -> "StraightRoad | None":
        """The straight road of the cloud's S3, None for guests."""
        dispatcher = self.server.dispatcher
        return dispatcher.straight_road if dispatcher is not None else None

    def head_is_read(self, request: HttpRequest) -> None:
        """Set the deadline of a form's body."""
        if request.fields.get("content-type", "").startswith(FORM):
            self.deadline = time.monotonic() + FORM_SECONDS

    def body_begins(self, body: Any) -> None:
        """Let the deadline end with the body."""
        self.body = body

    def is_overdue(self, now: float) -> bool:
        """Whether the deadline is past and the body has not come."""
        overdue = self.deadline is not None and now > self.deadline
        return overdue and not (self.body is not None and self.body.ended)

    def is_slow(self, seconds: float) -> bool:
        """Count so many seconds of waiting for the client; whether it is below the least rate."""
        with contextlib.suppress(OSError, ValueError):  # closed meanwhile
            return self.sample(count_traffic(self.socket), seconds)
        return False

    def shut_down(self, how: int = socket.SHUT_RD) -> None:
        """End the connection from another thread: reads see the end of the stream."""
        with contextlib.suppress(OSError, ValueError):
            socket.socket.shutdown(self.socket, how)  # TLS or not: the TCP connection itself

    def tls(self) -> tuple[str, str] | None:
        """The version and the cipher of a connection that has them."""
        if not isinstance(self.socket, ssl.SSLSocket):
            return None
        cipher = self.socket.cipher()
        return self.socket.version() or "", cipher[0] if cipher else ""

    def limit_hops(self, hops: int) -> None:
        """Set the IP time to live: a client behind more routers does not get the answer."""
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)

    # --- the end --------------------------------------------------------------------------------

    def take_over(self, taker: Taker) -> None:
        """Give the socket to `taker` once the request at hand is done, for which nothing is sent.

        It is called in this request's thread, which goes back to the pool after it. From then on
        the connection counts as closed here: it is not counted, limited or cut off any more.
        """
        self._taker = taker

    @property
    def is_taken(self) -> bool:
        """Whether another goes on with the socket."""
        return self._taker is not None

    def close(self) -> None:
        """Close, and let a client that is still sending read our answer first: closing with
        unread bytes would reset the connection and take the answer with it."""
        if self._taker is not None and not self._closed:
            self._hand_over(self._taker)
            return
        if self.lingers and self.server.ready and not self._lingering:
            with contextlib.suppress(OSError, ValueError):
                self.socket.shutdown(socket.SHUT_WR)
                self._lingering = True
                self.socket.settimeout(0)
                self.server.waiting.put(self)
                return
        self.end()

    def end(self) -> None:
        """Close at once."""
        if self._closed:
            return
        self._closed = True
        self.server.waiting.forget(self)
        with contextlib.suppress(OSError, ValueError):
            super().close()
        self.socket.close()

    def _hand_over(self, taker: Taker) -> None:
        self._closed = True
        self.server.waiting.forget(self)
        try:
            clear_socket_timeouts(self.socket)
            taker(self.socket, self.rfile.peek())
        except BaseException:
            self.socket.close()
            raise

    def _handshake(self) -> bool:
        if self.handshake_done or not isinstance(self.socket, ssl.SSLSocket):
            return True
        self._set_deadline("head")
        try:
            self.socket.do_handshake()
        except ssl.SSLWantReadError:
            self.wants = select.EPOLLIN
            return False
        except ssl.SSLWantWriteError:
            self.wants = select.EPOLLOUT
            return False
        except ssl.SSLError as problem:
            if problem.reason == "HTTP_REQUEST":
                message = (
                    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nThis port is HTTPS.\n"
                )
                os.write(self.socket.fileno(), message)
            raise
        self.handshake_done = True
        self._set_deadline("request")
        return True

    def _drain(self) -> None:
        for _ in range(DRAINS):
            try:
                if not self.socket.recv(PIECE, socket.MSG_DONTWAIT):
                    self.rfile.ended = True
                    return
            except BlockingIOError:
                return


# Read when they are needed: tests shorten them.
TIMEOUTS: dict[str, Callable[[], float]] = {
    "request": lambda: waiting_connections.IDLE_SECONDS,
    "head": lambda: waiting_connections.HEAD_SECONDS,
    "body": lambda: waiting_connections.BODY_SECONDS,
    "end": lambda: waiting_connections.LINGER_SECONDS,
}
