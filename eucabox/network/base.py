"""What the network modes have alike: bridge, packet filters, our DHCP server; gives no address."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, ip_address, ip_interface

from eucabox import ids
from eucabox.config import Config
from eucabox.errors import Fault
from eucabox.network import FilteredGuest, FirewallRule, host
from eucabox.network.always_allowed import always_allowed
from eucabox.network.api_door import find_door, is_open_to_others
from eucabox.network.bridge import TABLE, OwnBridge, metadata_address
from eucabox.network.dnsmasq import Dnsmasq, dns_possible, service
from eucabox.network.existing_bridge import ExistingBridge
from eucabox.network.firewall import Firewall
from eucabox.network.nft_events import Events
from eucabox.network.tap_guard import Guard
from eucabox.network.tap_ipv6 import TapIpv6
from eucabox.network.taps import Taps


class BridgedNetwork(ABC):
    """A bridge, of eucabox's own or of the administrator's, and what passes on it."""

    def __init__(self, config: Config) -> None:
        self._site = ExistingBridge(config) if config.network.bridge else OwnBridge(config)
        self._firewall = Firewall(self.bridge)
        self._always_allowed = always_allowed(config, None)
        self._filtered = False  # whether guests and rules are known
        self._guests: Sequence[FilteredGuest] = ()
        self._group_rules: Mapping[str, Sequence[FirewallRule]] = {}
        self._tap_prefix = prefix = ids.tap_prefix(self.bridge)
        self._guard = Guard(self.bridge, prefix)
        self._taps = Taps(self.bridge)
        self._tap_ipv6 = TapIpv6(prefix)
        ours = TABLE.rstrip("-")
        self._events = Events(
            lambda name: (
                name == self.bridge
                or name.startswith(prefix)
                or (name.startswith(ours) and self.bridge in name)
            ),
            self._restore,
        )
        self._lock = threading.Lock()
        self._chosen: IPv4Network | None = None
        self._started = False
        self._in_use = True

    @property
    def config(self) -> Config:
        """The configuration; a new one counts from the next look at the host on."""
        return self._site.config

    @config.setter
    def config(self, config: Config) -> None:
        self._site.config = config

    @property
    def bridge(self) -> str:
        """The bridge that a guest's interface joins."""
        return self._site.name

    @property
    def metadata_device(self) -> str | None:
        """The bridge: each of several bridges of this host may have the metadata address, and
        the host may have no address in the guests' network."""
        return self.bridge if metadata_address(self.config) else None

    @property
    def api_door(self) -> str | None:
        """The address of eucabox's own bridge at which guests have a listener of their own."""
        if self.config.network.bridge or not self._started or self._chosen is None:
            return None
        door = find_door(self.config, self._chosen)
        return str(door) if door else None

    @property
    def api_address(self) -> str | None:
        """Where guests reach the API: on their own bridge, or where it listens for others."""
        if not self.config.api.guests:
            return None
        if not self.config.network.bridge:
            return str(self._chosen[1]) if self._started and self._chosen else None
        return self._find_open_address()

    @property
    def is_up(self) -> bool:
        """Whether it was brought up."""
        return self._started

    def filter(
        self, guests: Sequence[FilteredGuest], rules: Mapping[str, Sequence[FirewallRule]]
    ) -> None:
        """Let pass what the rules of the guests' groups allow, and nothing under a false name.

        A guest whose address is not known yet may ask for one, and no more.
        """
        with self._lock:
            if guests:
                self._start_if_not()
            self._guests, self._group_rules, self._filtered = guests, rules, True
            if self._started:
                self._site.admit(
                    each.private_ip_address for each in guests if each.private_ip_address
                )
                self._keep()

    def has_seen_traffic(self, instance_id: str) -> bool:
        """Tell by the tap whether the guest has sent a packet."""
        return host.has_heard(ids.tap(instance_id, self.bridge))

    def warnings(self) -> list[str]:
        """Return what on this host may keep packets from guests."""
        try:
            return self._site.warnings()
        except Fault as fault:
            return [f"This host's packet rules can't be read: {fault.message}"]

    def _find_open_address(self) -> str | None:
        """Return where the API listens for machines on the administrator's bridge, or None."""
        listen = ip_address(self.config.api.listen)
        if not is_open_to_others(self.config):
            return None
        if not listen.is_unspecified:
            return str(listen)
        own = host.addresses_of(self.bridge) if host.is_bridge(self.bridge) else set()
        found = sorted(ip_interface(each).ip for each in own)
        return next((str(each) for each in found if not each.is_link_local), None)

    def _restore(self, changed: set[str]) -> None:
        """Restore at once what another program deleted or took off the bridge.

        A launch changes nothing but its tap, and needs both processors for its own.
        """
        with self._lock:
            if not self._started or not host.is_bridge(self.bridge):
                return
            if changed and all(name.startswith(self._tap_prefix) for name in changed):
                self._put_back_taps()
            else:
                self._keep()

    def _keep(self) -> None:
        """Restore everything. The groups come last: until then the guard blocks the taps."""
        self._site.follow()
        if self._filtered:
            self._firewall.apply(self._guests, self._group_rules, self._always_allowed)
            self._guard.open()
        self._put_back_taps()

    def _put_back_taps(self) -> None:
        self._taps.put_back(each.tap for each in self._guests)

    def _attend(self) -> None:
        """Listen for changes by other programs, for as long as this process lives."""
        self._tap_ipv6.open()
        self._events.open()

    def _let_go(self) -> None:
        self._events.close()
        self._tap_ipv6.close()
        self._guard.close()

    def hindrance(self) -> str:
        """Return why guests could get no address or no metadata, and what to type; or ""."""
        try:
            blocks = self._site.blocks()
        except Fault:
            return ""
        blocking = [each for each in blocks if each.purpose != "other networks"]
        return (
            f"{blocking[0].command}  # {blocking[0].table} drops guests' packets"
            if blocking
            else ""
        )

    @abstractmethod
    def _start(self) -> None:
        """Make or adopt all that guests need; raises NetworkUnusable."""

    def _start_if_not(self) -> None:
        """What stood in the way at the start may be gone by now; if not, the cause is raised."""
        if not self._started:
            self._start()

    def _serve(self, dhcp: Dnsmasq, network: IPv4Network, dynamic: bool = False) -> bool:
        """Have our DHCP server on the bridge; True if it answers for names as well."""
        self._site.start(network)
        own = not self.config.network.bridge
        dns = own and dns_possible(self._site.address(network), dhcp)
        what = service(self.config, self._site, network, dns, dynamic)
        self._always_allowed = always_allowed(self.config, what)
        dhcp.start(what, anew=self._site.made)
        self._site.made = False
        return dns
