"""The addresses that instances may have: read from the configuration or generated; pure."""

import re
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network

from eucabox.config import Config, words
from eucabox.errors import ConfigError
from eucabox.network import GuestAddress

MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
RESERVED_FIRST = 4  # the network, its gateway and, as on EC2, two more
RESERVED_LAST = 1  # broadcast


def pool(
    config: Config, subnet: IPv4Network, gateway: IPv4Address | None
) -> Iterator[GuestAddress]:
    """Yield every address that an instance may have, in the order they are given out.

    [network] addresses holds MAC=IP pairs, or a range IP-IP, or nothing: then all of the subnet.
    Raises ConfigError.
    """
    domain = domain_name(config)
    for mac, ip in _pairs(config, subnet):
        if ip != gateway:
            yield GuestAddress(mac, str(ip), f"{host_name(ip)}.{domain}")


def domain_name(config: Config) -> str:
    """Return the domain of instances' private names."""
    return f"{config.cloud.region}.internal"


def host_name(ip: IPv4Address) -> str:
    """Return the name, without a domain, of the instance at this address."""
    return "ip-" + str(ip).replace(".", "-")


def mac_for(ip: IPv4Address) -> str:
    """Return the MAC of the instance at this address, in Eucalyptus' own range d0:0d.

    An address always has the same MAC, so an earlier lease of it blocks nobody, and neighbours'
    caches stay right.
    """
    return "d0:0d:" + ip.packed.hex(":")


def _pairs(config: Config, subnet: IPv4Network) -> Iterator[tuple[str, IPv4Address]]:
    text = config.network.addresses.strip()
    if "=" in text:
        yield from _parse_pairs(config, words(text.lower()), subnet)
        return
    first, last = subnet[RESERVED_FIRST], subnet[-1 - RESERVED_LAST]
    if text:
        first, last = _range(config, text, subnet)
    for number in range(int(first), int(last) + 1):
        ip = IPv4Address(number)
        yield mac_for(ip), ip


def _parse_pairs(
    config: Config, pairs: Sequence[str], subnet: IPv4Network
) -> Iterator[tuple[str, IPv4Address]]:
    seen: set[str] = set()
    for word in pairs:
        mac, _, address = word.partition("=")
        if not MAC.fullmatch(mac) or int(mac[:2], 16) & 1:
            raise _config_error(config, word, "begins with no MAC address of a single machine")
        ip = _ip(config, address, subnet)
        if seen & {mac, address}:
            raise _config_error(config, word, "names a MAC or IP address a second time")
        seen |= {mac, address}
        yield mac, ip


def _range(config: Config, text: str, subnet: IPv4Network) -> tuple[IPv4Address, IPv4Address]:
    first, dash, last = (part.strip() for part in text.partition("-"))
    if not dash:
        raise _config_error(
            config, text, "is neither MAC=IP pairs nor a range such as A.B.C.10-A.B.C.99"
        )
    begin, end = _ip(config, first, subnet), _ip(config, last, subnet)
    if end < begin:
        raise _config_error(config, text, "ends before it begins")
    return begin, end


def _ip(config: Config, text: str, subnet: IPv4Network) -> IPv4Address:
    try:
        ip = IPv4Address(text)
    except ValueError:
        raise _config_error(config, text, "is no IPv4 address") from None
    if ip not in subnet or ip in (subnet[0], subnet[-1]):
        raise _config_error(config, text, f"is no address for a machine in {subnet}")
    return ip


def _config_error(config: Config, text: str, reason: str) -> ConfigError:
    return config.make_error("network", "addresses", f"{text[:60]!r} {reason}")
