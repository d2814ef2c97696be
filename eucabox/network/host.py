"""What this host's network looks like now; reads, never changes."""

import ipaddress
import json
import socket
import time
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import NotRequired, TypedDict, cast

from eucabox.errors import ProgramFailed
from eucabox.run import run

LINKS = Path("/sys/class/net")
NEIGHBOURS = Path("/proc/net/arp")
BRIDGED = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
REVERSE_PATH = "/proc/sys/net/ipv4/conf/{name}/rp_filter"
RESOLVERS = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
MTU = 1500
READS = 3  # of a list that can't be read, as rules and devices change meanwhile
READ_PAUSE = 0.1  # seconds
SPECIFIC = 8  # shorter routes are default ones in disguise, as VPN clients set them


class IpAddress(TypedDict):
    """An address of a link, as iproute2 has it."""

    local: str
    prefixlen: int


class IpObject(TypedDict, total=False):
    """A route or a link, as iproute2 has it."""

    dev: str
    type: str
    dst: str
    gateway: str
    addr_info: list[IpAddress]


class NftChain(TypedDict):
    """A chain as nft has it; a base chain has the last three too."""

    family: str
    table: str
    name: str
    hook: NotRequired[str]
    type: NotRequired[str]
    policy: NotRequired[str]


class NftRule(TypedDict):
    """A rule as nft has it: its chain, and one expression after another by its kind."""

    chain: str
    expr: NotRequired[list[dict[str, object]]]


class NftConcat(TypedDict):
    """An element's parts; of tracked connections: peer, protocol, the peer's port, our port."""

    concat: tuple[str, str | int, int, int]


class NftTimed(TypedDict):
    """An element that ends some day."""

    val: NftConcat
    expires: NotRequired[int]  # seconds


class NftElement(TypedDict):
    """An element of a set that tracks connections."""

    elem: NftTimed


class NftSet(TypedDict):
    """A set as nft has it."""

    table: str
    name: str
    elem: NotRequired[list[NftElement]]


class NftObject(TypedDict, total=False):
    """One object of a table: a chain, a rule, a set or an element."""

    chain: NftChain
    rule: NftRule
    set: NftSet


def list_occupied(except_for: str) -> dict[IPv4Network, str]:
    """Return the networks and addresses in use, and by what; a device's own are left out."""
    occupied = {}
    for route in _ip("-4", "route", "show", "table", "all"):
        device = route.get("dev", route.get("type", "a route"))
        network = _network(route.get("dst", ""))
        if network and network.prefixlen >= SPECIFIC and device != except_for:
            occupied[network] = str(device)
    for resolver in resolvers():
        occupied.setdefault(IPv4Network(resolver), "a name server of this host")
    return occupied


def address_in(subnet: IPv4Network, device: str) -> IPv4Address | None:
    """Return the device's address in a subnet, or None."""
    own = (IPv4Address(each.partition("/")[0]) for each in addresses_of(device))
    return next((address for address in own if address in subnet), None)


def use_of(address: IPv4Address) -> str | None:
    """Return what this host itself reaches at an address that is not its own, or None."""
    if address in resolvers():
        return "its name server"
    routes = _ip("-4", "route", "show", "table", "all", "root", f"{address}/32")
    if any(each.get("type") != "local" for each in routes):
        return "the metadata service of the cloud that it runs in"
    return None


def addresses_of(device: str) -> set[str]:
    """Return the device's IPv4 addresses, each with its prefix length."""
    links = _ip("-4", "addr", "show", "dev", device)
    infos = [each for link in links for each in link.get("addr_info", ())]
    return {f"{each['local']}/{each['prefixlen']}" for each in infos}


def gateway(device: str) -> IPv4Address | None:
    """Return the default gateway behind a device, or None."""
    for route in _ip("-4", "route", "show", "default", "dev", device):
        if "gateway" in route:
            return IPv4Address(route["gateway"])
    return None


def uplink_mtu() -> int:
    """Return how long packets may be on the way to the default gateway, in bytes."""
    for route in _ip("-4", "route", "show", "default"):
        mtu = LINKS / str(route.get("dev")) / "mtu"
        if mtu.exists():
            return min(MTU, int(mtu.read_text()))
    return MTU


def resolvers() -> list[IPv4Address]:
    """Return the host's name servers that another machine can reach too."""
    for file in RESOLVERS:
        words = [line.split() for line in _lines(file)]
        servers = [line[1] for line in words if line[:1] == ["nameserver"] and len(line) > 1]
        reachable = [address for each in servers if (address := _reachable(each))]
        if reachable:
            return reachable
    return []


def neighbour(address: str, device: str) -> str | None:
    """Return the MAC that the kernel sends packets for this address to, or None."""
    return neighbours(device).get(address)


def neighbours(device: str) -> dict[str, str]:
    """Return the MACs that the kernel sends packets to by a device, by address."""
    words = [line.split() for line in _lines(NEIGHBOURS)[1:]]
    return {line[0]: line[3].lower() for line in words if len(line) == 6 and line[5] == device}


def ports(bridge: str) -> set[str]:
    """Return the devices on a bridge; none where there is no such bridge."""
    folder = LINKS / bridge / "brif"
    return {each.name for each in folder.iterdir()} if folder.is_dir() else set()


def has_heard(device: str) -> bool:
    """Tell whether anything came in by a device: by a tap that is what its guest sent."""
    count = _lines(LINKS / device / "statistics" / "rx_packets")
    return bool(count) and int(count[0]) > 0


def is_own(address: IPv4Address) -> bool:
    """Tell whether this host has an address, on any device."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
    return not address.is_unspecified


def filters_bridged() -> bool:
    """Tell whether packets that are only bridged meet this host's rules for forwarded ones."""
    return _lines(BRIDGED) == ["1"]


def checks_way_back(device: str) -> bool:
    """Tell whether the host drops packets whose sender it would not reach by the same device."""
    checks = (REVERSE_PATH.format(name=name) for name in ("all", device))
    return max(int((_lines(Path(each)) or ["0"])[0]) for each in checks) == 1


def is_bridge(name: str) -> bool:
    """Tell whether there is a bridge of that name."""
    return (LINKS / name / "bridge").is_dir()


def exists(name: str) -> bool:
    """Tell whether there is a link of that name."""
    return (LINKS / name).exists()


def is_up(name: str) -> bool:
    """Tell whether a link is switched on."""
    flags = _lines(LINKS / name / "flags")
    return bool(flags) and int(flags[0], 16) & 1 == 1


def alias(name: str) -> str:
    """Return the note that a link bears; empty without one, or without such a link."""
    return "".join(_lines(LINKS / name / "ifalias")).strip()


def mac_of(name: str) -> str:
    """Return a link's MAC address."""
    return (LINKS / name / "address").read_text().strip()


def tables() -> set[tuple[str, str]]:
    """Return the family and name of every table of packet rules."""
    # Not by JSON: nft 1.0 writes rubbish there for a table that belongs to a process.
    lines = run("nft", "list", "tables").decode("utf-8", "replace").splitlines()
    words = [line.split() for line in lines]
    return {(line[1], line[2]) for line in words if line[:1] == ["table"] and len(line) > 2}


def translates() -> bool:
    """Tell whether a rule of this host replaces the source address of packets (NAT)."""
    rules = run("nft", "-t", "list", "ruleset").decode("utf-8", "replace").lower()
    return "masquerade" in rules or "snat" in rules


def table(family: str, name: str) -> list[NftObject]:
    """Return what a table of packet rules is made of, as nft names it; no set's elements."""
    try:
        return _nft("-t", "list", "table", family, name)
    except ProgramFailed:
        # nft 1.0 writes freed memory for the flags of a table that is dormant or a process' own.
        chains = [each["chain"] for each in _nft("list", "chains") if "chain" in each]
        names = [
            each["name"] for each in chains if (each["family"], each["table"]) == (family, name)
        ]
        return [
            each for chain in names for each in _nft("-t", "list", "chain", family, name, chain)
        ]


def listing(family: str, name: str) -> bytes:
    """Return a table of packet rules as nft writes it, without elements and counters; empty
    where there is no such table."""
    try:
        return run("nft", "-s", "-t", "list", "table", family, name)
    except ProgramFailed:
        if (family, name) in tables():
            raise
        return b""


def elements(family: str, table: str) -> dict[str, list[NftElement]]:
    """Return the elements of every set of a table, by the set's name."""
    listed = _nft("list", "sets", family)
    sets = [each["set"] for each in listed if "set" in each]
    return {each["name"]: each.get("elem", []) for each in sets if each["table"] == table}


def tables_that_drop(hook: str) -> list[str]:
    """Return the tables whose base chain at a hook drops what no rule accepts."""
    chains = [each["chain"] for each in _nft("list", "chains") if "chain" in each]
    chains = [each for each in chains if each["family"] in ("ip", "inet")]
    chains = [each for each in chains if each.get("hook") == hook]
    return [f"{each['family']} {each['table']}" for each in chains if each["policy"] == "drop"]


def is_port_taken(address: IPv4Address, port: int) -> bool:
    """Tell whether another program has this UDP port, at this address or at all of them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), port))
        except OSError:
            return True
    return False


def _ip(*words: str) -> list[IpObject]:
    return cast(list[IpObject], _json_of("ip", "-j", *words) or [])


def _nft(*words: str) -> list[NftObject]:
    listed = _json_of("nft", "-j", *words)
    if not isinstance(listed, dict) or not isinstance(listed.get("nftables"), list):
        raise ProgramFailed(program="nft", status=0, reason="it listed no rules")
    return [cast(NftObject, each) for each in listed["nftables"] if isinstance(each, dict)]


def _json_of(*argv: str) -> object:
    """Return what a program lists; where that can't be read, it is asked again."""
    for attempt in range(READS):
        if attempt:
            time.sleep(READ_PAUSE)
        output = run(*argv).decode("utf-8", "replace").strip()
        try:
            # Where rules changed meanwhile, nft begins again on another line.
            listed: object = json.loads(output.splitlines()[-1]) if output else None
            return listed
        except ValueError:
            continue
    reason = f"what it wrote for {' '.join(argv[1:])} is not JSON"
    raise ProgramFailed(program=argv[0], status=0, reason=reason)


def _network(text: str) -> IPv4Network | None:
    try:
        return IPv4Network(text)
    except ValueError:  # "default", or a destination of another family
        return None


def _reachable(text: str) -> IPv4Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if not isinstance(address, IPv4Address) or address.is_loopback or address.is_unspecified:
        return None
    return address


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
