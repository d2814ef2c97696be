"""Tags of EC2 resources: checks, writes and reads them; does not check that resources exist."""

import json
from collections.abc import Collection, Iterable, Sequence
from typing import TypedDict

from eucabox.errors import InvalidParameterValue, TagLimitExceeded
from eucabox.state import State
from eucabox.validation import check_text

MOST = 50
RESERVED = "aws:"
TYPES = {
    "i": "instance",
    "emi": "image",
    "eki": "image",
    "eri": "image",
    "sg": "security-group",
    "key": "key-pair",
    "r": "reservation",
    "sgr": "security-group-rule",
    "eni": "network-interface",
    "vpc": "vpc",
    "subnet": "subnet",
    "rtb": "route-table",
    "igw": "internet-gateway",
    "acl": "network-acl",
    "dopt": "dhcp-options",
}
# Types that a launch may name although it creates none here, so there is nothing to tag.
NOT_CREATED = frozenset({"volume", "spot-instances-request", "elastic-gpu"})


class Tag(TypedDict, total=False):
    """A key with its value; no value is an empty one."""

    key: str
    value: str


class TagSpecification(TypedDict, total=False):
    """Tags for the new resources of one type."""

    resource_type: str
    tags: Sequence[Tag]


def validate(tags: Iterable[Tag]) -> dict[str, str]:
    """Return the tags as a dict; raises InvalidParameterValue for a bad, reserved or double key."""
    checked: dict[str, str] = {}
    for tag in tags:
        key = check_text("Tag.Key", tag.get("key", ""), 128)
        if key.lower().startswith(RESERVED):
            _refuse(key, f"Keys that begin with {RESERVED} are reserved.")
        if key in checked:
            _refuse(key, "Name a key once.")
        checked[key] = check_text("Tag.Value", tag.get("value", ""), 256, least=0)
    return checked


def from_specifications(
    specifications: Sequence[TagSpecification], resource_type: str, others: Collection[str] = ()
) -> dict[str, str]:
    """Return the tags for new resources of this type.

    Any other type is refused by name, except those of `others`, which are read separately.
    """
    tags: list[Tag] = []
    for each in specifications:
        tagged_type = each.get("resource_type", resource_type)
        if tagged_type == resource_type:
            tags += each.get("tags", ())
        elif tagged_type not in NOT_CREATED and tagged_type not in others:
            reason = f"Only a {resource_type} is made by this action."
            raise InvalidParameterValue(
                parameter="TagSpecification.ResourceType", value=tagged_type[:60], reason=reason
            )
    checked = validate(tags)
    if len(checked) > MOST:
        raise TagLimitExceeded(id=resource_type, most=MOST)
    return checked


def write(state: State, account_id: str, resource_id: str, tags: dict[str, str]) -> None:
    """Add tags to a resource, or replace the values of keys it has; raises TagLimitExceeded."""
    if not tags:
        return
    with state.transaction() as database:
        sql = "select key from tags where resource_id = ?"
        keys = {row["key"] for row in state.query(sql, (resource_id,))}
        if len(keys | set(tags)) > MOST:
            raise TagLimitExceeded(id=resource_id, most=MOST)
        kind = TYPES[resource_id.split("-", 1)[0]]
        database.conn.executemany(
            "insert or replace into tags (resource_id, account_id, resource_type, key, value)"
            " values (?, ?, ?, ?, ?)",
            [(resource_id, account_id, kind, key, value) for key, value in tags.items()],
        )


def forget(state: State, *resource_ids: str) -> None:
    """Delete all tags of these resources."""
    sql = "delete from tags where resource_id in (select value from json_each(?))"
    with state.transaction() as database:
        database.conn.execute(sql, (json.dumps(resource_ids),))


def tags_of(state: State, resource_ids: Iterable[str]) -> dict[str, list[dict[str, str]]]:
    """Return each resource's tags as the API shows them, by resource id; one query for all."""
    sql = """select resource_id, key, value from tags
      where resource_id in (select value from json_each(?)) order by resource_id, key"""
    by_id: dict[str, list[dict[str, str]]] = {}
    for row in state.query(sql, (json.dumps(list(resource_ids)),), at_once=True):
        tag = {"key": row["key"], "value": row["value"]}
        by_id.setdefault(row["resource_id"], []).append(tag)
    return by_id


def to_api(tags: dict[str, str]) -> list[dict[str, str]]:
    """Return checked tags as the API shows them."""
    return [{"key": key, "value": value} for key, value in sorted(tags.items())]


def _refuse(key: str, reason: str) -> None:
    raise InvalidParameterValue(parameter="Tag.Key", value=key[:60], reason=reason)
