"""eucabox's own bridge: its address, translation and forwarding; touches no other device or table.

What is ours is recognised by the bridge's alias, which names the data directory, and by the
table of packet rules named after the bridge.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network, ip_address
from pathlib import Path

from eucabox.atomic_files import make_folder, write_atomic
from eucabox.config import Config
from eucabox.errors import NetworkUnusable, ProgramFailed
from eucabox.network import host
from eucabox.network.host_firewall import Block, blocks
from eucabox.network.host_services import Guests, render
from eucabox.network.host_turn import take_turn
from eucabox.network.nft_table import Table
from eucabox.run import run

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
IPV6_OFF = "/proc/sys/net/ipv6/conf/{name}/disable_ipv6"
RUN = Path("/run/eucabox")
TABLE = "eucabox-"  # and the bridge's name
LABEL = ":md"  # dnsmasq ignores an address with another label than the bridge's name
LONGEST = 15 - len(LABEL)
NOT_ALLOWED = (
    "eucabox may not change this host's network. Start it by its systemd unit, as root, or with the"
    " capabilities NET_ADMIN, NET_RAW and NET_BIND_SERVICE."
)


class OwnBridge:
    """A bridge that eucabox makes, with NAT to wherever this host can reach."""

    def __init__(self, config: Config) -> None:
        self.name = config.network.own_bridge
        if len(self.name) > LONGEST:
            reason = f"must have at most {LONGEST} characters"
            raise config.make_error("network", "own_bridge", reason)
        self.made = False
        # A MAC of its own, or the bridge would take a new one whenever a guest comes or goes.
        self._mac = "d0:0d:" + self.name.encode()[-4:].rjust(4, b"\0").hex(":")
        self._alias = f"eucabox {config.cloud.data_dir}"
        self._metadata = metadata_address(config)
        self.config = config
        self._rules = Table("ip", TABLE + self.name)
        self._subnet: IPv4Network | None = None  # as it is translated since the start

    def gateway(self, subnet: IPv4Network) -> IPv4Address:
        """Return the bridge's own address, by which guests reach the world."""
        return subnet[1]

    def address(self, subnet: IPv4Network) -> IPv4Address:
        """Return the address that DHCP and DNS answer at."""
        return subnet[1]

    def is_ours(self) -> bool:
        """Tell whether the bridge is this data directory's, or nobody's yet."""
        if not (host.LINKS / self.name).exists():
            return True
        alias = host.alias(self.name)
        killed_while_made = not alias and host.mac_of(self.name) == self._mac
        return host.is_bridge(self.name) and (alias == self._alias or killed_while_made)

    def start(self, subnet: IPv4Network) -> None:
        """Make the bridge or adopt ours; raises NetworkUnusable for one that is not ours."""
        refuse_if_used(self._metadata)
        self._make()
        present = host.addresses_of(self.name)
        for address in sorted(present - self._addresses(subnet).keys()):
            run("ip", "addr", "del", address, "dev", self.name)
        self._add_addresses(subnet, present)
        run("ip", "link", "set", self.name, "up")
        self._rules.make(render(self.config, Guests(self.name), subnet))
        self._subnet = subnet
        forward()

    def follow(self) -> None:
        """Bring back rules and addresses that another program flushed, and what it switched off."""
        if self._subnet:
            self._restore(self._subnet)
            self._rules.make(render(self.config, Guests(self.name), self._subnet))

    def admit(self, addresses: Iterable[str]) -> None:
        """Nothing: only guests are on the bridge, so their addresses need not be known."""

    def remove(self) -> None:
        """Remove our bridge and rules; give forwarding back if nobody else needs it.

        Docker and libvirt's networks found it on and would not switch it on again.
        """
        self._subnet = None
        if (host.LINKS / self.name).exists():
            run("ip", "link", "delete", self.name)
        self._rules.remove()
        with take_turn(RUN):
            others = any(table.startswith(TABLE) for _, table in host.tables())
            if not others and not host.translates():
                forward_no_more()

    def warnings(self) -> list[str]:
        """Say which of the host's own packet rules stop guests' packets, and what to type."""
        return [
            f"This host's firewall (table {each.table}) drops packets from guests to"
            f" {each.purpose}. Type: {each.command}"
            for each in self.blocks()
        ]

    def blocks(self) -> list[Block]:
        """Return what of the host's own packet rules stops guests' packets."""
        return blocks(self.name, self.config.metadata.port)

    def _make(self) -> None:
        if not (host.LINKS / self.name).exists():
            options = ("stp_state", "0", "forward_delay", "0")
            run("ip", "link", "add", self.name, "address", self._mac, "type", "bridge", *options)
            self.made = True
        elif not self.is_ours():
            self._refuse()
        run("ip", "link", "set", self.name, "alias", self._alias)
        self._close_ipv6()

    def _close_ipv6(self) -> None:
        """Have no IPv6: guests would reach this host's services past every rule for IPv4."""
        ipv6 = Path(IPV6_OFF.format(name=self.name))
        if ipv6.exists() and ipv6.read_text().strip() != "1":
            ipv6.write_text("1")

    def _refuse(self) -> None:
        alias = host.alias(self.name)
        owner = f"belongs to the {alias.replace(' ', ' of ', 1)}" if alias else "is not eucabox's"
        reason = (
            f"The device {self.name} {owner}. Set [network] own_bridge to a name that is free on"
            " this host."
        )
        raise NetworkUnusable(reason=reason)

    def _restore(self, subnet: IPv4Network) -> None:
        """Do anew what `start` did to the bridge and the host, where it is not so any more."""
        if not host.is_bridge(self.name):
            return
        if not host.is_up(self.name):
            run("ip", "link", "set", self.name, "up")
        self._close_ipv6()
        self._add_addresses(subnet, host.addresses_of(self.name))
        if FORWARDING.read_text().strip() != "1":
            FORWARDING.write_text("1")

    def _add_addresses(self, subnet: IPv4Network, present: set[str]) -> None:
        wanted = self._addresses(subnet)
        for address in sorted(wanted.keys() - present):
            run("ip", "addr", "add", address, "dev", self.name, *wanted[address])

    def _addresses(self, subnet: IPv4Network) -> dict[str, tuple[str, ...]]:
        own = f"{self.gateway(subnet)}/{subnet.prefixlen}"
        wanted: dict[str, tuple[str, ...]] = {own: ("scope", "global")}
        if self._metadata:
            wanted[f"{self._metadata}/32"] = ("scope", "link", "label", self.name + LABEL)
        return wanted


def metadata_address(config: Config) -> IPv4Address | None:
    """Return the address that the bridge shall bear for the metadata service, if any."""
    if not config.metadata.enabled:
        return None
    address = ip_address(config.metadata.address)
    if isinstance(address, IPv4Address) and address.is_link_local:
        return address
    return None


def refuse_if_used(metadata: IPv4Address | None) -> None:
    """Raise NetworkUnusable if this host would lose something by having the address."""
    use = host.use_of(metadata) if metadata else None
    if use:
        reason = (
            f"This host reaches {use} at {metadata}, which eucabox would take for its instances."
            " Set [metadata] enabled = no to do without."
        )
        raise NetworkUnusable(reason=reason)


@contextmanager
def explain_refusals() -> Iterator[None]:
    """Turn what the host refuses into NetworkUnusable with what to do."""
    try:
        yield
    except OSError as problem:
        raise NetworkUnusable(reason=f"{NOT_ALLOWED} ({problem})") from None
    except ProgramFailed as problem:
        if "not permitted" not in problem.message:
            raise
        raise NetworkUnusable(reason=NOT_ALLOWED) from None


def forward() -> None:
    """Let this host pass packets on, remembering until its next boot that it did not."""
    if FORWARDING.read_text().strip() == "1":
        return
    make_folder(RUN, 0o755)
    write_atomic(RUN / "ip_forward", b"0\n")
    FORWARDING.write_text("1")


def forward_no_more() -> None:
    """Undo `forward`, if it did something."""
    memory = RUN / "ip_forward"
    if memory.exists():
        FORWARDING.write_text("0")
        memory.unlink()
