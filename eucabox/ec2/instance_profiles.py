"""Which instance has which instance profile: finds profiles, reads and writes associations.

A profile hands its one role to the instance, whose metadata service then gives credentials of the
role. Makes no profile and no credentials.
"""

import json
from collections.abc import Sequence
from typing import TypedDict

from eucabox import ids
from eucabox.errors import (
    AssociationNotFound,
    InstanceHasProfile,
    InstanceProfileWithoutRole,
    InvalidInstanceProfile,
    InvalidParameterCombination,
    MissingParameter,
)
from eucabox.iam.rows import RoleRow
from eucabox.state import State

# The Amazon resource name of a profile p, in SQL.
ARN = """'arn:aws:iam::' || p.account_id || ':instance-profile' || p.path
  || p.instance_profile_name"""
_PROFILES = f"select p.*, {ARN} as arn from instance_profiles p"
_ASSOCIATIONS = f"""select a.*, i.account_id, p.instance_profile_name, p.role_id, {ARN} as arn
  from instance_profile_associations a join instances i using (instance_id)
  join instance_profiles p using (instance_profile_id)"""
ASSOCIATED = "associated"


class InstanceProfileSpecification(TypedDict, total=False):
    """An instance profile as a request names it: by its name or by its ARN."""

    arn: str
    name: str


class ProfileOfInstance(TypedDict):
    """An instance profile that an instance may have."""

    instance_profile_id: str
    instance_profile_name: str
    role_id: str | None
    arn: str


class InstanceProfileAssociationRow(TypedDict):
    """Which instance profile an instance has."""

    association_id: str
    instance_id: str
    instance_profile_id: str
    created: str


class Association(InstanceProfileAssociationRow):
    """An association with its instance's account and its profile."""

    account_id: str
    instance_profile_name: str
    role_id: str | None
    arn: str


def find_profile(
    state: State, account_id: str, specification: InstanceProfileSpecification | None
) -> ProfileOfInstance | None:
    """Return the profile of an account that a request names, None if it names none.

    Raises InvalidInstanceProfile, InstanceProfileWithoutRole, or InvalidParameterCombination for
    both a name and an ARN.
    """
    wanted = {key: value for key, value in (specification or {}).items() if value}
    if not wanted:
        return None
    if len(wanted) > 1:
        reason = (
            "The parameter 'iamInstanceProfile.name' may not be used in combination with"
            " 'iamInstanceProfile.arn'"
        )
        raise InvalidParameterCombination(reason=reason)
    ((member, value),) = wanted.items()
    column = "arn" if member == "arn" else "instance_profile_name"
    sql = f"select * from ({_PROFILES}) where account_id = ? and {column} = ?"
    profile = state.select_one(ProfileOfInstance, sql, (account_id, value))
    if profile is None:
        noun = "ARN" if member == "arn" else "name"
        raise InvalidInstanceProfile(value=str(value)[:200], member=member, noun=noun)
    if not profile["role_id"]:
        raise InstanceProfileWithoutRole(arn=profile["arn"])
    return profile


def get_profile(
    state: State, account_id: str, specification: InstanceProfileSpecification
) -> ProfileOfInstance:
    """Return the profile that a request names; raises as `find_profile`, and MissingParameter."""
    profile = find_profile(state, account_id, specification)
    if profile is None:
        raise MissingParameter(parameter="IamInstanceProfile.Name or IamInstanceProfile.Arn")
    return profile


def associate(state: State, instance_id: str, profile: ProfileOfInstance) -> str:
    """Give an instance a profile and return the association's id; raises InstanceHasProfile."""
    association_id = ids.new("iip-assoc")
    with state.transaction():
        if find_of_instance(state, instance_id):
            raise InstanceHasProfile(id=instance_id)
        row: InstanceProfileAssociationRow = {
            "association_id": association_id,
            "instance_id": instance_id,
            "instance_profile_id": profile["instance_profile_id"],
            "created": ids.now(),
        }
        state.insert("instance_profile_associations", row)
    return association_id


def disassociate(state: State, association: Association) -> None:
    """Take an instance's profile from it; credentials that it was given are void at once."""
    with state.transaction():
        state.delete("sessions", {"instance_id": association["instance_id"]})
        where = {"association_id": association["association_id"]}
        state.delete("instance_profile_associations", where)


def find_of_instance(state: State, instance_id: str) -> Association | None:
    """Return an instance's association, or None."""
    return state.select_one(Association, f"{_ASSOCIATIONS} where a.instance_id = ?", (instance_id,))


def find_role(state: State, instance_id: str) -> RoleRow | None:
    """Return the role that an instance has by its profile, or None."""
    sql = """select r.* from instance_profile_associations join instance_profiles p
      using (instance_profile_id) join roles r using (role_id) where instance_id = ?"""
    return state.select_one(RoleRow, sql, (instance_id,))


def get_association(state: State, account_id: str | None, association_id: str) -> Association:
    """Return an association of an account's instance, None for any account's; raises
    AssociationNotFound."""
    (association,) = list_associations(state, account_id, [association_id])
    return association


def list_associations(
    state: State, account_id: str | None, association_ids: Sequence[str] = ()
) -> list[Association]:
    """Return the associations of an account's instances, or those of these ids, each once; with
    None for the account, of every account. Raises AssociationNotFound."""
    sql = f"{_ASSOCIATIONS} where coalesce(?, i.account_id) = i.account_id"
    values: tuple[object, ...] = (account_id,)
    if association_ids:
        sql += " and a.association_id in (select value from json_each(?))"
        values = (account_id, json.dumps(list(association_ids)))
    rows = state.select(Association, sql, values)
    found = {row["association_id"] for row in rows}
    for each in association_ids:
        if each not in found:
            raise AssociationNotFound(id=each[:60])
    return rows


def to_api(association: Association, progress: str = ASSOCIATED) -> dict[str, object]:
    """Return an association as the API shows it; `progress` is its State."""
    return {
        "association_id": association["association_id"],
        "instance_id": association["instance_id"],
        "iam_instance_profile": {
            "arn": association["arn"],
            "id": association["instance_profile_id"],
        },
        "state": progress,
        "timestamp": ids.parse_time(association["created"]),
    }
