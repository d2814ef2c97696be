"""The Principal element: everybody, accounts, users and services that a statement names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from eucabox.errors import MalformedPolicy
from eucabox.iam.policy.request import AuthorizationRequest

ARN = re.compile(r"arn:aws:iam::([^:/]+):(root|user/(?:[^:*?]*/)?([^:/*?]+))")
ACCOUNT = re.compile(r"\d{12}")
SERVICE = re.compile(r"[a-z0-9.-]+\.amazonaws\.com")
KINDS = ("AWS", "CanonicalUser", "Service")
User = tuple[str, str]


class PrincipalDirectory(Protocol):
    """Tells which accounts and users exist."""

    def knows_principal(self, account: str, user: str = "") -> bool:
        """True for an account, by id or name, and for a user of it if one is named."""

    def get_by_canonical_id(self, canonical_id: str) -> Mapping[str, object] | None:
        """Return the account of a canonical id, None if there is none."""


@dataclass(frozen=True)
class Principals:
    """The principals that a statement names, or with `others` all except them."""

    everyone: bool = False
    accounts: frozenset[str] = frozenset()
    users: frozenset[User] = frozenset()
    canonical: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    others: bool = field(default=False)

    def matches(self, request: AuthorizationRequest) -> bool:
        """True if the principal of the request is named."""
        return self._names(request) != self.others

    def _names(self, request: AuthorizationRequest) -> bool:
        if request.service:
            return request.service in self.services
        if self.everyone:
            return True
        caller = request.principal
        if caller is None:
            return False
        return (
            caller.account_id in self.accounts
            or _account_name(caller.account_name) in self.accounts
            or (caller.account_id, caller.user_name) in self.users
            or (_account_name(caller.account_name), caller.user_name) in self.users
            or caller.canonical_id in self.canonical
        )

    @property
    def anyone(self) -> bool:
        """True if a principal that is not named can match."""
        return self.everyone or self.others


def _account_name(account: str) -> str:
    """Return an account's name, or "" if a policy would take it for an account id."""
    return "" if ACCOUNT.fullmatch(account) else account


def read(element: object, directory: PrincipalDirectory | None, others: bool = False) -> Principals:
    """Read a Principal element; with a directory, refuse principals that do not exist."""
    if element == "*":
        return Principals(everyone=True, others=others)
    if not isinstance(element, dict) or not element:
        raise _invalid_principal(element, 'Use "*" or {"AWS": ...}.')
    members: dict[str, set[Any]] = {
        "accounts": set(), "users": set(), "canonical": set(), "services": set(),
    }  # fmt: skip
    everyone = False
    for kind, names in element.items():
        if kind not in KINDS:
            raise _invalid_principal(kind, f"Use one of {', '.join(KINDS)}.")
        for name in names if isinstance(names, list) else [names]:
            if kind == "AWS" and name == "*":
                everyone = True
            else:
                where, what = _read_one(kind, name, directory)
                members[where].add(what)
    frozen = {name: frozenset(each) for name, each in members.items()}
    if not everyone and not any(frozen.values()):
        raise _invalid_principal(element, "Name at least one.")
    return Principals(everyone, **frozen, others=others)


def _read_one(kind: str, name: object, directory: PrincipalDirectory | None) -> tuple[str, Any]:
    if not isinstance(name, str):
        raise _invalid_principal(name, "Give text.")
    if kind == "Service":
        if not SERVICE.fullmatch(name):
            raise _invalid_principal(name, "A service is named as logging.s3.amazonaws.com.")
        return "services", name
    if kind == "CanonicalUser":
        if directory and directory.get_by_canonical_id(name) is None:
            raise _invalid_principal(name, "No account here has that canonical id.")
        return "canonical", name
    if ACCOUNT.fullmatch(name):
        _check(name, "", name, directory)
        return "accounts", name
    arn = ARN.fullmatch(name)
    if not arn:
        reason = "Use an account id, arn:aws:iam::ACCOUNT:root or arn:aws:iam::ACCOUNT:user/NAME."
        raise _invalid_principal(name, reason)
    _check(arn[1], arn[3] or "", name, directory)
    return ("users", (arn[1], arn[3])) if arn[3] else ("accounts", arn[1])


def _check(account: str, user: str, name: str, directory: PrincipalDirectory | None) -> None:
    if directory and not directory.knows_principal(account, user):
        raise _invalid_principal(name, "There is no such account or user here.")


def _invalid_principal(value: object, reason: str) -> MalformedPolicy:
    return MalformedPolicy(reason=f"Invalid principal in policy: {str(value)[:200]}. {reason}")
