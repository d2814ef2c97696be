"""A bridge that the administrator made and named: used as it is, never changed but for 169.254."""

from ipaddress import IPv4Address, IPv4Network

from eucabox.config import Config
from eucabox.errors import ConfigError, NetworkUnusable
from eucabox.network import host
from eucabox.network.bridge import TABLE, metadata_address, refuse_if_used
from eucabox.run import run


class NamedBridge:
    """The site's bridge. DHCP answers our MACs beside the site's own server, which has to
    ignore them; the gateway is the site's, or this host where there is none behind the bridge.
    """

    made = False

    def __init__(self, config: Config) -> None:
        self.name = config.network.bridge
        self._file = config.file or "eucabox.conf"
        self._metadata = metadata_address(config)
        if config.network.subnet == "auto":
            self._must_name("subnet", "the network on it, such as 192.168.1.0/24")
        if not config.network.addresses:
            self._must_name("addresses", "MAC=IP pairs or a range that no other machine has")

    def gateway(self, subnet: IPv4Network) -> IPv4Address:
        """Return the site's gateway behind this bridge, or this host's own address."""
        behind = host.gateway(self.name)
        return behind if behind and behind in subnet else self.address(subnet)

    def address(self, subnet: IPv4Network) -> IPv4Address:
        """Return this host's address on the bridge, at which DHCP answers."""
        found = host.address_in(subnet, self.name) if host.is_bridge(self.name) else None
        if found is None:
            reason = (
                f"[network] bridge = {self.name} is no bridge on which this host has an address"
                f" in {subnet}. Make it so, or leave bridge empty for eucabox's own."
            )
            raise NetworkUnusable(reason=reason)
        return found

    def is_ours(self) -> bool:
        """Tell that ours is what is on it under our name: the bridge itself is never removed."""
        return True

    def start(self, subnet: IPv4Network) -> None:
        """Put the metadata address on the bridge and catch packets for it."""
        self.address(subnet)
        if self._metadata is None:
            return
        refuse_if_used(self._metadata)
        wanted = f"{self._metadata}/32"
        if wanted not in host.addresses_of(self.name):
            run("ip", "addr", "add", wanted, "dev", self.name, "scope", "link")
        rules = _capture(self.name, self._metadata, host.mac_of(self.name))
        run("nft", "-f", "-", input=rules.encode())

    def remove(self) -> None:
        """Take the metadata address and its rule away."""
        wanted = f"{self._metadata}/32"
        if host.is_bridge(self.name) and wanted in host.addresses_of(self.name):
            run("ip", "addr", "del", wanted, "dev", self.name)
        if ("bridge", TABLE + self.name) in host.tables():
            run("nft", "delete", "table", "bridge", TABLE + self.name)

    def warnings(self) -> list[str]:
        """Nothing: packets of guests are bridged, past the host's rules."""
        return []

    def _must_name(self, key: str, what: str) -> None:
        reason = f"must be set beside bridge = {self.name}: {what}"
        raise ConfigError(file=self._file, section="network", key=key, reason=reason)


def _capture(bridge: str, metadata: IPv4Address, mac: str) -> str:
    """Guests send these packets to their gateway's MAC; the bridge keeps them for this host."""
    table = TABLE + bridge
    return f"""
table bridge {table} {{
}}
delete table bridge {table}
table bridge {table} {{
  chain prerouting {{
    type filter hook prerouting priority -300; policy accept;
    ether type ip ip daddr {metadata} meta pkttype set host ether daddr set {mac}
  }}
}}
"""
