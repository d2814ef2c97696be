"""What a policy is asked: who wants to do what to which resource; answers nothing itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Values = Sequence[str]


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """One request: `action` as "s3:GetObject", `resource` as an ARN.

    `asker` has account_id, account_name, user_name and canonical_id, and is None for nobody;
    `service` is the name of a service that asks in its own name. `value` returns the values of a
    condition key (as `key_name` writes it), None where the request has none.
    """

    action: str
    resource: str
    asker: Any
    value: Callable[[str], Values | None]
    service: str = ""


def key_name(text: str) -> str:
    """Return a condition key as it is looked up: in lower case, but for the name of a tag."""
    name, slash, tag = text.partition("/")
    return name.lower() + slash + tag
