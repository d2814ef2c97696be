"""Trust policies as they are checked, stored (see stored_principals.py) and shown."""

from collections.abc import Mapping
from typing import NoReturn

from eucabox.errors import LimitExceeded, MalformedPolicyDocument
from eucabox.iam.constraints import check_document, count_characters, trim_document
from eucabox.iam.policy import parse_trust_policy
from eucabox.iam.stored_principals import PrincipalNames, replace_principals
from eucabox.state import State

MOST_CHARACTERS = 2048  # without white space


class TrustDirectory:
    """The accounts, users and roles that a trust policy may name; roots go by their account."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._names = PrincipalNames(state)

    def knows_principal(self, account: str, user: str = "") -> bool:
        """True for an account, by id or name, and for a user of it if one is named."""
        if user:
            return self._names.find_user(account, user) is not None
        return self._names.find_account(account) is not None

    def knows_role(self, account: str, role: str) -> bool:
        """True for a role of an account, which is given by id or name."""
        return self._names.find_role(account, role) is not None

    def get_by_canonical_id(self, canonical_id: str) -> Mapping[str, object] | None:
        """Return the account of a canonical id, None if there is none."""
        sql = "select account_id from accounts where canonical_id = ?"
        return self._state.one(sql, (canonical_id,))


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
    names = PrincipalNames(state)
    trimmed = trim_document(document, MOST_CHARACTERS)
    return replace_principals(trimmed, lambda name: names.to_stored(name) or _refuse(name))


def write_trust_policy(state: State, stored: str) -> str:
    """Return a stored trust policy as clients see it."""
    return replace_principals(stored, PrincipalNames(state).to_shown)


def _refuse(name: str) -> NoReturn:
    reason = f'Invalid principal in policy: "AWS":"{name[:200]}"'
    raise MalformedPolicyDocument(reason=reason, detail="")
