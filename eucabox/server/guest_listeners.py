"""The listeners on the instances' bridge, which come and go with it; never what a request means.

Metadata, and the API where guests have a door of their own to it: with threads and connections of
its own, so that no guest takes those of other clients.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from eucabox import api
from eucabox.cloud import Cloud
from eucabox.errors import Fault
from eucabox.network.port_holder import holder_of
from eucabox.server.listener import Listener, Tls

log = logging.getLogger("eucabox.server")

METADATA_THREADS, METADATA_MOST = 32, 8  # in all, and of one guest
METADATA_HEAD = 8 * 1024  # bytes: a guest sends a path and a token
API_SHARE, API_SHARE_OF_GUEST = 2, 4  # one thread in so many of [api] threads
TEND_SECONDS = 5


@dataclass(frozen=True)
class Place:
    """Where a listener is bound."""

    address: str
    port: int
    device: str | None


class BridgeListener:
    """One listener that is open while it has a place. What stands in its way is logged once, noted
    for the operator, and tried again at the next `tend`."""

    def __init__(
        self,
        cloud: Cloud,
        component: str,
        find_place: Callable[[], Place | None],
        make: Callable[[Place], Listener],
    ) -> None:
        self.listener: Listener | None = None
        self._cloud = cloud
        self._component = component
        self._find_place = find_place
        self._make = make
        self._place: Place | None = None
        self._problem_logged = False

    def tend(self) -> None:
        """Open it, move it or close it, as is due."""
        place = self._find_place()
        if self.listener and (place != self._place or self.listener.is_cut_off()):
            self.listener.shut()
            self.listener = None
        if place is None:
            self._report("")
        elif self.listener is None:
            self._open(place)

    def _open(self, place: Place) -> None:
        try:
            listener = self._make(place)
            listener.open(self._cloud.config.get_origin(*listener.place))
        except Fault as fault:
            port_owner = holder_of(place.port)
            problem = f"{fault.message} {port_owner} has the port." if port_owner else fault.message
            self._report(problem)
            return
        self.listener, self._place = listener, place
        self._report("")

    def _report(self, problem: str) -> None:
        self._cloud.note(self._component, problem)
        if problem and not self._problem_logged:
            log.error("role=cluster %s is not available: %s", self._component, problem)
        self._problem_logged = bool(problem)


class GuestListeners:
    """All listeners that guests reach on their bridge."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._tls: Tls | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        doors = [
            BridgeListener(cloud, "api for instances", self._find_api, self._make_api),
            BridgeListener(cloud, "https for instances", self._find_https, self._make_https),
        ]
        if cloud.config.metadata.enabled:
            find = self._find_metadata
            doors.insert(0, BridgeListener(cloud, "metadata", find, self._make_metadata))
        self._doors = doors

    @property
    def listeners(self) -> list[Listener]:
        """Those that are open."""
        return [each.listener for each in self._doors if each.listener]

    def open(self) -> None:
        """Listen, and look every TEND_SECONDS whether the bridge is another by then."""
        self.tend()
        threading.Thread(target=self._run, name="guests", daemon=True).start()

    def tend(self) -> None:
        """Open and close what is due."""
        with self._lock:
            for each in self._doors:
                if not self._closing.is_set():
                    each.tend()

    def reload(self) -> None:
        """Load the certificate again, and open or close what the configuration now says."""
        if self._tls:
            self._tls.load()
        self.tend()

    def close(self) -> None:
        """Open no more; those that are open are the caller's to shut."""
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.wait(TEND_SECONDS):
            self.tend()

    # --- metadata ------------------------------------------------------------------------------

    def _find_metadata(self) -> Place:
        settings = self._cloud.config.metadata
        return Place(settings.address, settings.port, self._cloud.network.metadata_device)

    def _make_metadata(self, place: Place) -> Listener:
        return Listener(
            (place.address, place.port),
            api.create_metadata_app(self._cloud),
            METADATA_THREADS,
            ("metadata", "port"),
            freebind=True,
            device=place.device,
            max_per_source=METADATA_MOST,
            head=METADATA_HEAD,
        )

    # --- the API -------------------------------------------------------------------------------

    def _find_api(self) -> Place | None:
        door = self._cloud.network.api_door
        if door is None:
            return None
        return Place(door, self._cloud.config.api.port, self._cloud.network.bridge)

    def _find_https(self) -> Place | None:
        door, port = self._cloud.network.api_door, self._cloud.config.api.https_port
        return Place(door, port, self._cloud.network.bridge) if door and port else None

    def _make_api(self, place: Place, key: str = "port", tls: Tls | None = None) -> Listener:
        threads = self._cloud.config.api.threads
        return Listener(
            (place.address, place.port),
            api.create_app(self._cloud),
            threads // API_SHARE,
            ("api", key),
            tls,
            freebind=True,
            device=place.device,
            max_per_source=threads // API_SHARE_OF_GUEST,
        )

    def _make_https(self, place: Place) -> Listener:
        self._tls = Tls(*self._cloud.accounts.authority.guest_files(place.address))
        return self._make_api(place, "https_port", self._tls)
