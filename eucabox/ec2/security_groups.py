"""Security groups as rows: finds them and creates the default one; filters no packets."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import NotRequired, TypedDict, Unpack

from eucabox import ids
from eucabox.config import LimitsSection
from eucabox.errors import (
    GroupIdMalformed,
    GroupNotFound,
    RulesLimitExceeded,
    SecurityGroupLimitExceeded,
)
from eucabox.schema import SecurityGroupRow, SecurityGroupRuleRow
from eucabox.state import State

DEFAULT = "default"
ID = re.compile(r"sg-([0-9a-f]{8}|[0-9a-f]{17})")
ANYWHERE = "0.0.0.0/0"


class DescribedRule(SecurityGroupRuleRow):
    """A rule with the account of its group."""

    group_owner_id: str
    tags: NotRequired[list[dict[str, str]]]


class ListedRule(DescribedRule):
    """A rule with the name of the group that it refers to."""

    referenced_group_name: str | None


class PeerColumns(TypedDict, total=False):
    """The other side of a rule: a range of addresses or a group."""

    cidr_ipv4: str | None
    cidr_ipv6: str | None
    referenced_group_id: str | None
    referenced_user_id: str | None
    referenced_name: str | None


class RuleColumns(PeerColumns, total=False):
    """What a rule may have beside its id, group and direction."""

    ip_protocol: str
    from_port: int | None
    to_port: int | None
    description: str


def ensure_and_list(state: State, account_id: str) -> list[SecurityGroupRow]:
    """Return the account's groups by name; a missing `default` group is created."""
    sql = "select * from security_groups where account_id = ? order by group_name"
    rows = state.select(SecurityGroupRow, sql, (account_id,))
    if any(row["group_name"] == DEFAULT for row in rows):
        return rows
    with state.transaction(for_good=True):
        if not any(row["group_name"] == DEFAULT for row in state.query(sql, (account_id,))):
            row = create(state, account_id, DEFAULT, "default group")
            add_rule(
                state,
                row["group_id"],
                is_egress=False,
                referenced_group_id=row["group_id"],
                referenced_user_id=account_id,
            )
    return state.select(SecurityGroupRow, sql, (account_id,))


def list_all(state: State) -> list[SecurityGroupRow]:
    """Return the groups of all accounts."""
    sql = "select * from security_groups order by account_id, group_name"
    return state.select(SecurityGroupRow, sql)


def find(
    state: State, account_id: str, names: Sequence[str] = (), group_ids: Sequence[str] = ()
) -> list[SecurityGroupRow]:
    """Return the named groups, each once, in the order asked; raises GroupNotFound.

    A name that is a group id is accepted too, as euca2ools sends ids as names.
    """
    groups = ensure_and_list(state, account_id)
    by_id = {row["group_id"]: row for row in groups}
    by_name = {row["group_name"]: row for row in groups}
    matches = {}
    for name in names:
        row = by_name.get(name) or by_id.get(name)
        if row is None:
            raise GroupNotFound(group=name[:255])
        matches[row["group_id"]] = row
    for group_id in group_ids:
        if not ID.fullmatch(group_id):
            raise GroupIdMalformed(id=group_id[:60])
        if group_id not in by_id:
            raise GroupNotFound(group=group_id)
        matches[group_id] = by_id[group_id]
    return list(matches.values())


def check_limit(limits: LimitsSection, count: int) -> None:
    """Raise SecurityGroupLimitExceeded if an account with `count` groups may have no further."""
    if limits.security_groups and count >= limits.security_groups:
        raise SecurityGroupLimitExceeded(most=limits.security_groups)


def check_rules_limit(limits: LimitsSection, count: int) -> None:
    """Raise RulesLimitExceeded if a security group may not have `count` rules."""
    if limits.rules and count > limits.rules:
        raise RulesLimitExceeded(most=limits.rules)


def create(state: State, account_id: str, name: str, description: str) -> SecurityGroupRow:
    """Create a group with the one rule of a new group: all egress is allowed."""
    row: SecurityGroupRow = {
        "group_id": ids.new("sg"),
        "account_id": account_id,
        "group_name": name,
        "description": description,
        "created": ids.now(),
    }
    with state.transaction():
        state.insert("security_groups", row)
        add_rule(state, row["group_id"], is_egress=True, cidr_ipv4=ANYWHERE)
    return row


def add_rule(
    state: State, group_id: str, *, is_egress: bool, **columns: Unpack[RuleColumns]
) -> SecurityGroupRuleRow:
    """Insert one rule; without other columns it is for every protocol."""
    row: SecurityGroupRuleRow = {
        "security_group_rule_id": ids.new("sgr"),
        "group_id": group_id,
        "is_egress": int(is_egress),
        "ip_protocol": "-1",
        "from_port": None,
        "to_port": None,
        "cidr_ipv4": None,
        "cidr_ipv6": None,
        "referenced_group_id": None,
        "referenced_user_id": None,
        "referenced_name": None,
        "description": "",
        **columns,
    }
    state.insert("security_group_rules", row)
    return row


def rules(state: State, group_ids: Iterable[str]) -> list[ListedRule]:
    """Return the rules of these groups, with the name of the group that a rule refers to.

    For a group of another account this is the name in the request, so nothing is revealed.
    """
    sql = """select r.*, g.account_id as group_owner_id,
        coalesce(p.group_name, r.referenced_name) as referenced_group_name
      from security_group_rules r join security_groups g on g.group_id = r.group_id
      left join security_groups p
        on p.group_id = r.referenced_group_id and p.account_id = g.account_id
      where r.group_id in (select value from json_each(?)) order by r.rowid"""
    return state.select(ListedRule, sql, (json.dumps(list(group_ids)),))
