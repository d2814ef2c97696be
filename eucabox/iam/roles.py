"""Roles of an account in the database, and how they are told; assumes none.

Decides nothing about who may; every function keeps to the account that it is given.
"""

from collections.abc import Sequence

from eucabox import ids
from eucabox.errors import DeleteConflict, EntityAlreadyExists, LimitExceeded, NoSuchEntity
from eucabox.iam import iam_tags
from eucabox.iam.attached_policies import check_boundary
from eucabox.iam.constraints import (
    check_description,
    check_name,
    check_number,
    check_path,
)
from eucabox.iam.iam_tags import IamTag
from eucabox.iam.rows import RoleRow
from eucabox.iam.trust_policies import check_trust_policy, write_trust_policy
from eucabox.state import State

MOST_ROLES = 1000  # of an account
DURATIONS = 3600, 43_200  # seconds that a session may last at most
# What a role must lose before it can be deleted, each with the query that finds it.
HOLDINGS = (
    (
        "remove roles from instance profile",
        "select 1 from instance_profiles where role_id = ?",
    ),
    ("detach all policies", "select 1 from attached_policies where owner_id = ?"),
    ("delete policies", "select 1 from inline_policies where owner_id = ?"),
)


def create_role(
    state: State,
    account_id: str,
    role_name: str,
    trust_policy: str,
    path: str = "/",
    description: str = "",
    max_session_duration: int = DURATIONS[0],
    boundary: str = "",
    tags: Sequence[IamTag] = (),
) -> RoleRow:
    """Create a role; `boundary` is the ARN of a policy or "".

    Raises ValidationError, InvalidInput, MalformedPolicyDocument, NoSuchEntity,
    EntityAlreadyExists and LimitExceeded.
    """
    row = {
        "role_id": ids.role_id(),
        "account_id": account_id,
        "role_name": check_name("role", role_name),
        "path": check_path(path),
        "description": check_description(description),
        "max_session_duration": _check_duration(max_session_duration),
        "created": ids.now(),
    }
    with state.transaction():
        _check_free(state, account_id, role_name)
        row["trust_policy"] = check_trust_policy(state, trust_policy)
        row["permissions_boundary"] = (
            check_boundary(state, account_id, boundary) if boundary else ""
        )
        state.insert("roles", row)
        iam_tags.set_tags(state, str(row["role_id"]), tags)
        return find_role(state, account_id, role_name)


def find_role(state: State, account_id: str, role_name: str) -> RoleRow:
    """Return the role of that name, whatever the case of its letters; raises NoSuchEntity, and
    ValidationError for what can be no name."""
    check_name("role", role_name)
    sql = "select * from roles where account_id = ? and lower(role_name) = lower(?)"
    row = state.select_one(RoleRow, sql, (account_id, role_name))
    if row is None:
        raise NoSuchEntity(reason=f"The role with name {role_name} cannot be found.")
    return row


def list_roles(state: State, account_id: str, path_prefix: str = "/") -> list[RoleRow]:
    """Return the roles whose path begins so, sorted by name without its case."""
    sql = """select * from roles where account_id = ? and substr(path, 1, ?) = ?
      order by lower(role_name)"""
    return state.select(RoleRow, sql, (account_id, len(path_prefix), path_prefix))


def change_role(
    state: State, role: RoleRow, description: str | None, max_session_duration: int | None
) -> None:
    """Give a role another description, another length of sessions, or both; None leaves it.

    Raises ValidationError.
    """
    columns: dict[str, object] = {}
    if description is not None:
        columns["description"] = check_description(description)
    if max_session_duration is not None:
        columns["max_session_duration"] = _check_duration(max_session_duration)
    if columns:
        state.update("roles", {"role_id": role["role_id"]}, **columns)


def change_trust_policy(state: State, role: RoleRow, document: str) -> None:
    """Let others assume a role; raises as check_trust_policy."""
    with state.transaction():
        stored = check_trust_policy(state, document)
        state.update("roles", {"role_id": role["role_id"]}, trust_policy=stored)


def delete_role(state: State, role: RoleRow) -> None:
    """Delete a role that has nothing left; raises DeleteConflict with what it has."""
    role_id = role["role_id"]
    with state.transaction():
        for what, sql in HOLDINGS:
            if state.one(sql, (role_id,)):
                raise DeleteConflict(reason=f"Cannot delete entity, must {what} first.")
        iam_tags.delete_tags(state, role_id)
        state.delete("roles", {"role_id": role_id})


def get_arn(role: RoleRow) -> str:
    """Return the Amazon resource name of a role."""
    return f"arn:aws:iam::{role['account_id']}:role{role['path']}{role['role_name']}"


def to_api(state: State, role: RoleRow) -> dict[str, object]:
    """Return a role in the members of the API, as lists have it."""
    answer: dict[str, object] = {
        "path": role["path"],
        "role_name": role["role_name"],
        "role_id": role["role_id"],
        "arn": get_arn(role),
        "create_date": ids.parse_time(role["created"]),
        "assume_role_policy_document": write_trust_policy(state, role["trust_policy"]),
        "max_session_duration": role["max_session_duration"],
    }
    return answer | ({"description": role["description"]} if role["description"] else {})


def to_full_api(state: State, role: RoleRow) -> dict[str, object]:
    """Return a role with what lists leave out: its boundary, its tags, and its last use."""
    answer = to_api(state, role) | describe_last_use(role) | describe_boundary(role)
    tags = iam_tags.list_tags(state, role["role_id"])
    return answer | ({"tags": tags} if tags else {})


def describe_last_use(role: RoleRow) -> dict[str, object]:
    """Return the member with a role's last use, which is empty where there was none."""
    if not role["last_used"]:
        return {"role_last_used": {}}
    moment = ids.parse_time(role["last_used"])
    return {"role_last_used": {"last_used_date": moment, "region": role["last_used_region"]}}


def describe_boundary(role: RoleRow) -> dict[str, object]:
    """Return the member with a role's boundary, or none."""
    arn = role["permissions_boundary"]
    boundary = {"permissions_boundary_type": "Policy", "permissions_boundary_arn": arn}
    return {"permissions_boundary": boundary} if arn else {}


def _check_duration(seconds: int) -> int:
    return check_number("maxSessionDuration", seconds, *DURATIONS)


def _check_free(state: State, account_id: str, role_name: str) -> None:
    sql = "select 1 from roles where account_id = ? and lower(role_name) = lower(?)"
    if state.one(sql, (account_id, role_name)):
        raise EntityAlreadyExists(reason=f"Role with name {role_name} already exists.")
    row = state.one("select count(*) as roles from roles where account_id = ?", (account_id,))
    if row and row["roles"] >= MOST_ROLES:
        raise LimitExceeded(reason=f"Cannot exceed quota for RolesPerAccount: {MOST_ROLES}")
