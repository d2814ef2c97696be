"""The one process: its listeners, its signals, its readiness; never what a request means."""

import logging
import os
import signal
import threading
from pathlib import Path

from eucabox import api, logs
from eucabox.cloud import Cloud
from eucabox.config import Config
from eucabox.console.application import create_app as create_console
from eucabox.errors import Fault
from eucabox.iam.credentials_folder import credentials_command, endpoint
from eucabox.network.port_holder import holder_of
from eucabox.server import malloc, systemd
from eucabox.server.listener import EXPIRE_SECONDS, Listener, Tls

log = logging.getLogger("eucabox.server")

METADATA_THREADS, METADATA_MOST = 32, 8  # in all, and of one guest
METADATA_HEAD = 8 * 1024  # bytes: a guest sends a path and a token
CONSOLE_HEAD = 16 * 1024  # bytes: browsers send cookies
STOP_SECONDS = 3.0
TEND_SECONDS = 5


class Server:
    """The listeners of a cloud: HTTP, HTTPS, console and metadata, each with its own threads."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._listeners: list[Listener] = []
        self._tls: Tls | None = None
        self._closing = threading.Event()
        self._metadata: Listener | None = None
        self._problems_logged: set[str] = set()  # components that are tried every few seconds

    def open(self) -> None:
        """Listen for clients. Raises ListenFailed, with nothing left open."""
        settings = self._cloud.config.api
        app = api.create_app(self._cloud)
        host, threads = settings.listen, settings.threads
        self._add(Listener((host, settings.port), app, threads, ("api", "port")))
        if settings.https_port:
            place = ("api", "https_port")
            self._add(Listener((host, settings.https_port), app, threads, place, self._open_tls()))
        threading.Thread(target=self._expire, name="deadlines", daemon=True).start()

    def open_console(self) -> None:
        """Listen for browsers. The API serves without it: what stands in the way, as another
        program on its port, is logged, noted for the operator, and tried again."""
        if not self._cloud.config.console.enabled:
            return
        if not self._listen_for_browsers():
            threading.Thread(target=self._retry_console, name="console", daemon=True).start()

    def _retry_console(self) -> None:
        while not self._closing.wait(TEND_SECONDS) and not self._listen_for_browsers():
            pass

    def _listen_for_browsers(self) -> bool:
        settings = self._cloud.config.console
        app = create_console(self._cloud)
        tls = self._open_tls() if settings.is_https else None
        address, place = (settings.listen, settings.port), ("console", "port")
        listener = Listener(address, app, settings.threads, place, tls, head=CONSOLE_HEAD)
        return self._try_to_open(listener, "console")

    def _open_tls(self) -> Tls:
        if self._tls is None:
            self._tls = Tls(*self._cloud.accounts.server_certificate())
        return self._tls

    def _try_to_open(self, listener: Listener, component: str) -> bool:
        """Open a listener; note the component's problem where that can't be, and log it once."""
        try:
            listener.open(self._cloud.config.get_origin(*listener.place))
        except Fault as fault:
            port_owner = holder_of(listener.bind_addr[1])
            problem = f"{fault.message} {port_owner} has the port." if port_owner else fault.message
            self._cloud.note(component, problem)
            if component not in self._problems_logged:
                log.error("role=cluster %s is not available: %s", component, problem)
            self._problems_logged.add(component)
            return False
        self._problems_logged.discard(component)
        self._listeners.append(listener)
        self._cloud.note(component, "")
        return True

    def open_metadata(self) -> None:
        """Listen for guests, once the network is up. The API serves without it: what stands in
        the way is logged, noted for the operator, and tried again every TEND_SECONDS."""
        if not self._cloud.config.metadata.enabled:
            return
        self._listen_for_guests()
        threading.Thread(target=self._watch_metadata, name="metadata", daemon=True).start()

    def _watch_metadata(self) -> None:
        while not self._closing.wait(TEND_SECONDS):
            if self._metadata and self._metadata.is_cut_off():
                self._listeners.remove(self._metadata)
                self._metadata.shut()
                self._metadata = None
            if self._metadata is None:
                self._listen_for_guests()

    def _listen_for_guests(self) -> None:
        settings = self._cloud.config.metadata
        app = api.create_metadata_app(self._cloud)
        address = (settings.address, settings.port)
        device = self._cloud.network.metadata_device
        place = ("metadata", "port")
        listener = Listener(
            address,
            app,
            METADATA_THREADS,
            place,
            freebind=True,
            device=device,
            max_per_source=METADATA_MOST,
            head=METADATA_HEAD,
        )
        if self._try_to_open(listener, "metadata"):
            self._metadata = listener

    def reload(self) -> None:
        """Load the certificate files again."""
        if self._tls:
            self._tls.load()

    def close(self) -> None:
        """Finish the requests that run and close, within STOP_SECONDS."""
        self._closing.set()
        threads = [threading.Thread(target=each.shut, daemon=True) for each in self._listeners]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(STOP_SECONDS)
        self._listeners.clear()

    def _add(self, listener: Listener) -> None:
        try:
            listener.open(self._cloud.config.get_origin(*listener.place))
        except Fault:
            self.close()
            raise
        self._listeners.append(listener)

    def _expire(self) -> None:
        while not self._closing.wait(EXPIRE_SECONDS):
            for listener in list(self._listeners):
                listener.expire()


def serve(config: Config) -> int:
    """Run eucabox until SIGTERM or SIGINT; the exit status. SIGHUP reads the configuration anew.

    What keeps it from starting is one line on standard error, and status 1, or 78 where the
    configuration is wrong and another start would end the same way.
    """
    malloc.limit_arenas()
    logs.set_level(config)
    logs.open_stderr()
    systemd.notify("STATUS=Starting")
    signals = _catch_signals()
    try:
        cloud = Cloud(config)
    except Fault as fault:
        return _fail(fault)
    _ready_file(config).unlink(missing_ok=True)  # of one that was killed
    server = Server(cloud)
    try:
        logs.open_file(config)
        server.open()
        server.open_console()
        threading.Thread(target=api.preload, name="warm", daemon=True).start()
        cloud.start()
        server.open_metadata()
        _announce_ready(config)
        systemd.Watchdog(cloud).start()
        _wait(signals, cloud, server)
    except Fault as fault:
        return _fail(fault)
    finally:
        _ready_file(config).unlink(missing_ok=True)
        server.close()
        cloud.close()
    log.info("stopped")
    return 0


def _fail(fault: Fault) -> int:
    logs.write_error(fault.message)
    return fault.exit_status


def _catch_signals() -> int:
    """Return a descriptor from which the numbers of signals are read, a byte each.

    The system may give a signal to any thread, and a main thread that waits for a lock would
    not learn of it; what waits for the pipe does.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: None)
    return reader


def _wait(signals: int, cloud: Cloud, server: Server) -> None:
    while (caught := os.read(signals, 1)[0]) == signal.SIGHUP:
        systemd.notify_reloading()
        _reload(cloud, server)
        systemd.notify("READY=1")
    log.info("%s: stopping", signal.Signals(caught).name)
    systemd.notify("STOPPING=1", "STATUS=Stopping; instances run on")


def _reload(cloud: Cloud, server: Server) -> None:
    try:
        waiting = cloud.reload()
        server.reload()
    except (Fault, OSError) as problem:
        log.error("the configuration is not taken over: %s", problem)
        return
    logs.set_level(cloud.config)
    log.info("configuration read again; restart to change: %s", ", ".join(waiting) or "nothing")


# --- readiness ---------------------------------------------------------------------------------


def _ready_file(config: Config) -> Path:
    return config.cloud.data_dir / "run" / "ready"


def _announce_ready(config: Config) -> None:
    here = endpoint(config)
    _ready_file(config).write_text(f"{os.getpid()}\n{here}\n")
    systemd.notify("READY=1", f"STATUS=Serves {here}")
    log.info("ready: %s; keys and endpoints for clients: %s", here, credentials_command(config))
