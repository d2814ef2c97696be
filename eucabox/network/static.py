"""STATIC: every instance has a MAC and an address that eucabox gives it, by its own DHCP.

Needs root, or the capabilities NET_ADMIN (devices, routes, rules), NET_RAW (DHCP) and
NET_BIND_SERVICE (ports 53, 67, 80), and the programs ip, nft and dnsmasq.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from itertools import islice

from eucabox.config import Config
from eucabox.errors import InsufficientFreeAddresses
from eucabox.network import GuestAddress, InterfaceRow, Learnt, host
from eucabox.network.address_pool import pool
from eucabox.network.base import BridgedNetwork
from eucabox.network.bridge import RUN, explain_refusals
from eucabox.network.dnsmasq import Dnsmasq
from eucabox.network.existing_bridge import require_addresses
from eucabox.network.host_turn import take_turn
from eucabox.network.subnet import subnet
from eucabox.run import run

READ_FIRST = 64  # addresses of the pool


def driver(config: Config) -> "Static":
    """Return the driver; raises ConfigError when the configuration does not fit together."""
    return Static(config)


class Static(BridgedNetwork):
    """Addresses by DHCP on eucabox's own bridge, or on one that the administrator names."""

    def __init__(self, config: Config) -> None:
        require_addresses(config)
        super().__init__(config)
        self._dhcp = Dnsmasq(RUN / self.bridge, self.bridge)
        self._serves_dns = not config.network.bridge
        self._pool: list[GuestAddress] = []  # its first addresses: a large network has millions
        self._pool_place: tuple[IPv4Network, IPv4Address | None] | None = None

    @property
    def subnet(self) -> IPv4Network:
        """The network that instances live in."""
        if self._chosen is None:
            self._chosen = subnet(self.config, self.bridge, self._in_use)
        return self._chosen

    def on_address_learned(self, learnt: Learnt) -> None:
        """Nothing: eucabox gives the addresses itself, so there is none to learn."""

    def start(self, in_use: bool = True) -> None:
        """Make or adopt bridge, rules and DHCP; raises NetworkUnusable with what to do."""
        with self._lock:
            self._chosen, self._in_use = None, in_use
            self._start()

    def sync(self, rows: Iterable[InterfaceRow]) -> None:
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
                self._attend()
                self._keep()

    def stop(self) -> None:
        """Leave bridge, rules and DHCP to the guests that run on."""
        self._let_go()

    def remove(self) -> None:
        """Take away DHCP, rules and our bridge; nothing where another cloud has the bridge."""
        self._let_go()
        with self._lock:
            if not self._site.is_ours():
                return
            self._bind([], sorted(self._dhcp.hosts()))
            self._firewall.remove()
            self._dhcp.remove()
            self._site.remove()
            self._started = False

    def assign(self, taken: set[str], instance_id: str) -> GuestAddress:
        """Return the first address that is not taken, by its MAC or its IP."""
        self._in_use = True
        subnet = self.subnet
        # Of a whole subnet, which is our own bridge's, the gateway's address is never given out.
        config = self._site.config
        named = config.network.addresses
        place = subnet, self._site.gateway(subnet) if named else None
        if self._pool_place != place:
            self._pool_place, self._pool = place, []
        while True:
            for address in self._pool:
                if address.mac_address not in taken and address.private_ip_address not in taken:
                    return address
            count = len(self._pool)
            self._pool = list(islice(pool(config, *place), 2 * count + READ_FIRST))
            if len(self._pool) == count:
                raise InsufficientFreeAddresses(count=count)

    def plug(self, row: InterfaceRow) -> None:
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

    def unplug(self, row: InterfaceRow) -> None:
        """Stop answering; another instance that has the address by now keeps it."""
        address = _address(row)
        with self._lock:
            hosts = self._dhcp.hosts() if self._started else {}
            if address and hosts.get(address.private_ip_address) == address:
                del hosts[address.private_ip_address]
                self._dhcp.serve(hosts.values())
                self._bind([], [address.private_ip_address])

    def owns_address(self, private_ip_address: str, mac_address: str) -> bool:
        """Tell whether this host sends packets for the address to this MAC and no other.

        `plug` fixed that, so who takes another's address never gets an answer.
        """
        return host.neighbour(private_ip_address, self.bridge) == mac_address.lower()

    def warnings(self) -> list[str]:
        """Return what on this host may keep packets from guests."""
        warnings = super().warnings()
        if not self.config.network.bridge and not self._serves_dns:
            warnings.append(
                "Another program has port 53 at this host's address on"
                f" {self.bridge}, so instances there can't resolve each other's names."
                " `ss -lunp 'sport = :53'` names it; stop it, and start eucabox again."
            )
        return warnings

    def _start(self) -> None:
        with explain_refusals(), take_turn(RUN):
            self._serves_dns = self._serve(self._dhcp, self.subnet)
            self._attend()
        self._started = True

    def _bind(self, addresses: Iterable[GuestAddress], gone: Iterable[str]) -> None:
        """Fix each address's MAC in the neighbour table, so that no guest can take another's."""
        known = (ip for ip in gone if host.neighbour(ip, self.bridge) is not None)
        lines = [f"neigh del {ip} dev {self.bridge}" for ip in known]
        for each in addresses:
            entry = f"{each.private_ip_address} lladdr {each.mac_address}"
            lines.append(f"neigh replace {entry} dev {self.bridge} nud permanent")
        if lines:
            run("ip", "-batch", "-", input="\n".join([*lines, ""]).encode())

    def _keep(self) -> None:
        super()._keep()
        known = host.neighbours(self.bridge)
        held = self._dhcp.hosts().values()
        # Metadata answers nobody whose MAC is not fixed, and whoever likes could take it.
        lost = [
            each for each in held if known.get(each.private_ip_address) != each.mac_address.lower()
        ]
        self._bind(lost, [])


def _address(row: InterfaceRow) -> GuestAddress | None:
    mac, ip, name = (row[key] for key in ("mac_address", "private_ip_address", "private_dns_name"))
    return GuestAddress(mac, ip, name or "") if mac and ip else None
