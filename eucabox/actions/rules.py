"""Rules of security groups: authorize, revoke, describe; the network enforces them."""

import ipaddress
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, TypedDict

from eucabox import groups, tags, vpc
from eucabox.actions import Call, Result, action
from eucabox.errors import (
    GroupNotFound,
    GroupRuleNotFound,
    InvalidParameterCombination,
    InvalidParameterValue,
    MissingParameter,
    PermissionExists,
    PermissionMalformed,
    PermissionNotFound,
    RulesLimitExceeded,
)
from eucabox.filters import Filter, page, select
from eucabox.members import check_text
from eucabox.state import Row
from eucabox.tags import TagSpecification

MOST_RULES = 1000
PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "all": "-1"}
NAMED = ("tcp", "udp", "icmp", "icmpv6", "-1")
# The first client speaks this version and sends every rule that has a source group with a range
# of everywhere as well, which nobody asked for. A request like that means the group alone.
EVERYWHERE_BESIDE_GROUPS = "2015-10-01"
FILTERS = {
    "group-id": "group_id",
    "security-group-rule-id": "security_group_rule_id",
}


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
    prefix_list_ids: Sequence[Any]


@dataclass(frozen=True)
class Rule:
    """One rule as its columns; two rules are the same whatever their descriptions."""

    ip_protocol: str
    from_port: int | None
    to_port: int | None
    cidr_ipv4: str | None = None
    cidr_ipv6: str | None = None
    referenced_group_id: str | None = None
    referenced_user_id: str | None = None

    def __str__(self) -> str:
        peer = self.cidr_ipv4 or self.cidr_ipv6 or self.referenced_group_id
        ports = (
            ""
            if self.from_port is None
            else f", from port: {self.from_port}, to port: {self.to_port}"
        )
        return f"peer: {peer}, protocol: {self.ip_protocol}{ports}"


Described = dict[Rule, str]


@action()
def authorize_security_group_ingress(
    call: Call,
    *,
    group_id: str = "",
    group_name: str = "",
    ip_permissions: Sequence[Permission] = (),
    ip_protocol: str = "",
    from_port: int | None = None,
    to_port: int | None = None,
    cidr_ip: str = "",
    source_security_group_name: str = "",
    source_security_group_owner_id: str = "",
    tag_specifications: Sequence[TagSpecification] = (),
) -> Result:
    """Let packets in; all the rules of the request or none."""
    tags.specified(tag_specifications, "security-group-rule")
    single = _single(ip_protocol, from_port, to_port, cidr_ip, source_security_group_name)
    return _authorize(call, False, (group_id, group_name), ip_permissions, single)


@action()
def authorize_security_group_egress(
    call: Call,
    *,
    group_id: str,
    ip_permissions: Sequence[Permission] = (),
    ip_protocol: str = "",
    from_port: int | None = None,
    to_port: int | None = None,
    cidr_ip: str = "",
    source_security_group_name: str = "",
    source_security_group_owner_id: str = "",
    tag_specifications: Sequence[TagSpecification] = (),
) -> Result:
    """Let packets out; all the rules of the request or none."""
    tags.specified(tag_specifications, "security-group-rule")
    single = _single(ip_protocol, from_port, to_port, cidr_ip, source_security_group_name)
    return _authorize(call, True, (group_id, ""), ip_permissions, single)


@action()
def revoke_security_group_ingress(
    call: Call,
    *,
    group_id: str = "",
    group_name: str = "",
    security_group_rule_ids: Sequence[str] = (),
    ip_permissions: Sequence[Permission] = (),
    ip_protocol: str = "",
    from_port: int | None = None,
    to_port: int | None = None,
    cidr_ip: str = "",
    source_security_group_name: str = "",
    source_security_group_owner_id: str = "",
) -> Result:
    """Take rules for incoming packets away; all those of the request or none."""
    single = _single(ip_protocol, from_port, to_port, cidr_ip, source_security_group_name)
    group = (group_id, group_name)
    return _revoke(call, False, group, ip_permissions, single, security_group_rule_ids)


@action()
def revoke_security_group_egress(
    call: Call,
    *,
    group_id: str,
    security_group_rule_ids: Sequence[str] = (),
    ip_permissions: Sequence[Permission] = (),
    ip_protocol: str = "",
    from_port: int | None = None,
    to_port: int | None = None,
    cidr_ip: str = "",
    source_security_group_name: str = "",
    source_security_group_owner_id: str = "",
) -> Result:
    """Take rules for outgoing packets away, the default one too; all of the request or none."""
    single = _single(ip_protocol, from_port, to_port, cidr_ip, source_security_group_name)
    return _revoke(call, True, (group_id, ""), ip_permissions, single, security_group_rule_ids)


@action()
def describe_security_group_rules(
    call: Call,
    *,
    security_group_rule_ids: Sequence[str] = (),
    filters: Sequence[Filter] = (),
    max_results: int | None = None,
    next_token: str | None = None,
) -> Result:
    """List rules one by one, by id."""
    state = call.cloud.state
    mine = [row["group_id"] for row in groups.of_account(state, call.account_id)]
    rows = groups.rules(state, mine)
    if security_group_rule_ids:
        rows = _by_ids(rows, security_group_rule_ids)
    rows = select(rows, filters, FILTERS)
    shown, token = page(
        rows, lambda row: str(row["security_group_rule_id"]), max_results, next_token
    )
    return {"security_group_rules": [_view(row) for row in shown], "next_token": token}


def _single(
    ip_protocol: str, from_port: int | None, to_port: int | None, cidr_ip: str, source: str
) -> list[Permission]:
    """Return the older way to name one rule as a permission, or nothing."""
    if not (ip_protocol or cidr_ip or source):
        return []
    found: Permission = {"ip_protocol": ip_protocol or ("-1" if source else "")}
    if from_port is not None:
        found["from_port"] = from_port
    if to_port is not None:
        found["to_port"] = to_port
    if cidr_ip:
        found["ip_ranges"] = [{"cidr_ip": cidr_ip}]
    if source:
        found["user_id_group_pairs"] = [{"group_name": source}]
    return [found]


def _authorize(
    call: Call,
    is_egress: bool,
    group: tuple[str, str],
    permissions: Sequence[Permission],
    single: list[Permission],
) -> Result:
    state = call.cloud.state
    with state.transaction():
        row = _group(call, group)
        asked = _rules(call, permissions, single)
        known = groups.rules(state, [row["group_id"]])
        _refuse_known(row, asked, _of_direction(known, is_egress))
        if len(known) + len(asked) > MOST_RULES:
            raise RulesLimitExceeded(most=MOST_RULES)
        made = [
            groups.add_rule(
                state, row["group_id"], is_egress=is_egress, **asdict(rule), description=text
            )
            for rule, text in asked.items()
        ]
    call.cloud.node.wake()
    shown = [_view({**rule, "group_owner_id": row["account_id"]}) for rule in made]
    return {"return": True, "security_group_rules": shown}


def _revoke(
    call: Call,
    is_egress: bool,
    group: tuple[str, str],
    permissions: Sequence[Permission],
    single: list[Permission],
    rule_ids: Sequence[str],
) -> Result:
    state = call.cloud.state
    with state.transaction() as database:
        row = _group(call, group)
        known = _of_direction(groups.rules(state, [row["group_id"]]), is_egress)
        if rule_ids:
            gone = _by_ids(known, rule_ids)
        else:
            gone = _matching(row, known, _rules(call, permissions, single))
        gone_ids = json.dumps([rule["security_group_rule_id"] for rule in gone])
        database.conn.execute(
            "delete from security_group_rules where security_group_rule_id in"
            " (select value from json_each(?))",
            (gone_ids,),
        )
    call.cloud.node.wake()
    return {"return": True, "revoked_security_group_rules": [_revoked(rule) for rule in gone]}


def _group(call: Call, group: tuple[str, str]) -> Row:
    group_id, name = group
    if not group_id and not name:
        raise MissingParameter(parameter="GroupId")
    named = ([], [group_id]) if group_id else ([name], [])
    return groups.find(call.cloud.state, call.account_id, *named)[0]


def _rules(
    call: Call, permissions: Sequence[Permission], single: Sequence[Permission]
) -> Described:
    """Return every rule of a request with its description; raises for a rule named twice."""
    if permissions and single:
        reason = "Give IpPermissions, or IpProtocol with its ports and source, not both."
        raise InvalidParameterCombination(reason=reason)
    if not permissions and not single:
        raise MissingParameter(parameter="IpPermissions")
    found: Described = {}
    for permission in permissions or single:
        for rule, description in _of_permission(call, permission):
            if rule in found:
                raise PermissionExists(rule=rule, group="this request")
            found[rule] = description
    return found


def _of_permission(call: Call, permission: Permission) -> Iterable[tuple[Rule, str]]:
    protocol = _protocol(permission.get("ip_protocol", ""))
    ports = _ports(protocol, permission.get("from_port"), permission.get("to_port"))
    if permission.get("prefix_list_ids"):
        raise PermissionMalformed(reason="Prefix lists do not exist here; name the networks.")
    peers = _peers(call, permission)
    if not peers:
        raise MissingParameter(parameter="IpPermissions.IpRanges")
    for peer, description in peers:
        text = check_text("Description", description, 255, least=0)
        yield replace(Rule(protocol, *ports), **peer), text


def _peers(call: Call, permission: Permission) -> list[tuple[dict[str, Any], str]]:
    pairs = permission.get("user_id_group_pairs", ())
    ranges = permission.get("ip_ranges", ())
    if pairs and call.api_version == EVERYWHERE_BESIDE_GROUPS:
        only = [each.get("cidr_ip") for each in ranges]
        ranges = () if only == [groups.ANYWHERE] else ranges
    found = [(_pair(call, each), each.get("description", "")) for each in pairs]
    for each in ranges:
        network = _network(ipaddress.IPv4Network, each.get("cidr_ip", ""))
        found.append(({"cidr_ipv4": network}, each.get("description", "")))
    for wide in permission.get("ipv6_ranges", ()):
        network = _network(ipaddress.IPv6Network, wide.get("cidr_ipv6", ""))
        found.append(({"cidr_ipv6": network}, wide.get("description", "")))
    return found


def _pair(call: Call, pair: Pair) -> dict[str, Any]:
    group_id, name = pair.get("group_id", ""), pair.get("group_name", "")
    owner = pair.get("user_id") or call.account_id
    if not group_id and not name:
        raise MissingParameter(parameter="IpPermissions.Groups.GroupId")
    if pair.get("vpc_id") and pair["vpc_id"] != vpc.vpc_id(owner):
        raise GroupNotFound(group=group_id or name)
    named = ([], [group_id]) if group_id else ([name], [])
    known = call.cloud.accounts.by_account_id(owner)
    if known is None:
        raise GroupNotFound(group=f"{owner[:60]}/{group_id or name}"[:255])
    row = groups.find(call.cloud.state, owner, *named)[0]
    return {"referenced_group_id": row["group_id"], "referenced_user_id": owner}


def _protocol(text: str) -> str:
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


def _ports(protocol: str, low: int | None, high: int | None) -> tuple[int | None, int | None]:
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
        return kind, code
    return None, None


def _network(kind: Callable[..., Any], text: str) -> str:
    try:
        if "/" not in text:
            raise ValueError
        return str(kind(text.strip(), strict=False))
    except ValueError:
        reason = "Give a network with its prefix length, such as 10.1.0.0/16 or 2001:db8::/32."
        raise InvalidParameterValue(parameter="CidrIp", value=text[:60], reason=reason) from None


def _of_direction(rows: list[Row], is_egress: bool) -> list[Row]:
    return [row for row in rows if bool(row["is_egress"]) is is_egress]


def _refuse_known(group: Row, asked: Described, rows: list[Row]) -> None:
    known = {_rule(row) for row in rows}
    for rule in asked:
        if rule in known:
            raise PermissionExists(rule=rule, group=group["group_id"])


def _matching(group: Row, rows: list[Row], asked: Described) -> list[Row]:
    known = {_rule(row): row for row in rows}
    for rule in asked:
        if rule not in known:
            raise PermissionNotFound(rule=rule, group=group["group_id"])
    return [known[rule] for rule in asked]


def _rule(row: Row) -> Rule:
    return Rule(**{each.name: row[each.name] for each in fields(Rule)})


def _by_ids(rows: list[Row], rule_ids: Sequence[str]) -> list[Row]:
    known = {row["security_group_rule_id"]: row for row in rows}
    for rule_id in rule_ids:
        if rule_id not in known:
            raise GroupRuleNotFound(id=rule_id[:60])
    return [known[rule_id] for rule_id in dict.fromkeys(rule_ids)]


def _view(row: Row) -> dict[str, Any]:
    shown = _revoked(row)
    shown["group_owner_id"] = row["group_owner_id"]
    shown["tags"] = []
    if group_id := shown.pop("referenced_group_id", None):
        shown["referenced_group_info"] = {
            "group_id": group_id,
            "user_id": row["referenced_user_id"],
        }
    return shown


def _revoked(row: Row) -> dict[str, Any]:
    names = ("cidr_ipv4", "cidr_ipv6", "referenced_group_id", "description")
    ports = row["from_port"], row["to_port"]
    return {
        "security_group_rule_id": row["security_group_rule_id"],
        "group_id": row["group_id"],
        "is_egress": bool(row["is_egress"]),
        "ip_protocol": row["ip_protocol"],
        "from_port": -1 if ports[0] is None else ports[0],
        "to_port": -1 if ports[1] is None else ports[1],
        **{name: row[name] for name in names if row[name]},
    }
