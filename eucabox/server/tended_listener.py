"""A listener that the API serves without: opened again where it can't be; never what it serves."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from eucabox.cloud import Cloud
from eucabox.errors import Fault
from eucabox.network.port_holder import holder_of
from eucabox.server.listener import Listener

log = logging.getLogger("eucabox.server")

TEND_SECONDS = 5


@dataclass(frozen=True)
class Place:
    """Where a listener is bound."""

    address: str
    port: int
    device: str | None


class TendedListener:
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
