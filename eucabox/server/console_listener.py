"""The listener that people's browsers reach; never what a page means."""

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

from eucabox.api import Environ, StartResponse
from eucabox.cloud import Cloud
from eucabox.server.guest_listeners import TEND_SECONDS, BridgeListener, Place
from eucabox.server.listener import Listener, Tls

if TYPE_CHECKING:
    from eucabox.console.site import Console

CONSOLE_HEAD = 16 * 1024  # bytes: browsers send cookies


class LateConsole:
    """The console's application, which is made with its first request: the pages and the libraries
    that they alone need take 15 MiB."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lock = threading.Lock()
        self._app: Console | None = None
        self._is_closed = False

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a page."""
        app = self._app or self._create()
        return app(environ, start_response)

    def close(self) -> None:
        """End its WebSockets, and let no other begin."""
        with self._lock:
            self._is_closed = True
            if self._app is not None:
                self._app.sockets.close()

    def _create(self) -> "Console":
        from eucabox.console.application import create_app

        with self._lock:
            if self._app is None:
                self._app = create_app(self._cloud)
                if self._is_closed:
                    self._app.sockets.close()
            return self._app


class ConsoleListener:
    """The console's port. The API serves without it: what stands in its way, as another program on
    the port, is logged, noted for the operator, and tried again."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._tls: Tls | None = None
        self._app = LateConsole(cloud)
        self._closing = threading.Event()
        self._door = BridgeListener(cloud, "console", self._find_place, self._make)

    @property
    def listeners(self) -> list[Listener]:
        """The one that is open, if it is."""
        return [self._door.listener] if self._door.listener else []

    def open(self) -> None:
        """Listen, where the configuration says so, and go on trying where that can't be."""
        if self._cloud.config.console.enabled:
            self._door.tend()
            if not self.listeners:
                threading.Thread(target=self._retry, name="console", daemon=True).start()

    def reload(self) -> None:
        """Load the certificate again."""
        if self._tls:
            self._tls.load()

    def close(self) -> None:
        """Try no more, and close the WebSockets; the one that is open is the caller's to shut."""
        self._closing.set()
        self._app.close()

    def _retry(self) -> None:
        while not self.listeners and not self._closing.wait(TEND_SECONDS):
            self._door.tend()

    def _find_place(self) -> Place:
        settings = self._cloud.config.console
        return Place(settings.listen, settings.port, None)

    def _make(self, place: Place) -> Listener:
        settings = self._cloud.config.console
        if settings.is_https:
            self._tls = Tls(*self._cloud.accounts.server_certificate())
        return Listener(
            (place.address, place.port),
            self._app,
            settings.threads,
            ("console", "port"),
            self._tls,
            head=CONSOLE_HEAD,
        )
