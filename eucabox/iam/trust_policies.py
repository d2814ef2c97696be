"""Trust policies as they are stored: users and roles stand in them by their unique ids.

So one that names a user who is deleted comes to trust nobody of the same name, and still trusts
one that is renamed. Clients see names, and the id alone where the user or role is gone, as at AWS.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from eucabox.errors import LimitExceeded, MalformedPolicyDocument
from eucabox.iam.constraints import check_document, count_characters, trim_document
from eucabox.iam.policy import parse_trust_policy
from eucabox.iam.policy.principals import ARN, SESSION, UNIQUE_ID
from eucabox.state import State

MOST_CHARACTERS = 2048  # without white space
PRINCIPALS = ("Principal", "NotPrincipal")
_ACCOUNT = """select account_id from accounts
  where account_id = :account or (account_name = :account and not account_name glob :number)"""
_USER = f"""select user_id as id, path from users
  where account_id in ({_ACCOUNT}) and lower(user_name) = lower(:name) and user_name = :name
  and is_root = 0"""
_ROLE = f"""select role_id as id, path from roles
  where account_id in ({_ACCOUNT}) and lower(role_name) = lower(:name) and role_name = :name"""
_NAMES = """select user_id as id, 'user' as kind, account_id, path, user_name as name
    from users where user_id = :id
  union all select role_id, 'role', account_id, path, role_name from roles where role_id = :id"""


class EntityRow(TypedDict):
    """A user or a role that a policy names."""

    id: str
    path: str


class TrustDirectory:
    """The accounts, users and roles that a trust policy may name; roots go by their account."""

    def __init__(self, state: State) -> None:
        self._state = state

    def knows_principal(self, account: str, user: str = "") -> bool:
        """True for an account, by id or name, and for a user of it if one is named."""
        if user:
            return self.find(_USER, account, user) is not None
        return bool(self._state.one(_ACCOUNT, {"account": account, "number": "[0-9]" * 12}))

    def knows_role(self, account: str, role: str) -> bool:
        """True for a role of an account, which is given by id or name."""
        return self.find(_ROLE, account, role) is not None

    def get_by_canonical_id(self, canonical_id: str) -> Mapping[str, object] | None:
        """Return the account of a canonical id, None if there is none."""
        sql = "select account_id from accounts where canonical_id = ?"
        return self._state.one(sql, (canonical_id,))

    def find(self, sql: str, account: str, name: str) -> EntityRow | None:
        """Return the user or role of a name, by _USER or _ROLE."""
        params = {"account": account, "name": name, "number": "[0-9]" * 12}
        return self._state.select_one(EntityRow, sql, params)


def check_trust_policy(state: State, document: str) -> str:
    """Return a trust policy as it is to be stored.

    Raises ValidationError, LimitExceeded, and MalformedPolicyDocument, also for principals that
    do not exist.
    """
    check_document(document, "assumeRolePolicyDocument")
    parse_trust_policy(document, TrustDirectory(state))
    if count_characters(document) > MOST_CHARACTERS:
        reason = f"Cannot exceed quota for ACLSizePerRole: {MOST_CHARACTERS}"
        raise LimitExceeded(reason=reason)
    trimmed = trim_document(document, MOST_CHARACTERS)
    return _replace_principals(trimmed, lambda name: _find_unique_id(state, name))


def write_trust_policy(state: State, stored: str) -> str:
    """Return a stored trust policy as clients see it."""
    return _replace_principals(stored, lambda name: _find_name(state, name))


def _replace_principals(document: str, replace: Callable[[str], str]) -> str:
    """Return a document in which the principals of AWS are replaced; as it is where none are."""
    read: dict[str, Any] = json.loads(document)
    replaced = False
    statements = read["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        for member in PRINCIPALS:
            named = statement.get(member)
            if isinstance(named, dict) and "AWS" in named:
                names = named["AWS"]
                new = [replace(each) for each in names] if isinstance(names, list) else (
                    replace(names)
                )  # fmt: skip
                replaced = replaced or new != names
                named["AWS"] = new
    return json.dumps(read, separators=(",", ":"), ensure_ascii=False) if replaced else document


def _find_unique_id(state: State, name: str) -> str:
    """Return the unique id of a user, role or session that an ARN names; else the name itself."""
    directory = TrustDirectory(state)
    if session := SESSION.fullmatch(name):
        account, role, session_name = session.groups()
        row = directory.find(_ROLE, account, role)
        return f"{row['id']}:{session_name}" if row else _refuse(name)
    arn = ARN.fullmatch(name)
    if arn is None or arn[2] == "root":
        return name
    account, told, kind, entity = arn.groups()
    row = directory.find(_ROLE if kind == "role" else _USER, account, entity)
    if row is None or told != f"{kind}{row['path']}{entity}":
        return _refuse(name)
    return row["id"]


def _find_name(state: State, name: str) -> str:
    """Return the ARN of what has a unique id; else the name itself."""
    if not UNIQUE_ID.fullmatch(name):
        return name
    unique_id, _, session_name = name.partition(":")
    row = state.one(_NAMES, {"id": unique_id})
    if row is None:
        return name
    if session_name:
        return f"arn:aws:sts::{row['account_id']}:assumed-role/{row['name']}/{session_name}"
    return f"arn:aws:iam::{row['account_id']}:{row['kind']}{row['path']}{row['name']}"


def _refuse(name: str) -> str:
    reason = f'Invalid principal in policy: "AWS":"{name[:200]}"'
    raise MalformedPolicyDocument(reason=reason, detail="")
