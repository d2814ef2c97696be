"""Which of the host's own packet rules stop guests' packets, and what to type; changes none.

Rules are judged as far as they are about device, protocol, port, and state of connection: what a
rule asks beyond that is taken as not so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eucabox.network import host
from eucabox.network.host import NftChain, NftObject, NftRule

DEEPEST = 20  # jumps
OWN = "eucabox"
Packet = Mapping[str, str | int]
Chains = Mapping[str, Sequence[NftRule]]


@dataclass(frozen=True)
class Block:
    """A table that drops what guests need: `purpose` in words, `command` to type."""

    table: str
    purpose: str
    command: str


NEEDS = {  # what guests of a bridge need: hook, protocol, port
    "DHCP": ("input", "udp", 67),
    "metadata": ("input", "tcp", 0),
    "other networks": ("forward", "tcp", 443),
}


def blocks(bridge: str, metadata_port: int) -> list[Block]:
    """Return what stops packets that come in from the bridge, of every table that does."""
    blocking: list[Block] = []
    for family, name in sorted(host.tables()):
        if family not in ("ip", "inet") or name.startswith(OWN):
            continue
        listed = host.table(family, name)
        stopped = [
            need
            for need, (hook, protocol, port) in NEEDS.items()
            if _stops(
                listed,
                hook,
                {
                    "iifname": bridge,
                    "l4proto": protocol,
                    "protocol": protocol,
                    "dport": port or metadata_port,
                },
            )
        ]
        if stopped:
            inner = "other networks" in stopped, stopped[0] != "other networks"
            command = _command(f"{family} {name}", listed, bridge, *inner)
            blocking.append(Block(f"{family} {name}", " and ".join(stopped), command))
    return blocking


def _stops(listed: Sequence[NftObject], hook: str, packet: Packet) -> bool:
    chains: dict[str, list[NftRule]] = {}
    for each in listed:
        if "rule" in each:
            chains.setdefault(each["rule"]["chain"], []).append(each["rule"])
    bases = [each for each in _base_chains(listed, [hook]) if each.get("type") == "filter"]
    return any(
        (_walk(chains, base["name"], packet) or base.get("policy")) == "drop" for base in bases
    )


def _base_chains(listed: Sequence[NftObject], hooks: Sequence[str]) -> list[NftChain]:
    chains = [each["chain"] for each in listed if "chain" in each]
    return [each for each in chains if each.get("hook") in hooks]


def _walk(chains: Chains, name: str, packet: Packet, depth: int = 0) -> str:
    """Return accept or drop, or an empty string where the chain ends without a word."""
    for rule in chains.get(name, ()) if depth < DEEPEST else ():
        verdict = _verdict(rule.get("expr", ()), packet)
        if verdict is None:
            continue
        kind, target = verdict
        if kind in ("accept", "drop"):
            return kind
        if kind == "reject":
            return "drop"
        if kind == "return":
            return ""
        verdict_of_chain = _walk(chains, target, packet, depth + 1)
        if verdict_of_chain or kind == "goto":
            return verdict_of_chain
    return ""


def _verdict(expressions: Sequence[Mapping[str, object]], packet: Packet) -> tuple[str, str] | None:
    """Return what a rule does with the packet and to which chain, or None if it does nothing."""
    sure = True
    for each in expressions:
        kind, content = _first(each)
        if kind == "match":
            if not isinstance(content, dict) or not _matches(content, packet):
                return None
        elif kind == "vmap":
            return _look_up(content, packet) if isinstance(content, dict) else None
        elif kind == "xt":  # iptables' own: what kind of address or state, which nft tells not
            sure = False
        elif kind in ("accept", "drop", "return", "reject"):
            return (kind, "") if sure or kind == "return" else None
        elif kind in ("jump", "goto"):
            return (kind, content["target"]) if sure and isinstance(content, dict) else None
        elif kind not in ("counter", "log", "comment"):
            return None
    return None


def _first(expression: Mapping[str, object]) -> tuple[str, object]:
    return next(iter(expression.items()), ("", None))


def _look_up(vmap: Mapping[str, object], packet: Packet) -> tuple[str, str] | None:
    value, data = _value(vmap["key"], packet), vmap["data"]
    for key, verdict in data.get("set", ()) if isinstance(data, dict) else ():
        if value is not None and _is(key, value):
            return _verdict([verdict], packet)
    return None


def _matches(match: Mapping[str, object], packet: Packet) -> bool:
    value = _value(match["left"], packet)
    if value is None or match["op"] not in ("==", "!=", "in"):
        return False
    return _is(match["right"], value) is (match["op"] != "!=")


def _value(left: object, packet: Packet) -> str | int | None:
    """Return what the packet has there; None where that is not known."""
    for kind in ("meta", "payload"):
        if isinstance(left, dict) and kind in left:
            about = left[kind]
            if about.get("protocol") in ("tcp", "udp") and about["protocol"] != packet["protocol"]:
                return None
            return packet.get(about.get("key") or about.get("field"))
    return "new" if isinstance(left, dict) and left.get("ct", {}).get("key") == "state" else None


def _is(right: object, value: str | int) -> bool:
    if isinstance(right, list):
        return any(_is(each, value) for each in right)
    if isinstance(right, dict) and "set" in right:
        return any(_is(each, value) for each in right["set"])
    if isinstance(right, dict) and "range" in right:
        low, high = right["range"]
        return isinstance(value, int) and low <= value <= high
    if isinstance(right, str) and right.endswith("*"):
        return str(value).startswith(right[:-1])
    return bool(right == value)


def _command(
    table: str, listed: Sequence[NftObject], bridge: str, forward: bool, inside: bool
) -> str:
    """Return what to type for the program that made the table."""
    names = [each["chain"]["name"] for each in listed if "chain" in each]
    if table == "inet firewalld":
        zone = f"--zone=trusted --add-interface={bridge}"
        return f"firewall-cmd --permanent {zone} && firewall-cmd {zone}"
    if any(name.startswith("ufw-") for name in names):
        words = [f"ufw allow in on {bridge}"] * inside + [
            f"ufw route allow in on {bridge}"
        ] * forward
        return " && ".join(words)
    if "DOCKER-USER" in names and not inside:
        back = f"-o {bridge} -m conntrack --ctstate RELATED,ESTABLISHED"
        insert = "iptables -I DOCKER-USER"
        return f"{insert} -i {bridge} -j ACCEPT && {insert} {back} -j ACCEPT"
    hooks = [hook for hook, wanted in (("input", inside), ("forward", forward)) if wanted]
    return " && ".join(
        f"nft insert rule {table} {chain['name']} iifname {bridge} accept"
        for chain in _base_chains(listed, hooks)
    )
