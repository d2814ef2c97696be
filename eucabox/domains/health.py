"""Finds problems of running guests, and resumes guests that were paused for lack of space.

Kept in memory alone: libvirt tells it anew after a start.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from eucabox import ids
from eucabox.domains.libvirt_domains import Domains, DomainState
from eucabox.domains.worker_pool import WorkerPool
from eucabox.errors import DomainHung, Fault

log = logging.getLogger("eucabox.node")
PROBE_EVERY = 30.0  # seconds between two questions to a guest's process
LOOK_AT_DISK = 5.0  # seconds between two looks at whether a full disk has space again
LONGEST_PAUSE = 30.0  # seconds between two attempts to let a guest go on that stops again
SURE = 5.0  # seconds that a guest must run until its problem is reported as over
CALM = 60.0  # seconds that a guest must run until its attempts count from the first again
ENOUGH = 2**20  # bytes of free space with which a guest may try to go on
HUNG = "The hypervisor's process of the instance does not answer; reboot or terminate the instance"
STARVED = "The host's disk is full: the instance stands still and goes on when there is space"
PAUSED = "The instance was paused on the host, not through this cloud; a reboot lets it go on"
ASLEEP = "The instance went to sleep; a reboot wakes it"
STUCK = "The hypervisor's process of the instance can't be ended; the host waits for a device"


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a guest, and since when (as the database writes moments)."""

    text: str
    since: str


@dataclass
class Hunger:
    """A guest that a full disk stopped: when it may try again, how often it did; monotonic."""

    due: float
    attempts: int = 0
    fed: float = 0.0


class Health:
    """Troubles by instance id; `changed` is called after each that begins or ends."""

    def __init__(
        self, folder: Path, domains: Domains, pool: WorkerPool, changed: Callable[[], None]
    ) -> None:
        self._folder = folder
        self._domains = domains
        self._pool = pool
        self._changed = changed
        self._troubles: dict[str, Trouble] = {}
        self._hungry: dict[str, Hunger] = {}
        self._probe_due: dict[str, float] = {}
        self._still: set[str] = set()  # paused by this cloud, for a copy of the disk
        self._lock = threading.Lock()

    def troubles(self) -> dict[str, Trouble]:
        """Return what is wrong now, by instance id."""
        with self._lock:
            return dict(self._troubles)

    def get_trouble(self, instance_id: str) -> Trouble | None:
        """Return what is wrong with a guest, or None."""
        return self._troubles.get(instance_id)

    def check(self, guest: DomainState) -> float:
        """Look at a running instance's guest; return seconds until the next look."""
        instance_id = guest.instance_id
        self.note(instance_id, self._trouble(guest))
        waits = [self._feed(guest)]
        if not guest.paused:
            waits.append(self._probe(instance_id))
        return min(waits)

    def expect_pause(self, instance_id: str, expected: bool) -> None:
        """Say that this cloud itself pauses a guest, or does no more."""
        (self._still.add if expected else self._still.discard)(instance_id)

    def expects_pause(self, instance_id: str) -> bool:
        """Tell whether this cloud itself paused a guest: its disk is being copied."""
        return instance_id in self._still

    def note(self, instance_id: str, text: str) -> None:
        """Say what is wrong with a guest, or with "" that nothing is."""
        with self._lock:
            known = self._troubles.get(instance_id)
            if text == (known.text if known else ""):
                return
            if text:
                self._troubles[instance_id] = Trouble(text, ids.now())
            else:
                del self._troubles[instance_id]
        if text:
            log.error("role=node %s: %s", instance_id, text)
        else:
            log.info("role=node %s is well again", instance_id)
        self._changed()

    def keep_only(self, instance_ids: Iterable[str]) -> None:
        """Forget all guests but these."""
        keep = set(instance_ids)
        with self._lock:
            gone = self._troubles.keys() - keep
            for known in (self._troubles, self._hungry, self._probe_due):
                for each in known.keys() - keep:
                    del known[each]
        if gone:
            self._changed()

    def _trouble(self, guest: DomainState) -> str:
        if self._domains.is_hung(guest.instance_id):
            return HUNG
        hunger = self._hungry.get(guest.instance_id)
        if guest.starved or (hunger and time.monotonic() < hunger.fed + SURE):
            return STARVED
        if guest.asleep:
            return ASLEEP
        return PAUSED if guest.paused and not self.expects_pause(guest.instance_id) else ""

    def _probe(self, instance_id: str) -> float:
        now = time.monotonic()
        following = (now // PROBE_EVERY + 1) * PROBE_EVERY  # the same for all: one look of the loop
        due = self._probe_due.setdefault(instance_id, following)
        if now >= due:
            self._probe_due[instance_id] = following
            self._pool.submit(instance_id, lambda: self._probe_guest(instance_id))
        return max(1.0, self._probe_due[instance_id] - now)

    def _probe_guest(self, instance_id: str) -> None:
        try:
            self._domains.probe(instance_id)
        except DomainHung:
            self.note(instance_id, HUNG)
        except Fault as fault:
            log.debug("role=node %s was not looked after: %s", instance_id, fault.message)

    def _feed(self, guest: DomainState) -> float:
        """Let a guest go on once there is space, ever more rarely where that does not help."""
        now, instance_id = time.monotonic(), guest.instance_id
        hunger = self._hungry.get(instance_id)
        if not guest.starved:
            if hunger and now >= hunger.fed + CALM:
                del self._hungry[instance_id]
            return CALM if hunger is None else max(1.0, hunger.fed + SURE - now)
        if hunger is None:
            hunger = self._hungry[instance_id] = Hunger(now)
        if now >= hunger.due:
            hunger.due = now + self._pause(instance_id, hunger)
        return hunger.due - now

    def _pause(self, instance_id: str, hunger: Hunger) -> float:
        """Try to feed a guest, and return the seconds until the next attempt."""
        if _free(self._folder / instance_id) < ENOUGH:
            return LOOK_AT_DISK
        hunger.attempts, hunger.fed = hunger.attempts + 1, time.monotonic()
        self._pool.submit(instance_id, lambda: self._resume(instance_id))
        return float(min(2.0 ** min(hunger.attempts, 10), LONGEST_PAUSE))

    def _resume(self, instance_id: str) -> None:
        try:
            self._domains.resume(instance_id)
        except Fault as fault:
            log.warning("role=node %s does not go on: %s", instance_id, fault.message)


def _free(folder: Path) -> int:
    try:
        space = os.statvfs(folder)
    except OSError:
        return ENOUGH  # if the space is unknown, try it
    return space.f_bavail * space.f_frsize
