"""Instance profiles of an account in the database: each hands one role to instances.

Decides nothing about who may; every function keeps to the account that it is given.
"""

from collections.abc import Sequence

from eucabox import ids
from eucabox.errors import DeleteConflict, EntityAlreadyExists, LimitExceeded, NoSuchEntity
from eucabox.iam import iam_tags, roles
from eucabox.iam.constraints import check_name, check_path
from eucabox.iam.iam_tags import IamTag
from eucabox.iam.rows import InstanceProfileRow, RoleRow
from eucabox.state import State

MOST_PROFILES = 1000  # of an account


def create_instance_profile(
    state: State,
    account_id: str,
    instance_profile_name: str,
    path: str = "/",
    tags: Sequence[IamTag] = (),
) -> InstanceProfileRow:
    """Create an instance profile, which has no role yet.

    Raises ValidationError, InvalidInput, EntityAlreadyExists and LimitExceeded.
    """
    row = {
        "instance_profile_id": ids.instance_profile_id(),
        "account_id": account_id,
        "instance_profile_name": check_name("instanceProfile", instance_profile_name),
        "path": check_path(path),
        "created": ids.now(),
    }
    with state.transaction():
        _check_free(state, account_id, instance_profile_name)
        state.insert("instance_profiles", row)
        iam_tags.set_tags(state, row["instance_profile_id"], tags)
        return find_instance_profile(state, account_id, instance_profile_name)


def find_instance_profile(
    state: State, account_id: str, instance_profile_name: str
) -> InstanceProfileRow:
    """Return the instance profile of that name, whatever the case of its letters; raises
    NoSuchEntity, and ValidationError for what can be no name."""
    check_name("instanceProfile", instance_profile_name)
    sql = """select * from instance_profiles
      where account_id = ? and lower(instance_profile_name) = lower(?)"""
    row = state.select_one(InstanceProfileRow, sql, (account_id, instance_profile_name))
    if row is None:
        reason = f"Instance Profile {instance_profile_name} cannot be found."
        raise NoSuchEntity(reason=reason)
    return row


def list_instance_profiles(
    state: State, account_id: str, path_prefix: str = "/"
) -> list[InstanceProfileRow]:
    """Return the instance profiles whose path begins so, sorted by name without its case."""
    sql = """select * from instance_profiles where account_id = ? and substr(path, 1, ?) = ?
      order by lower(instance_profile_name)"""
    return state.select(InstanceProfileRow, sql, (account_id, len(path_prefix), path_prefix))


def list_profiles_of_role(state: State, role: RoleRow) -> list[InstanceProfileRow]:
    """Return the instance profiles that hand out a role, sorted by name without its case."""
    sql = "select * from instance_profiles where role_id = ? order by lower(instance_profile_name)"
    return state.select(InstanceProfileRow, sql, (role["role_id"],))


def add_role(state: State, profile: InstanceProfileRow, role: RoleRow) -> None:
    """Give an instance profile its role; raises LimitExceeded if it has one."""
    with state.transaction():
        current = find_instance_profile(
            state, profile["account_id"], profile["instance_profile_name"]
        )
        if current["role_id"]:
            reason = "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1"
            raise LimitExceeded(reason=reason)
        _set_role(state, profile, role["role_id"])


def remove_role(state: State, profile: InstanceProfileRow, role: RoleRow) -> None:
    """Take its role from an instance profile; raises NoSuchEntity if it has not that one."""
    with state.transaction():
        where = {
            "instance_profile_id": profile["instance_profile_id"],
            "role_id": role["role_id"],
        }
        if not state.update("instance_profiles", where, role_id=None):
            name = profile["instance_profile_name"]
            reason = f"Role {role['role_name']} is not in the instance profile {name}."
            raise NoSuchEntity(reason=reason)


def delete_instance_profile(state: State, profile: InstanceProfileRow) -> None:
    """Delete an instance profile that has no role; raises DeleteConflict."""
    profile_id = profile["instance_profile_id"]
    with state.transaction():
        sql = "select 1 from instance_profiles where instance_profile_id = ? and role_id <> ''"
        if state.one(sql, (profile_id,)):
            reason = "Cannot delete entity, must remove roles from instance profile first."
            raise DeleteConflict(reason=reason)
        iam_tags.delete_tags(state, profile_id)
        state.delete("instance_profiles", {"instance_profile_id": profile_id})


def get_arn(profile: InstanceProfileRow) -> str:
    """Return the Amazon resource name of an instance profile."""
    name = f"{profile['path']}{profile['instance_profile_name']}"
    return f"arn:aws:iam::{profile['account_id']}:instance-profile{name}"


def find_role_of(state: State, profile: InstanceProfileRow) -> RoleRow | None:
    """Return the role that an instance profile hands out, or None."""
    sql = "select * from roles where role_id = ?"
    return state.select_one(RoleRow, sql, (profile["role_id"],))


def to_api(state: State, profile: InstanceProfileRow, tagged: bool = False) -> dict[str, object]:
    """Return an instance profile with its role in the members of the API, `tagged` with tags."""
    role = find_role_of(state, profile)
    answer: dict[str, object] = {
        "path": profile["path"],
        "instance_profile_name": profile["instance_profile_name"],
        "instance_profile_id": profile["instance_profile_id"],
        "arn": get_arn(profile),
        "create_date": ids.parse_time(profile["created"]),
        "roles": [roles.to_api(state, role)] if role else [],
    }
    tags = iam_tags.list_tags(state, profile["instance_profile_id"]) if tagged else []
    return answer | ({"tags": tags} if tags else {})


def _set_role(state: State, profile: InstanceProfileRow, role_id: str) -> None:
    where = {"instance_profile_id": profile["instance_profile_id"]}
    state.update("instance_profiles", where, role_id=role_id)


def _check_free(state: State, account_id: str, name: str) -> None:
    sql = """select 1 from instance_profiles
      where account_id = ? and lower(instance_profile_name) = lower(?)"""
    if state.one(sql, (account_id, name)):
        raise EntityAlreadyExists(reason=f"Instance Profile {name} already exists.")
    sql = "select count(*) as profiles from instance_profiles where account_id = ?"
    row = state.one(sql, (account_id,))
    if row and row["profiles"] >= MOST_PROFILES:
        reason = f"Cannot exceed quota for InstanceProfilesPerAccount: {MOST_PROFILES}"
        raise LimitExceeded(reason=reason)
