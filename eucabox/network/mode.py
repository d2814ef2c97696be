"""What the network modes have alike: bridge, packet filters, our DHCP server; gives no address."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network

from eucabox import ids
from eucabox.config import Config
from eucabox.errors import Fault
from eucabox.network import Guest, Rule, host
from eucabox.network.bridge import OwnBridge, metadata_address
from eucabox.network.dnsmasq import Dnsmasq, dns_possible, service
from eucabox.network.ground import ground
from eucabox.network.groups import Groups
from eucabox.network.named import NamedBridge


class Mode(ABC):
    """A bridge, of eucabox's own or of the administrator's, and what passes on it."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._site = NamedBridge(config) if config.network.bridge else OwnBridge(config)
        self._groups = Groups(self.bridge)
        self._ground = ground(config, None)
        self._lock = threading.Lock()
        self._chosen: IPv4Network | None = None
        self._started = False
        self._in_use = True

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
    def is_up(self) -> bool:
        """Whether it was brought up."""
        return self._started

    def filter(self, guests: Sequence[Guest], rules: Mapping[str, Sequence[Rule]]) -> None:
        """Let pass what the rules of the guests' groups allow, and nothing under a false name.

        A guest whose address is not known yet may ask for one, and no more.
        """
        with self._lock:
            if guests:
                self._start_if_not()
            if self._started:
                self._groups.apply(guests, rules, self._ground)

    def hears(self, instance_id: str) -> bool:
        """Tell by the tap whether the guest has sent a packet."""
        return host.has_heard(ids.tap(instance_id, self.bridge))

    def warnings(self) -> list[str]:
        """Return what on this host may keep packets from guests."""
        try:
            return self._site.warnings()
        except Fault as fault:
            return [f"This host's packet rules can't be read: {fault.message}"]

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
        self._ground = ground(self.config, what)
        dhcp.start(what, anew=self._site.made)
        self._site.made = False
        return dns
