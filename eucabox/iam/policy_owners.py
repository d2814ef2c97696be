"""Users, groups and roles as what policies belong to: found by name, never changed."""

from dataclasses import dataclass
from typing import Literal

from eucabox.errors import NoSuchEntity
from eucabox.iam.constraints import check_name
from eucabox.state import State

OwnerKind = Literal["user", "group", "role"]
OWNER_KINDS: dict[str, OwnerKind] = {"user": "user", "group": "group", "role": "role"}
ENTITY_KINDS = ("User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy")  # of filters
LONGEST_EXISTING_NAME = 128  # the model takes longer names of users here than it lets be made
_OWNERS = {
    "user": "select user_id as id, user_name as name, path from users where is_root = 0",
    "group": "select group_id as id, group_name as name, path from groups where true",
    "role": "select role_id as id, role_name as name, path from roles where true",
}
_ACCOUNT_OWNERS = """
  select 'user' as kind, user_id as id, user_name as name, path, created,
      permissions_boundary as boundary
    from users where account_id = :account and is_root = 0
  union all select 'group', group_id, group_name, path, created, ''
    from groups where account_id = :account
  union all select 'role', role_id, role_name, path, created, permissions_boundary
    from roles where account_id = :account"""


@dataclass(frozen=True)
class PolicyOwner:
    """A user, a group or a role.

    In a list of them `boundary` is the ARN of its permissions boundary, or "", and `created` when
    it was made.
    """

    kind: OwnerKind
    owner_id: str
    account_id: str
    name: str
    path: str
    boundary: str = ""
    created: str = ""

    @property
    def arn(self) -> str:
        """The Amazon resource name."""
        return f"arn:aws:iam::{self.account_id}:{self.kind}{self.path}{self.name}"


def find_owner(state: State, account_id: str, kind: OwnerKind, name: str) -> PolicyOwner:
    """Return the user, group or role of that name, whatever the case of its letters.

    Raises NoSuchEntity, and ValidationError for what can be no name.
    """
    check_name(kind, name, 64 if kind == "role" else LONGEST_EXISTING_NAME)
    sql = f"{_OWNERS[kind]} and account_id = ? and lower({kind}_name) = lower(?)"
    row = state.one(sql, (account_id, name))
    if row is None:
        raise NoSuchEntity(reason=f"The {kind} with name {name} cannot be found.")
    return PolicyOwner(kind, row["id"], account_id, row["name"], row["path"])


def list_groups_of(state: State, user_id: str, account_id: str) -> list[PolicyOwner]:
    """Return the groups of a user, sorted by name."""
    sql = f"""{_OWNERS["group"]} and group_id in
      (select group_id from group_members where user_id = ?) order by lower(group_name)"""
    rows = state.query(sql, (user_id,))
    return [PolicyOwner("group", row["id"], account_id, row["name"], row["path"]) for row in rows]


def list_owners(state: State, account_id: str) -> list[PolicyOwner]:
    """Return all users, groups and roles of an account, sorted by kind and name."""
    rows = state.query(_ACCOUNT_OWNERS, {"account": account_id})
    owners = [
        PolicyOwner(
            kind=row["kind"],
            owner_id=row["id"],
            account_id=account_id,
            name=row["name"],
            path=row["path"],
            boundary=row["boundary"],
            created=row["created"],
        )
        for row in rows
    ]
    return sorted(owners, key=lambda owner: (owner.kind, owner.name.lower()))
