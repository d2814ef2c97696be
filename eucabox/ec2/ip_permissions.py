"""Parses the IpPermissions of requests into the columns of security group rules."""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict, TypeVar

from eucabox import ascii_text
from eucabox.ec2 import default_vpc, security_groups
from eucabox.ec2.security_groups import PeerColumns
from eucabox.errors import (
    GroupIdMalformed,
    GroupNotFound,
    GroupRuleNotFound,
    InvalidParameterCombination,
    InvalidParameterValue,
    MissingParameter,
    PermissionExists,
    PermissionMalformed,
    PermissionNotFound,
)
from eucabox.schema import SecurityGroupRow, SecurityGroupRuleRow
from eucabox.state import State
from eucabox.validation import check_ascii

PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "all": "-1"}
ACCOUNT = re.compile("[0-9]{12}")
NAMED = ("tcp", "udp", "icmp", "icmpv6", "-1")
# euca2ools uses this version and adds 0.0.0.0/0 to every rule with a source group; drop it.
EVERYWHERE_BESIDE_GROUPS = "2015-10-01"


class Pair(TypedDict, total=False):
    """A source group: its id, or its name in the caller's account."""

    user_id: str
    group_name: str
    group_id: str
    description: str
    vpc_id: str


class IpRange(TypedDict, total=False):
    """An IPv4 network."""

    cidr_ip: str
    description: str


class Ipv6Range(TypedDict, total=False):
    """An IPv6 network."""

    cidr_ipv6: str
    description: str


class Permission(TypedDict, total=False):
    """A protocol with ports and the peers it is for."""

    ip_protocol: str
    from_port: int
    to_port: int
    user_id_group_pairs: Sequence[Pair]
    ip_ranges: Sequence[IpRange]
    ipv6_ranges: Sequence[Ipv6Range]
    prefix_list_ids: Sequence[object]


@dataclass(frozen=True)
class PermissionRule:
    """One rule as its columns; two rules are the same whatever their descriptions."""

    ip_protocol: str
    from_port: int | None
    to_port: int | None
    cidr_ipv4: str | None = None
    cidr_ipv6: str | None = None
    referenced_group_id: str | None = None
    referenced_user_id: str | None = None
    referenced_name: str | None = None  # of another account's group, which may not exist

    def __str__(self) -> str:
        peer = self.cidr_ipv4 or self.cidr_ipv6 or self.referenced_group_id
        peer = peer or f"{self.referenced_user_id}/{self.referenced_name}"
        ports = (
            ""
            if self.from_port is None
            else f", from port: {self.from_port}, to port: {self.to_port}"
        )
        return f"peer: {peer}, protocol: {self.ip_protocol}{ports}"


Rule = TypeVar("Rule", bound=SecurityGroupRuleRow)
Described = dict[PermissionRule, str]


@dataclass(frozen=True)
class PermissionContext:
    """Whose request is parsed: the account, the API version, and where groups are stored."""

    state: State
    account_id: str
    api_version: str


def group_of(context: PermissionContext, group: tuple[str, str]) -> SecurityGroupRow:
    """Return the account's group with this id or, if that is empty, with this name."""
    group_id, name = group
    if not group_id and not name:
        raise MissingParameter(parameter="GroupId")
    names_and_ids = ([], [group_id]) if group_id else ([name], [])
    return security_groups.find(context.state, context.account_id, *names_and_ids)[0]


def parse(
    context: PermissionContext,
    permissions: Sequence[Permission],
    single: Sequence[Permission],
    check_texts: bool = True,
) -> Described:
    """Return every rule of a request with its description; raises for a rule named twice.

    `check_texts` checks the descriptions; without it, rules from before that check are accepted.
    """
    if permissions and single:
        reason = "Give IpPermissions, or IpProtocol with its ports and source, not both."
        raise InvalidParameterCombination(reason=reason)
    if not permissions and not single:
        raise MissingParameter(parameter="IpPermissions")
    rules: Described = {}
    for permission in permissions or single:
        for rule, description in _read_permission(context, permission):
            if rule in rules:
                raise PermissionExists(rule=rule, group="this request")
            rules[rule] = check_description(description) if check_texts else description
    return rules


def _read_permission(
    context: PermissionContext, permission: Permission
) -> Iterable[tuple[PermissionRule, str]]:
    protocol = _read_protocol(permission.get("ip_protocol", ""))
    ports = _read_ports(protocol, permission.get("from_port"), permission.get("to_port"))
    if permission.get("prefix_list_ids"):
        raise PermissionMalformed(reason="Prefix lists do not exist here; name the networks.")
    peers = _read_peers(context, permission)
    if not peers:
        raise MissingParameter(parameter="IpPermissions.IpRanges")
    for peer, description in peers:
        yield replace(PermissionRule(protocol, *ports), **peer), description


def check_description(text: str) -> str:
    """Return the description of a rule; raises InvalidParameterValue."""
    return check_ascii("Description", text, 255, least=0)


def _read_peers(
    context: PermissionContext, permission: Permission
) -> list[tuple[PeerColumns, str]]:
    pairs = permission.get("user_id_group_pairs", ())
    ranges = permission.get("ip_ranges", ())
    if pairs and context.api_version == EVERYWHERE_BESIDE_GROUPS:
        only = [each.get("cidr_ip") for each in ranges]
        ranges = () if only == [security_groups.ANYWHERE] else ranges
    peers = [(_read_pair(context, each), each.get("description", "")) for each in pairs]
    for each in ranges:
        network = _read_network("CidrIp", ipaddress.IPv4Network, each.get("cidr_ip", ""))
        peers.append(({"cidr_ipv4": network}, each.get("description", "")))
    for wide in permission.get("ipv6_ranges", ()):
        network = _read_network("CidrIpv6", ipaddress.IPv6Network, wide.get("cidr_ipv6", ""))
        peers.append(({"cidr_ipv6": network}, wide.get("description", "")))
    return peers


def _read_pair(context: PermissionContext, pair: Pair) -> PeerColumns:
    group_id, name = pair.get("group_id", ""), pair.get("group_name", "")
    owner = pair.get("user_id") or context.account_id
    if not group_id and not name:
        raise MissingParameter(parameter="IpPermissions.Groups.GroupId")
    if pair.get("vpc_id") and pair["vpc_id"] != default_vpc.vpc_id(owner):
        raise GroupNotFound(group=group_id or name)
    if owner != context.account_id:
        return _refer_to_other_account(owner, group_id, name)
    names_and_ids = ([], [group_id]) if group_id else ([name], [])
    row = security_groups.find(context.state, owner, *names_and_ids)[0]
    return {"referenced_group_id": row["group_id"], "referenced_user_id": owner}


def _refer_to_other_account(owner: str, group_id: str, name: str) -> PeerColumns:
    """Return a reference to another account's group, by id or name as it was given.

    Whether there is such an account or group is its owner's to know: nothing is looked up.
    """
    if not ACCOUNT.fullmatch(owner):
        raise GroupNotFound(group=f"{owner[:60]}/{group_id or name}"[:255])
    if group_id or security_groups.ID.fullmatch(name):
        if not security_groups.ID.fullmatch(group_id or name):
            raise GroupIdMalformed(id=group_id[:60])
        return {"referenced_group_id": group_id or name, "referenced_user_id": owner}
    check_ascii("GroupName", name, 255)
    return {"referenced_name": name, "referenced_user_id": owner}


def _read_protocol(text: str) -> str:
    word = text.lower()
    word = PROTOCOLS.get(word, word)
    if word in NAMED:
        return word
    if word.isascii() and word.isdigit() and len(word) <= 3 and int(word) <= 255:
        return PROTOCOLS.get(str(int(word)), str(int(word)))
    if not word:
        raise MissingParameter(parameter="IpProtocol")
    reason = "Give tcp, udp, icmp, icmpv6, a protocol number up to 255, or -1 for all."
    raise InvalidParameterValue(parameter="IpProtocol", value=text[:60], reason=reason)


def _read_ports(protocol: str, low: int | None, high: int | None) -> tuple[int | None, int | None]:
    """Return the ports of tcp and udp, the type and code of icmp, or none."""
    if protocol in ("tcp", "udp"):
        if low is None or high is None:
            raise PermissionMalformed(reason="tcp and udp need both FromPort and ToPort.")
        if not 0 <= low <= high <= 65535:
            raise PermissionMalformed(reason=f"{low} to {high} is not a range of ports 0 to 65535.")
        return low, high
    if protocol in ("icmp", "icmpv6"):
        kind, code = (-1 if low is None else low), (-1 if high is None else high)
        if not (-1 <= kind <= 255 and -1 <= code <= 255):
            raise PermissionMalformed(reason="An ICMP type and code are from -1 (any) to 255.")
        if kind == -1 and code != -1:
            reason = "If you specify all ICMP types (-1), you must specify all ICMP codes (-1)."
            raise PermissionMalformed(reason=reason)
        return kind, code
    return None, None


Network = type[ipaddress.IPv4Network] | type[ipaddress.IPv6Network]
OTHERS: dict[str, tuple[Network, str]] = {
    "CidrIp": (ipaddress.IPv6Network, "It is an IPv6 network: give it as Ipv6Ranges.CidrIpv6."),
    "CidrIpv6": (ipaddress.IPv4Network, "It is an IPv4 network: give it as IpRanges.CidrIp."),
}


def _read_network(parameter: str, kind: Network, text: str) -> str:
    network = _normalize_network(kind, text)
    if network is None:
        other, reason = OTHERS[parameter]
        if _normalize_network(other, text) is None:
            reason = "Give a network with its prefix length, such as 10.1.0.0/16 or 2001:db8::/32."
        raise InvalidParameterValue(parameter=parameter, value=text[:60], reason=reason)
    return network


def _normalize_network(kind: Network, text: str) -> str | None:
    try:
        return str(kind(ascii_text.strip(text), strict=False)) if "/" in text else None
    except ValueError:
        return None


def rules_in_direction(rows: list[Rule], is_egress: bool) -> list[Rule]:
    """Return the ingress rules, or the egress rules."""
    return [row for row in rows if bool(row["is_egress"]) is is_egress]


def raise_if_exists(
    group: SecurityGroupRow, new_rules: Described, rows: Sequence[SecurityGroupRuleRow]
) -> None:
    """Raise PermissionExists if the group has one of the rules already."""
    present = {rule_of(row) for row in rows}
    for rule in new_rules:
        if rule in present:
            raise PermissionExists(rule=rule, group=group["group_id"])


def find_matching(group: SecurityGroupRow, rows: list[Rule], wanted_rules: Described) -> list[Rule]:
    """Return the rows of these rules; raises PermissionNotFound if one does not exist."""
    by_rule = {rule_of(row): row for row in rows}
    for rule in wanted_rules:
        if rule not in by_rule:
            raise PermissionNotFound(rule=rule, group=group["group_id"])
    return [by_rule[rule] for rule in wanted_rules]


def rule_of(row: SecurityGroupRuleRow) -> PermissionRule:
    """Return a row as a rule."""
    return PermissionRule(
        ip_protocol=row["ip_protocol"],
        from_port=row["from_port"],
        to_port=row["to_port"],
        cidr_ipv4=row["cidr_ipv4"],
        cidr_ipv6=row["cidr_ipv6"],
        referenced_group_id=row["referenced_group_id"],
        referenced_user_id=row["referenced_user_id"],
        referenced_name=row["referenced_name"],
    )


def get_by_ids(rows: list[Rule], rule_ids: Sequence[str]) -> list[Rule]:
    """Return the rows of these ids; raises GroupRuleNotFound."""
    by_id = {row["security_group_rule_id"]: row for row in rows}
    for rule_id in rule_ids:
        if rule_id not in by_id:
            raise GroupRuleNotFound(id=rule_id[:60])
    return [by_id[rule_id] for rule_id in dict.fromkeys(rule_ids)]
