"""The one process: its listeners, its signals, its readiness; never what a request means."""

import gc
import logging
import os
import signal
import threading
import time
from pathlib import Path

from eucabox import api, logs
from eucabox.cloud import Cloud
from eucabox.config import Config
from eucabox.errors import Fault
from eucabox.iam.credentials_folder import credentials_command, endpoint
from eucabox.server import malloc, provider_documents, systemd
from eucabox.server.console_listener import ConsoleListener
from eucabox.server.guest_listeners import GuestListeners
from eucabox.server.listener import EXPIRE_SECONDS, Listener, Tls

log = logging.getLogger("eucabox.server")

STOP_SECONDS = 3.0
TRIM_SECONDS = 60.0  # between two times that free memory is given back; each takes milliseconds
FIRST_TURNS = 2.0  # seconds that the loops' first turns take, as that of the packet filter


class Server:
    """The listeners of a cloud: HTTP, HTTPS, and those of browsers and guests, with own threads."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._listeners: list[Listener] = []
        self._tls: Tls | None = None
        self._closing = threading.Event()
        self._guests = GuestListeners(cloud)
        self._console = ConsoleListener(cloud)

    def open(self) -> None:
        """Listen for clients. Raises ListenFailed, with nothing left open."""
        settings = self._cloud.config.api
        self._cloud.accounts.provider_keys.fetch = self._fetch
        app = api.create_app(self._cloud)
        host, threads = settings.listen, settings.threads
        self._add(Listener((host, settings.port), app, threads, ("api", "port")))
        if settings.https_port:
            self._tls = Tls(*self._cloud.accounts.server_certificate())
            place = ("api", "https_port")
            self._add(Listener((host, settings.https_port), app, threads, place, self._tls))
        threading.Thread(target=self._expire, name="deadlines", daemon=True).start()

    def _fetch(self, url: str) -> bytes:
        return provider_documents.fetch(url, self._cloud.config.iam.private_hosts)

    def open_to_browsers(self) -> None:
        """Listen for people's browsers. The API serves without it."""
        self._console.open()

    def open_to_guests(self) -> None:
        """Listen for guests, once the network is up. The API serves without it."""
        self._guests.open()

    def reload(self) -> None:
        """Load the certificate files again, and let guests in or out as the configuration says."""
        if self._tls:
            self._tls.load()
        self._console.reload()
        self._guests.reload()

    def close(self) -> None:
        """Finish the requests that run and close, within STOP_SECONDS."""
        self._closing.set()
        self._console.close()
        self._guests.close()
        every = self._list_open()
        threads = [threading.Thread(target=each.shut, daemon=True) for each in every]
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
        trim_due = time.monotonic() + TRIM_SECONDS
        while not self._closing.wait(EXPIRE_SECONDS):
            for listener in self._list_open():
                listener.expire()
            if time.monotonic() >= trim_due:
                malloc.give_back()
                trim_due = time.monotonic() + TRIM_SECONDS

    def _list_open(self) -> list[Listener]:
        return [*self._listeners, *self._console.listeners, *self._guests.listeners]


def _warm_up() -> None:
    """Load what requests need. What a start makes stays, so garbage is looked for from here on and
    never among it; memory that the start alone took, as to read the models, is given back."""
    try:
        api.preload()
    finally:
        gc.freeze()
        gc.enable()
    malloc.give_back()
    time.sleep(FIRST_TURNS)
    malloc.give_back()


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
        server.open_to_browsers()
        threading.Thread(target=_warm_up, name="warm", daemon=True).start()
        cloud.start()
        server.open_to_guests()
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
