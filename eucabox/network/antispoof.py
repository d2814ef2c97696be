"""Packet rules on the way in that keep each guest to its own MAC and off others' addresses.

What is learnt from DHCP and ARP can be believed because of them; they open nothing and are no
security group.
"""

from collections.abc import Mapping
from ipaddress import IPv4Address

from eucabox.network import host
from eucabox.network.bindings import KnownAddress
from eucabox.network.bridge import TABLE
from eucabox.network.nft_table import Table

SUFFIX = "-taps"


class AntiSpoofTable:
    """The table of one bridge; made anew, in one step, whenever something in it changes."""

    def __init__(self, bridge: str, metadata: IPv4Address | None) -> None:
        self._bridge = bridge
        self._metadata = metadata
        self._table = Table("bridge", TABLE + bridge + SUFFIX)

    def make(self, guests: Mapping[str, KnownAddress]) -> None:
        """Allow each of these guests, by MAC, only its own address."""
        self._table.make(_rules(guests, self._metadata, host.mac_of(self._bridge)))

    def remove(self) -> None:
        """Take the table away."""
        self._table.remove()


def _rules(
    guests: Mapping[str, KnownAddress], metadata: IPv4Address | None, bridge_mac: str
) -> str:
    jumps = ", ".join(f'"{each.tap}" : jump {each.tap}' for each in guests.values())
    addresses = ", ".join(sorted(each.ip for each in guests.values() if each.ip))
    taps = ", ".join(f'"{each.tap}"' for each in guests.values())
    chains = "".join(_chain(mac, known) for mac, known in guests.items())
    stranger = f"iifname != {{ {taps} }} " if taps else ""
    # The metadata service answers who sends from an instance's address, by its tap alone.
    closed = f"{stranger}ether daddr {bridge_mac} ip daddr {metadata} drop" if metadata else ""
    return f"""
  set held {{
    type ipv4_addr
    {f"elements = {{ {addresses} }}" if addresses else ""}
  }}
{chains}
  chain prerouting {{
    type filter hook prerouting priority -310; policy accept;
    {f"iifname vmap {{ {jumps} }}" if jumps else ""}
  }}
  chain input {{
    type filter hook input priority 0; policy accept;
    {closed}
  }}
"""


def _chain(mac: str, known: KnownAddress) -> str:
    """Refuse another's MAC, a DHCP server's answers, DHCP for another, another's address."""
    own_ip = f"ip saddr != {known.ip} " if known.ip else ""
    own_arp = f"arp saddr ip != {known.ip} " if known.ip else ""
    return f"""
  chain {known.tap} {{
    ether saddr != {mac} drop
    arp saddr ether != {mac} drop
    udp sport 67 drop
    udp dport 67 @th,288,48 != 0x{mac.replace(":", "")} drop
    ip saddr @held {own_ip}drop
    arp saddr ip @held {own_arp}drop
  }}"""
