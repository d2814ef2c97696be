"""Changes of rules that are there: their description, or all that a rule says; keeps its id."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TypedDict

from eucabox.actions import Call, Result, action
from eucabox.ec2 import ip_permissions as permissions
from eucabox.ec2.ip_permissions import Permission
from eucabox.errors import MissingParameter, PermissionExists, PermissionMalformed
from eucabox.state import Row


class RuleDescription(TypedDict, total=False):
    """A rule's id with its new description."""

    security_group_rule_id: str
    description: str


class RuleRequest(TypedDict, total=False):
    """All that a rule says, with one peer."""

    ip_protocol: str
    from_port: int
    to_port: int
    cidr_ipv4: str
    cidr_ipv6: str
    referenced_group_id: str
    description: str


class RuleUpdate(TypedDict, total=False):
    """A rule's id with what it says from now on."""

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
    """Describe rules for what comes in anew; no description is an empty one."""
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
    """Describe rules for what goes out anew; no description is an empty one."""
    described = security_group_rule_descriptions
    return _describe(call, True, (group_id, group_name), ip_permissions, described)


@action()
def modify_security_group_rules(
    call: Call, *, group_id: str, security_group_rules: Sequence[RuleUpdate]
) -> Result:
    """Let rules of a group say something else; all of the request or none."""
    if not security_group_rules:
        raise MissingParameter(parameter="SecurityGroupRule")
    with call.cloud.state.transaction():
        group = permissions.group_of(_asker(call), (group_id, ""))
        for update in security_group_rules:
            _modify(call, group, update)
    call.cloud.node.wake()
    return {"return": True}


def _describe(
    call: Call,
    is_egress: bool,
    group: tuple[str, str],
    asked: Sequence[Permission],
    described: Sequence[RuleDescription],
) -> Result:
    asker = _asker(call)
    with asker.state.transaction():
        row = permissions.group_of(asker, group)
        known = permissions.rules_in_direction(_rules(asker, row), is_egress)
        texts = {each.get("security_group_rule_id", ""): each for each in described}
        for rule in permissions.get_by_ids(known, list(texts)):
            rule_id = rule["security_group_rule_id"]
            _write(asker, rule_id, description=_read_text(texts[rule_id]))
        if asked or not described:
            rules = permissions.parse(asker, asked, [])
            found = permissions.find_matching(row, known, rules)
            for rule, text in zip(found, rules.values(), strict=True):
                _write(asker, rule["security_group_rule_id"], description=text)
    return {"return": True}


def _modify(call: Call, group: Row, update: RuleUpdate) -> None:
    asker = _asker(call)
    known = _rules(asker, group)
    (old,) = permissions.get_by_ids(known, [update.get("security_group_rule_id", "")])
    said = permissions.parse(asker, [_permission(update.get("security_group_rule", {}))], [])
    (rule,) = said
    same = [each for each in known if each["is_egress"] == old["is_egress"] and each is not old]
    if rule in (permissions.rule_of(each) for each in same):
        raise PermissionExists(rule=rule, group=group["group_id"])
    _write(asker, old["security_group_rule_id"], **asdict(rule), description=said[rule])


def _permission(said: RuleRequest) -> Permission:
    """Return one rule in the form of a permission; its description goes with its peer."""
    peers = [said.get(name) for name in ("cidr_ipv4", "cidr_ipv6", "referenced_group_id")]
    if len([each for each in peers if each]) != 1:
        reason = "A rule has one of CidrIpv4, CidrIpv6 and ReferencedGroupId."
        raise PermissionMalformed(reason=reason)
    found: Permission = {"ip_protocol": said.get("ip_protocol", "")}
    text = said.get("description", "")
    if "from_port" in said:
        found["from_port"] = said["from_port"]
    if "to_port" in said:
        found["to_port"] = said["to_port"]
    if said.get("cidr_ipv4"):
        found["ip_ranges"] = [{"cidr_ip": said["cidr_ipv4"], "description": text}]
    elif said.get("cidr_ipv6"):
        found["ipv6_ranges"] = [{"cidr_ipv6": said["cidr_ipv6"], "description": text}]
    else:
        pair = {"group_id": said["referenced_group_id"], "description": text}
        found["user_id_group_pairs"] = [pair]  # type: ignore[list-item]
    return found


def _rules(asker: permissions.PermissionContext, group: Row) -> list[Row]:
    sql = "select * from security_group_rules where group_id = ? order by rowid"
    return asker.state.query(sql, (group["group_id"],))


def _write(asker: permissions.PermissionContext, rule_id: str, **columns: object) -> None:
    asker.state.update("security_group_rules", {"security_group_rule_id": rule_id}, **columns)


def _read_text(described: RuleDescription) -> str:
    return permissions.check_description(described.get("description", ""))


def _asker(call: Call) -> permissions.PermissionContext:
    return permissions.PermissionContext(call.cloud.state, call.account_id, call.api_version)
