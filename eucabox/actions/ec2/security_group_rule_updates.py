"""Updates existing security group rules, or only their descriptions; a rule keeps its id."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TypedDict

from eucabox.actions import Call, Result, action
from eucabox.ec2 import ip_permissions as permissions
from eucabox.ec2.ip_permissions import Pair, Permission
from eucabox.errors import MissingParameter, PermissionExists, PermissionMalformed
from eucabox.schema import SecurityGroupRow, SecurityGroupRuleRow


class RuleDescription(TypedDict, total=False):
    """A rule's id with its new description."""

    security_group_rule_id: str
    description: str


class RuleRequest(TypedDict, total=False):
    """A whole rule, with one peer."""

    ip_protocol: str
    from_port: int
    to_port: int
    cidr_ipv4: str
    cidr_ipv6: str
    referenced_group_id: str
    description: str


class RuleUpdate(TypedDict, total=False):
    """A rule's id with its new content."""

    security_group_rule_id: str
    security_group_rule: RuleRequest


@action()
def update_security_group_rule_descriptions_ingress(
    call: Call,
    *,
    group_id: str = "",
    group_name: str = "",
    ip_permissions: Sequence[Permission] = (),
    security_group_rule_descriptions: Sequence[RuleDescription] = (),
) -> Result:
    """Set the descriptions of ingress rules; no description is an empty one."""
    described = security_group_rule_descriptions
    return _describe(call, False, (group_id, group_name), ip_permissions, described)


@action()
def update_security_group_rule_descriptions_egress(
    call: Call,
    *,
    group_id: str = "",
    group_name: str = "",
    ip_permissions: Sequence[Permission] = (),
    security_group_rule_descriptions: Sequence[RuleDescription] = (),
) -> Result:
    """Set the descriptions of egress rules; no description is an empty one."""
    described = security_group_rule_descriptions
    return _describe(call, True, (group_id, group_name), ip_permissions, described)


@action()
def modify_security_group_rules(
    call: Call, *, group_id: str, security_group_rules: Sequence[RuleUpdate]
) -> Result:
    """Replace rules of a group; all of the request or none."""
    if not security_group_rules:
        raise MissingParameter(parameter="SecurityGroupRule")
    with call.cloud.state.transaction():
        group = permissions.group_of(_context(call), (group_id, ""))
        for update in security_group_rules:
            _modify(call, group, update)
    call.cloud.node.wake()
    return {"return": True}


def _describe(
    call: Call,
    is_egress: bool,
    group: tuple[str, str],
    ip_permissions: Sequence[Permission],
    descriptions: Sequence[RuleDescription],
) -> Result:
    context = _context(call)
    with context.state.transaction():
        row = permissions.group_of(context, group)
        group_rules = permissions.rules_in_direction(_list_rules(context, row), is_egress)
        texts = {each.get("security_group_rule_id", ""): each for each in descriptions}
        for rule in permissions.get_by_ids(group_rules, list(texts)):
            rule_id = rule["security_group_rule_id"]
            text = texts[rule_id].get("description", "")
            _write(context, rule_id, description=permissions.check_description(text))
        if ip_permissions or not descriptions:
            rules = permissions.parse(context, ip_permissions, [])
            matches = permissions.find_matching(row, group_rules, rules)
            for rule, text in zip(matches, rules.values(), strict=True):
                _write(context, rule["security_group_rule_id"], description=text)
    return {"return": True}


def _modify(call: Call, group: SecurityGroupRow, update: RuleUpdate) -> None:
    context = _context(call)
    group_rules = _list_rules(context, group)
    (old,) = permissions.get_by_ids(group_rules, [update.get("security_group_rule_id", "")])
    parsed = permissions.parse(context, [_to_permission(update.get("security_group_rule", {}))], [])
    (rule,) = parsed
    others = [
        each for each in group_rules if each["is_egress"] == old["is_egress"] and each is not old
    ]
    if rule in (permissions.rule_of(each) for each in others):
        raise PermissionExists(rule=rule, group=group["group_id"])
    _write(context, old["security_group_rule_id"], **asdict(rule), description=parsed[rule])


def _to_permission(members: RuleRequest) -> Permission:
    """Return one rule in the form of a permission; its description goes with its peer."""
    peers = [members.get(name) for name in ("cidr_ipv4", "cidr_ipv6", "referenced_group_id")]
    if len([each for each in peers if each]) != 1:
        reason = "A rule has one of CidrIpv4, CidrIpv6 and ReferencedGroupId."
        raise PermissionMalformed(reason=reason)
    permission: Permission = {"ip_protocol": members.get("ip_protocol", "")}
    text = members.get("description", "")
    if "from_port" in members:
        permission["from_port"] = members["from_port"]
    if "to_port" in members:
        permission["to_port"] = members["to_port"]
    if members.get("cidr_ipv4"):
        permission["ip_ranges"] = [{"cidr_ip": members["cidr_ipv4"], "description": text}]
    elif members.get("cidr_ipv6"):
        permission["ipv6_ranges"] = [{"cidr_ipv6": members["cidr_ipv6"], "description": text}]
    else:
        pair: Pair = {"group_id": members["referenced_group_id"], "description": text}
        permission["user_id_group_pairs"] = [pair]
    return permission


def _list_rules(
    context: permissions.PermissionContext, group: SecurityGroupRow
) -> list[SecurityGroupRuleRow]:
    sql = "select * from security_group_rules where group_id = ? order by rowid"
    return context.state.select(SecurityGroupRuleRow, sql, (group["group_id"],))


def _write(context: permissions.PermissionContext, rule_id: str, **columns: object) -> None:
    context.state.update("security_group_rules", {"security_group_rule_id": rule_id}, **columns)


def _context(call: Call) -> permissions.PermissionContext:
    return permissions.PermissionContext(call.cloud.state, call.account_id, call.api_version)
