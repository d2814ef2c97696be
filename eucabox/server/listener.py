"""One address that clients connect to, with its threads: cheroot, kept on a short lead."""

import contextlib
import logging
import os
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from cheroot import server as cheroot
from cheroot import wsgi

from eucabox import turns
from eucabox.api import (
    ENVIRON_HEADERS,
    ENVIRON_LIMIT_HOPS,
    ENVIRON_TLS,
    Door,
    FileStream,
    Wsgi,
    near,
)
from eucabox.errors import ListenFailed
from eucabox.server.incoming import Incoming
from eucabox.server.leading import Busy, Shift
from eucabox.server.sockets import let_kernel_wait, make_file, send_file

log = logging.getLogger("eucabox.server")

IDLE_SECONDS = 30  # between two bytes, and between two requests
HEAD_SECONDS = 15  # for a TLS handshake and a whole head
FORM_SECONDS = 60  # for a whole form, whoever sends it: it is read before anybody is asked
LINGER_SECONDS = 2.0
GRACE_SECONDS = 2
MOST_HEAD = 128 * 1024
FORM = "application/x-www-form-urlencoded"
IP_FREEBIND = 15


class Tls:
    """The server's side of TLS. The handshake is left to the thread that serves the client."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = certificate, key
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.load()

    def load(self) -> None:
        """Take the files as they are now, for connections to come."""
        self.context.load_cert_chain(*self._files)

    def bind(self, sock: socket.socket) -> socket.socket:
        """Cheroot's hook before bind(): nothing to do."""
        return sock

    def wrap(self, sock: socket.socket) -> tuple[ssl.SSLSocket, dict[str, str]]:
        """Cheroot's hook in the accepting thread, which must not wait for anybody."""
        wrapped = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return wrapped, {"wsgi.url_scheme": "https", "HTTPS": "on"}

    def makefile(self, sock: socket.socket, mode: str = "r", bufsize: int = 8192) -> Any:
        """Cheroot's hook for the connection's streams."""
        return make_file(sock, mode, bufsize)


class Connection(cheroot.HTTPConnection):
    """A client's connection: its handshake, its deadlines, its end."""

    RequestHandlerClass = Incoming
    lingers = False
    shaken = False
    deadline: float | None = None
    body: Any = None

    def __init__(self, server: "Listener", sock: socket.socket, makefile: Any = None) -> None:
        super().__init__(server, sock, make_file)
        let_kernel_wait(sock, server.timeout)

    def own_shift(self) -> None:
        """Serve what came, in a thread of its own, and have others see to the rest."""
        try:
            keep = self.serve_what_came()
        except BaseException:
            self.close()
            raise
        if keep:
            self.server.put_conn(self, busy=True)
        else:
            self.close()

    def serve_what_came(self) -> bool:
        """Serve a request, and those that followed at its heels; True to keep the connection."""
        while self._serve():
            if not self.rfile.has_data():
                return True
        return False

    def _serve(self) -> bool:
        if self.server.crowded(self.remote_addr):
            log.info("source=%s has too many requests under way", self.remote_addr)
            return False
        self.deadline, self.body = time.monotonic() + HEAD_SECONDS, None
        self.server.active.add(self)
        try:
            return self._shakes_hands() and bool(super().communicate())  # type: ignore[no-untyped-call]
        except OSError as problem:
            log.debug("source=%s connection lost: %s", self.remote_addr, problem)
            return False
        finally:
            turns.give()
            self.server.active.discard(self)

    def head_is_read(self, request: Incoming) -> None:
        """The head came in time; a form still has to."""
        form = request.fields.get("content-type", "").startswith(FORM)
        self.deadline = time.monotonic() + FORM_SECONDS if form else None

    def body_begins(self, body: Any) -> None:
        """From here on the deadline is the body's."""
        self.body = body

    def late(self, now: float) -> bool:
        """Whether the client is past its deadline with something it owes."""
        overdue = self.deadline is not None and now > self.deadline
        return overdue and not (self.body is not None and self.body.ended)

    def hang_up(self, how: int = socket.SHUT_RD) -> None:
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
        """Have nothing travel further than so many networks from here on: who is too far away
        has not read its first answer."""
        self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)

    def close(self) -> None:
        """Close, and let a client that is still sending read our answer first."""
        with contextlib.suppress(OSError, ValueError):
            if self.lingers:
                self._linger()
        with contextlib.suppress(OSError, ValueError):
            super().close()
        self.socket.close()

    def _shakes_hands(self) -> bool:
        if self.shaken or not isinstance(self.socket, ssl.SSLSocket):
            return True
        try:
            self.socket.do_handshake()
        except ssl.SSLError as problem:
            if problem.reason == "HTTP_REQUEST":
                said = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nThis port is HTTPS.\n"
                os.write(self.socket.fileno(), said)
                self.lingers = True
            return False
        self.shaken = True
        return True

    def _linger(self) -> None:
        # Closing with unread bytes would reset the connection and take our answer with it.
        until = time.monotonic() + LINGER_SECONDS
        self.socket.shutdown(socket.SHUT_WR)
        self.socket.settimeout(LINGER_SECONDS)
        while time.monotonic() < until and self.socket.recv(1 << 16):
            pass


class Gateway(wsgi.Gateway_10):
    """WSGI with the headers as they were sent, and files that go out without being copied."""

    def get_environ(self) -> Any:
        """The environ, with the headers as sent: WSGI's own names can't tell '_' from '-'."""
        req = self.req
        path, _, req.qs = near(req.uri.decode("latin-1")).encode("latin-1").partition(b"?")
        req.path, req.authority = unquote_to_bytes(path), b""
        req.inheaders = {
            name.title().encode(): value.encode("latin-1") for name, value in req.fields.items()
        }
        environ: dict[str, Any] = super().get_environ()  # type: ignore[no-untyped-call]
        environ[ENVIRON_HEADERS] = list(req.fields.items())
        environ[ENVIRON_LIMIT_HOPS] = req.conn.limit_hops
        if (tls := req.conn.tls()) is not None:
            environ[ENVIRON_TLS] = tls
        return environ

    def respond(self) -> None:
        """Send the application's answer."""
        response = self.req.server.wsgi_app(self.env, self.start_response)
        try:
            plain = not isinstance(self.req.conn.socket, ssl.SSLSocket)
            if isinstance(response, FileStream) and response.part.fileno is not None and plain:
                self._send_file(response)
            else:
                for piece in filter(None, response):
                    self.write(piece)
            self.req.ensure_headers_sent()
        finally:
            if hasattr(response, "close"):
                response.close()

    def _send_file(self, stream: FileStream) -> None:
        self.req.ensure_headers_sent()
        part = stream.part
        if part.fileno is not None and part.count:
            send_file(self.req.conn.socket, part.fileno, part.offset, part.count)


class Listener(wsgi.Server):
    """An address with its own threads. `section` and `key` are its place in eucabox.conf.

    `free` allows an address that comes and goes with its bridge. With a `device` only what
    arrives there is answered, so that another cloud of this host may have the same address on a
    bridge of its own. `most` is how many requests of one source may be under way, so that threads
    are left for others; 0 is any.
    """

    ConnectionClass = Connection
    keep_alive_conn_limit = 1024
    max_request_header_size = MOST_HEAD
    expiration_interval = 0.2
    _connections: Any

    def __init__(
        self,
        address: tuple[str, int],
        app: Wsgi,
        threads: int,
        place: tuple[str, str],
        tls: Tls | None = None,
        free: bool = False,
        device: str | None = None,
        most: int = 0,
    ) -> None:
        super().__init__(
            address,
            app,
            numthreads=threads,
            server_name="eucabox",
            request_queue_size=256,
            timeout=IDLE_SECONDS,
            shutdown_timeout=GRACE_SECONDS,
        )
        self.gateway = Gateway
        self.ssl_adapter = tls
        self.place = place
        self._free = free
        self._device = device
        self._index = 0
        self._most = most
        self.active: set[Connection] = set()
        self._busy = Busy(self)
        found = getattr(app, "wsgi_app", app)
        self.door = found if isinstance(found, Door) else None
        self._asked = address
        self._bound = threading.Event()
        self._problem = ""  # why it can't be bound
        self._thread = threading.Thread(target=self._run, name=f"listen {place}", daemon=True)

    def open(self, file: Path | str = "eucabox.conf") -> None:
        """Bind and begin to serve. Raises ListenFailed with the key to change in `file`."""
        self._thread.start()
        self._bound.wait()
        if not self._problem:
            return
        (address, port), (section, key) = self._asked, self.place
        facts = {"address": address, "port": port, "section": section, "key": key}
        raise ListenFailed(**facts, reason=self._problem, file=file)

    def crowded(self, source: str) -> bool:
        """Whether a client has as many requests under way as it may."""
        if not self._most:
            return False
        same = [each for each in list(self.active) if each.remote_addr == source]
        return len(same) >= self._most

    @property
    def can_add_keepalive_connection(self) -> bool:
        """Whether one more connection may stay open."""
        known = self._connections._num_connections + len(self._busy)
        return bool(self.ready) and known < self.keep_alive_conn_limit

    def is_cut_off(self) -> bool:
        """Whether the device is gone; another of its name does not bring its packets back."""
        return self._device is not None and _index(self._device) != self._index

    def shut(self) -> None:
        """Take no more requests; finish those that run, or cut them off after GRACE_SECONDS."""
        cut = threading.Timer(GRACE_SECONDS, self._cut_off)
        cut.daemon = True
        cut.start()
        self.stop()
        self._busy.close()
        cut.cancel()

    def expire(self) -> None:
        """Hang up on clients that are past their deadline; called every second."""
        now = time.monotonic()
        for connection in list(self.active):
            if connection.late(now):
                connection.hang_up()

    def bind(self, family: int, type: int, proto: int = 0) -> Any:
        """Keep the reason why an address could not be bound: cheroot drops its number."""
        try:
            return super().bind(family, type, proto)
        except OSError as problem:
            self._problem = _reason(problem)
            raise

    def bind_socket(  # type: ignore[override]  # cheroot's is static, and called on the instance
        self, socket_: socket.socket, bind_addr: Any
    ) -> socket.socket:
        """Bind, to one device where that is asked."""
        try:
            if self._free:
                socket_.setsockopt(socket.SOL_IP, IP_FREEBIND, 1)
            if self._device:
                self._index = _index(self._device)
                device = self._device.encode()
                socket_.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
            socket_.bind(bind_addr)
        except OSError:
            socket_.close()
            raise
        return socket_

    def process_conn(self, conn: Connection) -> None:
        """Give a connection to a thread once it has something to say; silence costs none."""
        if conn.last_used is None:
            self._connections.put(conn)
        else:
            self.requests.put(Shift(self._busy, conn))

    def put_conn(self, conn: Connection, busy: bool = False) -> None:
        """Take a connection back, one that was `busy` just now to those that are waited for
        together. What TLS has read ahead would not wake us."""
        secret = isinstance(conn.socket, ssl.SSLSocket)
        if self.ready and secret and conn.socket.pending():
            conn.last_used = time.time()
            self.process_conn(conn)
        elif self.ready and busy and not secret:
            self._busy.add(conn)
        else:
            super().put_conn(conn)

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        """Cheroot's words, in our log."""
        log.log(level, "listener=%s:%s %s", *self._asked, msg, exc_info=traceback)

    def _run(self) -> None:
        # Threads inherit being a daemon from this one: a stuck one can't keep the process alive.
        try:
            self.prepare()
            self._problem = ""
        except OSError as problem:
            self._problem = self._problem or _reason(problem)
            return
        finally:
            self._bound.set()
        threading.Thread(target=self._busy.watch, name="lead", daemon=True).start()
        self.serve()

    def _cut_off(self) -> None:
        for connection in list(self.active):
            connection.hang_up(socket.SHUT_RDWR)


def _reason(problem: OSError) -> str:
    return problem.strerror or str(problem)


def _index(device: str) -> int:
    """Return the kernel's number of a device, 0 without it."""
    try:
        return socket.if_nametoindex(device)
    except OSError:
        return 0
