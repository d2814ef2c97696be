"""The node: one loop that makes libvirt's domains match the rows; never speaks to a client."""

import logging
import threading
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from eucabox import hypervisor, ids
from eucabox.config import Config
from eucabox.domains import screen, serial
from eucabox.domains.capacity import MEASURED_FOR, Capacity, Host, processors
from eucabox.domains.connection import LibvirtConnection
from eucabox.domains.domain_xml_hook import DomainXml
from eucabox.domains.health import Health, Trouble
from eucabox.domains.hook_facts import Facts
from eucabox.domains.hooks import Hooks
from eucabox.domains.instance_rows import InstanceRows
from eucabox.domains.launcher import DiskProvider, GuestNetwork, Launcher
from eucabox.domains.libvirt_domains import Domains
from eucabox.domains.rebooter import Rebooter
from eucabox.domains.reconciler import SWEEP, Reconciler
from eucabox.domains.security_groups import SecurityGroupFilters
from eucabox.domains.serial_lines import AttachSerial, SerialLines
from eucabox.domains.stopper import Stopper
from eucabox.domains.termination import Terminator
from eucabox.domains.usage_sampler import UsageSampler
from eucabox.domains.worker_pool import WorkerPool
from eucabox.errors import (
    Fault,
    InstanceNotFound,
    ScreenMissing,
    ScreensBusy,
    ScreenUnavailable,
    ScreenUnreadable,
    SerialConsoleUnavailable,
)
from eucabox.hypervisor import Choice, Hypervisor
from eucabox.hypervisor.capabilities import Capabilities
from eucabox.network import GuestAddress
from eucabox.state import State

log = logging.getLogger("eucabox.node")
LAUNCHERS = max(2, processors())  # launches at a time
ENDERS = 16  # ends and reboots at a time: a guest that hangs keeps one for seconds
PROBERS = 4  # guests that are looked after at a time
PICTURES = 4  # screenshots at a time, so that guests that hang do not hold the API's threads
PICTURE_WAIT = 1.0  # seconds until another is refused
AFTER_FAULT = 5.0  # seconds until the loop runs again after an unexpected error
SOONEST = 0.05  # seconds between two looks, at least
STOP_WAIT = 3.0  # seconds for threads to end; what they leave undone is taken up at the next start


class Node:
    """Runs instances: makes domains for rows, and writes libvirt's events into rows."""

    def __init__(
        self, config: Config, state: State, images: DiskProvider, network: GuestNetwork
    ) -> None:
        self._config = config
        self._state = state
        self._network = network
        self._choice: Choice | Fault | None = None
        self._choosing = threading.Lock()
        self.capacity = Capacity(config, state)
        self._stopping = False
        self._awake = threading.Condition()
        self._called = True
        self.turns = 0  # of the loop, so that others see whether it still turns
        self._reported: str | None = None  # the problem that was reported last
        self._network_due = self._memory_due = 0.0
        self._thread = threading.Thread(target=self._run, name="node", daemon=True)
        self._rows = InstanceRows(state)
        network.on_address_learned(self._on_address)
        cloud = self._rows.get_setting("cloud_id", str(uuid.uuid4()))
        self._connection = LibvirtConnection(self.uri, self._event, self.wake)
        folder = config.cloud.data_dir / "instances"
        domains = Domains(self._connection, cloud, config.node.start_timeout)
        self._consoles = SerialLines(self._connection, folder, domains.look_up)
        self._launching = WorkerPool("launch", LAUNCHERS, self.wake)
        self._ending = WorkerPool("end", ENDERS, self.wake)
        self._looking_after = WorkerPool("probe", PROBERS, lambda: None)
        self._pictures = threading.Semaphore(PICTURES)
        self.copying = threading.Lock()  # of a disk: another copy's end would resume the guest
        self._on_change: Callable[[], None] = lambda: None
        self.usage = UsageSampler(
            domains,
            self._describe,
            lambda instance_id: ids.tap(instance_id, network.bridge),
            self._rows.announce_usage,
        )
        self._health = Health(folder, domains, self._looking_after, self._report_change)
        facts = Facts(state, folder, network)
        self._hooks = Hooks(config, facts)
        self._domain_xml = DomainXml(config, facts)
        self._filters = SecurityGroupFilters(state, network)
        self._domains = domains
        self._loop = self._make_loop(cloud, folder, images)

    @property
    def config(self) -> Config:
        """The configuration; a new one counts from the next look on."""
        return self._config

    @config.setter
    def config(self, config: Config) -> None:
        self._config = self._loop.config = self.capacity.config = config
        self._hooks.config = self._domain_xml.config = config
        self._domains.start_timeout = config.node.start_timeout

    @cached_property
    def uri(self) -> str:
        """libvirt's address: the configured one, or the driver's own."""
        return hypervisor.find_uri(self._config.node.virt_type, self._config.node.libvirt_uri)

    @property
    def metadata_problem(self) -> str:
        """Why guests get no metadata, which instances bear as their reason; or ""."""
        return self._launcher.metadata_problem

    @metadata_problem.setter
    def metadata_problem(self, problem: str) -> None:
        self._launcher.metadata_problem = problem

    @property
    def virt_type(self) -> str:
        """The hypervisor's name (kvm, qemu, xen), or an empty string when none is usable."""
        choice = self._choose()
        return choice.driver.NAME if isinstance(choice, Choice) else ""

    @property
    def virt_reason(self) -> str:
        """Why the hypervisor was chosen, or why none is usable."""
        choice = self._choose()
        return choice.reason if isinstance(choice, Choice) else choice.message

    @property
    def hypervisor_name(self) -> str:
        """The hypervisor's name as instances show it."""
        return self.virt_type or self._config.node.virt_type

    @property
    def capabilities(self) -> Capabilities:
        """What the hypervisor can do; everything if none is usable, for the launch says so."""
        choice = self._choose()
        return choice.capabilities if isinstance(choice, Choice) else Capabilities()

    @property
    def problem(self) -> str:
        """Why instances can't be launched now, or an empty string."""
        if not self.virt_type:
            return self.virt_reason
        if not self._connection.alive:
            return f"libvirt at {self.uri} can't be reached: {self._connection.problem}"
        return ""

    def host(self) -> Host:
        """Return what instances may take of this host."""
        return self.capacity.host()

    def status(self) -> dict[str, Any]:
        """Return what an operator wants to know; `guests` has the instances with a problem."""
        troubles = self._health.troubles().items()
        return {
            "virt_type": self.virt_type,
            "detail": f"{self.virt_type or 'none'}: {self.virt_reason}",
            "libvirt": self.uri,
            "problem": self.problem,
            "guests": {instance_id: trouble.text for instance_id, trouble in troubles},
        }

    def watch(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` whenever a problem of a guest or of libvirt begins or ends."""
        self._on_change = on_change

    def trouble(self, instance_id: str) -> Trouble | None:
        """Return what is wrong with a running guest, or None."""
        return self._health.get_trouble(instance_id)

    def queue(self, instance_id: str) -> str:
        """Return what a pending instance waits for, or "" when its launch is under way."""
        ahead = self._launching.count_ahead(instance_id)
        if not ahead:
            return ""
        others = "one other launch" if ahead == 1 else f"{ahead} other launches"
        return f"Waits for {others}; {LAUNCHERS} are made at a time"

    def start(self) -> None:
        """Begin to connect to libvirt and to run the loop; returns at once."""
        self._connection.start()
        self._filters.start()
        self._thread.start()
        self.usage.start()

    def stop(self) -> None:
        """End the loop; guests run on, launches are taken up at the next start."""
        with self._awake:
            self._stopping = True
            self._awake.notify_all()
        if self._thread.is_alive():
            self._thread.join(STOP_WAIT)
        self.usage.stop()
        self._filters.stop(STOP_WAIT)
        self._consoles.stop()
        self._launcher.stop()
        self._on_change = lambda: None
        deadline = time.monotonic() + STOP_WAIT
        for pool in (self._launching, self._ending, self._looking_after):
            pool.stop(max(0.0, deadline - time.monotonic()))
        self._connection.stop()

    def wake(self) -> None:
        """Have the loop look again, because a row or a domain changed."""
        self._filters.wake()
        with self._awake:
            self._called = True
            self._awake.notify_all()

    def console_output(self, instance_id: str) -> tuple[bytes, datetime]:
        """Return the end of what the guest wrote to its console, and when it wrote last.

        Raises InstanceNotFound, ConsoleUnreadable.
        """
        row = self._rows.get(instance_id)
        if row is None:
            raise InstanceNotFound(id=instance_id)
        file = self._config.cloud.data_dir / "instances" / instance_id / "console.log"
        output, moment = serial.tail(file, self._config.node.console_kb * 1024)
        return output, moment or ids.parse_time(row["state_time"])

    def suspend(self, instance_id: str) -> None:
        """Have a guest stand still, its disk complete, until `resume`."""
        self._health.expect_pause(instance_id, True)
        try:
            self._domains.suspend(instance_id)
        except Fault:
            self._health.expect_pause(instance_id, False)
            raise

    def resume(self, instance_id: str) -> None:
        """Let a suspended guest go on."""
        try:
            self._domains.resume(instance_id)
        finally:
            self._health.expect_pause(instance_id, False)

    def screenshot(self, instance_id: str, wake_up: bool = False) -> bytes:
        """Return what the guest's screen shows, as PNG; raises ScreenUnreadable, ScreensBusy."""
        if reason := self.capabilities.screenshots:
            raise ScreenUnreadable(id=instance_id, reason=reason)
        if not self._pictures.acquire(timeout=PICTURE_WAIT):
            raise ScreensBusy(count=PICTURES)
        try:
            return screen.png(self._domains.screenshot(instance_id, wake_up), instance_id)
        finally:
            self._pictures.release()

    def open_serial_console(self, instance_id: str) -> AttachSerial:
        """Return what lets one look on at a guest's serial console, and type there; it is open
        while one does. Raises SerialConsoleUnavailable."""
        if reason := self.capabilities.serial_console:
            raise SerialConsoleUnavailable(id=instance_id, reason=reason)
        return partial(self._consoles.attach, instance_id)

    def open_screen(self, instance_id: str) -> int:
        """Return a descriptor that speaks RFB with a guest's screen; the caller closes it.

        Raises ScreenUnavailable, and ScreenMissing for a guest that was launched without one.
        """
        if reason := self.capabilities.screen:
            raise ScreenUnavailable(id=instance_id, reason=reason)
        descriptor = self._domains.open_screen(instance_id)
        if descriptor is None:
            raise ScreenMissing(id=instance_id)
        return descriptor

    def purge(self) -> None:
        """End every instance at once and wait for it; for a node that was not started.

        Raises LibvirtUnreachable or DomainFailed, with the instances after it still there.
        """
        self._connection.start()
        try:
            self._terminator.purge()
        finally:
            self._connection.stop()

    def _make_loop(self, cloud: str, folder: Path, images: DiskProvider) -> Reconciler:
        rows, domains, network, hooks = self._rows, self._domains, self._network, self._hooks
        self._launcher = Launcher(
            cloud,
            folder,
            rows,
            domains,
            images,
            network,
            self._filters,
            self._driver,
            self._launching,
            self._domain_xml,
            hooks,
        )
        self._terminator = Terminator(
            folder, rows, domains, images, network, self._ending, hooks, self._health
        )
        return Reconciler(
            self._config,
            rows,
            self._connection,
            domains,
            self._launcher,
            self._terminator,
            Rebooter(rows, domains, self._launcher, self._ending, hooks, self._describe),
            Stopper(rows, domains, network, self._ending, hooks),
            self._health,
            self._consoles,
            self._describe,
        )

    def _run(self) -> None:
        self._choose()
        self._sync_network()
        self._launching.submit("libvirt", self._probe_emulator)
        wait: float | None = 0.0
        while not self._stopping:
            with self._awake:
                self._awake.wait_for(lambda: self._called or self._stopping, wait)
                self._called = False
            if not self._stopping:
                wait = self._run_once()
                self.turns += 1
                self._report_libvirt()

    def _run_once(self) -> float | None:
        try:
            wait = self._loop.run_once()
            self._tend_network(wait)
            if self.capabilities.memory_of_host:
                self._measure_memory()
                wait = SWEEP if wait is None else wait
        except Exception:  # an unexpected error must not end the loop
            log.exception("role=node the loop failed")
            return AFTER_FAULT
        return wait if wait is None else max(SOONEST, min(wait, SWEEP))

    def _report_libvirt(self) -> None:
        if (problem := self.problem) != self._reported:
            self._report_change()
            self._reported = problem

    def _tend_network(self, wait: float | None) -> None:
        now = time.monotonic()
        if wait is None or now < self._network_due:
            return
        self._network_due = now + SWEEP
        try:
            self._network.check()
        except Fault as fault:
            log.warning("role=node the network: %s", fault.message)

    def _measure_memory(self) -> None:
        now = time.monotonic()
        if now < self._memory_due or not self._connection.alive:
            return
        self._memory_due = now + MEASURED_FOR
        try:
            self.capacity.hypervisor_memory_mb = self._domains.measure_memory()
        except Fault as fault:
            log.warning("role=node the memory for guests is not known: %s", fault.message)

    def _probe_emulator(self) -> None:
        try:
            self._domains.probe_emulator(self._driver().NAME)
        except Fault as fault:
            log.debug("role=node %s", fault.message)

    def _sync_network(self) -> None:
        """Have the network know exactly the instances that are alive."""
        try:
            self._network.sync(self._rows.list_alive())
        except Fault as fault:
            log.error("role=node the network of running instances: %s", fault.message)

    def _report_change(self) -> None:
        self._on_change()

    def _on_address(self, address: GuestAddress) -> None:
        if self._rows.set_address(address):
            self.wake()

    def _event(self, name: str, event: int, detail: int) -> None:
        self._loop.event(name, event, detail)
        self.wake()

    def _describe(self) -> Capabilities:
        return self.capabilities

    def _driver(self) -> Hypervisor:
        choice = self._choose()
        if isinstance(choice, Fault):
            raise choice
        return choice.driver

    def _choose(self) -> Choice | Fault:
        """Return the hypervisor, chosen once; a failure is tried again, as packages may come."""
        with self._choosing:
            if not isinstance(self._choice, Choice):
                folder = self._config.cloud.data_dir / "run"
                try:
                    self._choice = hypervisor.choose(self._config.node.virt_type, folder)
                except Fault as fault:
                    self._choice = fault
            return self._choice
