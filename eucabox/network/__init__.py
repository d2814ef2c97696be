"""What every network mode offers, and the one place that picks it; knows no mode itself."""

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypedDict, cast

from eucabox.config import Config


class InterfaceRow(TypedDict):
    """What a network reads of a row of `instances`."""

    instance_id: str
    mac_address: str | None
    private_ip_address: str | None
    private_dns_name: str | None


@dataclass(frozen=True)
class GuestAddress:
    """An instance's one network interface: how it is known on the wire and by name.

    Address and name are empty while nobody gave one.
    """

    mac_address: str
    private_ip_address: str
    private_dns_name: str


@dataclass(frozen=True)
class FirewallRule:
    """A rule of a security group: `cidr` or `group_id` says with whom.

    `protocol` is tcp, udp, icmp, icmpv6, a number, or -1 for all. Of icmp the ports are type and
    code, -1 for any.
    """

    is_egress: bool
    protocol: str
    from_port: int | None = None
    to_port: int | None = None
    cidr: str | None = None
    group_id: str | None = None


@dataclass(frozen=True)
class FilteredGuest:
    """An instance as its packets show it. `tap` is its device on this host, there or to come."""

    tap: str
    mac_address: str
    private_ip_address: str | None
    groups: tuple[str, ...]


Learnt = Callable[[GuestAddress], None]


class Network(Protocol):
    """A network that instances are plugged into.

    Every method may be repeated: it makes what is missing and keeps what is there, so a killed
    eucabox starts again over running guests. What the host does not allow is raised as
    NetworkUnusable (or ProgramFailed, ProgramMissing).
    """

    config: Config

    @property
    def bridge(self) -> str:
        """The bridge that a guest's interface joins."""

    @property
    def metadata_device(self) -> str | None:
        """The device that the metadata listener is bound to; None: it is bound to none."""

    @property
    def api_door(self) -> str | None:
        """The address on the bridge at which guests need a listener of the API for themselves;
        None where they need none, may have none, or the bridge is not up."""

    @property
    def api_address(self) -> str | None:
        """The address at which guests reach the API; None where they do not."""

    @property
    def is_up(self) -> bool:
        """Whether it was brought up since this process began, be it at the start or later."""

    def on_address_learned(self, learnt: Learnt) -> None:
        """Call `learnt`, in a thread of the network, whenever an instance has a new address.

        Only a mode that does not give the addresses itself ever does. Before `start`.
        """

    def start(self, in_use: bool = True) -> None:
        """Make bridge, translation and DHCP, or adopt those that run. Only where the network is
        not `in_use` by an instance, another may be chosen for it."""

    def sync(self, rows: Iterable[InterfaceRow]) -> None:
        """Plug exactly these instances: all that are alive, at the start of eucabox."""

    def check(self) -> None:
        """Bring back a DHCP server that died; cheap enough for the node's loop."""

    def stop(self) -> None:
        """Let go without taking anything from running guests."""

    def remove(self) -> None:
        """Take away all that is ours; for a host without instances."""

    def assign(self, taken: set[str], instance_id: str) -> GuestAddress:
        """Return an address for an instance, of which neither MAC nor IP is taken.

        Raises InsufficientFreeAddresses.
        """

    def plug(self, row: InterfaceRow) -> None:
        """Let an instance have its address; before its domain starts."""

    def unplug(self, row: InterfaceRow) -> None:
        """Take an instance's address back; after its domain ended."""

    def filter(
        self, guests: Sequence[FilteredGuest], rules: Mapping[str, Sequence[FirewallRule]]
    ) -> None:
        """Let pass from now on, to and from exactly these guests, what their groups' rules allow.

        Called at each change and every few seconds, to restore rules that another program
        removed. `rules` has every group of every guest. A guest can send only from its own MAC
        and address; its DHCP, DNS and metadata need no rule.
        """

    def owns_address(self, private_ip_address: str, mac_address: str) -> bool:
        """Tell whether packets from this address come from, and go to, this MAC."""

    def has_seen_traffic(self, instance_id: str) -> bool:
        """Tell whether the guest has sent a packet, be it DHCP or ARP, since it was started."""

    def warnings(self) -> list[str]:
        """Return what on this host may keep packets from guests, a sentence each."""

    def hindrance(self) -> str:
        """Return what to type before guests can get an address and metadata; or ""."""


def load(config: Config) -> Network:
    """Return the driver of the configured mode, from the module of its name."""
    module = importlib.import_module(f"{__name__}.{config.network.mode.lower()}")
    return cast(Network, module.driver(config))
