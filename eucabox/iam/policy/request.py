"""One request as a policy judges it: who wants to do what to which resource."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

Values = Sequence[str]


class PolicyPrincipal(Protocol):
    """A user of an account, as policies name one."""

    @property
    def account_id(self) -> str:
        """The account's 12-digit number."""

    @property
    def account_name(self) -> str:
        """The account's name."""

    @property
    def user_name(self) -> str:
        """The user's name."""

    @property
    def canonical_id(self) -> str:
        """The account's canonical id."""


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """One request: `action` as "s3:GetObject", `resource` as an ARN.

    `principal` is None if anonymous; `service` is the name of a service that makes the request
    itself. `value` returns the values of a condition key (as `key_name` writes it), None where the
    request has none.
    """

    action: str
    resource: str
    principal: PolicyPrincipal | None
    value: Callable[[str], Values | None]
    service: str = ""


def key_name(text: str) -> str:
    """Return a condition key as it is looked up: in lower case, but for the name of a tag."""
    name, slash, tag = text.partition("/")
    return name.lower() + slash + tag
