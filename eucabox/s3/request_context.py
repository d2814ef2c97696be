"""A request as authorization sees it: caller, operation, members, how it came; judges nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from eucabox.iam.authorization import WITHOUT, CallerPolicies
from eucabox.iam.caller import Session
from eucabox.iam.policy.request import PolicyPrincipal


class Principal(PolicyPrincipal, Protocol):
    """The caller who signed a request; None stands for an anonymous one."""

    @property
    def user_id(self) -> str:
        """The user's unique id, of a root too, "" for a role's session."""

    @property
    def is_root(self) -> bool:
        """True for the root of an account."""

    @property
    def is_limited(self) -> bool:
        """True for a caller whose own policies must allow what it does."""

    @property
    def principal(self) -> PolicyPrincipal:
        """The caller as policies name it."""

    @property
    def session(self) -> Session | None:
        """The temporary credentials that the caller used."""

    @property
    def admin(self) -> bool:
        """True for the administrator of the cloud."""


class RequestContext(Protocol):
    """A request as authorization sees it: caller, operation, members, and how it came."""

    @property
    def caller(self) -> Principal | None:
        """Who signed the request, None if nobody did."""

    @property
    def action(self) -> str:
        """The name of the operation, as PutObject."""

    @property
    def params(self) -> Mapping[str, Any]:
        """The members of the operation as they came."""

    @property
    def context(self) -> Mapping[str, str]:
        """How the request came, for condition keys: source_ip, secure, referer, user_agent."""

    @property
    def find_policies(self) -> Callable[[], CallerPolicies]:
        """Finds the policies that apply to the caller."""


def _find_none() -> CallerPolicies:
    return WITHOUT


@dataclass(frozen=True)
class DetachedRequest:
    """A caller with an operation that comes from no HTTP request."""

    caller: Principal | None
    action: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, str] = field(default_factory=dict)
    find_policies: Callable[[], CallerPolicies] = _find_none


def with_members(request: RequestContext, **members: object) -> DetachedRequest:
    """Return a request with other members, to authorize an entry of a batch or the source of a copy
    like a request of its own. A member that is None is not named."""
    params = {**request.params, **members}
    return DetachedRequest(
        request.caller, request.action, params, request.context, request.find_policies
    )
