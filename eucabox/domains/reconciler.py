"""Compares all rows with all domains and starts what is due for each; never waits."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from eucabox import instance_states, logs
from eucabox.config import Config
from eucabox.domains import libvirt_logs, state_reasons
from eucabox.domains.connection import REBOOTED, LibvirtConnection
from eucabox.domains.health import Health
from eucabox.domains.instance_rows import NEW_DOMAIN, InstanceRows, NodeRow, seconds_in_state
from eucabox.domains.launcher import Launcher
from eucabox.domains.libvirt_binding import libvirt
from eucabox.domains.libvirt_domains import Domains, DomainState
from eucabox.domains.rebooter import Rebooter
from eucabox.domains.serial_lines import SerialLines
from eucabox.domains.stopper import Stopper
from eucabox.domains.termination import RETRY, Terminator
from eucabox.errors import Fault
from eucabox.hypervisor.capabilities import Capabilities
from eucabox.instance_states import Reason

log = logging.getLogger("eucabox.node")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SWEEP = 60.0  # seconds between two looks when nothing happens
EVENT_WAIT = 5.0  # seconds that a domain's stop event may lag behind its disappearance


class Reconciler:
    """Makes domains match rows and rows match domains."""

    def __init__(
        self,
        config: Config,
        rows: InstanceRows,
        connection: LibvirtConnection,
        domains: Domains,
        launcher: Launcher,
        terminator: Terminator,
        rebooter: Rebooter,
        stopper: Stopper,
        health: Health,
        consoles: SerialLines,
        capabilities: Callable[[], Capabilities],
    ) -> None:
        self.config = config
        self._rows = rows
        self._connection = connection
        self._domains = domains
        self._launcher = launcher
        self._terminator = terminator
        self._rebooter = rebooter
        self._stopper = stopper
        self._health = health
        self._consoles = consoles
        self._capabilities = capabilities
        self._events: dict[str, list[tuple[int, int]]] = {}
        self._lock = threading.Lock()
        self._missing: dict[str, float] = {}  # instance id -> since when, monotonic
        self._ended: dict[str, float] = {}  # the same of domains that are listed as ended
        self._watching = False
        self._earlier: set[str] | None = None  # running before this process, not taken back yet

    def event(self, name: str, event: int, detail: int) -> None:
        """Keep an event of a domain until the next run."""
        if event == REBOOTED:
            self._rebooter.on_reboot(name)
            return
        if event == libvirt.VIR_DOMAIN_EVENT_STARTED and self._capabilities().reboot_in_place:
            self._rebooter.on_reboot(name)
        begins = (libvirt.VIR_DOMAIN_EVENT_STARTED, libvirt.VIR_DOMAIN_EVENT_RESUMED)
        with self._lock:
            if event in begins:  # then earlier events no longer count
                self._events.pop(name, None)
            elif name.startswith("i-"):
                self._events.setdefault(name, []).append((event, detail))

    def run_once(self) -> float | None:
        """Do what is due; return the seconds until the next thing is due, None if nothing is."""
        # Rows before domains: a row marked running had its domain by then, so one that is missing
        # is really gone.
        rows = self._rows.list_alive()
        if self._earlier is None:
            self._earlier = {row["instance_id"] for row in rows if row["state"] == "running"}
        guests = self._list_domains()
        waits: list[float | None] = [self._reconcile_logged(row, guests) for row in rows]
        if guests is not None:
            waits.append(self._remove_orphans(rows, guests))
        waits.append(self._purge())
        alive = {row["instance_id"] for row in rows}
        with self._lock:
            self._events = {name: seen for name, seen in self._events.items() if name in alive}
        self._health.keep_only(alive)
        return min((wait for wait in waits if wait is not None), default=None)

    def _list_domains(self) -> dict[str, DomainState] | None:
        if not self._connection.alive:
            self._watching = False
            return None
        with self._lock:
            earlier = {name: len(events) for name, events in self._events.items()}
        try:
            guests = self._domains.all()
        except Fault as fault:
            log.warning("role=node %s", fault.message)
            self._watching = False
            return None
        for guest in guests.values():
            if guest.runs and guest.instance_id in earlier:
                self._drop_ends(guest.instance_id, earlier[guest.instance_id])
        return guests

    def _drop_ends(self, instance_id: str, count: int) -> None:
        """Forget the ends among a domain's first `count` events: it was listed as running after
        them. libxl reports the end of a rebooted guest when its new domain exists already."""
        stopped = libvirt.VIR_DOMAIN_EVENT_STOPPED
        with self._lock:
            events = self._events.get(instance_id, [])
            events[:count] = [each for each in events[:count] if each[0] != stopped]

    def _reconcile_logged(self, row: NodeRow, guests: dict[str, DomainState] | None) -> float:
        caused_by = row["wanted_request_id"] if row["wanted"] else row["request_id"]
        with logs.about(role="node", instance=row["instance_id"], request_id=caused_by):
            return self._reconcile(row, guests)

    def _reconcile(self, row: NodeRow, guests: dict[str, DomainState] | None) -> float:
        guest = (guests or {}).get(row["instance_id"])
        if row["state"] == "pending":
            return self._reconcile_pending(row)
        if row["state"] == "shutting-down":
            return self._reconcile_shutting_down(row, guest, guests is not None)
        if row["state"] == "stopping":
            return self._reconcile_stopping(row, guest, guests is not None)
        if row["wanted"] == "terminate":
            return self._end(row, instance_states.USER_SHUTDOWN)
        return self._reconcile_running(row, guest) if guests is not None else SWEEP

    def _reconcile_pending(self, row: NodeRow) -> float:
        instance_id = row["instance_id"]
        left = self.config.node.pending_timeout - seconds_in_state(row)
        if row["wanted"] == "terminate":
            return self._end(row, instance_states.USER_SHUTDOWN)
        if left <= 0:
            return self._end(row, self._timeout_reason(row))
        if not self._launcher.is_busy(instance_id):
            self._launcher.begin(instance_id)
        return min(left, SWEEP)

    def _timeout_reason(self, row: NodeRow) -> Reason:
        steps = {"": "its disk", "disk": "its network", "plugged": "its guest"}
        step = steps.get(row["launch_state"], "the hypervisor")
        text = f"Not started within {self.config.node.pending_timeout} s; it waited for {step}"
        return instance_states.internal_error(f"{text}. {self._connection.problem}".rstrip(". "))

    def _reconcile_shutting_down(
        self, row: NodeRow, guest: DomainState | None, known: bool
    ) -> float:
        instance_id = row["instance_id"]
        self._rebooter.forget(instance_id)
        left = self.config.node.shutdown_timeout - seconds_in_state(row)
        if self._launcher.is_busy(instance_id) and left > 0:
            self._launcher.cancel(instance_id)
            return left  # the end of the launch wakes us
        return max(0.1, self._terminator.advance(row, guest, known, self.config))

    def _reconcile_stopping(self, row: NodeRow, guest: DomainState | None, known: bool) -> float:
        instance_id = row["instance_id"]
        self._rebooter.forget(instance_id)
        if self._launcher.is_busy(instance_id):
            self._launcher.cancel(instance_id)
            return SWEEP  # the end of the launch wakes us
        return max(0.1, self._stopper.advance(row, guest, known, self.config.node.stop_timeout))

    def _reconcile_running(self, row: NodeRow, guest: DomainState | None) -> float:
        instance_id = row["instance_id"]
        if row["wanted"] == NEW_DOMAIN:
            return self._rebooter.replace_domain(row)
        if guest is None:
            self._ended.pop(instance_id, None)
            return self._handle_missing(row)
        self._missing.pop(instance_id, None)
        if not guest.up:
            return self._handle_ended(row)
        self._ended.pop(instance_id, None)
        if self._capabilities().console_file:
            self._consoles.follow(instance_id)
        if self._earlier and instance_id in self._earlier:
            self._earlier.discard(instance_id)
            self._launcher.adopt(instance_id)
        wait = self._health.check(guest)
        if row["wanted"] == "reboot" and self._health.expects_pause(instance_id):
            wait = min(wait, RETRY)
        elif row["wanted"] == "reboot":
            wait = min(wait, self._rebooter.advance(guest, self.config.node.reboot_timeout))
        return min(wait, SWEEP)

    def _handle_ended(self, row: NodeRow) -> float:
        """End an instance whose domain ended. Where a reboot is the end of the domain, libvirt is
        about to start it again, or to forget it; if it does neither, the start has failed."""
        instance_id = row["instance_id"]
        if not self._capabilities().reboot_in_place:
            return self._end(row, self._end_reason(instance_id) or instance_states.DOMAIN_VANISHED)
        now = time.monotonic()
        waited = now - self._ended.setdefault(instance_id, now)
        if waited < self.config.node.reboot_timeout:
            return min(RETRY, self.config.node.reboot_timeout - waited)
        del self._ended[instance_id]
        log.warning("role=node libvirt did not start %s again, so eucabox does", instance_id)
        self._rebooter.forget(instance_id)
        self._rows.mark_for_new_domain(instance_id, row["wanted"])
        return 0.0

    def _handle_missing(self, row: NodeRow) -> float:
        instance_id = row["instance_id"]
        reason = self._end_reason(instance_id)
        if reason is None and self._watching:
            now = time.monotonic()
            waited = now - self._missing.setdefault(instance_id, now)
            if waited < EVENT_WAIT:
                return EVENT_WAIT - waited
            reason = instance_states.DOMAIN_VANISHED
        self._missing.pop(instance_id, None)
        vanished = reason in (None, instance_states.DOMAIN_VANISHED)
        if vanished and libvirt_logs.was_saved(instance_id):
            reason = instance_states.SAVED_OUTSIDE
        return self._end(row, reason or self._unwatched_reason())

    def _unwatched_reason(self) -> Reason:
        boot_id = BOOT_ID.read_text("ascii").strip()
        known = self._rows.get_setting("boot_id", boot_id)
        return (
            instance_states.ENDED_UNWATCHED if known == boot_id else instance_states.HOST_RESTARTED
        )

    def _end(self, row: NodeRow, reason: Reason) -> float:
        instance_id = row["instance_id"]
        self._launcher.cancel(instance_id)
        if row["wanted"] != "terminate":
            state = self._rows.fail(instance_id, reason)
        else:
            ends = self._rows.mark_shutting_down(instance_id, reason)
            state = "shutting-down" if ends else ""
        if state:
            log.info("role=node %s is %s: %s", instance_id, state, reason.message)
        return 0.0

    def _end_reason(self, instance_id: str) -> Reason | None:
        with self._lock:
            return state_reasons.reason_of_events(self._events.get(instance_id, ()))

    def _remove_orphans(self, rows: list[NodeRow], guests: dict[str, DomainState]) -> float | None:
        """End what is left of instances that are not alive; return the seconds to the next try."""
        strays = {row["instance_id"] for row in self._rows.list_uncleaned()} | set(guests)
        strays -= {row["instance_id"] for row in rows}
        for instance_id in strays:
            guest = guests.get(instance_id)
            if guest and guest.up and self._rows.mark_restored(instance_id):
                self._launcher.take_restored(instance_id)
            else:
                self._terminator.remove_orphan(
                    instance_id, ended=guest is not None and not guest.up
                )
        if not self._watching:
            self._watching = True
            self._rows.set_setting("boot_id", BOOT_ID.read_text("ascii").strip())
        return RETRY if strays else None

    def _purge(self) -> float | None:
        keep_seconds = self.config.node.terminated_kept
        left = {each: keep_seconds - age for each, age in self._rows.list_terminated().items()}
        for instance_id in [each for each, seconds in left.items() if seconds < 0]:
            self._terminator.delete_row(instance_id)
            del left[instance_id]
        return max(1.0, min(left.values())) if left else None
