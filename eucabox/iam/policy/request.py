"""One request as a policy judges it: who wants to do what to which resource."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

Values = Sequence[str]


class PolicyPrincipal(Protocol):
    """A user of an account, or a session of one of its roles, as policies name them."""

    @property
    def account_id(self) -> str:
        """The account's 12-digit number."""

    @property
    def account_name(self) -> str:
        """The account's name."""

    @property
    def user_name(self) -> str:
        """The user's name, "" for a role's session."""

    @property
    def canonical_id(self) -> str:
        """The account's canonical id."""

    @property
    def unique_id(self) -> str:
        """The unique id, which is the value of aws:userid."""

    @property
    def arn(self) -> str:
        """The Amazon resource name."""


@dataclass(frozen=True, slots=True)
class RoleSession:
    """The principal that assumed a role: it has no user, and the account of its role."""

    account_id: str
    role_name: str
    session_name: str
    account_name: str = ""
    canonical_id: str = ""
    role_path: str = "/"
    role_id: str = ""
    user_name: str = ""  # which it has not

    @property
    def unique_id(self) -> str:
        """The role's unique id and the session's name."""
        return f"{self.role_id}:{self.session_name}"

    @property
    def arn(self) -> str:
        """The session's Amazon resource name."""
        return f"arn:aws:sts::{self.account_id}:assumed-role/{self.role_name}/{self.session_name}"

    @property
    def role_arn(self) -> str:
        """The name of the role, which is also the value of aws:PrincipalArn."""
        return f"arn:aws:iam::{self.account_id}:role{self.role_path}{self.role_name}"


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """One request: `action` as "s3:GetObject", `resource` as an ARN.

    `principal` is None if anonymous; `service` is the name of a service that makes the request
    itself, `federated` the ARN of the identity provider that vouches for who has no principal yet.
    `value` returns the values of a condition key (as `key_name` writes it), None where the request
    has none.
    """

    action: str
    resource: str
    principal: PolicyPrincipal | None
    value: Callable[[str], Values | None]
    service: str = ""
    federated: str = ""


def key_name(text: str) -> str:
    """Return a condition key in lower case, as look-ups need it; a tag's name stays as it is."""
    name, slash, tag = text.partition("/")
    return name.lower() + slash + tag
