"""Rules of security groups: authorize, revoke, describe; the network enforces them."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar

from eucabox.actions import Call, Result, action
from eucabox.ec2 import ip_permissions as permissions
from eucabox.ec2 import security_groups, tags
from eucabox.ec2.filters import Filter, page, select
from eucabox.ec2.ip_permissions import Permission
from eucabox.ec2.security_groups import DescribedRule
from eucabox.ec2.tags import TagSpecification
from eucabox.schema import SecurityGroupRuleRow

FILTERS = {
    "group-id": "group_id",
    "security-group-rule-id": "security_group_rule_id",
}


@dataclass(frozen=True, kw_only=True)
class NamedRules:
    """The members that describe rules: a list of permissions, or the older members of one rule."""

    ip_permissions: Sequence[Permission] = ()
    ip_protocol: str = ""
    from_port: int | None = None
    to_port: int | None = None
    cidr_ip: str = ""
    source_security_group_name: str = ""
    source_security_group_owner_id: str = ""


@dataclass(frozen=True, kw_only=True)
class IngressRequest(NamedRules):
    """Rules for incoming packets, of a group that is named by its id or its name."""

    group_id: str = ""
    group_name: str = ""


@dataclass(frozen=True, kw_only=True)
class EgressRequest(NamedRules):
    """Rules for outgoing packets, of a group that is named by its id alone."""

    group_id: str
    group_name: ClassVar[str] = ""


@dataclass(frozen=True, kw_only=True)
class AuthorizeIngressRequest(IngressRequest):
    """The members of AuthorizeSecurityGroupIngress."""

    tag_specifications: Sequence[TagSpecification] = ()


@dataclass(frozen=True, kw_only=True)
class AuthorizeEgressRequest(EgressRequest):
    """The members of AuthorizeSecurityGroupEgress."""

    tag_specifications: Sequence[TagSpecification] = ()


@dataclass(frozen=True, kw_only=True)
class RevokeIngressRequest(IngressRequest):
    """The members of RevokeSecurityGroupIngress."""

    security_group_rule_ids: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class RevokeEgressRequest(EgressRequest):
    """The members of RevokeSecurityGroupEgress."""

    security_group_rule_ids: Sequence[str] = ()


@action()
def authorize_security_group_ingress(call: Call, members: AuthorizeIngressRequest) -> Result:
    """Let packets in; all the rules of the request or none."""
    return _authorize(call, False, members)


@action()
def authorize_security_group_egress(call: Call, members: AuthorizeEgressRequest) -> Result:
    """Let packets out; all the rules of the request or none."""
    return _authorize(call, True, members)


@action()
def revoke_security_group_ingress(call: Call, members: RevokeIngressRequest) -> Result:
    """Take rules for incoming packets away; all those of the request or none."""
    return _revoke(call, False, members)


@action()
def revoke_security_group_egress(call: Call, members: RevokeEgressRequest) -> Result:
    """Take rules for outgoing packets away, the default one too; all of the request or none."""
    return _revoke(call, True, members)


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
    group_ids = [row["group_id"] for row in security_groups.ensure_and_list(state, call.account_id)]
    rows = security_groups.rules(state, group_ids)
    if security_group_rule_ids:
        rows = permissions.get_by_ids(rows, security_group_rule_ids)
    tags_by_id = tags.tags_of(state, [row["security_group_rule_id"] for row in rows])
    for row in rows:
        row["tags"] = tags_by_id.get(row["security_group_rule_id"], [])
    rows = select(rows, filters, FILTERS)
    page_rows, token = page(
        rows, lambda row: str(row["security_group_rule_id"]), max_results, next_token
    )
    return {"security_group_rules": [_to_api(row) for row in page_rows], "next_token": token}


def _read_single_rule(request: NamedRules) -> list[Permission]:
    """Return the one rule of the older members as a permission; an empty list without one."""
    name = request.source_security_group_name
    if not (request.ip_protocol or request.cidr_ip or name):
        return []
    permission: Permission = {"ip_protocol": request.ip_protocol or ("-1" if name else "")}
    if request.from_port is not None:
        permission["from_port"] = request.from_port
    if request.to_port is not None:
        permission["to_port"] = request.to_port
    if request.cidr_ip:
        permission["ip_ranges"] = [{"cidr_ip": request.cidr_ip}]
    if name:
        owner = request.source_security_group_owner_id
        permission["user_id_group_pairs"] = [{"group_name": name, "user_id": owner}]
    return [permission]


def _authorize(
    call: Call, is_egress: bool, request: AuthorizeIngressRequest | AuthorizeEgressRequest
) -> Result:
    new_tags = tags.from_specifications(request.tag_specifications, "security-group-rule")
    single = _read_single_rule(request)
    state = call.cloud.state
    with state.transaction():
        row = permissions.group_of(_context(call), (request.group_id, request.group_name))
        parsed = permissions.parse(_context(call), request.ip_permissions, single)
        group_rules = security_groups.rules(state, [row["group_id"]])
        same_direction = permissions.rules_in_direction(group_rules, is_egress)
        permissions.raise_if_exists(row, parsed, same_direction)
        security_groups.check_rules_limit(call.limits, len(group_rules) + len(parsed))
        added = [
            security_groups.add_rule(
                state, row["group_id"], is_egress=is_egress, **asdict(rule), description=text
            )
            for rule, text in parsed.items()
        ]
        for rule_row in added:
            tags.write(state, call.account_id, rule_row["security_group_rule_id"], new_tags)
    call.cloud.node.wake()
    api_tags = tags.to_api(new_tags)
    api_rules = [
        _to_api({**rule, "group_owner_id": row["account_id"], "tags": api_tags}) for rule in added
    ]
    return {"return": True, "security_group_rules": api_rules}


def _revoke(
    call: Call, is_egress: bool, request: RevokeIngressRequest | RevokeEgressRequest
) -> Result:
    single = _read_single_rule(request)
    state = call.cloud.state
    with state.transaction() as database:
        row = permissions.group_of(_context(call), (request.group_id, request.group_name))
        every_rule = security_groups.rules(state, [row["group_id"]])
        group_rules = permissions.rules_in_direction(every_rule, is_egress)
        if request.security_group_rule_ids:
            matches = permissions.get_by_ids(group_rules, request.security_group_rule_ids)
        else:
            parsed = permissions.parse(
                _context(call), request.ip_permissions, single, check_texts=False
            )
            matches = permissions.find_matching(row, group_rules, parsed)
        match_ids = [rule["security_group_rule_id"] for rule in matches]
        database.conn.execute(
            "delete from security_group_rules where security_group_rule_id in"
            " (select value from json_each(?))",
            (json.dumps(match_ids),),
        )
        tags.forget(state, *match_ids)
    call.cloud.node.wake()
    return {
        "return": True,
        "revoked_security_group_rules": [_revoked_to_api(rule) for rule in matches],
    }


def _context(call: Call) -> permissions.PermissionContext:
    return permissions.PermissionContext(call.cloud.state, call.account_id, call.api_version)


def _to_api(row: DescribedRule) -> Result:
    rule = {**_revoked_to_api(row)}
    rule["group_owner_id"] = row["group_owner_id"]
    rule["tags"] = row["tags"]
    group_id = rule.pop("referenced_group_id", None)
    if row["referenced_user_id"]:
        rule["referenced_group_info"] = {
            "group_id": group_id,
            "user_id": row["referenced_user_id"],
        }
    return rule


def _revoked_to_api(row: SecurityGroupRuleRow) -> Result:
    texts = {
        "cidr_ipv4": row["cidr_ipv4"],
        "cidr_ipv6": row["cidr_ipv6"],
        "referenced_group_id": row["referenced_group_id"],
        "description": row["description"],
    }
    ports = row["from_port"], row["to_port"]
    return {
        "security_group_rule_id": row["security_group_rule_id"],
        "group_id": row["group_id"],
        "is_egress": bool(row["is_egress"]),
        "ip_protocol": row["ip_protocol"],
        "from_port": -1 if ports[0] is None else ports[0],
        "to_port": -1 if ports[1] is None else ports[1],
        **{name: text for name, text in texts.items() if text},
    }
