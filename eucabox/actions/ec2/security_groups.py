"""Security groups: CreateSecurityGroup, DescribeSecurityGroups, DeleteSecurityGroup."""

from collections.abc import Callable, Sequence
from typing import NotRequired, TypedDict

from eucabox.actions import Call, Result, action
from eucabox.ec2 import default_vpc, security_groups, tags
from eucabox.ec2.filters import Columns, Filter, page, select
from eucabox.ec2.security_groups import ListedRule
from eucabox.ec2.tags import TagSpecification
from eucabox.errors import (
    GroupExists,
    GroupInUse,
    GroupNotDeletable,
    GroupReserved,
    InvalidParameterValue,
    MissingParameter,
    VpcNotFound,
)
from eucabox.schema import SecurityGroupRow
from eucabox.validation import check_ascii

VERBOSE = "verbose"  # for the administrator: of every account


class DescribedGroup(SecurityGroupRow):
    """A group with its rules and tags."""

    rules: list[ListedRule]
    tags: list[dict[str, str]]


class ApiPermission(TypedDict):
    """A protocol with ports and all its peers, as the API shows them."""

    ip_protocol: str
    from_port: NotRequired[int]
    to_port: NotRequired[int | None]
    user_id_group_pairs: list[dict[str, str | None]]
    ip_ranges: list[dict[str, str]]
    ipv6_ranges: list[dict[str, str]]
    prefix_list_ids: list[object]


@action()
def create_security_group(
    call: Call,
    *,
    group_name: str,
    description: str,
    vpc_id: str = "",
    tag_specifications: Sequence[TagSpecification] = (),
) -> Result:
    """Create a security group: no ingress, all egress allowed."""
    _check_names(call, group_name, description, vpc_id)
    new_tags = tags.from_specifications(tag_specifications, "security-group")
    state = call.cloud.state
    with state.transaction():
        groups = security_groups.ensure_and_list(state, call.account_id)
        if group_name in (row["group_name"] for row in groups):
            raise GroupExists(name=group_name)
        security_groups.check_limit(call.limits, len(groups))
        row = security_groups.create(state, call.account_id, group_name, description)
        tags.write(state, call.account_id, row["group_id"], new_tags)
    return {"return": True, "group_id": row["group_id"], "tags": tags.to_api(new_tags)}


@action()
def describe_security_groups(
    call: Call,
    *,
    group_names: Sequence[str] = (),
    group_ids: Sequence[str] = (),
    filters: Sequence[Filter] = (),
    max_results: int | None = None,
    next_token: str | None = None,
) -> Result:
    """List the account's security groups with their rules, by id."""
    rows = _list(call, group_names, group_ids)
    groups = select(_attach_rules_and_tags(call, rows), filters, FILTERS)
    page_rows, token = page(groups, lambda row: str(row["group_id"]), max_results, next_token)
    return {"security_groups": [_to_api(row) for row in page_rows], "next_token": token}


@action()
def delete_security_group(call: Call, *, group_id: str = "", group_name: str = "") -> Result:
    """Delete a group that no living instance and no other group's rule uses."""
    if not group_id and not group_name:
        raise MissingParameter(parameter="GroupId")
    state = call.cloud.state
    with state.transaction() as database:
        names_and_ids = ([], [group_id]) if group_id else ([group_name], [])
        (row,) = security_groups.find(state, call.account_id, *names_and_ids)
        if row["group_name"] == security_groups.DEFAULT:
            raise GroupNotDeletable(name=row["group_name"])
        _refuse_used(call, row)
        rules = security_groups.rules(state, [row["group_id"]])
        for table in ("instance_groups", "security_groups"):
            database.conn.execute(f"delete from {table} where group_id = ?", (row["group_id"],))
        tags.forget(state, row["group_id"], *(rule["security_group_rule_id"] for rule in rules))
    return {"return": True, "group_id": row["group_id"]}


def _list(call: Call, names: Sequence[str], group_ids: Sequence[str]) -> list[SecurityGroupRow]:
    """Return the named groups, or all of the account's, or for `verbose` those of all accounts.

    If the account has a group of that name, `verbose` is only its name.
    """
    state = call.cloud.state
    own = security_groups.ensure_and_list(state, call.account_id)
    own_names = {row["group_name"] for row in own}
    names_and_ids = [
        [each for each in words if each != VERBOSE or each in own_names]
        for words in (names, group_ids)
    ]
    if any(names_and_ids):
        return security_groups.find(state, call.account_id, *names_and_ids)
    if VERBOSE in (*names, *group_ids) and call.user.admin:
        return security_groups.list_all(state)
    return own


def _check_names(call: Call, name: str, description: str, vpc_id: str) -> None:
    check_ascii("GroupName", name, 255)
    check_ascii("GroupDescription", description, 255)
    if name == security_groups.DEFAULT:
        raise GroupReserved(name=name)
    if name.startswith("sg-"):
        reason = "A name can't begin like an ID."
        raise InvalidParameterValue(parameter="GroupName", value=name[:60], reason=reason)
    if vpc_id and vpc_id != default_vpc.vpc_id(call.account_id):
        raise VpcNotFound(id=vpc_id[:60])


def _refuse_used(call: Call, row: SecurityGroupRow) -> None:
    """Raise GroupInUse if an instance or another group of the account uses the group.

    Rules of other accounts don't count; they match nothing from then on.
    """
    used = call.cloud.state.query(
        """select instance_id as user from instance_groups join instances using (instance_id)
          where group_id = :id and state <> 'terminated'
          union select r.group_id from security_group_rules r
          join security_groups g on g.group_id = r.group_id
          where r.referenced_group_id = :id and r.group_id <> :id and g.account_id = :account""",
        {"id": row["group_id"], "account": row["account_id"]},
    )
    if used:
        users = ", ".join(each["user"] for each in used[:5])
        raise GroupInUse(id=row["group_id"], users=users)


def _attach_rules_and_tags(call: Call, rows: list[SecurityGroupRow]) -> list[DescribedGroup]:
    group_ids = [row["group_id"] for row in rows]
    tags_by_id = tags.tags_of(call.cloud.state, group_ids)
    by_group: dict[str, list[ListedRule]] = {}
    for rule in security_groups.rules(call.cloud.state, group_ids):
        by_group.setdefault(rule["group_id"], []).append(rule)
    return [
        {
            **row,
            "tags": tags_by_id.get(row["group_id"], []),
            "rules": by_group.get(row["group_id"], []),
        }
        for row in rows
    ]


def _to_api(row: DescribedGroup) -> Result:
    return {
        "group_id": row["group_id"],
        "group_name": row["group_name"],
        "description": row["description"],
        "owner_id": row["account_id"],
        "vpc_id": default_vpc.vpc_id(row["account_id"]),
        "ip_permissions": _permissions_to_api(row["rules"], is_egress=False),
        "ip_permissions_egress": _permissions_to_api(row["rules"], is_egress=True),
        "tags": row["tags"],
    }


def _permissions_to_api(rules: list[ListedRule], is_egress: bool) -> list[ApiPermission]:
    """Return rules as the API's IpPermissions: one per protocol and ports, with all its peers."""
    permissions: dict[tuple[str, int | None, int | None], ApiPermission] = {}
    for rule in rules:
        if bool(rule["is_egress"]) is is_egress:
            key = (rule["ip_protocol"], rule["from_port"], rule["to_port"])
            permission = permissions.setdefault(key, _permission_to_api(rule))
            _add_peer(permission, rule)
    return list(permissions.values())


def _permission_to_api(rule: ListedRule) -> ApiPermission:
    permission: ApiPermission = {
        "ip_protocol": rule["ip_protocol"],
        "user_id_group_pairs": [],
        "ip_ranges": [],
        "ipv6_ranges": [],
        "prefix_list_ids": [],
    }
    if rule["from_port"] is not None:
        permission["from_port"], permission["to_port"] = rule["from_port"], rule["to_port"]
    return permission


def _add_peer(permission: ApiPermission, rule: ListedRule) -> None:
    described = {"description": rule["description"]} if rule["description"] else {}
    if rule["cidr_ipv4"]:
        permission["ip_ranges"].append({"cidr_ip": rule["cidr_ipv4"], **described})
    elif rule["cidr_ipv6"]:
        permission["ipv6_ranges"].append({"cidr_ipv6": rule["cidr_ipv6"], **described})
    else:
        pair = {
            "user_id": rule["referenced_user_id"],
            "group_id": rule["referenced_group_id"],
            # euca2ools reads the name of every pair, even of a deleted group.
            "group_name": rule["referenced_group_name"] or "",
        }
        permission["user_id_group_pairs"].append({**pair, **described})


def _read_rules(column: str, is_egress: bool) -> Callable[[DescribedGroup], list[object]]:
    return lambda row: [
        {**rule}[column] for rule in row["rules"] if bool(rule["is_egress"]) is is_egress
    ]


IP = "ip-permission"
RULE_COLUMNS = {
    "cidr": "cidr_ipv4",
    "ipv6-cidr": "cidr_ipv6",
    "from-port": "from_port",
    "to-port": "to_port",
    "protocol": "ip_protocol",
    "group-id": "referenced_group_id",
    "group-name": "referenced_group_name",
    "user-id": "referenced_user_id",
}
FILTERS: Columns[DescribedGroup] = {
    "description": "description",
    "group-id": "group_id",
    "group-name": "group_name",
    "owner-id": "account_id",
    "vpc-id": lambda row: default_vpc.vpc_id(row["account_id"]),
    **{f"{IP}.{name}": _read_rules(each, False) for name, each in RULE_COLUMNS.items()},
    f"{IP}.prefix-list-id": None,
    f"egress.{IP}.prefix-list-id": None,
    **{f"egress.{IP}.{name}": _read_rules(each, True) for name, each in RULE_COLUMNS.items()},
}
