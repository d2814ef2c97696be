"""How instances end: shutdown, destroy, address and disk; never decides that one should."""

import logging
import shutil
import time
from pathlib import Path

from eucabox import instance_states
from eucabox.config import Config
from eucabox.domains.health import STUCK, Health
from eucabox.domains.hooks import Hooks
from eucabox.domains.instance_rows import InstanceRows, NodeRow, seconds_in_state
from eucabox.domains.launcher import DiskProvider, GuestNetwork
from eucabox.domains.libvirt_domains import RECONNECT_WAIT, Domains, DomainState
from eucabox.domains.worker_pool import WorkerPool
from eucabox.errors import Fault

log = logging.getLogger("eucabox.node")
RETRY = 5.0  # seconds until a clean-up that failed is tried again
NEVER_BOOTED = ("", "disk", "plugged")


class Terminator:
    """Carries rows that are shutting down to `terminated`; every step may be done twice."""

    def __init__(
        self,
        folder: Path,
        rows: InstanceRows,
        domains: Domains,
        images: DiskProvider,
        network: GuestNetwork,
        pool: WorkerPool,
        hooks: Hooks,
        health: Health,
    ) -> None:
        self._folder = folder
        self._rows = rows
        self._domains = domains
        self._images = images
        self._network = network
        self._pool = pool
        self._hooks = hooks
        self._health = health
        self._shutdown_sent: dict[str, float] = {}  # when the power button was pressed
        self._failed: dict[str, float] = {}  # when a clean-up failed
        self._removed: set[str] = set()  # orphans that were removed

    def busy(self, instance_id: str) -> bool:
        """Tell whether an end is being made."""
        return self._pool.is_busy(instance_id)

    def advance(
        self, row: NodeRow, guest: DomainState | None, known: bool, config: Config
    ) -> float:
        """Do what is due for a row that is shutting down; return seconds until the next look.

        `known` tells whether libvirt answered: without it a missing guest means nothing.
        """
        instance_id = row["instance_id"]
        left = config.node.shutdown_timeout - seconds_in_state(row)
        if left <= 0:
            gone = guest is None and (known or row["launch_state"] in NEVER_BOOTED)
            self._pool.submit(f"kill {instance_id}", lambda: self._end_by_force(row, known, gone))
            return RETRY
        if self.busy(instance_id):
            return RETRY
        wait = self._wait(instance_id, guest, config.node.shutdown_grace)
        if wait > 0:
            return min(wait, left)
        if known or row["launch_state"] in NEVER_BOOTED:
            # Even where no domain was listed: a late launch may have made one since.
            up = guest is not None and guest.up
            self._pool.submit(instance_id, lambda: self._finish(row, known, up))
        return min(RETRY, left)

    def remove_orphan(self, instance_id: str, ended: bool) -> None:
        """End a domain whose row is terminated or gone, and remove what else is left of it.

        One that has `ended` is removed once: libxl lists a domain that it could not start again
        until libvirtd itself is started again.
        """
        if ended and instance_id in self._removed:
            return
        self._removed.discard(instance_id)
        if time.monotonic() - self._failed.get(instance_id, -RETRY) < RETRY:
            return
        self._pool.submit(instance_id, lambda: self._end_orphan(instance_id))

    def delete_row(self, instance_id: str) -> None:
        """Delete a terminated instance: its console, its folder, at last its row."""
        shutil.rmtree(self._folder / instance_id, ignore_errors=True)
        self._rows.delete(instance_id)

    def purge(self) -> None:
        """End all instances and all domains of ours at once, in the caller's thread."""
        strays = set(self._domains.all(RECONNECT_WAIT))
        for row in [*self._rows.list_alive(), *self._rows.list_stopped()]:
            instance_id = row["instance_id"]
            self._rows.mark_shutting_down(instance_id, instance_states.PURGED)
            if instance_id in strays:
                self._hooks.tell("pre-terminate", instance_id)
            self._clean(row, destroy=True)
            self._hooks.tell("terminated", instance_id)
            self._rows.mark_terminated(row, instance_states.PURGED)
            strays.discard(instance_id)
        for instance_id in strays:
            self._domains.destroy(instance_id)

    def _wait(self, instance_id: str, guest: DomainState | None, grace: float) -> float:
        """Return how long there is to wait before the next step."""
        now = time.monotonic()
        if instance_id in self._failed:
            return self._failed[instance_id] + RETRY - now
        if guest is None or not guest.up or grace == 0:
            return 0
        if instance_id not in self._shutdown_sent:
            self._shutdown_sent[instance_id] = now
            self._pool.submit(instance_id, lambda: self._shut_down(instance_id))
        return self._shutdown_sent[instance_id] + grace - now

    def _shut_down(self, instance_id: str) -> None:
        self._hooks.tell("pre-terminate", instance_id)
        self._shutdown_sent[instance_id] = time.monotonic()  # the guest's time begins now
        try:
            self._domains.shutdown(instance_id)
        except Fault as fault:
            log.info("role=node %s has no power button: %s", instance_id, fault.message)

    def _finish(self, row: NodeRow, destroy: bool, up: bool) -> None:
        instance_id = row["instance_id"]
        now = self._rows.get(instance_id)
        if now is None or now["state"] != "shutting-down":
            return  # done since the loop last looked
        if up and instance_id not in self._shutdown_sent:
            self._hooks.tell("pre-terminate", instance_id)
        try:
            self._clean(row, destroy)
        except Fault as fault:
            log.warning("role=node %s is not cleaned up yet: %s", instance_id, fault.message)
            self._failed[instance_id] = time.monotonic()
            return
        self._hooks.tell("terminated", instance_id)
        self._rows.mark_terminated(row, instance_states.USER_SHUTDOWN)
        self._forget(instance_id)
        log.info("role=node %s is terminated", instance_id)

    def _clean(self, row: NodeRow, destroy: bool) -> None:
        if destroy:
            self._domains.destroy(row["instance_id"], row["domain_uuid"])
        self._hooks.tell("pre-clean", row["instance_id"])
        self._network.unplug(row)
        self._images.forget(row["instance_id"])

    def _end_by_force(self, row: NodeRow, known: bool, gone: bool) -> None:
        """Kill the guest's process when the time limit is over, and mark the instance terminated;
        what is left of it is cleaned up later."""
        instance_id = row["instance_id"]
        names = (instance_id, row["domain_uuid"])
        killed = self._domains.kill(*names) or self._domains.is_gone(*names)
        gone = killed or gone or (known and self._try_destroy(row))
        now = self._rows.get(instance_id)
        if now is None or now["state"] != "shutting-down":
            return  # it ended meanwhile
        if not gone:
            self._health.note(instance_id, STUCK)
            return
        text = "The clean-up on the host is not finished; eucabox goes on trying"
        self._rows.give_up(row, instance_states.internal_error(text))
        self._forget(instance_id)
        log.error("role=node %s could not be cleaned up in time", instance_id)

    def _try_destroy(self, row: NodeRow) -> bool:
        instance_id = row["instance_id"]
        try:
            self._domains.destroy(instance_id, row["domain_uuid"])
            return self._domains.find(instance_id) is None
        except Fault as fault:
            log.warning("role=node %s is still there: %s", instance_id, fault.message)
            return False

    def _end_orphan(self, instance_id: str) -> None:
        row = self._rows.get(instance_id)
        if row is not None and row["state"] not in ("terminated", "stopped"):
            return
        try:
            self._domains.destroy(instance_id, row["domain_uuid"] if row else "")
            if row is not None and row["state"] == "terminated":
                self._clean(row, destroy=False)
                self._hooks.tell("terminated", instance_id)
                self._rows.mark_cleaned(instance_id)
            self._forget(instance_id)
            self._removed.add(instance_id)
            log.warning("role=node ended what was left of %s, which has no living row", instance_id)
        except Fault as fault:
            self._failed[instance_id] = time.monotonic()
            log.warning("role=node something of %s stays: %s", instance_id, fault.message)

    def _forget(self, instance_id: str) -> None:
        self._shutdown_sent.pop(instance_id, None)
        self._failed.pop(instance_id, None)
