"""The steps from a pending row to a running guest, each of which may be done twice."""

import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from eucabox import ids
from eucabox.domains import serial, state_reasons
from eucabox.domains.domain_xml_hook import DomainXml
from eucabox.domains.hooks import Hooks
from eucabox.domains.instance_rows import InstanceRows
from eucabox.domains.libvirt_domains import Domains
from eucabox.domains.security_groups import SecurityGroupFilters
from eucabox.domains.worker_pool import WorkerPool
from eucabox.errors import DomainFailed, Fault, LaunchCancelled, LibvirtUnreachable
from eucabox.hypervisor import Hypervisor
from eucabox.hypervisor.domain import Domain
from eucabox.network import FilteredGuest, FirewallRule, InterfaceRow, Learnt
from eucabox.schema import InstanceRow

log = logging.getLogger("eucabox.node")
SHARED = 0o660  # a file's mode while its group is the guest's
ATTEMPTS = 3  # a libvirtd that is restarted in the middle of a launch does not fail it


class BootSpec(Protocol):
    """What a guest boots from: a disk, and a kernel unless the disk has its own."""

    @property
    def kernel(self) -> Path | None:
        """The kernel's file."""

    @property
    def ramdisk(self) -> Path | None:
        """The initial ramdisk's file."""

    @property
    def disk(self) -> Path:
        """The instance's own disk."""

    @property
    def cmdline(self) -> str:
        """The kernel's command line."""

    @property
    def format(self) -> str:
        """The disk's format: qcow2 or raw."""

    @property
    def bus(self) -> str:
        """How the disk is attached: scsi, virtio or ide."""

    @property
    def nic_model(self) -> str:
        """The network card: virtio, e1000 or rtl8139."""

    @property
    def uefi(self) -> bool:
        """Whether the firmware is UEFI."""

    @property
    def nvram(self) -> Path | None:
        """Where UEFI keeps its variables."""

    @property
    def seed(self) -> Path | None:
        """The CD-ROM for cloud-init."""

    @property
    def seed_bus(self) -> str:
        """How the CD-ROM is attached: ide, sata or scsi."""

    @property
    def partitions(self) -> Mapping[str, Path]:
        """The files of sda1, sda2 and sda3 if each is a device; else empty: one disk has all."""


class DiskProvider(Protocol):
    """What a launch needs of the images."""

    def prepare(
        self, instance: InstanceRow, progress: Callable[[str], None], partitions: bool
    ) -> BootSpec:
        """Make the instance's disk, its partitions as devices of their own if that is wanted;
        `progress` is called now and then, and raises to stop it."""

    def forget(self, instance_id: str) -> None:
        """Remove the instance's disk."""


class GuestNetwork(Protocol):
    """What a launch needs of the network."""

    @property
    def bridge(self) -> str:
        """The bridge that guests are on."""

    def on_address_learned(self, learnt: Learnt) -> None:
        """Call `learnt` whenever an instance has a new address."""

    def plug(self, row: InterfaceRow) -> None:
        """Let the instance have its address."""

    def sync(self, rows: Iterable[InterfaceRow]) -> None:
        """Plug exactly these instances."""

    def check(self) -> None:
        """Bring back what died of the network."""

    def filter(
        self, guests: Sequence[FilteredGuest], rules: Mapping[str, Sequence[FirewallRule]]
    ) -> None:
        """Let pass what the guests' groups allow."""

    def unplug(self, row: InterfaceRow) -> None:
        """Take the address back."""


class Launcher:
    """Launches in the background; the row says how far each is, so a killed one is taken up."""

    def __init__(
        self,
        cloud: str,
        folder: Path,
        rows: InstanceRows,
        domains: Domains,
        images: DiskProvider,
        network: GuestNetwork,
        filters: SecurityGroupFilters,
        driver: Callable[[], Hypervisor],
        pool: WorkerPool,
        domain_xml: DomainXml,
        hooks: Hooks,
    ) -> None:
        self._cloud = cloud
        self._folder = folder
        self._rows = rows
        self._domains = domains
        self._images = images
        self._network = network
        self._filters = filters
        self._driver = driver
        self._pool = pool
        self._domain_xml = domain_xml
        self._hooks = hooks
        self.metadata_problem = ""  # why guests get none
        self._cancelled: dict[str, threading.Event] = {}

    def begin(self, instance_id: str) -> None:
        """Launch an instance unless that is being done."""
        cancelled = self._cancelled.setdefault(instance_id, threading.Event())
        self._pool.submit(instance_id, lambda: self._launch(instance_id, cancelled))

    def start_again(self, instance_id: str) -> bool:
        """Start a running instance's domain again, with its disk; False if it should not run.

        A failure ends the instance, as it would at the first launch.

        """
        row = self._rows.get(instance_id)
        if row is None or row["state"] != "running":
            return False
        try:
            driver = self._driver()
            boot = self._prepare(row, driver, log.debug)
            self._network.plug(row)
            self._filters.apply()
            self._create(row, boot, driver, log.debug)
        except Exception as problem:
            reason = state_reasons.reason_of_fault(problem)
            log.error("role=node %s did not start again: %s", instance_id, reason.message)
            self._rows.fail(instance_id, reason)
            return False
        log.info("role=node %s runs again, in a new domain", instance_id)
        return True

    def take_restored(self, instance_id: str) -> None:
        """Give an instance its address again whose guest was saved on the host and restored."""
        row = self._rows.get(instance_id)
        if row is None:
            return
        try:
            self._network.plug(row)
        except Fault as fault:
            log.warning("role=node %s has no network: %s", instance_id, fault.message)
        self.adopt(instance_id)

    def adopt(self, instance_id: str) -> None:
        """Run the hooks for a running guest that an earlier eucabox started."""
        self._pool.submit(instance_id, lambda: self._hooks.tell("adopted", instance_id))
        log.info("role=node %s is taken back, running", instance_id)

    def cancel(self, instance_id: str) -> None:
        """Cancel a launch at its next step."""
        if instance_id in self._cancelled:
            self._cancelled[instance_id].set()

    def stop(self) -> None:
        """Stop all launches at their next step; the rows stay pending for the next start."""
        for cancelled in list(self._cancelled.values()):
            cancelled.set()

    def is_busy(self, instance_id: str) -> bool:
        """Tell whether a launch is queued or under way."""
        return self._pool.is_busy(instance_id)

    def _launch(self, instance_id: str, cancelled: threading.Event) -> None:
        try:
            self._attempt(instance_id, cancelled)
        except LaunchCancelled:
            log.info("role=node the launch of %s was cancelled", instance_id)
        except Exception as problem:
            reason = state_reasons.reason_of_fault(problem)
            log.error("role=node %s did not start: %s", instance_id, reason.message)
            if reason.code == "Server.InternalError":
                log.debug("role=node where %s failed", instance_id, exc_info=problem)
            self._rows.fail(instance_id, reason)
        finally:
            self._cancelled.pop(instance_id, None)

    def _attempt(self, instance_id: str, cancelled: threading.Event) -> None:
        for attempt in range(ATTEMPTS):
            try:
                return self._steps(instance_id, cancelled)
            except LibvirtUnreachable as fault:
                if not fault.facts.get("lost") or attempt == ATTEMPTS - 1:
                    raise
        return None

    def _steps(self, instance_id: str, cancelled: threading.Event) -> None:
        def progress(words: str) -> None:
            log.debug("role=node %s: %s", instance_id, words)
            if cancelled.is_set():
                raise LaunchCancelled(id=instance_id)

        def step(word: str) -> None:
            progress(word)
            log.info("role=node the launch of %s is at the step: %s", instance_id, word)
            if not self._rows.set_launch_step(instance_id, word):
                raise LaunchCancelled(id=instance_id)

        progress("launching")
        row = self._rows.get(instance_id)
        if row is None or row["state"] != "pending":
            return
        # First of all: under a guest that an earlier eucabox started no disk may be made anew.
        domain = self._domains.find(instance_id)
        if domain is None:
            driver = self._driver()
            self._hooks.ask("pre-launch", instance_id)
            boot = self._prepare(row, driver, progress)
            step("disk")
            self._network.plug(row)
            self._filters.apply()
            step("plugged")
            self._create(row, boot, driver, step)
        elif not domain.up:
            raise DomainFailed(action="start", id=instance_id, reason="its domain is not running")
        problem = self.metadata_problem
        if self._rows.mark_running(
            instance_id, state_reasons.no_metadata(problem) if problem else None
        ):
            log.info("role=node %s runs", instance_id)
            self._hooks.tell("running", instance_id)

    def _prepare(
        self, row: InstanceRow, driver: Hypervisor, progress: Callable[[str], None]
    ) -> BootSpec:
        partitions = bool(driver.capabilities().partition_table)
        return self._images.prepare(row, progress, partitions=partitions)

    def _create(
        self, row: InstanceRow, boot: BootSpec, driver: Hypervisor, step: Callable[[str], None]
    ) -> None:
        owner = self._domains.owner(driver.NAME)
        domain = self._domain(
            row, boot, owned=owner is not None and _give_to_guest_user(boot, owner)
        )
        serial.create(domain.console)
        xml = self._domain_xml.adapt(driver.NAME, domain, driver.domain_xml(domain))
        self._hooks.ask("pre-boot", domain.name, domain_xml=xml)
        step("booting")
        self._domains.create(domain.name, xml)

    def _domain(self, row: InstanceRow, boot: BootSpec, owned: bool) -> Domain:
        return Domain(
            name=row["instance_id"],
            uuid=row["domain_uuid"],
            cloud=self._cloud,
            account=row["account_id"],
            vcpus=row["vcpus"],
            memory_mb=row["memory_mb"],
            disk=boot.disk,
            disk_format=boot.format,
            bus=boot.bus,
            kernel=boot.kernel,
            ramdisk=boot.ramdisk,
            cmdline=boot.cmdline,
            mac_address=row["mac_address"] or "",
            bridge=self._network.bridge,
            tap=ids.tap(row["instance_id"], self._network.bridge),
            console=self._folder / row["instance_id"] / "console.log",
            nic_model=boot.nic_model,
            uefi=boot.uefi,
            nvram=boot.nvram,
            seed=boot.seed,
            seed_bus=boot.seed_bus,
            owned=owned,
            partitions=boot.partitions,
        )


def _give_to_guest_user(boot: BootSpec, owner: tuple[int, int]) -> bool:
    """Give the guest's files to the guest's user; False if this process may not do that."""
    try:
        for file in (boot.disk, *boot.partitions.values(), boot.seed, boot.nvram):
            if file is not None and file.exists():
                _give(file, *owner)
    except PermissionError:
        return False
    return True


def _give(file: Path, uid: int, gid: int) -> None:
    """Give a file to a user; if only root may do that, to a group of which we are a member."""
    try:
        os.chown(file, uid, gid)
    except PermissionError:
        if file.stat().st_uid != uid:  # else libvirt has given it to the user
            os.chown(file, -1, gid)
            file.chmod(SHARED)
