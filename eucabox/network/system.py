"""SYSTEM: the site's DHCP server gives the addresses; they are learnt from its replies.

On eucabox's own bridge, where no site is, its own DHCP server is the site's. Needs root, or the
capabilities NET_ADMIN and NET_RAW, and the programs ip and nft; dnsmasq on the own bridge.
"""

import logging
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from eucabox import ids
from eucabox.config import Config
from eucabox.errors import NetworkUnusable
from eucabox.network import GuestAddress, InterfaceRow, Learnt, host
from eucabox.network.address_pool import domain_name, host_name
from eucabox.network.antispoof import AntiSpoofTable
from eucabox.network.base import BridgedNetwork
from eucabox.network.bindings import BindingTable, KnownAddress
from eucabox.network.bridge import RUN, explain_refusals, metadata_address
from eucabox.network.dnsmasq import Dnsmasq
from eucabox.network.existing_bridge import ExistingBridge
from eucabox.network.packets import AddressClaim, Lease, probe
from eucabox.network.snoop import Snoop
from eucabox.network.subnet import subnet

log = logging.getLogger("eucabox.network")
LEASE = "10m"  # on the own bridge: addresses of instances that are gone come back soon


def driver(config: Config) -> "System":
    """Return the driver; raises ConfigError when the configuration does not fit together."""
    return System(config)


class System(BridgedNetwork):
    """Addresses from another DHCP server, on the administrator's bridge or on our own."""

    def __init__(self, config: Config) -> None:
        _refuse_unused(config)
        super().__init__(config)
        self._own = (
            None if config.network.bridge else Dnsmasq(RUN / self.bridge, self.bridge, LEASE)
        )
        self._bindings = BindingTable()
        self._antispoof = AntiSpoofTable(self.bridge, metadata_address(config))
        self._snoop = Snoop(self._on_packet, self._settle_claims)
        self._learnt: Learnt = _ignore

    @property
    def subnet(self) -> IPv4Network:
        """The network that instances live in; raises NetworkUnusable where only the site knows."""
        if self._own is None and self.config.network.subnet == "auto":
            raise NetworkUnusable(reason=f"Only the site knows the network of {self.bridge}.")
        if self._own is None:
            return IPv4Network(self.config.network.subnet)
        if self._chosen is None:
            self._chosen = subnet(self.config, self.bridge, self._in_use)
        return self._chosen

    def on_address_learned(self, learnt: Learnt) -> None:
        """Set the function that is called when a guest has a new address."""
        self._learnt = learnt

    def start(self, in_use: bool = True) -> None:
        """Make or adopt the bridge's part, and listen; raises NetworkUnusable with what to do."""
        with self._lock:
            self._in_use = in_use
            self._start()

    def sync(self, rows: Iterable[InterfaceRow]) -> None:
        """Plug exactly these instances."""
        guests = {
            row["mac_address"]: self._known_address(row) for row in rows if row["mac_address"]
        }
        with self._lock:
            self._bindings.keep_only(guests)  # even where what follows has to be left to `check`
            self._start_if_not()
            self._apply()

    def check(self) -> None:
        """Bring back what died, or was flushed, or could not start before."""
        with self._lock:
            if not self._started and not self._bindings.guests():
                return
            self._start_if_not()
            if self._own is not None:
                self._own.check()
            self._keep()
            self._attend()

    def stop(self) -> None:
        """Listen no more; everything else is left to the guests that run on."""
        self._let_go()

    def remove(self) -> None:
        """Take away rules, DHCP and our bridge; nothing where another cloud has the bridge."""
        self._let_go()
        with self._lock:
            if not self._site.is_ours():
                return
            self._firewall.remove()
            self._antispoof.remove()
            if self._own is not None:
                self._own.remove()
            self._site.remove()
            self._started = False

    def assign(self, taken: set[str], instance_id: str) -> GuestAddress:
        """Return a MAC made of the instance's id, as Eucalyptus did, and no address yet."""
        number = int(instance_id.partition("-")[2][:8] or "0", 16)
        while (mac := "d0:0d:" + number.to_bytes(4).hex(":")) in taken:
            number = (number + 1) % 2**32
        return GuestAddress(mac, "", "")

    def plug(self, row: InterfaceRow) -> None:
        """Let a guest be on the bridge under its own MAC alone, and listen for its address."""
        if not row["mac_address"]:
            return
        with self._lock:
            self._start_if_not()
            self._site.follow()
            self._in_use = True
            self._bindings.add(row["mac_address"], self._known_address(row))
            self._apply()

    def unplug(self, row: InterfaceRow) -> None:
        """Forget a guest and its address."""
        with self._lock:
            self._bindings.drop(row["mac_address"] or "")
            if self._started and host.is_bridge(self.bridge):
                self._apply()

    def owns_address(self, private_ip_address: str, mac_address: str) -> bool:
        """Tell whether an address was learnt for this MAC, and this host sends there alone.

        No other guest's packet from that address passes the fence.
        """
        mac = mac_address.lower()
        known = self._bindings.get_address(mac)
        is_known = known is not None and known.ip == private_ip_address
        return is_known and host.neighbour(private_ip_address, self.bridge) == mac

    # --- what is heard, in the thread that listens -----------------------------------------------

    def _on_packet(self, device: str, outgoing: bool, what: Lease | AddressClaim) -> None:
        if isinstance(what, Lease):
            ours = self._bindings.get_address(what.mac_address) is not None
            if (
                ours
                and self._is_from_server(device, outgoing, what)
                and self._bindings.record_lease(what)
            ):
                self._announce(what.mac_address)
        elif not outgoing:
            self._on_claim(device, what)

    def _is_from_server(self, device: str, outgoing: bool, lease: Lease) -> bool:
        """Tell whether a reply came in from outside, or from this host itself.

        What the host only passes on, from a guest maybe, has not one of the host's addresses:
        the kernel takes no packet in that does.
        """
        if outgoing:
            return device == self.bridge and host.is_own(lease.server)
        return self._is_port(device) and not self._is_tap(device)

    def _on_claim(self, device: str, claim: AddressClaim) -> None:
        known = self._bindings.get_address(claim.mac_address)
        if not self._is_tap(device):
            if self._bindings.is_claimed(claim.ip) and self._is_port(device):
                self._bindings.reject_claim(claim)
        elif known is not None and device == known.tap and not host.is_own(claim.ip):
            for ip in self._bindings.record_claim(claim):
                frame = probe(host.mac_of(self.bridge), IPv4Address(ip))
                self._snoop.send(self.bridge, frame)

    def _is_port(self, device: str) -> bool:
        return device in host.ports(self.bridge)

    def _is_tap(self, device: str) -> bool:
        return device.startswith(ids.tap_prefix(self.bridge))

    def _settle_claims(self) -> float | None:
        ready, wait = self._bindings.settle_claims()
        for mac in ready:
            self._announce(mac)
        return wait

    def _announce(self, mac: str) -> None:
        """Announce a new address: to the packet rules first, so that nobody can use it before."""
        known = self._bindings.get_address(mac)
        if known is None or not known.ip:
            return
        log.info("role=cluster %s has the address %s", mac, known.ip)
        try:
            with self._lock:
                self._apply()
            self._learnt(self._address(mac, known.ip))
        except Exception:
            self._bindings.forget_address(mac)
            raise

    # --- the rest --------------------------------------------------------------------------------

    def _start_if_not(self) -> None:
        """What stood in the way at the start may be gone by now; the bridge may be too."""
        if not self._started or not host.is_bridge(self.bridge):
            self._start()

    def _start(self) -> None:
        with explain_refusals():
            if isinstance(self._site, ExistingBridge):
                self._site.join()
            elif self._own is not None:
                self._chosen = None
                self._serve(self._own, self.subnet, dynamic=True)
            self._attend()
        self._started = True

    def _attend(self) -> None:
        self._snoop.open()
        super()._attend()

    def _let_go(self) -> None:
        self._snoop.close()
        super()._let_go()

    def _keep(self) -> None:
        self._antispoof.make(self._bindings.guests())
        super()._keep()

    def _apply(self) -> None:
        guests = self._bindings.guests()
        self._antispoof.make(guests)
        if self._own is not None:
            addresses = ((mac, known.ip) for mac, known in guests.items())
            self._own.serve(self._address(mac, ip) for mac, ip in addresses if ip)

    def _known_address(self, row: InterfaceRow) -> KnownAddress:
        return KnownAddress(
            ids.tap(row["instance_id"], self.bridge), row["private_ip_address"] or ""
        )

    def _address(self, mac: str, ip: str) -> GuestAddress:
        return GuestAddress(mac, ip, f"{host_name(IPv4Address(ip))}.{domain_name(self.config)}")


def _refuse_unused(config: Config) -> None:
    """Refuse settings that would have no effect, rather than let an administrator rely on them."""
    allowed = ("dns",) if config.network.bridge else ()
    for key in ("addresses", *allowed):
        if getattr(config.network, key):
            raise config.make_error("network", key, "must be empty: SYSTEM leaves it to DHCP")


def _ignore(address: GuestAddress) -> None:
    """Do nothing with an address."""
