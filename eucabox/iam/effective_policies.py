"""Reads which policies apply to a user, a group or a role, with their names; judges nothing.

A managed policy has its ARN for a name, an inline one the bare name it was given. A document that
is gone has the text "", which compiles to a denial of everything.
"""

from typing import NamedTuple

from eucabox.iam.managed_policies import read_default_document
from eucabox.state import State

_WITH_GROUPS = "select :id union select group_id from group_members where user_id = :id"
_ALONE = "select :id"


class PolicyText(NamedTuple):
    """A policy as refusals name it, and its document."""

    name: str
    text: str


def read_user_policies(state: State, user_id: str) -> list[PolicyText]:
    """Return the policies of a user and of the user's groups."""
    return _read_policies(state, _WITH_GROUPS, user_id)


def read_group_policies(state: State, group_id: str) -> list[PolicyText]:
    """Return the policies of a group."""
    return _read_policies(state, _ALONE, group_id)


def read_role_policies(state: State, role_id: str) -> list[PolicyText]:
    """Return the policies of a role, which its sessions have."""
    return _read_policies(state, _ALONE, role_id)


def read_user_boundary(state: State, user_id: str) -> PolicyText | None:
    """Return the permissions boundary of a user, or None."""
    sql = "select permissions_boundary from users where user_id = ?"
    return _read_boundary(state, sql, user_id)


def read_role_boundary(state: State, role_id: str) -> PolicyText | None:
    """Return the permissions boundary of a role, or None."""
    sql = "select permissions_boundary from roles where role_id = ?"
    return _read_boundary(state, sql, role_id)


def _read_policies(state: State, owners: str, owner_id: str) -> list[PolicyText]:
    inline = f"""select policy_name, document from inline_policies where owner_id in ({owners})
      order by owner_id <> :id, policy_name"""
    attached = f"""select distinct policy_arn from attached_policies where owner_id in ({owners})
      order by policy_arn"""
    id_alone = {"id": owner_id}
    texts = [
        PolicyText(row["policy_name"], row["document"]) for row in state.query(inline, id_alone)
    ]
    arns = [row["policy_arn"] for row in state.query(attached, id_alone)]
    return texts + [PolicyText(arn, read_default_document(state, arn)) for arn in arns]


def _read_boundary(state: State, sql: str, owner_id: str) -> PolicyText | None:
    row = state.one(sql, (owner_id,))
    arn = row["permissions_boundary"] if row else ""
    return PolicyText(arn, read_default_document(state, arn)) if arn else None
