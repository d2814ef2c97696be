"""Reboots that users asked for: power button first, reset when the guest does not heed it."""

import logging
import threading
import time

from eucabox.domains.crew import Crew
from eucabox.domains.guests import Guests
from eucabox.domains.hooks import Hooks
from eucabox.domains.rows import Rows
from eucabox.errors import Fault

log = logging.getLogger("eucabox.node")


class Reboots:
    """Carries out what `wanted = reboot` asks; the instance is running all along."""

    def __init__(self, rows: Rows, guests: Guests, crew: Crew, hooks: Hooks) -> None:
        self._rows = rows
        self._guests = guests
        self._crew = crew
        self._hooks = hooks
        self._asked: dict[str, float] = {}
        self._done: set[str] = set()
        self._lock = threading.Lock()

    def rebooted(self, instance_id: str) -> None:
        """Take note of libvirt's REBOOT event, which comes several times for one reboot."""
        with self._lock:
            if instance_id in self._asked:
                self._done.add(instance_id)

    def tend(self, instance_id: str, timeout: float) -> float:
        """Do what is due for a row that wants a reboot; return seconds until the next look."""
        now = time.monotonic()
        with self._lock:
            asked = self._asked.setdefault(instance_id, now)
            done = instance_id in self._done
        if done:
            self._end(instance_id)
            return timeout
        if asked == now:
            self._crew.give(instance_id, lambda: self._press(instance_id))
        elif now >= asked + timeout:
            self._crew.give(instance_id, lambda: self._reset(instance_id))
        return max(1.0, asked + timeout - now)

    def forget(self, instance_id: str) -> None:
        """Drop a reboot whose instance ends."""
        with self._lock:
            self._asked.pop(instance_id, None)
            self._done.discard(instance_id)

    def _press(self, instance_id: str) -> None:
        self._hooks.tell("pre-reboot", instance_id)
        with self._lock:
            if instance_id in self._asked:
                self._asked[instance_id] = time.monotonic()  # the guest's time begins now
        try:
            self._guests.reboot(instance_id)
        except Fault as fault:
            log.info("role=node %s is reset, for: %s", instance_id, fault.message)
            self._reset(instance_id)

    def _reset(self, instance_id: str) -> None:
        try:
            self._guests.reset(instance_id)
        except Fault as fault:
            log.warning("role=node %s was not rebooted: %s", instance_id, fault.message)
        self._end(instance_id)

    def _end(self, instance_id: str) -> None:
        self.forget(instance_id)
        self._rows.rebooted(instance_id)
