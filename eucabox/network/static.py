"""STATIC: every instance has a MAC and an address that eucabox gives it, by its own DHCP.

Needs root, or the capabilities NET_ADMIN (devices, routes, rules), NET_RAW (DHCP) and
NET_BIND_SERVICE (ports 53, 67, 80), and the programs ip, nft and dnsmasq.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

from eucabox import ids
from eucabox.config import Config
from eucabox.errors import Fault, InsufficientFreeAddresses
from eucabox.network import Address, Guest, Learnt, Rule, host
from eucabox.network.addresses import pool
from eucabox.network.bridge import RUN, OwnBridge, metadata_address, permitted
from eucabox.network.dnsmasq import Dnsmasq, dns_possible, service
from eucabox.network.ground import ground
from eucabox.network.groups import Groups
from eucabox.network.named import NamedBridge, require_addresses
from eucabox.network.ruleset import Ground
from eucabox.network.subnet import subnet
from eucabox.run import run

Row = Mapping[str, Any]


def driver(config: Config) -> "Static":
    """Return the driver; raises ConfigError when the configuration does not fit together."""
    return Static(config)


class Static:
    """Addresses by DHCP on eucabox's own bridge, or on one that the administrator names."""

    def __init__(self, config: Config) -> None:
        require_addresses(config)
        self.config = config
        self._site = NamedBridge(config) if config.network.bridge else OwnBridge(config)
        self._dhcp = Dnsmasq(RUN / self.bridge, self.bridge)
        self._groups = Groups(self.bridge)
        self._ground = Ground()
        self._lock = threading.Lock()
        self._chosen: IPv4Network | None = None
        self._started = False
        self._serves_dns = not config.network.bridge

    @property
    def bridge(self) -> str:
        """The bridge that a guest's interface joins."""
        return self._site.name

    @property
    def metadata_device(self) -> str | None:
        """The bridge, as each of several bridges of this host may have the metadata address."""
        return self.bridge if metadata_address(self.config) else None

    @property
    def subnet(self) -> IPv4Network:
        """The network that instances live in."""
        if self._chosen is None:
            self._chosen = subnet(self.config, self.bridge)
        return self._chosen

    @property
    def is_up(self) -> bool:
        """Whether it was brought up."""
        return self._started

    def watch(self, learnt: Learnt) -> None:
        """Nothing: eucabox gives the addresses itself, so there is none to learn."""

    def start(self) -> None:
        """Make or adopt bridge, rules and DHCP; raises NetworkUnusable with what to do."""
        with self._lock:
            self._chosen = None
            self._start()

    def sync(self, rows: Iterable[Row]) -> None:
        """Plug exactly these instances."""
        wanted = [address for row in rows if (address := _address(row))]
        with self._lock:
            self._start_if_not()
            gone = set(self._dhcp.hosts()) - {each.private_ip_address for each in wanted}
            self._dhcp.serve(wanted)
            self._bind(wanted, sorted(gone))

    def check(self) -> None:
        """Bring back a DHCP server that died, and follow a bridge that took another MAC."""
        with self._lock:
            self._dhcp.check()
            if self._started:
                self._site.follow()

    def stop(self) -> None:
        """Leave bridge, rules and DHCP to the guests that run on."""

    def remove(self) -> None:
        """Take away DHCP, rules and our bridge; nothing where another cloud has the bridge."""
        with self._lock:
            if not self._site.is_ours():
                return
            self._bind([], sorted(self._dhcp.hosts()))
            self._groups.remove()
            self._dhcp.remove()
            self._site.remove()
            self._started = False

    def assign(self, taken: set[str], instance_id: str) -> Address:
        """Return the first address that is not taken, by its MAC or its IP."""
        count = 0
        for address in pool(self.config, self.subnet, self._site.gateway(self.subnet)):
            if not taken & {address.mac_address, address.private_ip_address}:
                return address
            count += 1
        raise InsufficientFreeAddresses(count=count)

    def plug(self, row: Row) -> None:
        """Answer this instance's DHCP and send packets for its address to its MAC alone."""
        address = _address(row)
        if address is None:
            return
        with self._lock:
            self._start_if_not()
            self._dhcp.check()
            hosts = self._dhcp.hosts()
            hosts[address.private_ip_address] = address
            self._dhcp.serve(hosts.values())
            self._bind([address], [])

    def unplug(self, row: Row) -> None:
        """Stop answering; another instance that has the address by now keeps it."""
        address = _address(row)
        with self._lock:
            hosts = self._dhcp.hosts() if self._started else {}
            if address and hosts.get(address.private_ip_address) == address:
                del hosts[address.private_ip_address]
                self._dhcp.serve(hosts.values())
                self._bind([], [address.private_ip_address])

    def filter(self, guests: Sequence[Guest], rules: Mapping[str, Sequence[Rule]]) -> None:
        """Let pass what the rules of the guests' groups allow, and nothing under a false name."""
        with self._lock:
            if guests:
                self._start_if_not()
            if self._started:
                self._groups.apply(guests, rules, self._ground)

    def holds(self, private_ip_address: str, mac_address: str) -> bool:
        """Tell whether this host sends packets for the address to this MAC and no other.

        `plug` fixed that, so who takes another's address never gets an answer.
        """
        return host.neighbour(private_ip_address, self.bridge) == mac_address.lower()

    def hears(self, instance_id: str) -> bool:
        """Tell by the tap whether the guest has sent a packet."""
        return host.has_heard(ids.tap(instance_id, self.bridge))

    def warnings(self) -> list[str]:
        """Return what on this host may keep packets from guests."""
        try:
            said = self._site.warnings()
        except Fault as fault:
            return [f"This host's packet rules can't be read: {fault.message}"]
        if not self.config.network.bridge and not self._serves_dns:
            said.append(
                f"Another program has port 53 on all devices, so instances on {self.bridge} can't"
                " resolve each other's names."
            )
        return said

    def _start_if_not(self) -> None:
        """What stood in the way at the start may be gone by now; if not, the cause is raised."""
        if not self._started:
            self._start()

    def _start(self) -> None:
        with permitted():
            self._bring_up()
        self._started = True

    def _bring_up(self) -> None:
        self._site.start(self.subnet)
        address = self._site.address(self.subnet)
        if not self.config.network.bridge:
            self._serves_dns = dns_possible(address, self._dhcp)
        what = service(self.config, self._site, self.subnet, self._serves_dns)
        self._ground = ground(self.config, what)
        self._dhcp.start(what, anew=self._site.made)
        self._site.made = False

    def _bind(self, addresses: Iterable[Address], gone: Iterable[str]) -> None:
        """Fix who is sent packets for an address, so that no guest can take another's."""
        lines = [f"neigh del {ip} dev {self.bridge}" for ip in gone if self._neighbour(ip)]
        for each in addresses:
            entry = f"{each.private_ip_address} lladdr {each.mac_address}"
            lines.append(f"neigh replace {entry} dev {self.bridge} nud permanent")
        if lines:
            run("ip", "-batch", "-", input="\n".join([*lines, ""]).encode())

    def _neighbour(self, ip: str) -> bool:
        return host.neighbour(ip, self.bridge) is not None


def _address(row: Row) -> Address | None:
    mac, ip, name = (row[key] for key in ("mac_address", "private_ip_address", "private_dns_name"))
    return Address(mac, ip, name) if mac and ip else None
