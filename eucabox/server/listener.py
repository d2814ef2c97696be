"""One address that clients connect to, with its threads: cheroot with our own loops."""

import logging
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from cheroot import wsgi

from eucabox.api import (
    ApiDispatcher,
    Wsgi,
)
from eucabox.errors import ListenFailed
from eucabox.server.connection import ClientConnection
from eucabox.server.leader_followers import LeaderFollowers, WorkItem
from eucabox.server.waiting_connections import WaitingConnections
from eucabox.server.worker_threads import FIRST, WorkerThreads
from eucabox.wire.request import origin_form

log = logging.getLogger("eucabox.server")

STALL_SECONDS = 30  # between two bytes that a thread waits for
GRACE_SECONDS = 2
EXPIRE_SECONDS = 1.0
MOST_HEAD = 80 * 1024
MOST_PER_SOURCE = 512  # connections
# Forward secrecy for every client: a key that is stolen later does not decrypt earlier traffic.
SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:!aNULL:!PSK"
BACKLOG = 1024  # connections that wait to be accepted; one beyond them waits a second
IP_FREEBIND = 15


class Tls:
    """The server's side of TLS. No thread waits for a client's handshake."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = certificate, key
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_ciphers(SUITES)
        self.load()

    def load(self) -> None:
        """Load the files again, for new connections."""
        self.context.load_cert_chain(*self._files)

    def wrap(self, sock: socket.socket) -> ssl.SSLSocket:
        """Return a socket whose handshake is still to be done."""
        return self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)


class Gateway(wsgi.Gateway_10):
    """WSGI for our own pages."""

    def get_environ(self) -> Any:
        """The environ, from the target and the headers as we have read them."""
        req = self.req
        path, _, req.qs = origin_form(req.uri.decode("latin-1")).encode("latin-1").partition(b"?")
        req.path, req.authority = unquote_to_bytes(path), b""
        req.inheaders = {
            name.title().encode(): value.encode("latin-1") for name, value in req.fields.items()
        }
        environ = super().get_environ()  # type: ignore[no-untyped-call]
        environ["eucabox.take_over"] = req.conn.take_over
        return environ


class Listener(wsgi.Server):
    """An address with its own threads. `section` and `key` are its place in eucabox.conf.

    `freebind` allows an address that comes and goes with its bridge. With a `device` only what
    arrives there is answered, so that another cloud of this host may have the same address on a
    bridge of its own. `max_per_source` is how many threads may work for one source, so that
    some are left for others; 0 means three quarters. `head` is the most bytes of a request's head.
    """

    keep_alive_conn_limit = 1024
    expiration_interval = 0.2
    waiting: WaitingConnections
    _connections: Any

    def __init__(
        self,
        address: tuple[str, int],
        app: Wsgi,
        threads: int,
        place: tuple[str, str],
        tls: Tls | None = None,
        freebind: bool = False,
        device: str | None = None,
        max_per_source: int = 0,
        head: int = MOST_HEAD,
    ) -> None:
        super().__init__(
            address,
            app,
            numthreads=min(threads, FIRST),
            server_name="eucabox",
            request_queue_size=BACKLOG,
            timeout=STALL_SECONDS,
            shutdown_timeout=GRACE_SECONDS,
        )
        self.gateway = Gateway
        self.max_request_header_size = head
        self._tls = tls
        self.place = place
        self._freebind = freebind
        self._device = device
        self._bound_index = 0
        self.threads = WorkerThreads(self, threads, max_per_source or max(1, threads * 3 // 4))
        self._grower = threading.Thread(target=self.threads.grow, name="threads", daemon=True)
        self.active: set[ClientConnection] = set()
        self._leader_followers = LeaderFollowers(self)
        self.dispatcher = app if isinstance(app, ApiDispatcher) else None
        self._address = address
        self._bound = threading.Event()
        self._problem = ""  # why it can't be bound
        self._thread = threading.Thread(target=self._run, name=f"listen {place}", daemon=True)

    def open(self, file: Path | str = "eucabox.conf") -> None:
        """Bind and begin to serve. Raises ListenFailed with the key to change in `file`."""
        self._thread.start()
        self._bound.wait()
        if not self._problem:
            return
        (address, port), (section, key) = self._address, self.place
        facts = {"address": address, "port": port, "section": section, "key": key}
        raise ListenFailed(**facts, reason=self._problem, file=file)

    @property
    def can_add_keepalive_connection(self) -> bool:
        """Whether one more connection may stay open."""
        return bool(self.ready) and self.waiting.connections < self.keep_alive_conn_limit

    def is_cut_off(self) -> bool:
        """Whether the device is gone; another of its name does not bring its packets back."""
        return self._device is not None and _device_index(self._device) != self._bound_index

    def shut(self) -> None:
        """Accept no more requests; finish those that run, or cut them off after GRACE_SECONDS."""
        cut = threading.Timer(GRACE_SECONDS, self._cut_off)
        cut.daemon = True
        cut.start()
        self.threads.stop_growing()
        _join(self._grower)
        self.stop()
        self._leader_followers.close()
        self.threads.close()
        _join(self._thread)
        cut.cancel()

    def expire(self) -> None:
        """Hang up on clients that are past their deadline, or too slow; called every
        EXPIRE_SECONDS."""
        now = time.monotonic()
        for connection in list(self.active):
            if connection.is_overdue(now):
                connection.shut_down()
        self.threads.drop_slow_clients(EXPIRE_SECONDS)

    def make_connection(self, sock: socket.socket, source: str) -> ClientConnection:
        """Return the connection of a socket that was accepted."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(STALL_SECONDS)
        return ClientConnection(self, self._tls.wrap(sock) if self._tls else sock, source)

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
        """Bind, to one device if there is one."""
        try:
            if self._freebind:
                socket_.setsockopt(socket.SOL_IP, IP_FREEBIND, 1)
            if self._device:
                self._bound_index = _device_index(self._device)
                device = self._device.encode()
                socket_.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
            socket_.bind(bind_addr)
        except OSError:
            socket_.close()
            raise
        return socket_

    def process_conn(self, conn: ClientConnection) -> None:
        """Give a connection whose request is there to a thread, if its source may have one more."""
        if self.threads.begin(conn):
            self.requests.put(WorkItem(self._leader_followers, conn))

    def put_conn(self, conn: ClientConnection, busy: bool = False) -> None:
        """Take a connection back; one that was `busy` just now goes to the leader's loop, and one
        whose answer has not left to a thread of its own."""
        if not self.ready:
            conn.end()
        elif conn.unsent:
            self.process_conn(conn)
        elif busy and not conn.rfile.has_data() and not isinstance(conn.socket, ssl.SSLSocket):
            self._leader_followers.add(conn)
        else:
            self.waiting.put(conn)

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        """Write cheroot's messages into our log."""
        log.log(level, "listener=%s:%s %s", *self._address, msg, exc_info=traceback)

    def _run(self) -> None:
        # Threads inherit being a daemon from this one: a stuck one can't keep the process alive.
        try:
            self.prepare()
            self._connections.close()
            self._connections = self.waiting = WaitingConnections(self, MOST_PER_SOURCE)
            self._problem = ""
            threading.Thread(target=self._leader_followers.watch, name="lead", daemon=True).start()
            self._grower.start()
        except OSError as problem:
            self._problem = self._problem or _reason(problem)
            return
        finally:
            self._bound.set()
        self.serve()

    def _cut_off(self) -> None:
        for connection in list(self.active):
            connection.shut_down(socket.SHUT_RDWR)


def _join(thread: threading.Thread) -> None:
    if thread.ident is not None:
        thread.join(GRACE_SECONDS)


def _reason(problem: OSError) -> str:
    return problem.strerror or str(problem)


def _device_index(device: str) -> int:
    """Return the kernel's number of a device, 0 without it."""
    try:
        return socket.if_nametoindex(device)
    except OSError:
        return 0
