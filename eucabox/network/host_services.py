"""What instances reach on this host's own addresses, as a table for nft; pure, runs nothing.

Only DHCP, DNS, metadata and, where it is open to them, the API; the administrator may name more.
Packets are looked at before their receiver is rewritten, so that what containers publish counts
too, and once more where they arrive, for those to many receivers.

The metadata service listens on a port of eucabox's own, and guests' requests to port 80 of its
address are brought there: any other program may have the host's port 80.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_address

from eucabox.config import Config, words
from eucabox.network.api_door import find_door, is_open_to_others

METADATA_PORT = 80  # where guests ask


@dataclass(frozen=True)
class Guests:
    """How guests' packets are recognised: by a bridge of their own, or by their addresses on a
    shared bridge."""

    bridge: str
    addresses: Sequence[str] | None = None


def render(config: Config, guests: Guests, subnet: IPv4Network | None = None) -> str:
    """Return the table's sets and chains; with NAT to other networks for a `subnet`."""
    theirs = f'iifname "{guests.bridge}"'
    guest_set = ""
    if guests.addresses is not None:
        elements = f"elements = {{ {', '.join(guests.addresses)} }}" if guests.addresses else ""
        theirs, guest_set = "ip saddr @guests", f"set guests {{\n type ipv4_addr\n {elements}\n}}\n"
    lines = "\n    ".join(_services(config, subnet))
    return f"""{guest_set}
  chain services {{
    {lines}
  }}
  chain prerouting {{
    type filter hook prerouting priority mangle; policy accept;
    {theirs} fib daddr type local goto services
  }}
  chain input {{
    type filter hook input priority filter; policy accept;
    {theirs} goto services
  }}
{_redirection(config, guests.bridge)}
{_translation(guests.bridge, subnet) if subnet else ""}"""


def _services(config: Config, subnet: IPv4Network | None) -> list[str]:
    metadata = f"ip daddr {config.metadata.address} tcp dport" if _address(config) else ""
    ports = sorted({METADATA_PORT, config.metadata.port})
    return [
        "ct state established,related accept",
        "udp sport 68 udp dport 67 accept",
        "meta l4proto { tcp, udp } th dport 53 accept",
        *([f"{metadata} {{ {', '.join(map(str, ports))} }} accept"] if metadata else []),
        *_api(config, subnet),
        *(f"{_match(each)} accept".strip() for each in words(config.network.host_services)),
        "drop",
    ]


def _api(config: Config, subnet: IPv4Network | None) -> list[str]:
    """The API, where it listens for other machines than this one, and guests' own door to it."""
    if not config.api.guests:
        return []
    listen = ip_address(config.api.listen)
    ports = ", ".join(str(port) for port in (config.api.port, config.api.https_port) if port)
    places = ["" if listen.is_unspecified else f"ip daddr {listen} "]
    if not is_open_to_others(config):
        places.clear()
    if subnet and (door := find_door(config, subnet)):
        places.append(f"ip daddr {door} ")
    return [f"{where}tcp dport {{ {ports} }} accept" for where in places]


def _match(service: str) -> str:
    """Return what to match for `tcp/22`, `udp/5000-5010`, `icmp` or `all`."""
    protocol, _, ports = service.partition("/")
    if protocol == "all":
        return ""
    return f"{protocol} dport {ports}" if ports else f"meta l4proto {protocol}"


def _redirection(config: Config, bridge: str) -> str:
    if not _address(config) or config.metadata.port == METADATA_PORT:
        return ""
    request = f'iifname "{bridge}" ip daddr {config.metadata.address} tcp dport {METADATA_PORT}'
    return f"""
  chain metadata {{
    type nat hook prerouting priority dstnat; policy accept;
    {request} dnat to :{config.metadata.port}
  }}"""


def _address(config: Config) -> bool:
    """Tell whether guests reach the metadata service at an address of this host."""
    address = ip_address(config.metadata.address)
    return config.metadata.enabled and address.version == 4 and not address.is_loopback


def _translation(bridge: str, subnet: IPv4Network) -> str:
    return f"""
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {subnet} ip daddr 224.0.0.0/4 return
    ip saddr {subnet} ip daddr != {subnet} oifname != "{bridge}" masquerade
  }}"""
