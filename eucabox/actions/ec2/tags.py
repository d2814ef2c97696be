"""Tags: CreateTags, DeleteTags, DescribeTags, on the caller's own resources."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import NotRequired, TypedDict

from eucabox.actions import Call, Result, action
from eucabox.ec2 import default_vpc, image_access, instance_metadata
from eucabox.ec2 import tags as labels
from eucabox.ec2.filters import Filter, page, select
from eucabox.ec2.tags import Tag
from eucabox.errors import (
    DhcpOptionsNotFound,
    Fault,
    GroupNotFound,
    GroupRuleNotFound,
    ImageNotFound,
    ImageNotYours,
    InstanceNotFound,
    InternetGatewayNotFound,
    InvalidId,
    InvalidParameterValue,
    KeyPairNotFound,
    MissingParameter,
    NetworkAclNotFound,
    NetworkInterfaceNotFound,
    RouteTableNotFound,
    SubnetNotFound,
    VpcNotFound,
)
from eucabox.state import State

MOST_RESOURCES = 1000


class ListedTag(TypedDict):
    """A tag of a resource; `tags` has it as filters look for it."""

    resource_id: str
    resource_type: str
    key: str
    value: str
    tags: NotRequired[list[dict[str, str]]]


FILTERS = {
    "key": "key",
    "value": "value",
    "resource-id": "resource_id",
    "resource-type": "resource_type",
}
RULES = "security_group_rules join security_groups using (group_id)"
LIVING = "(select * from instances where state <> 'terminated')"
# Where resources are stored, by the prefix of their ids: table, column, and the fault if missing.
TABLES: dict[str, tuple[str, str, Callable[[str], Fault]]] = {
    "i": ("instances", "instance_id", lambda name: InstanceNotFound(id=name)),
    "emi": ("images", "image_id", lambda name: ImageNotFound(id=name)),
    "eki": ("images", "image_id", lambda name: ImageNotFound(id=name)),
    "eri": ("images", "image_id", lambda name: ImageNotFound(id=name)),
    "sg": ("security_groups", "group_id", lambda name: GroupNotFound(group=name)),
    "key": ("key_pairs", "key_pair_id", lambda name: KeyPairNotFound(name=name)),
    "r": ("reservations", "reservation_id", lambda name: InvalidId(id=name)),
    "sgr": (RULES, "security_group_rule_id", lambda name: GroupRuleNotFound(id=name)),
    "eni": (
        *(LIVING, "'eni-' || substr(instance_id, 3)"),
        lambda name: NetworkInterfaceNotFound(id=name),
    ),
}
# Resources of which each account has one, by the prefix of its id: the fault for another id.
DERIVED: dict[str, Callable[..., Fault]] = {
    "vpc": VpcNotFound,
    "subnet": SubnetNotFound,
    "rtb": RouteTableNotFound,
    "igw": InternetGatewayNotFound,
    "acl": NetworkAclNotFound,
    "dopt": DhcpOptionsNotFound,
}


@action()
def create_tags(call: Call, *, resources: Sequence[str], tags: Sequence[Tag]) -> Result:
    """Add tags to resources, or replace their values; all of the resources or none."""
    new_tags = labels.validate(tags)
    if not new_tags:
        raise MissingParameter(parameter="Tag")
    state = call.cloud.state
    with state.transaction():
        for resource_id in _check_owned(call, resources):
            _check_keys(state, resource_id, new_tags)
            labels.write(state, call.account_id, resource_id, new_tags)
    return {"return": True}


@action()
def delete_tags(call: Call, *, resources: Sequence[str], tags: Sequence[Tag] = ()) -> Result:
    """Remove tags: those of a key, or of a key with just that value, or all if none is named."""
    conditions = [(tag.get("key"), tag.get("value")) for tag in tags] or [(None, None)]
    sql = """delete from tags where resource_id = :id
      and key = coalesce(:key, key) and value = coalesce(:value, value)"""
    with call.cloud.state.transaction() as database:
        for resource_id in _check_owned(call, resources):
            for key, value in conditions:
                facts = {"id": resource_id, "key": key, "value": value}
                database.conn.execute(sql, facts)
    return {"return": True}


@action()
def describe_tags(
    call: Call,
    *,
    filters: Sequence[Filter] = (),
    max_results: int | None = None,
    next_token: str | None = None,
) -> Result:
    """List the account's tags, by resource and key."""
    sql = "select resource_id, resource_type, key, value from tags where account_id = ?"
    rows = call.cloud.state.select(ListedTag, sql, (call.account_id,))
    for row in rows:
        row["tags"] = [{"key": row["key"], "value": row["value"]}]
    page_rows, token = page(select(rows, filters, FILTERS), _sort_key, max_results, next_token)
    for row in page_rows:
        del row["tags"]
    return {"tags": page_rows, "next_token": token}


def _check_keys(state: State, resource_id: str, keys: Iterable[str]) -> None:
    """Refuse keys that an instance's metadata could not show, if it shows tags."""
    sql = "select metadata_options from instances where instance_id = ?"
    if row := state.one(sql, (resource_id,)):
        instance_metadata.check_tag_keys(json.loads(row["metadata_options"]), keys)


def _sort_key(row: ListedTag) -> str:
    return f"{row['resource_id']} {row['key']}"


def _check_owned(call: Call, resources: Sequence[str]) -> Sequence[str]:
    if not resources:
        raise MissingParameter(parameter="ResourceId")
    if len(resources) > MOST_RESOURCES:
        reason = f"Name at most {MOST_RESOURCES} resources."
        raise InvalidParameterValue(parameter="ResourceId", value=len(resources), reason=reason)
    for resource_id in resources:
        _refuse_foreign(call, resource_id, resource_id.split("-", 1)[0])
    return resources


def _refuse_foreign(call: Call, resource_id: str, prefix: str) -> None:
    if prefix in DERIVED:
        if resource_id != default_vpc.part_id(prefix, call.account_id):
            raise DERIVED[prefix](id=resource_id[:60])
        return
    if prefix not in TABLES:
        raise InvalidId(id=resource_id[:60])
    table, column, fault = TABLES[prefix]
    sql = f"select 1 from {table} where {column} = ? and account_id = ?"
    if not call.cloud.state.one(sql, (resource_id, call.account_id)):
        if table == "images" and call.caller is not None:
            image_access.get_visible(call.cloud.state, call.caller, resource_id)
            raise ImageNotYours(id=resource_id)
        raise fault(resource_id[:60])
