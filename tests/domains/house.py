"""A node on libvirt's own test driver, with an images' room and a network that only take notes."""

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import libvirt
import pytest

from eucabox import hypervisor
from eucabox.config import Config, NodeSection
from eucabox.domains import reconciler as loops
from eucabox.hypervisor import qemu
from eucabox.hypervisor.capabilities import Capabilities
from eucabox.hypervisor.domain import Domain
from eucabox.network import FilteredGuest, FirewallRule, Learnt
from eucabox.node import Node
from eucabox.schema import InstanceRow
from eucabox.state import State
from tests.domains.rows import add_instance, row_of

URI = "test:///default"
SECONDS = 10.0


class PretendedHypervisor:
    """QEMU's XML for libvirt's test driver."""

    NAME = "test"
    URI = URI
    PACKAGE = "libvirt-daemon"

    def probe(self, folder: Path) -> str:
        return ""

    def capabilities(self) -> Capabilities:
        return Capabilities()

    def domain_xml(self, domain: Domain) -> str:
        return qemu.machine(domain, kind="test", cpu="maximum")


@dataclass(frozen=True)
class Boot:
    kernel: Path | None
    ramdisk: Path | None
    disk: Path
    cmdline: str
    format: str = "qcow2"
    bus: str = "scsi"
    nic_model: str = "virtio"
    uefi: bool = False
    nvram: Path | None = None
    seed: Path | None = None
    seed_bus: str = "scsi"
    partitions: Mapping[str, Path] = field(default_factory=dict)


@dataclass
class Images:
    """Notes what it is asked for; `prepared` runs within prepare and may wait or fail."""

    notes: list[tuple[str, str]] = field(default_factory=list)
    prepared: Callable[[Callable[[str], None]], None] = lambda progress: None

    def prepare(
        self,
        instance: Mapping[str, Any],
        progress: Callable[[str], None],
        partitions: bool = False,
    ) -> Boot:
        self.notes.append(("prepare", instance["instance_id"]))
        self.prepared(progress)
        return Boot(Path("/kernel"), Path("/ramdisk"), Path("/disk.qcow2"), "console=ttyS0")

    def forget(self, instance_id: str) -> None:
        self.notes.append(("forget", instance_id))


@dataclass
class Network:
    """Notes what it is asked for; `unplugged` runs within unplug and may fail."""

    bridge: str = "eucabr0"
    notes: list[tuple[str, str]] = field(default_factory=list)
    unplugged: Callable[[], None] = lambda: None
    filtered: dict[str, list[Sequence[FirewallRule]]] = field(default_factory=dict)
    learnt: Learnt = lambda address: None

    def sync(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self.notes += [("sync", row["instance_id"]) for row in rows]

    def check(self) -> None:
        pass

    def filter(
        self, guests: Sequence[FilteredGuest], rules: Mapping[str, Sequence[FirewallRule]]
    ) -> None:
        self.filtered = {guest.tap: [rules[each] for each in guest.groups] for guest in guests}

    def on_address_learned(self, learnt: Learnt) -> None:
        self.learnt = learnt

    def plug(self, row: Mapping[str, Any]) -> None:
        self.notes.append(("plug", row["instance_id"]))

    def unplug(self, row: Mapping[str, Any]) -> None:
        self.notes.append(("unplug", row["instance_id"]))
        self.unplugged()


@dataclass
class House:
    """Everything a test of the node touches."""

    config: Config
    state: State
    images: Images = field(default_factory=Images)
    network: Network = field(default_factory=Network)
    virt: libvirt.virConnect = field(default_factory=lambda: libvirt.open(URI))

    @contextmanager
    def node(self) -> Iterator[Node]:
        """Return a running node on this house's state; libvirt goes on after it."""
        node = Node(self.config, self.state, self.images, self.network)
        node.start()
        try:
            yield node
        finally:
            node.stop()

    def launch(self, node: Node, **columns: object) -> str:
        """Add an instance, wait until it runs and return its id."""
        instance_id = add_instance(self.state, **columns)
        node.wake()
        self.becomes(instance_id, "running")
        return instance_id

    def names(self, active: bool = False) -> set[str]:
        """Return the names of all domains, ours or not, or of those alone that are active."""
        flags = libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE if active else 0
        return {domain.name() for domain in self.virt.listAllDomains(flags)}

    def becomes(self, instance_id: str, state: str) -> InstanceRow:
        """Wait until an instance is in a state and return its row."""
        self.wait(lambda: row_of(self.state, instance_id)["state"] == state)
        return row_of(self.state, instance_id)

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, self.state.query(
                "select instance_id, state, launch_state, state_reason_message from instances"
            )
            time.sleep(0.01)

    def want(self, instance_id: str, wanted: str) -> None:
        self.state.update("instances", {"instance_id": instance_id}, wanted=wanted)


@contextmanager
def open_house(
    config: Config, state: State, monkeypatch: pytest.MonkeyPatch, settings: NodeSection
) -> Iterator[House]:
    """Return a house of these settings; its guests end with the block."""
    monkeypatch.setitem(hypervisor.DRIVERS, "qemu", PretendedHypervisor())
    monkeypatch.setattr(loops, "EVENT_WAIT", 0.2)
    for name in ("instances", "run"):
        (config.cloud.data_dir / name).mkdir()
    made = House(dataclasses.replace(config, node=settings), state)
    yield made
    for domain in made.virt.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
        if domain.name().startswith("i-"):
            domain.destroy()
    made.virt.close()
