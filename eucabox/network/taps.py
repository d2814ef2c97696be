"""Keeps instances' devices on their bridge; makes none and removes none."""

import logging
import time
from collections.abc import Iterable

from eucabox.errors import Fault
from eucabox.network import host
from eucabox.run import run

log = logging.getLogger("eucabox.network")
PATIENCE = 4.0  # seconds that libvirt may take to put a device that it made on the bridge


class Taps:
    """The devices of one bridge, and since when each was not on it."""

    def __init__(self, bridge: str) -> None:
        self._bridge = bridge
        self._off: dict[str, float] = {}  # 0: it was on the bridge, so nobody is about to put it

    def put_back(self, taps: Iterable[str]) -> None:
        """Put taps back on the bridge that another program took off; log those that can't be."""
        if not host.is_bridge(self._bridge):
            return
        there, now = host.ports(self._bridge), time.monotonic()
        known = {tap: 0.0 if tap in there else self._off.get(tap, now) for tap in taps}
        self._off = {tap: since for tap, since in known.items() if host.exists(tap)}
        for tap, since in self._off.items():
            if tap not in there and now - since > PATIENCE:
                self._put_back(tap)

    def _put_back(self, tap: str) -> None:
        try:
            run("ip", "link", "set", tap, "master", self._bridge)
            run("ip", "link", "set", tap, "up")
        except Fault as fault:
            log.error("role=cluster %s is not on %s: %s", tap, self._bridge, fault.message)
        else:
            log.warning("role=cluster %s was off %s and is put back", tap, self._bridge)
