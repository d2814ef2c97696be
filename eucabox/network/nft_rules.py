"""Security groups as text for nft: which packets pass each instance's tap; pure, runs nothing.

Everything is in one table of the bridge family, whose hooks see each frame at the tap itself,
be it bridged, routed or sent by this host. That family has no connection tracking on every
kernel, and br_netfilter, the detour by which iptables gets to see bridged frames, is a switch for
the host's own firewall too: it would push the site's other bridged traffic through that. So the
state is kept here, in sets whose elements time out. What the rules let pass is noted, and its
replies need no rule. What the note lets pass is the other direction alone, so each packet of who
began meets the rules of now; and what a revoked rule had let begin is barred from going on as a
reply to its own replies.

Fragments follow their first one. ICMP errors pass that are about a packet of the instance's own.
Instances have no IPv6, so all but ARP and IPv4 is dropped.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from eucabox.network import FilteredGuest, FirewallRule

NEW = 60  # seconds that a connection may take to be made, and is remembered after its end
TCP = 24 * 60 * 60  # seconds that a connection may be silent
UDP = 180  # seconds between two packets of a conversation
PAIR = 30  # seconds for a reply of ICMP or another protocol without ports
MARK = 0x65756361  # on what the groups let pass, between their hook and the guard's alone
GUARDED = "eucabox_guard-"  # and the bridge's name
MOST = 65536  # conversations of one instance, in each direction
FLOW = f"type ipv4_addr . inet_proto . inet_service . inet_service; size {MOST};"
PAIRS = f"type ipv4_addr . inet_proto; size {MOST}; timeout {PAIR}s;"
PARTS = f"typeof ip saddr . ip daddr . ip id . ip protocol; size {MOST}; timeout {PAIR}s;"
DYNAMIC = " flags dynamic,timeout;"
NOBODY = str(IPv4Address(0))  # the sender of a DHCP request or an ARP probe
_CLIENT = "@th,288,48"  # DHCP's client hardware address
EVERYBODY = "255.255.255.255"
PART = "ip saddr . ip daddr . ip id . ip protocol"
ERRORS = "{ destination-unreachable, time-exceeded, parameter-problem }"
ANSWERS = "{ echo-reply, timestamp-reply }"


@dataclass(frozen=True)
class AlwaysAllowed:
    """What holds for every instance: its own services, and who may answer its DHCP.

    Without `dhcp_servers` any machine may answer that is no instance.
    """

    services: tuple[FirewallRule, ...] = ()
    dhcp_servers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ruleset:
    """A table's content: the lines of each chain, and the text of each set.

    `members` are the sets that are written anew each time; the others gather what was seen.
    """

    chains: Mapping[str, Sequence[str]]
    seen: Mapping[str, str]
    members: Mapping[str, str]


@dataclass(frozen=True)
class _Way:
    """One direction through a tap, in the words that tell far from near in a packet."""

    name: str
    egress: bool
    far: str
    far_port: str
    near_port: str
    begun: str  # the set of what began this way
    other: str  # the set of what began the other way
    inner: int  # the bit of an ICMP error where the instance's address is

    @property
    def flow(self) -> str:
        return f"{self.far} . meta l4proto . {self.far_port} . {self.near_port}"

    @property
    def pair(self) -> str:
        return f"{self.far} . meta l4proto"


FROM = _Way("from", True, "ip daddr", "th dport", "th sport", "out", "in", 192)
TO = _Way("to", False, "ip saddr", "th sport", "th dport", "in", "out", 160)


def render(
    prefix: str,
    guests: Sequence[FilteredGuest],
    rules: Mapping[str, Sequence[FirewallRule]],
    ground: AlwaysAllowed,
) -> Ruleset:
    """Return what lets pass exactly what the rules of each guest's groups allow.

    Taps that begin with the prefix and are no guest's pass nothing.
    """
    chains = {"passed-from": _accept_chain("from"), "passed-to": _accept_chain("to")}
    seen = {"parts-from": PARTS + DYNAMIC, "parts-to": PARTS + DYNAMIC}
    for guest in guests:
        allowed = [
            *ground.services,
            *(rule for each in guest.groups for rule in rules.get(each, ())),
        ]
        chains |= _note_chains(guest.tap, FROM) | _note_chains(guest.tap, TO)
        chains[f"from-{guest.tap}"] = _chain_from_guest(guest, allowed, ground)
        chains[f"to-{guest.tap}"] = _chain_to_guest(guest, allowed, ground)
        for way in (FROM, TO):
            seen[f"{way.begun}-{guest.tap}"] = f"{FLOW} timeout {UDP}s;{DYNAMIC}"
            seen[f"{way.begun}-done-{guest.tap}"] = f"{FLOW} timeout {NEW}s;{DYNAMIC}"
            seen[f"{way.begun}-barred-{guest.tap}"] = f"{FLOW} timeout {UDP}s;{DYNAMIC}"
            seen[f"{way.begun}-pairs-{guest.tap}"] = PAIRS + DYNAMIC
    taps = [guest.tap for guest in guests]
    # Before the bridge learns a sender, and before any rule that rewrites a receiver.
    chains["prerouting"] = _hook("prerouting priority -310", "iifname", FROM, prefix, taps)
    chains["postrouting"] = _hook("postrouting priority 0", "oifname", TO, prefix, taps)
    chains["unmarked"] = [
        "type filter hook prerouting priority -308; policy accept;",
        f'iifname "{prefix}*" meta mark set 0',
    ]
    return Ruleset(chains, seen, _members(guests, rules))


def guard(table: str, prefix: str) -> str:
    """Return the table of a process that shuts taps while the groups' table does not mark.

    Whatever comes from a tap bears no mark, and what goes into one meets no rule after these.
    """
    return f"""table bridge {table} {{
  flags owner
  chain prerouting {{
    type filter hook prerouting priority -309; policy accept;
    iifname "{prefix}*" meta mark != {MARK} drop
  }}
  chain postrouting {{
    type filter hook postrouting priority 1; policy accept;
    oifname "{prefix}*" meta mark != {MARK} drop
  }}
}}
"""


def members(guests: Iterable[FilteredGuest], group_id: str) -> list[str]:
    """Return the addresses of a group's instances."""
    addresses = (guest.private_ip_address for guest in guests if group_id in guest.groups)
    return sorted(address for address in addresses if address)


def _hook(at: str, device: str, way: _Way, prefix: str, taps: list[str]) -> list[str]:
    jumps = ", ".join(f'"{tap}" : goto {way.name}-{tap}' for tap in taps)
    return [
        f"type filter hook {at}; policy accept;",
        f'{device} "{prefix}*" meta mark set {MARK}',
        *([f"{device} vmap {{ {jumps} }}"] if taps else []),
        f'{device} "{prefix}*" drop',
    ]


def _chain_from_guest(
    guest: FilteredGuest, rules: Sequence[FirewallRule], ground: AlwaysAllowed
) -> list[str]:
    own = guest.private_ip_address
    senders = f"{{ {NOBODY}, {own} }}" if own else NOBODY
    chaddr = guest.mac_address.replace(":", "")
    mac, servers = guest.mac_address, _servers("daddr", EVERYBODY, ground)
    return [
        f"ether saddr != {mac} drop",
        f"ether type arp arp saddr ether {mac} arp saddr ip {senders} accept",
        "ether type != ip drop",
        # Who asks in another's name could end its lease. A packet too short to tell asks nothing.
        f"ip saddr {senders} {servers}udp sport 68 udp dport 67 {_CLIENT} 0x{chaddr} accept",
        "udp dport 67 drop",
        "udp sport 67 udp dport 68 drop",
        *([f"ip saddr != {own} drop", *_filter_chain(guest, FROM, rules)] if own else []),
        "drop",
    ]


def _chain_to_guest(
    guest: FilteredGuest, rules: Sequence[FirewallRule], ground: AlwaysAllowed
) -> list[str]:
    own = guest.private_ip_address
    return [
        "ether type arp accept",
        "ether type != ip drop",
        f"{_servers('saddr', '', ground)}udp sport 67 udp dport 68 accept",
        *([f"ip daddr != {own} drop", *_filter_chain(guest, TO, rules)] if own else []),
        "drop",
    ]


def _servers(where: str, beside: str, ground: AlwaysAllowed) -> str:
    """Return what to match for packets from or to the DHCP servers, if they are known."""
    if not ground.dhcp_servers:
        return ""
    return f"ip {where} {{ {', '.join(filter(None, [beside, *ground.dhcp_servers]))} }} "


def _filter_chain(guest: FilteredGuest, way: _Way, rules: Sequence[FirewallRule]) -> list[str]:
    tap, passed = guest.tap, f"goto passed-{way.name}"
    began, pairs = f"@{way.other}-{tap}", f"@{way.other}-pairs-{tap}"
    barred = f"@{way.begun}-barred-{tap}"
    own = f"0x{int(IPv4Address(guest.private_ip_address or 0)):08x}"
    lines = [_match(rule, way) for rule in rules if rule.is_egress is way.egress]
    note = f"goto kept-{way.name}-{tap}"
    return [
        f"ip frag-off & 0x1fff != 0 {PART} @parts-{way.name} accept",
        # A request to connect answers nothing, whatever was there before.
        f"tcp flags & rst == rst {way.flow} {began} update {began} {{ {way.flow} timeout {NEW}s }}",
        f"tcp flags & (syn|ack) != syn {way.flow} {began} {passed}",
        f"meta l4proto udp {way.flow} != {barred} {way.flow} {began} {passed}",
        f"icmp type {ANSWERS} {way.pair} {pairs} {passed}",
        f"icmp type {ERRORS} @th,{way.inner},32 {own} {passed}",
        f"meta l4proto != {{ tcp, udp, icmp }} {way.pair} {pairs} {passed}",
        *dict.fromkeys(f"{line} {note}".strip() for line in lines if line is not None),
    ]


def _note_chains(tap: str, way: _Way) -> dict[str, list[str]]:
    """Note what a rule let pass. A connection is begun by a request to connect alone: else the
    rest of one that was revoked would begin it again from its other end."""
    flows, done, flow = f"@{way.begun}-{tap}", f"@{way.begun}-done-{tap}", way.flow
    ending, going = "tcp flags & (fin|rst) != 0", "tcp flags & (fin|syn|rst) == 0"
    return {
        f"kept-{way.name}-{tap}": [
            f"tcp flags & (fin|syn|rst|ack) == syn update {flows} {{ {flow} timeout {NEW}s }}",
            f"{ending} {flow} {flows} update {done} {{ {flow} }}",
            f"{ending} {flow} {flows} update {flows} {{ {flow} timeout {NEW}s }}",
            # The last packet of a connection is none that ends it.
            f"{going} {flow} {flows} {flow} {done} update {flows} {{ {flow} timeout {NEW}s }}",
            f"{going} {flow} {flows} {flow} != {done} update {flows} {{ {flow} timeout {TCP}s }}",
            f"meta l4proto udp update {flows} {{ {flow} timeout {UDP}s }}",
            f"meta l4proto != {{ tcp, udp }} update @{way.begun}-pairs-{tap} {{ {way.pair} }}",
            f"goto passed-{way.name}",
        ]
    }


def _accept_chain(name: str) -> list[str]:
    return [f"ip frag-off & 0x3fff == 0x2000 update @parts-{name} {{ {PART} }}", "accept"]


def _match(rule: FirewallRule, way: _Way) -> str | None:
    """Return the rule as what to match; None for one that no IPv4 packet matches."""
    kind = _kind(rule)
    if kind is None:
        return None
    if rule.group_id:
        return f"{way.far} @{rule.group_id} {kind}"
    if rule.cidr is None:
        return None
    return f"{kind}" if rule.cidr.endswith("/0") else f"{way.far} {rule.cidr} {kind}"


def _kind(rule: FirewallRule) -> str | None:
    low, high = rule.from_port, rule.to_port
    if rule.protocol == "-1":
        return ""
    if rule.protocol == "icmpv6":
        return None
    if rule.protocol == "icmp" and low not in (None, -1):
        return f"icmp type {low}" + (f" icmp code {high}" if high not in (None, -1) else "")
    if rule.protocol in ("tcp", "udp") and (low, high) not in ((None, None), (0, 65535)):
        return f"{rule.protocol} dport {low}" + (f"-{high}" if high != low else "")
    return f"meta l4proto {rule.protocol}"


def _members(
    guests: Sequence[FilteredGuest], rules: Mapping[str, Sequence[FirewallRule]]
) -> dict[str, str]:
    used = {rule.group_id for each in rules.values() for rule in each if rule.group_id}
    sets = {}
    for group_id in sorted(used):
        addresses = members(guests, group_id)
        elements = f" elements = {{ {', '.join(addresses)} }};" if addresses else ""
        sets[group_id] = f"type ipv4_addr;{elements}"
    return sets
