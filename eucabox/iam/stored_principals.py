"""Users, roles and sessions in policies as they are stored: by their unique ids.

So a policy that names a user who is deleted comes to mean nobody of the same name, and still means
a user that is renamed. Clients see names, and the id alone where the user or role is gone, as
at AWS. An account that was named by its name is stored, and shown, by its number. A root that was
named as a user stays: its name can't go to another.
"""

import json
from collections.abc import Callable
from typing import Any, TypedDict

from eucabox.iam.policy.principals import ACCOUNT, ARN, SESSION, UNIQUE_ID
from eucabox.state import State

MEMBERS = ("Principal", "NotPrincipal")
_ACCOUNT = """select account_id from accounts
  where account_id = :account or (account_name = :account and not account_name glob :number)"""
_USER = f"""select user_id as id, path from users
  where account_id in ({_ACCOUNT}) and lower(user_name) = lower(:name) and user_name = :name
  and is_root = 0"""
_ROLE = f"""select role_id as id, path from roles
  where account_id in ({_ACCOUNT}) and lower(role_name) = lower(:name) and role_name = :name"""
_ROOT = f"""select user_id as id, path from users
  where account_id in ({_ACCOUNT}) and user_name = :name and is_root = 1"""
_NAMES = """select user_id as id, 'user' as kind, account_id, path, user_name as name
    from users where user_id = :id
  union all select role_id, 'role', account_id, path, role_name from roles where role_id = :id"""


class EntityRow(TypedDict):
    """A user or a role that a policy names."""

    id: str
    path: str


class PrincipalNames:
    """Finds unique ids for names, and names for unique ids; `state` has the rows.

    With `any_path` an ARN finds a user or a role whatever its path is.
    """

    def __init__(self, state: State, *, any_path: bool = False) -> None:
        self._state = state
        self._any_path = any_path

    def find_account(self, account: str) -> str | None:
        """Return the number of an account, which is given by number or name; None for none."""
        row = self._state.one(_ACCOUNT, {"account": account, "number": "[0-9]" * 12})
        return str(row["account_id"]) if row else None

    def find_user(self, account: str, name: str) -> EntityRow | None:
        """Return the user of a name, which a root is not, or None."""
        return self._find(_USER, account, name)

    def find_role(self, account: str, name: str) -> EntityRow | None:
        """Return the role of a name, or None."""
        return self._find(_ROLE, account, name)

    def to_stored(self, name: str) -> str | None:
        """Return what is stored for a principal as clients name it; None if there is no such."""
        if session := SESSION.fullmatch(name):
            account, role, session_name = session.groups()
            row = self.find_role(account, role)
            return f"{row['id']}:{session_name}" if row else None
        arn = ARN.fullmatch(name)
        if arn is None:
            return name
        account, told, kind, entity = arn.groups()
        if told == "root":
            return self._to_account_arn(account, told)
        row = self._find(_ROLE if kind == "role" else _USER, account, entity)
        if row is not None and (self._any_path or told == f"{kind}{row['path']}{entity}"):
            return row["id"]
        is_root = kind == "user" and self._find(_ROOT, account, entity) is not None
        return self._to_account_arn(account, told) if is_root else None

    def to_shown(self, name: str) -> str:
        """Return what clients see of a principal that is stored."""
        if not UNIQUE_ID.fullmatch(name):
            return name
        unique_id, _, session_name = name.partition(":")
        row = self._state.one(_NAMES, {"id": unique_id})
        if row is None:
            return name
        if session_name:
            return f"arn:aws:sts::{row['account_id']}:assumed-role/{row['name']}/{session_name}"
        return f"arn:aws:iam::{row['account_id']}:{row['kind']}{row['path']}{row['name']}"

    def _to_account_arn(self, account: str, told: str) -> str | None:
        number = account if ACCOUNT.fullmatch(account) else self.find_account(account)
        return f"arn:aws:iam::{number}:{told}" if number else None

    def _find(self, sql: str, account: str, name: str) -> EntityRow | None:
        params = {"account": account, "name": name, "number": "[0-9]" * 12}
        return self._state.select_one(EntityRow, sql, params)


def replace_principals(document: str, replace: Callable[[str], str]) -> str:
    """Return a document of correct form in which the principals of AWS are replaced; letter by
    letter as it is where that changes none."""
    read: dict[str, Any] = json.loads(document)
    replaced = False
    statements = read["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        for member in MEMBERS:
            named = statement.get(member)
            if isinstance(named, dict) and "AWS" in named:
                names = named["AWS"]
                new = [replace(each) for each in names] if isinstance(names, list) else (
                    replace(names)
                )  # fmt: skip
                replaced = replaced or new != names
                named["AWS"] = new
    return json.dumps(read, separators=(",", ":"), ensure_ascii=False) if replaced else document
