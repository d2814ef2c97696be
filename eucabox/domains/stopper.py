"""Stops that keep the disk: shutdown first, then destroy; the row has the reason."""

import logging
import time

from eucabox.domains.hooks import Hooks
from eucabox.domains.instance_rows import InstanceRows, NodeRow, seconds_in_state
from eucabox.domains.launcher import GuestNetwork
from eucabox.domains.libvirt_domains import Domains, DomainState
from eucabox.domains.termination import RETRY
from eucabox.domains.worker_pool import WorkerPool
from eucabox.errors import Fault

log = logging.getLogger("eucabox.node")
FORCE = "stop-by-force"  # the value of `wanted` when the guest gets no shutdown request
PRESS_AGAIN = 10.0  # seconds; a guest that boots does not heed the first


class Stopper:
    """Carries rows that are stopping to `stopped`; every step may be done twice."""

    def __init__(
        self,
        rows: InstanceRows,
        domains: Domains,
        network: GuestNetwork,
        pool: WorkerPool,
        hooks: Hooks,
    ) -> None:
        self._rows = rows
        self._domains = domains
        self._network = network
        self._pool = pool
        self._hooks = hooks
        self._shutdown_sent: dict[str, float] = {}

    def advance(
        self, row: NodeRow, guest: DomainState | None, known: bool, timeout: float
    ) -> float:
        """Do what is due for a row that is stopping; return seconds until the next look.

        `known` tells whether libvirt answered: without it a missing guest means nothing.
        """
        instance_id = row["instance_id"]
        if self._pool.is_busy(instance_id) or not known:
            return RETRY
        force = row["wanted"] == FORCE
        left = 0 if force else timeout - seconds_in_state(row)
        if guest is None or not guest.up or left <= 0:
            up = guest is not None and guest.up
            self._pool.submit(instance_id, lambda: self._finish(row, up))
            return RETRY
        if time.monotonic() >= self._shutdown_sent.get(instance_id, 0) + PRESS_AGAIN:
            self._pool.submit(instance_id, lambda: self._shut_down(instance_id))
        return min(left, PRESS_AGAIN)

    def _shut_down(self, instance_id: str) -> None:
        if instance_id not in self._shutdown_sent:
            self._hooks.tell("pre-stop", instance_id)
        self._shutdown_sent[instance_id] = time.monotonic()
        try:
            self._domains.shutdown(instance_id)
        except Fault as fault:
            log.info("role=node %s has no power button: %s", instance_id, fault.message)

    def _finish(self, row: NodeRow, up: bool) -> None:
        instance_id = row["instance_id"]
        now = self._rows.get(instance_id)
        if now is None or now["state"] != "stopping":
            return  # done, or terminated, since the loop last looked
        if up and instance_id not in self._shutdown_sent:
            self._hooks.tell("pre-stop", instance_id)
        try:
            self._domains.destroy(instance_id, row["domain_uuid"])
            self._network.unplug(row)
        except Fault as fault:
            log.warning("role=node %s is not stopped yet: %s", instance_id, fault.message)
            return
        self._shutdown_sent.pop(instance_id, None)
        self._hooks.tell("stopped", instance_id)
        if self._rows.mark_stopped(instance_id):
            log.info("role=node %s is stopped", instance_id)
