"""One request as a policy judges it: who wants to do what to which resource."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Values = Sequence[str]


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """One request: `action` as "s3:GetObject", `resource` as an ARN.

    `principal` has account_id, account_name, user_name and canonical_id, None if anonymous;
    `service` is the name of a service that makes the request itself. `value` returns the values
    of a condition key (as `key_name` writes it), None where the request has none.
    """

    action: str
    resource: str
    principal: Any
    value: Callable[[str], Values | None]
    service: str = ""


def key_name(text: str) -> str:
    """Return a condition key as it is looked up: in lower case, but for the name of a tag."""
    name, slash, tag = text.partition("/")
    return name.lower() + slash + tag
