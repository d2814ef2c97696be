"""The Principal element: everybody, and the accounts, users, roles, sessions, services and identity
providers that a statement names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any, Protocol, runtime_checkable

from eucabox.errors import MalformedPolicy
from eucabox.iam.policy.request import AuthorizationRequest, PolicyPrincipal, RoleSession

ARN = re.compile(r"arn:aws:iam::([^:/]+):(root|(user|role)/(?:[^:*?]*/)?([^:/*?]+))")
SESSION = re.compile(r"arn:aws:sts::([^:/]+):assumed-role/([^:/*?]+)/([^:/*?]+)")
UNIQUE_ID = re.compile(r"AIDA[A-Z0-9]+|AROA[A-Z0-9]+(:[^:/*?]+)?")
PROVIDER = re.compile(r"arn:aws:iam::[^:/]+:oidc-provider/[^*?\s]+")
ACCOUNT = re.compile(r"\d{12}")
SERVICE = re.compile(r"[a-z0-9.-]+\.amazonaws\.com")
RESOURCE_KINDS = ("AWS", "CanonicalUser", "Service")
TRUST_KINDS = ("AWS", "Service", "Federated")
Named = tuple[str, str]


class PrincipalDirectory(Protocol):
    """Tells which accounts and users exist."""

    def knows_principal(self, account: str, user: str = "") -> bool:
        """True for an account, by id or name, and for a user of it if one is named."""

    def get_by_canonical_id(self, canonical_id: str) -> Mapping[str, object] | None:
        """Return the account of a canonical id, None if there is none."""


@runtime_checkable
class RoleDirectory(Protocol):
    """A directory that has roles too; a directory without this method has no roles."""

    def knows_role(self, account: str, role: str) -> bool:
        """True for a role of an account, which is given by id or name."""


class NamedAs(IntEnum):
    """How closely a statement names the principal of a request: the closer, the further its grant
    reaches (see decision.py)."""

    NOBODY = 0
    ACCOUNT = 1
    ROLE = 2
    ANYONE = 3
    ITSELF = 4


@dataclass(frozen=True)
class Principals:
    """The principals that a statement names, or with `others` all except them.

    `everyone` are all people; where the statement `denies`, services and whom identity providers
    vouch for too, as AWS has it. An Allow must name these.
    """

    everyone: bool = False
    accounts: frozenset[str] = frozenset()
    users: frozenset[Named] = frozenset()
    canonical: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    others: bool = field(default=False)
    roles: frozenset[Named] = frozenset()
    sessions: frozenset[tuple[str, str, str]] = frozenset()
    providers: frozenset[str] = frozenset()
    unique_ids: frozenset[str] = frozenset()  # of users, roles and their sessions
    denies: bool = False

    def matches(self, request: AuthorizationRequest) -> bool:
        """True if the principal of the request is named."""
        return self._names(request) != self.others

    def match_closely(self, request: AuthorizationRequest) -> NamedAs:
        """Tell how closely the principal of the request is named."""
        if self.others:
            return NamedAs.NOBODY if self._names(request) else NamedAs.ANYONE
        if request.service or request.federated:
            return NamedAs.ITSELF if self._names(request) else NamedAs.NOBODY
        caller = request.principal
        if caller is not None and self._names_itself(caller):
            return NamedAs.ITSELF
        if self.everyone:
            return NamedAs.ANYONE
        if isinstance(caller, RoleSession) and self._names_role(caller):
            return NamedAs.ROLE
        return NamedAs.ACCOUNT if self._names(request) else NamedAs.NOBODY

    def _names(self, request: AuthorizationRequest) -> bool:
        if self.everyone and self.denies:
            return True
        if request.service:
            return request.service in self.services
        if request.federated:
            return request.federated in self.providers
        if self.everyone:
            return True
        caller = request.principal
        if caller is None:
            return False
        return (
            caller.account_id in self.accounts
            or _account_name(caller.account_name) in self.accounts
            or caller.canonical_id in self.canonical
            or self._names_itself(caller)
            or (isinstance(caller, RoleSession) and self._names_role(caller))
        )

    def _names_itself(self, caller: PolicyPrincipal) -> bool:
        if self.unique_ids and caller.unique_id in self.unique_ids:
            return True
        if isinstance(caller, RoleSession):
            name = (caller.role_name, caller.session_name)
            accounts = (caller.account_id, _account_name(caller.account_name))
            return any((account, *name) in self.sessions for account in accounts)
        return (caller.account_id, caller.user_name) in self.users or (
            _account_name(caller.account_name),
            caller.user_name,
        ) in self.users

    def _names_role(self, caller: RoleSession) -> bool:
        if self.unique_ids and caller.role_id in self.unique_ids:
            return True
        return (caller.account_id, caller.role_name) in self.roles or (
            _account_name(caller.account_name),
            caller.role_name,
        ) in self.roles

    @property
    def anyone(self) -> bool:
        """True if a principal that is not named can match."""
        return self.everyone or self.others


FLAGS = ("everyone", "others", "denies")
NAMES = tuple(each.name for each in fields(Principals) if each.name not in FLAGS)


def _account_name(account: str) -> str:
    """Return an account's name, or "" if a policy would take it for an account id."""
    return "" if ACCOUNT.fullmatch(account) else account


def read(
    element: object,
    directory: PrincipalDirectory | None,
    others: bool = False,
    kinds: tuple[str, ...] = RESOURCE_KINDS,
    *,
    denies: bool = False,
) -> Principals:
    """Read a Principal element of these kinds; with a directory, refuse principals that do not
    exist. `denies` tells that the statement does."""
    if element == "*":
        return Principals(everyone=True, others=others, denies=denies)
    if not isinstance(element, dict) or not element:
        raise _invalid_principal(element, 'Use "*" or {"AWS": ...}.')
    members: dict[str, set[Any]] = {name: set() for name in NAMES}
    everyone = False
    for kind, names in element.items():
        if kind not in kinds:
            raise _invalid_principal(kind, f"Use one of {', '.join(kinds)}.")
        for name in names if isinstance(names, list) else [names]:
            if kind == "AWS" and name == "*":
                everyone = True
            else:
                where, what = _read_one(kind, name, directory)
                members[where].add(what)
    frozen = {name: frozenset(each) for name, each in members.items()}
    if not everyone and not any(frozen.values()):
        raise _invalid_principal(element, "Name at least one.")
    return Principals(everyone, **frozen, others=others, denies=denies)


def _read_one(kind: str, name: object, directory: PrincipalDirectory | None) -> tuple[str, Any]:
    if not isinstance(name, str):
        raise _invalid_principal(name, "Give text.")
    if kind == "Service":
        if not SERVICE.fullmatch(name):
            raise _invalid_principal(name, "A service is named as logging.s3.amazonaws.com.")
        return "services", name
    if kind == "Federated":
        if not PROVIDER.fullmatch(name):
            reason = "A provider is named as arn:aws:iam::ACCOUNT:oidc-provider/HOST."
            raise _invalid_principal(name, reason)
        return "providers", name
    if kind == "CanonicalUser":
        if directory and directory.get_by_canonical_id(name) is None:
            raise _invalid_principal(name, "No account here has that canonical id.")
        return "canonical", name
    return _read_aws(name, directory)


def _read_aws(name: str, directory: PrincipalDirectory | None) -> tuple[str, Any]:
    if ACCOUNT.fullmatch(name):
        _check_account(name, "", name, directory)
        return "accounts", name
    if directory is None and UNIQUE_ID.fullmatch(name):  # as stored; see trust_policies.py
        return "unique_ids", name
    session = SESSION.fullmatch(name)
    if session:
        _check_role(session[1], session[2], name, directory)
        return "sessions", session.groups()
    arn = ARN.fullmatch(name)
    if not arn:
        reason = "Use an account id, arn:aws:iam::ACCOUNT:root or arn:aws:iam::ACCOUNT:user/NAME."
        raise _invalid_principal(name, reason)
    account, _, kind, named = arn.groups()
    if kind == "role":
        _check_role(account, named, name, directory)
        return "roles", (account, named)
    _check_account(account, named or "", name, directory)
    return ("users", (account, named)) if named else ("accounts", account)


def _check_account(
    account: str, user: str, name: str, directory: PrincipalDirectory | None
) -> None:
    if directory and not directory.knows_principal(account, user):
        raise _invalid_principal(name, "There is no such account or user here.")


def _check_role(account: str, role: str, name: str, directory: PrincipalDirectory | None) -> None:
    if directory is None:
        return
    if not isinstance(directory, RoleDirectory) or not directory.knows_role(account, role):
        raise _invalid_principal(name, "There is no such role here.")


def _invalid_principal(value: object, reason: str) -> MalformedPolicy:
    return MalformedPolicy(reason=f"Invalid principal in policy: {str(value)[:200]}. {reason}")
