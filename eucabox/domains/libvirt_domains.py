"""The domains of this cloud at libvirt, by instance id; what is not ours is never touched."""

import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from xml.etree.ElementTree import Element

from eucabox.domains import guest_counters, processes
from eucabox.domains.bounded_calls import Bounded, Overdue
from eucabox.domains.connection import SILENT, LibvirtConnection, error_text
from eucabox.domains.guest_counters import GuestCounters
from eucabox.domains.libvirt_binding import VirConnect, VirDomain, libvirt
from eucabox.errors import (
    DomainFailed,
    DomainHung,
    DomainNotOurs,
    LibvirtUnreachable,
    ScreenUnreadable,
)
from eucabox.hypervisor.domain import NAMESPACE

log = logging.getLogger("eucabox.node")
T = TypeVar("T")
LEFT_SHIFT, KEY_HELD = 42, 50  # Linux' number of the key, milliseconds
STREAM_BYTES = 2**18  # libvirt's own packets are about as large
OWNER = re.compile(r"\+(\d{1,10}):\+(\d{1,10})")  # how libvirt writes a user and a group
RECONNECT_WAIT = 15.0  # seconds an action waits for a libvirt that is just being restarted
# Seconds that libvirt has for each; a guest whose process hangs keeps it waiting for ever.
LIST, ACT, WRITE_OUT, DESTROY, PICTURE, PROBE = 10.0, 10.0, 60.0, 30.0, 5.0, 60.0
COUNT = 5.0
COUNT_KEYS = ("usage 1", "usage 2", "usage 3")  # so many guests may hang one after the other


@dataclass(frozen=True)
class DomainState:
    """A domain of ours as libvirt sees it: `state` and `reason` are libvirt's numbers."""

    instance_id: str
    uuid: str
    state: int
    reason: int

    @property
    def up(self) -> bool:
        """Whether a guest is there: running, paused or on its way down."""
        ended = (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_CRASHED)
        return self.state not in ended and self.state != libvirt.VIR_DOMAIN_NOSTATE

    @property
    def runs(self) -> bool:
        """Whether the guest runs at this moment."""
        return self.state in (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_BLOCKED)

    @property
    def asleep(self) -> bool:
        """Whether the guest put itself to sleep."""
        return bool(self.state == libvirt.VIR_DOMAIN_PMSUSPENDED)

    @property
    def paused(self) -> bool:
        """Whether the guest stands still, and is not just being started or ended."""
        begins, ends = (
            libvirt.VIR_DOMAIN_PAUSED_STARTING_UP,
            libvirt.VIR_DOMAIN_PAUSED_SHUTTING_DOWN,
        )
        return self.state == libvirt.VIR_DOMAIN_PAUSED and self.reason not in (begins, ends)

    @property
    def starved(self) -> bool:
        """Whether the guest was paused because the disk is full."""
        return (self.state, self.reason) == (
            libvirt.VIR_DOMAIN_PAUSED,
            libvirt.VIR_DOMAIN_PAUSED_IOERROR,
        )


class Domains:
    """Acts on domains that carry this cloud's id in their metadata.

    Every method may raise LibvirtUnreachable (with the fact `lost` when libvirt went away in the
    middle of it), DomainFailed with libvirt's own words, and DomainHung where a guest's process
    does not answer libvirt. What may wait for such a process has a connection of its own, as
    libvirt answers but a few calls of a connection at once.

    `start_timeout` is how many seconds libvirt may take to start a domain.
    """

    def __init__(self, connection: LibvirtConnection, cloud: str, start_timeout: float) -> None:
        self.start_timeout = start_timeout
        self._connection = connection
        self._cloud = cloud
        self._owners: dict[str, str | None] = {}  # domain uuid -> instance id if it is ours
        self._known: tuple[VirConnect | None, dict[str, tuple[int, int]]] = (None, {})
        self._lists_no_states: VirConnect | None = None
        self._counts_each = False
        self._lock = threading.Lock()
        self._bounded = Bounded()

    def all(self, wait: float = 0) -> dict[str, DomainState]:
        """Return every domain of ours, by instance id; wait for libvirt so many seconds."""
        domains = self._run_on_event_connection(self._list, wait)
        return {guest.instance_id: guest for guest in domains if guest}

    def find(self, instance_id: str) -> DomainState | None:
        """Return the guest of an instance, or None; DomainNotOurs when a stranger has its name."""
        return self._act("find", instance_id, self._guest, key=f"find {instance_id}")

    def is_hung(self, instance_id: str) -> bool:
        """Tell whether libvirt waits for the guest's process longer than it should."""
        return self._bounded.stuck(instance_id) is not None

    def probe(self, instance_id: str) -> None:
        """Test that the guest's process still answers libvirt."""
        self._act("look after", instance_id, self._ask_process)

    def probe_emulator(self, kind: str) -> None:
        """Have libvirt probe its emulator, which takes it seconds the first time after a boot."""
        ask = lambda virt: virt.getDomainCapabilities(None, None, None, kind)  # noqa: E731
        self._run_on_own_connection("probe", kind, ask, PROBE)

    def owner(self, kind: str) -> tuple[int, int] | None:
        """Return the user and the group that guests of a kind run as (qemu, kvm), or None where
        libvirt has no such thing."""
        return self._run_on_event_connection(self._users, RECONNECT_WAIT).get(kind)

    def measure_memory(self) -> int:
        """Return the MiB that the hypervisor has free or gave to guests of ours."""
        return self._run_on_event_connection(self._sum_memory, 0)

    def count_usage(
        self, name_device: Callable[[str], str], *, with_disks: bool
    ) -> dict[str, GuestCounters]:
        """Return what guests of ours have used, by instance id.

        A guest that hangs keeps the first call that asks it; the next one leaves it out.
        """
        free = (key for key in COUNT_KEYS if self._bounded.stuck(key) is None)
        count = partial(self._count_usage, name_device, with_disks)
        key = next(free, COUNT_KEYS[0])
        return self._run_on_own_connection("count the usage of", "guests", count, COUNT, key) or {}

    def _count_usage(
        self, name_device: Callable[[str], str], with_disks: bool, virt: VirConnect
    ) -> dict[str, GuestCounters]:
        if not self._counts_each and self._lists_no_states is None:
            try:
                counted: Iterable[tuple[VirDomain, GuestCounters]]
                counted = guest_counters.count_all(virt, with_disks=with_disks)
                return self._choose_ours(counted)
            except libvirt.libvirtError as problem:
                if problem.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
                    raise
            self._counts_each = True

        def find_device(domain: VirDomain) -> str | None:
            instance_id = self._owner(domain)
            return name_device(instance_id) if instance_id else None

        return self._choose_ours(guest_counters.count_each(virt, find_device))

    def _choose_ours(
        self, counted: Iterable[tuple[VirDomain, GuestCounters]]
    ) -> dict[str, GuestCounters]:
        ours = ((self._owner(domain), counters) for domain, counters in counted)
        return {instance_id: counters for instance_id, counters in ours if instance_id}

    def _sum_memory(self, virt: VirConnect) -> int:
        running = virt.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
        given = [self._ignore_missing(partial(self._memory_of, each)) or 0 for each in running]
        return virt.getFreeMemory() // 2**20 + sum(given)

    def _memory_of(self, domain: VirDomain) -> int:
        """Return the MiB of a guest of ours, 0 of others."""
        return domain.maxMemory() // 1024 if self._owner(domain) else 0

    def _users(self, virt: VirConnect) -> dict[str, tuple[int, int]]:
        if self._known[0] is not virt:  # libvirt reads its configuration as it starts
            self._known = (virt, dict(_users(virt.getCapabilities())))
        return self._known[1]

    def create(self, instance_id: str, xml: str) -> None:
        """Start a transient domain that lives on when this process ends."""
        start = lambda virt: virt.createXML(xml, 0)  # noqa: E731
        key, seconds = f"start {instance_id}", self.start_timeout
        self._run_on_own_connection("start", instance_id, start, seconds, key=key)

    def shutdown(self, instance_id: str) -> None:
        """Send the guest a shutdown request."""
        self._act("shut down", instance_id, lambda domain: domain.shutdown())

    def reboot(self, instance_id: str) -> None:
        """Send the guest a shutdown request, after which libvirt starts it again."""
        self._act("reboot", instance_id, lambda domain: domain.reboot(0))

    def reset(self, instance_id: str) -> None:
        """Reset the guest."""
        self._act("reset", instance_id, lambda domain: domain.reset(0))

    def suspend(self, instance_id: str) -> None:
        """Pause a guest, after it has written its pending data to its disk."""
        self._act("pause", instance_id, lambda domain: domain.suspend(), WRITE_OUT)

    def resume(self, instance_id: str) -> None:
        """Let a paused guest go on."""
        self._act("resume", instance_id, lambda domain: domain.resume())

    def wake_up(self, instance_id: str) -> None:
        """Wake a guest that put itself to sleep."""
        self._act("wake", instance_id, lambda domain: domain.pMWakeup(0))

    def screenshot(self, instance_id: str, wake_up: bool) -> bytes:
        """Return what the screen shows, as the hypervisor has it: PPM or PNG.

        `wake_up` presses a key that types nothing first. Raises ScreenUnreadable.
        """

        def shoot(virt: VirConnect) -> bytes:
            return self._take_screenshot(virt, instance_id, wake_up)

        try:
            picture = self._run_on_own_connection("photograph", instance_id, shoot, PICTURE)
        except DomainFailed as fault:
            raise ScreenUnreadable(id=instance_id, reason=fault.facts["reason"]) from None
        except DomainHung:
            reason = "its hypervisor's process does not answer"
            raise ScreenUnreadable(id=instance_id, reason=reason) from None
        if picture is None:
            raise ScreenUnreadable(id=instance_id, reason="the guest has no screen now")
        return picture

    def open_screen(self, instance_id: str) -> int | None:
        """Return a descriptor that speaks VNC's protocol, RFB, with a guest's screen; None for a
        guest that is not there, or was launched without one."""

        def open_first(domain: VirDomain) -> int | None:
            if _parse(domain.XMLDesc(0)).find("devices/graphics") is None:
                return None
            return domain.openGraphicsFD(0, libvirt.VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH)

        return self._act("show", instance_id, open_first, PICTURE, key=f"show {instance_id}")

    def look_up(self, virt: VirConnect, instance_id: str) -> VirDomain:
        """Return a domain of ours; raises DomainNotOurs, or libvirt's own error."""
        domain = virt.lookupByName(instance_id)
        if self._owner(domain) != instance_id:
            raise DomainNotOurs(id=instance_id)
        return domain

    def _take_screenshot(self, virt: VirConnect, instance_id: str, wake_up: bool) -> bytes:
        domain = self.look_up(virt, instance_id)
        if wake_up:
            domain.sendKey(libvirt.VIR_KEYCODE_SET_LINUX, KEY_HELD, [LEFT_SHIFT], 1, 0)
        stream = virt.newStream()
        domain.screenshot(stream, 0, 0)
        pieces = list(iter(lambda: stream.recv(STREAM_BYTES), b""))
        stream.finish()
        return b"".join(pieces)

    def destroy(self, instance_id: str, uuid: str = "") -> None:
        """Destroy a domain if it is there; one that is only defined is undefined.

        Where libvirt can't, the process of the domain with this `uuid` is killed.
        """
        seconds = self._bounded.stuck(f"start {instance_id}")
        if seconds is not None:  # libvirt may still start a guest that we have given up
            raise DomainHung(id=instance_id, action="start", seconds=seconds)
        try:
            self._act("stop", instance_id, _destroy, DESTROY, key=f"stop {instance_id}")
        except (DomainFailed, DomainHung) as fault:
            with self._lock:
                uuids = {owner: known_uuid for known_uuid, owner in self._owners.items()}
            if not self.kill(instance_id, uuid or uuids.get(instance_id, "")):
                raise
            log.warning("role=node the process of %s was killed: %s", instance_id, fault.message)

    def kill(self, instance_id: str, uuid: str) -> bool:
        """End the guest's process without libvirt; True if it was there and is gone."""
        there = bool(uuid) and bool(processes.pids(instance_id, uuid))
        return there and processes.kill(instance_id, uuid)

    def is_gone(self, instance_id: str, uuid: str) -> bool:
        """Tell whether no process of the guest is there, where guests are processes of ours."""
        here = self._connection.uri.startswith(("qemu:", "qemu+unix:"))
        return here and not processes.pids(instance_id, uuid)

    def _list(self, virt: VirConnect) -> list[DomainState | None]:
        states = self._list_states(virt)
        uuids = {domain.UUIDString() for domain, _ in states}
        with self._lock:
            self._owners = {uuid: owner for uuid, owner in self._owners.items() if uuid in uuids}
        return [self._ignore_missing(partial(self._guest, *each)) for each in states]

    def _ask_process(self, domain: VirDomain) -> None:
        if self._lists_no_states is None:
            domain.connect().domainListGetStats([domain], libvirt.VIR_DOMAIN_STATS_VCPU)
        else:
            domain.info()

    def _list_states(self, virt: VirConnect) -> Sequence[tuple[VirDomain, dict[str, int] | None]]:
        """Return all domains with their states, or None for those where the driver has no such
        list, as Xen's has none: then each domain is asked."""
        if self._lists_no_states is not virt:
            try:
                return virt.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE)
            except libvirt.libvirtError as problem:
                if problem.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
                    raise
            self._lists_no_states = virt  # libvirtd writes each refusal into its log
        return [(domain, None) for domain in virt.listAllDomains(0)]

    def _guest(self, domain: VirDomain, facts: dict[str, int] | None = None) -> DomainState | None:
        instance_id = self._owner(domain)
        if instance_id is None:
            return None
        if facts is None:
            state, reason = domain.state()
        else:
            state, reason = facts["state.state"], facts["state.reason"]
        return DomainState(instance_id, domain.UUIDString(), state, reason)

    def _owner(self, domain: VirDomain) -> str | None:
        uuid = domain.UUIDString()
        if uuid not in self._owners:
            owner = self._read_owner(domain)
            with self._lock:
                self._owners[uuid] = owner
        return self._owners[uuid]

    def _read_owner(self, domain: VirDomain) -> str | None:
        try:
            text = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE)
        except libvirt.libvirtError as problem:
            if problem.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN_METADATA:
                return None
            raise
        element = _parse(text)
        ours = element.get("cloud") == self._cloud and element.get("id") == domain.name()
        return str(domain.name()) if ours else None

    def _act(
        self,
        action: str,
        instance_id: str,
        act: Callable[[VirDomain], T],
        limit: float = ACT,
        key: str = "",
    ) -> T | None:
        def act_if_ours(virt: VirConnect) -> T:
            return act(self.look_up(virt, instance_id))

        return self._run_on_own_connection(action, instance_id, act_if_ours, limit, key)

    def _ignore_missing(self, act: Callable[[], T]) -> T | None:
        """Return what `act` returns, or None where there is no such running domain."""
        try:
            return act()
        except libvirt.libvirtError as problem:
            gone = (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID)
            if problem.get_error_code() in gone:
                return None
            raise

    def _run_on_own_connection(
        self, action: str, id: str, ask: Callable[[VirConnect], T], limit: float, key: str = ""
    ) -> T | None:
        """Call `ask` on a connection of its own, and give it up after `limit` seconds."""
        self._connection.get(RECONNECT_WAIT)
        opened = threading.Event()

        def work() -> T | None:
            virt = self._connection.open_another()
            opened.set()
            try:
                return self._ask(action, id, lambda: self._ignore_missing(lambda: ask(virt)), virt)
            finally:
                with suppress(libvirt.libvirtError):
                    virt.close()

        try:
            return self._bounded.call(key or id, work, limit)
        except Overdue as late:
            if not opened.is_set() and late.seconds == limit:
                uri = self._connection.uri
                raise LibvirtUnreachable(uri=uri, reason=SILENT, lost=True) from None
            raise DomainHung(id=id, action=action, seconds=late.seconds) from None

    def _run_on_event_connection(self, ask: Callable[[VirConnect], T], wait: float) -> T:
        """Call `ask`, which waits for no guest, on the connection of the events."""
        virt = self._connection.get(wait)

        def work() -> T:
            return self._ask("list", "the domains", lambda: ask(virt), virt)

        try:
            return self._bounded.call("list", work, LIST)
        except Overdue:
            self._connection.report_lost(virt, SILENT)
            raise LibvirtUnreachable(uri=self._connection.uri, reason=SILENT, lost=True) from None

    def _ask(self, action: str, id: str, ask: Callable[[], T], virt: VirConnect) -> T:
        try:
            return ask()
        except libvirt.libvirtError as problem:
            reason = error_text(problem)
            if not _alive(virt):
                self._connection.report_lost(virt, reason)
                uri = self._connection.uri
                raise LibvirtUnreachable(uri=uri, reason=reason, lost=True) from None
            raise DomainFailed(action=action, id=id, reason=reason) from None


def _destroy(domain: VirDomain) -> None:
    if domain.isActive():
        domain.destroy()
    elif domain.isPersistent():
        domain.undefine()


def _alive(virt: VirConnect) -> bool:
    try:
        return bool(virt.isAlive() == 1)
    except libvirt.libvirtError:
        return False


def _parse(xml: str) -> Element:
    from defusedxml.ElementTree import fromstring  # an ElementTree of its own, for who has guests

    element: Element = fromstring(xml)
    return element


def _users(capabilities: str) -> Iterator[tuple[str, tuple[int, int]]]:
    for model in _parse(capabilities).iterfind("host/secmodel"):
        if model.findtext("model") != "dac":
            continue
        for label in model.iterfind("baselabel"):
            if match := OWNER.fullmatch(label.text or ""):
                yield label.get("type", ""), (int(match[1]), int(match[2]))
