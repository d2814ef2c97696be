"""A bridge that the administrator made and named: used as it is, never changed but for 169.254."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from eucabox import ids
from eucabox.config import Config
from eucabox.errors import NetworkUnusable
from eucabox.network import host
from eucabox.network.bridge import TABLE, metadata_address, refuse_if_used
from eucabox.network.host_firewall import Block
from eucabox.network.host_services import Guests, render
from eucabox.network.nft_table import Table
from eucabox.run import run


class ExistingBridge:
    """The site's bridge. DHCP answers our MACs beside the site's own server, which has to
    ignore them; the gateway is the site's, or this host where there is none behind the bridge.
    """

    made = False

    def __init__(self, config: Config) -> None:
        self.name = config.network.bridge
        self._metadata = metadata_address(config)
        self.config = config
        self._capture = Table("bridge", TABLE + self.name)
        self._rules = Table("ip", TABLE + self.name)
        self._addresses: list[str] = []
        self._joined = False

    def gateway(self, subnet: IPv4Network) -> IPv4Address:
        """Return the site's gateway behind this bridge, or this host's own address."""
        behind = host.gateway(self.name)
        return behind if behind and behind in subnet else self.address(subnet)

    def address(self, subnet: IPv4Network) -> IPv4Address:
        """Return this host's address on the bridge, at which DHCP answers."""
        address = host.address_in(subnet, self.name) if host.is_bridge(self.name) else None
        if address is None:
            reason = (
                f"[network] bridge = {self.name} is no bridge on which this host has an address"
                f" in {subnet}. Make it so, or leave bridge empty for eucabox's own."
            )
            raise NetworkUnusable(reason=reason)
        return address

    def is_ours(self) -> bool:
        """Tell that ours is what is on it under our name: the bridge itself is never removed."""
        return True

    def start(self, subnet: IPv4Network) -> None:
        """Join the bridge as a host of this network; raises NetworkUnusable."""
        self.address(subnet)
        self.join()

    def join(self) -> None:
        """Put the metadata address on the bridge and catch packets for it.

        Raises NetworkUnusable.
        """
        if not host.is_bridge(self.name):
            reason = (
                f"[network] bridge = {self.name} is no bridge of this host. Make it, with a network"
                " card of this host as its port, or leave bridge empty for eucabox's own."
            )
            raise NetworkUnusable(reason=reason)
        refuse_if_used(self._metadata)
        self._joined = True
        self.follow()

    def follow(self) -> None:
        """Follow the bridge's MAC, which changes with its ports, and restore flushed rules."""
        if not self._joined or not host.is_bridge(self.name):
            return
        self._rules.make(render(self.config, Guests(self.name, self._addresses)))
        if self._metadata is None:
            return
        wanted = f"{self._metadata}/32"
        if wanted not in host.addresses_of(self.name):
            run("ip", "addr", "add", wanted, "dev", self.name, "scope", "link")
        self._capture.make(_capture(self.name, self._metadata, host.mac_of(self.name)))

    def admit(self, addresses: Iterable[str]) -> None:
        """Keep guests with these addresses off this host's own services from now on."""
        self._addresses = sorted(addresses)
        self.follow()

    def remove(self) -> None:
        """Take the metadata address and its rule away."""
        wanted = f"{self._metadata}/32"
        if host.is_bridge(self.name) and wanted in host.addresses_of(self.name):
            run("ip", "addr", "del", wanted, "dev", self.name)
        self._joined = False
        self._capture.remove()
        self._rules.remove()

    def blocks(self) -> list[Block]:
        """Nothing is known of what the administrator's rules are to let pass on it."""
        return []

    def warnings(self) -> list[str]:
        """Say what of this host may stop packets, which are bridged past it by rights."""
        warnings = []
        for table in host.tables_that_drop("forward") if host.filters_bridged() else []:
            warnings.append(
                f"This host's firewall (table {table}) drops packets between guests and the network"
                f" behind {self.name}: set the sysctl net.bridge.bridge-nf-call-iptables to 0, or"
                f" accept what is forwarded from {self.name} to {self.name}."
            )
        if self._metadata and host.checks_way_back(self.name):
            warnings.append(
                f"This host drops guests' requests for metadata where it has no address in their"
                f" network: set the sysctl net.ipv4.conf.{self.name}.rp_filter to 2."
            )
        return warnings


def require_addresses(config: Config) -> None:
    """Raise ConfigError where a bridge is named without what instances on it are to have."""
    needed = {
        "subnet": "the network on it, such as 192.168.1.0/24",
        "addresses": "MAC=IP pairs or a range that no other machine has",
    }
    for key, what in needed.items():
        if config.network.bridge and getattr(config.network, key) in ("", "auto"):
            reason = f"must be set beside bridge = {config.network.bridge}: {what}"
            raise config.make_error("network", key, reason)


def _capture(bridge: str, metadata: IPv4Address, mac: str) -> str:
    """Guests send these packets to their gateway's MAC; the bridge keeps them for this host."""
    taps = f'iifname "{ids.tap_prefix(bridge)}*"'
    return f"""
  chain prerouting {{
    type filter hook prerouting priority -300; policy accept;
    {taps} ip daddr {metadata} meta pkttype set host ether daddr set {mac}
  }}
"""
