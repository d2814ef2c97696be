"""Tracked connections of our table: finds those that no rule allows any more; pure.

A tracked connection lets replies pass for as long as a day. When a rule is removed, the replies
must stop too.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network

from eucabox.network import FilteredGuest, FirewallRule
from eucabox.network.host import NftElement
from eucabox.network.nft_rules import FROM, TO, members

NUMBERS = {"tcp": "6", "udp": "17"}
_network = lru_cache(1000)(IPv4Network)


@dataclass(frozen=True)
class Permit:
    """A rule with its group resolved to the addresses that it has now."""

    is_egress: bool
    protocol: str
    ports: tuple[int, int] | None
    networks: tuple[str, ...]

    def allows(self, protocol: str, peer: IPv4Address, port: int) -> bool:
        """Tell whether a connection of this kind may begin."""
        if self.protocol not in ("-1", protocol, NUMBERS[protocol]):
            return False
        if self.ports and not self.ports[0] <= port <= self.ports[1]:
            return False
        return any(peer in _network(each) for each in self.networks)


def permits(
    guests: Sequence[FilteredGuest],
    rules: Mapping[str, Sequence[FirewallRule]],
    services: Iterable[FirewallRule],
) -> dict[str, frozenset[Permit]]:
    """Return what each guest's rules permit, by tap."""
    always = [_permit(rule, guests) for rule in services]
    by_group = {name: [_permit(rule, guests) for rule in each] for name, each in rules.items()}
    return {
        guest.tap: frozenset(
            [*always, *(each for name in guest.groups for each in by_group.get(name, ()))]
        )
        for guest in guests
    }


def select_ended(
    tap: str, permits: Iterable[Permit], listed: Mapping[str, Sequence[NftElement]]
) -> Iterator[tuple[str, str]]:
    """Yield way (in or out) and element, as nft writes it, of what nothing permits any more.

    `listed` is the table's sets by name, their elements as nft's JSON has them.
    """
    for way in (FROM, TO):
        name = f"{way.begun}-{tap}"
        fit = [each for each in permits if each.is_egress is way.egress]
        for element in listed.get(name, ()):
            peer, protocol, far, near = element["elem"]["val"]["concat"]
            port = far if way.egress else near
            if not any(each.allows(str(protocol), IPv4Address(peer), port) for each in fit):
                yield way.begun, f"{peer} . {protocol} . {far} . {near}"


def _permit(rule: FirewallRule, guests: Sequence[FilteredGuest]) -> Permit:
    ports = None
    if rule.protocol in NUMBERS and rule.from_port is not None and rule.to_port is not None:
        ports = rule.from_port, rule.to_port
    networks = [rule.cidr] if rule.cidr else []
    if rule.group_id:
        networks = members(guests, rule.group_id)
    return Permit(rule.is_egress, rule.protocol, ports, tuple(networks))
