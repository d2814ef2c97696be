"""Samples what running guests use, for the last hour, in memory alone; waits for no guest."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from eucabox.domains.guest_counters import GuestCounters
from eucabox.domains.libvirt_domains import Domains
from eucabox.errors import Fault
from eucabox.hypervisor.capabilities import Capabilities

log = logging.getLogger("eucabox.node")
EVERY = 20.0  # seconds between two samples
KEPT = 3600.0  # seconds that a sample is kept
MOST_SAMPLES = int(KEPT / EVERY)
MOST_GUESTS = 5000
STOP_WAIT = 2.0


@dataclass(frozen=True)
class UsageSample:
    """What a guest used between two looks: processor time as a share of one processor (2.0 is two
    that are busy), bytes a second, and memory in bytes. None is what is not known."""

    time: datetime
    cpus: float
    memory_bytes: int | None
    disk_read: float | None
    disk_write: float | None
    network_in: float | None
    network_out: float | None


@dataclass(frozen=True)
class _Reading:
    clock: float  # monotonic
    time: datetime
    counters: GuestCounters


class UsageSampler:
    """A thread that looks at all guests at once, every EVERY seconds."""

    def __init__(
        self,
        domains: Domains,
        describe: Callable[[], Capabilities],
        name_device: Callable[[str], str],
        on_look: Callable[[], None],
    ) -> None:
        self._domains = domains
        self._describe = describe
        self._name_device = name_device
        self._on_look = on_look
        self._readings: dict[str, deque[_Reading]] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="usage", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_WAIT)

    def list_samples(self, instance_id: str, most: int = MOST_SAMPLES) -> list[UsageSample]:
        """Return the newest samples of a guest, the oldest of them first."""
        with self._lock:
            readings = list(self._readings.get(instance_id, ()))
        horizon = time.monotonic() - KEPT
        readings = [each for each in readings if each.clock >= horizon][-(most + 1) :]
        samples = [_compare(before, after) for before, after in pairwise(readings)]
        return [each for each in samples if each is not None]

    def look(self) -> None:
        """Take one sample of all guests; raises Fault where libvirt does not answer in time."""
        with_disks = not self._describe().block_statistics
        counted = self._domains.count_usage(self._name_device, with_disks=with_disks)
        clock, moment = time.monotonic(), datetime.now(UTC)
        with self._lock:
            for instance_id, counters in counted.items():
                if instance_id in self._readings or len(self._readings) < MOST_GUESTS:
                    ring: deque[_Reading] = deque(maxlen=MOST_SAMPLES + 1)
                    readings = self._readings.setdefault(instance_id, ring)
                    readings.append(_Reading(clock, moment, counters))
            old = [each for each, of in self._readings.items() if of[-1].clock < clock - KEPT]
            for instance_id in old:
                del self._readings[instance_id]
        if counted:
            self._on_look()

    def _run(self) -> None:
        while not self._stopping.wait(EVERY):
            try:
                self.look()
            except Fault as fault:
                log.debug("role=node the guests' usage is not known: %s", fault.message)
            except Exception:  # what was not expected must not end the thread
                log.exception("role=node the guests' usage can't be read")


def _compare(before: _Reading, after: _Reading) -> UsageSample | None:
    """Return what was used between two readings; None across a new start, which counts anew."""
    seconds = after.clock - before.clock
    old, new = before.counters, after.counters
    if seconds <= 0 or new.cpu_seconds < old.cpu_seconds:
        return None

    def rate(then: int | None, now: int | None) -> float | None:
        return None if then is None or now is None else max(0.0, (now - then) / seconds)

    return UsageSample(
        time=after.time,
        cpus=(new.cpu_seconds - old.cpu_seconds) / seconds,
        memory_bytes=new.memory_bytes,
        disk_read=rate(old.disk_read_bytes, new.disk_read_bytes),
        disk_write=rate(old.disk_write_bytes, new.disk_write_bytes),
        network_in=rate(old.network_in_bytes, new.network_in_bytes),
        network_out=rate(old.network_out_bytes, new.network_out_bytes),
    )
