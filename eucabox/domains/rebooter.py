"""Reboots of users: power button first, reset if the guest does not react."""

import logging
import threading
import time
from collections.abc import Callable

from eucabox.domains.hooks import Hooks
from eucabox.domains.instance_rows import NEW_DOMAIN, InstanceRows, NodeRow
from eucabox.domains.launcher import Launcher
from eucabox.domains.libvirt_domains import Domains, DomainState
from eucabox.domains.worker_pool import WorkerPool
from eucabox.errors import Fault, LibvirtUnreachable
from eucabox.hypervisor.capabilities import Capabilities

log = logging.getLogger("eucabox.node")
REPLACE_AGAIN = 5.0  # seconds until replacing a domain is tried again


class Rebooter:
    """Carries out what `wanted = reboot` asks; the instance is running all along."""

    def __init__(
        self,
        rows: InstanceRows,
        domains: Domains,
        launcher: Launcher,
        pool: WorkerPool,
        hooks: Hooks,
        capabilities: Callable[[], Capabilities],
    ) -> None:
        self._rows = rows
        self._launcher = launcher
        self._domains = domains
        self._pool = pool
        self._hooks = hooks
        self._capabilities = capabilities
        self._requested: dict[str, float] = {}
        self._done: set[str] = set()
        self._lock = threading.Lock()

    def on_reboot(self, instance_id: str) -> None:
        """Take note that a guest rebooted, which libvirt may say several times."""
        with self._lock:
            if instance_id in self._requested:
                self._done.add(instance_id)

    def advance(self, guest: DomainState, timeout: float) -> float:
        """Do what is due for a row that wants a reboot; return seconds until the next look."""
        now, instance_id = time.monotonic(), guest.instance_id
        with self._lock:
            since = self._requested.setdefault(instance_id, now)
            done = instance_id in self._done
        if done:
            self._end(instance_id)
            return timeout
        if since == now:
            deaf = guest.paused or guest.asleep or self._domains.is_hung(instance_id)
            begin = self._wake_and_reset if deaf else self._shut_down
            self._pool.submit(instance_id, lambda: begin(guest))
        elif now >= since + timeout:
            self._pool.submit(instance_id, lambda: self._reset(instance_id))
        return max(1.0, since + timeout - now)

    def replace_domain(self, row: NodeRow) -> float:
        """Replace the domain of a guest that can't be reset; return seconds as `advance` does."""
        instance_id = row["instance_id"]
        self._pool.submit(instance_id, lambda: self._replace_domain(row))
        return REPLACE_AGAIN

    def forget(self, instance_id: str) -> None:
        """Drop a reboot whose instance ends."""
        with self._lock:
            self._requested.pop(instance_id, None)
            self._done.discard(instance_id)

    def _shut_down(self, guest: DomainState) -> None:
        instance_id = guest.instance_id
        self._hooks.tell("pre-reboot", instance_id)
        with self._lock:
            if instance_id in self._requested:
                self._requested[instance_id] = time.monotonic()  # the guest's time begins now
        try:
            self._domains.reboot(instance_id)
        except Fault as fault:
            log.info("role=node %s is reset, for: %s", instance_id, fault.message)
            self._reset(instance_id)

    def _wake_and_reset(self, guest: DomainState) -> None:
        """Reset a guest that can't react to a power button; a paused one is resumed first."""
        instance_id = guest.instance_id
        self._hooks.tell("pre-reboot", instance_id)
        try:
            if guest.asleep:
                self._domains.wake_up(instance_id)
            elif guest.paused:
                self._domains.resume(instance_id)
        except Fault as fault:
            log.info("role=node %s does not go on: %s", instance_id, fault.message)
        self._reset(instance_id)

    def _reset(self, instance_id: str) -> None:
        if reason := self._capabilities().reboot_in_place:
            self._order_new_domain(instance_id, reason)
            return
        try:
            self._domains.reset(instance_id)
        except LibvirtUnreachable as fault:
            log.warning("role=node %s was not rebooted: %s", instance_id, fault.message)
        except Fault as fault:
            self._order_new_domain(instance_id, fault.message)
            return
        self._end(instance_id)

    def _order_new_domain(self, instance_id: str, reason: str) -> None:
        log.warning("role=node %s gets a new domain: %s", instance_id, reason)
        self.forget(instance_id)
        self._rows.mark_for_new_domain(instance_id)

    def _replace_domain(self, row: NodeRow) -> None:
        instance_id = row["instance_id"]
        now = self._rows.get(instance_id)
        if now is None or now["wanted"] != NEW_DOMAIN:
            return  # done since the loop last looked
        try:
            self._domains.destroy(instance_id, row["domain_uuid"])
        except Fault as fault:
            log.warning("role=node %s is not rebooted yet: %s", instance_id, fault.message)
            return
        if self._launcher.start_again(instance_id):
            self._rows.mark_rebooted(instance_id)

    def _end(self, instance_id: str) -> None:
        self.forget(instance_id)
        self._rows.mark_rebooted(instance_id)
