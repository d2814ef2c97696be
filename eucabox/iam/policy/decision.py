"""Combines the policies that apply to a request as AWS does; refuses nothing itself.

What is denied anywhere is denied. Else, within one account, the policies of the caller or that of
the resource must allow; across accounts both must. A boundary and the policies of a session limit
what the caller's own policies give. What the resource's policy gives to the caller's role, both
limit too; what it gives to everyone, only a session's policy; what it gives to the user or the
session by name, neither. What it gives to the caller's account is for that account's own policies
to hand on.
"""

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from eucabox.iam.policy.principals import NamedAs
from eucabox.iam.policy.request import AuthorizationRequest
from eucabox.iam.policy.statements import Policy


class Outcome(Enum):
    """The outcome of a decision, in the words of the simulator's API."""

    ALLOWED = "allowed"
    EXPLICIT_DENY = "explicitDeny"
    IMPLICIT_DENY = "implicitDeny"


class PolicyKind(Enum):
    """A kind of policy, in the words of AWS's refusals."""

    IDENTITY = "identity-based policy"
    RESOURCE = "resource-based policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"


@dataclass(frozen=True)
class NamedPolicy:
    """A policy with the name by which a refusal tells of it: its ARN, or the name it has in its
    user, group or role."""

    policy: Policy
    name: str = ""


@dataclass(frozen=True)
class ApplicablePolicies:
    """All policies that apply to one request.

    `boundary` and `session` are None where the caller has none, which limits nothing; an empty
    tuple allows nothing. `is_root` stands for an identity policy that allows everything. `trust`
    tells that the resource is a role, whose policy must at least trust the caller's account.
    """

    identity: tuple[NamedPolicy, ...] = ()
    resource: NamedPolicy | None = None
    boundary: tuple[NamedPolicy, ...] | None = None
    session: tuple[NamedPolicy, ...] | None = None
    is_root: bool = False
    trust: bool = False

    @cached_property
    def by_kind(self) -> tuple[tuple[PolicyKind, NamedPolicy], ...]:
        """All of them with their kinds, in the order in which a denial is told."""
        resource = () if self.resource is None else (self.resource,)
        return (
            *((PolicyKind.IDENTITY, each) for each in self.identity),
            *((PolicyKind.RESOURCE, each) for each in resource),
            *((PolicyKind.BOUNDARY, each) for each in self.boundary or ()),
            *((PolicyKind.SESSION, each) for each in self.session or ()),
        )

    def has_kind(self, kind: PolicyKind) -> bool:
        """True if policies of a kind apply; those of the caller always do, if only by silence."""
        optional = {
            PolicyKind.RESOURCE: self.resource,
            PolicyKind.BOUNDARY: self.boundary,
            PolicyKind.SESSION: self.session,
        }
        return kind is PolicyKind.IDENTITY or optional[kind] is not None


@dataclass(frozen=True)
class MatchedStatement:
    """A statement that applies to a request: which one, counted from 0, of which policy."""

    kind: PolicyKind
    policy: NamedPolicy
    number: int

    @property
    def allows(self) -> bool:
        """True for an Allow."""
        return self.policy.policy.statements[self.number].allows

    @property
    def sid(self) -> str:
        """The statement's Sid, or ""."""
        return self.policy.policy.statements[self.number].sid


@dataclass(frozen=True)
class Decision:
    """What was decided, and what decided it.

    `kind` is the kind of policy that refused: by a statement, which is the first of `matched`, or
    as no policy of that kind allows it.
    """

    outcome: Outcome
    policies: ApplicablePolicies
    matched: tuple[MatchedStatement, ...] = ()
    kind: PolicyKind | None = None
    crosses_accounts: bool = False
    fitting: tuple[MatchedStatement, ...] = ()  # whether or not they mattered

    @property
    def allowed(self) -> bool:
        """True if the request may be carried out."""
        return self.outcome is Outcome.ALLOWED

    def judge_kind(self, kind: PolicyKind) -> Outcome | None:
        """Return what the policies of one kind say by themselves, None if none applies."""
        if not self.policies.has_kind(kind):
            return None
        effects = {each.allows for each in self.fitting if each.kind is kind}
        if False in effects:
            return Outcome.EXPLICIT_DENY
        by_root = kind is PolicyKind.IDENTITY and self.policies.is_root
        return Outcome.ALLOWED if effects or by_root else Outcome.IMPLICIT_DENY


def decide(
    request: AuthorizationRequest, policies: ApplicablePolicies, resource_account: str = ""
) -> Decision:
    """Decide a request for a resource of an account, "" for the caller's own."""
    fitting = _match(request, policies)
    crosses = bool(resource_account) and resource_account != _account_of(request)
    denials = tuple(each for each in fitting if not each.allows)
    if denials:
        kind = denials[0].kind
        return Decision(Outcome.EXPLICIT_DENY, policies, denials, kind, crosses, fitting)
    refusing = _find_refusing_kind(request, policies, fitting, crosses)
    if refusing is None:
        return Decision(Outcome.ALLOWED, policies, fitting, None, crosses, fitting)
    return Decision(Outcome.IMPLICIT_DENY, policies, (), refusing, crosses, fitting)


def _match(
    request: AuthorizationRequest, policies: ApplicablePolicies
) -> tuple[MatchedStatement, ...]:
    bounded = policies.boundary is not None
    return tuple(
        MatchedStatement(kind, named, number)
        for kind, named in policies.by_kind
        for number in named.policy.list_fitting(request, bounded)
    )


def _account_of(request: AuthorizationRequest) -> str:
    return request.principal.account_id if request.principal is not None else ""


def _find_refusing_kind(
    request: AuthorizationRequest,
    policies: ApplicablePolicies,
    allowing: tuple[MatchedStatement, ...],
    crosses: bool,
) -> PolicyKind | None:
    """Return the kind of policy that does not allow a request which none denies, None if it is
    allowed."""
    named = _find_named_as(request, policies, allowing)
    if request.principal is None:  # a stranger, or a service: only the resource's policy knows it
        return None if named else PolicyKind.RESOURCE
    kinds = [each.kind for each in allowing]
    limit = _find_limit(policies, kinds)
    by_identity = policies.is_root or PolicyKind.IDENTITY in kinds
    if crosses:
        if not by_identity:
            return PolicyKind.IDENTITY
        return limit or (None if named else PolicyKind.RESOURCE)
    if named is NamedAs.ITSELF:
        return None
    if named is NamedAs.ANYONE:
        return _find_session_limit(policies, kinds)
    if named is NamedAs.ROLE:
        return limit
    if policies.trust and not named:
        return PolicyKind.RESOURCE
    return limit if by_identity else PolicyKind.IDENTITY


def _find_named_as(
    request: AuthorizationRequest,
    policies: ApplicablePolicies,
    allowing: tuple[MatchedStatement, ...],
) -> NamedAs:
    """Tell how closely the resource's policy names the caller, where it allows the request."""
    if policies.resource is None:
        return NamedAs.NOBODY
    numbers = [each.number for each in allowing if each.kind is PolicyKind.RESOURCE]
    return policies.resource.policy.match_closely(numbers, request)


def _find_limit(policies: ApplicablePolicies, kinds: list[PolicyKind]) -> PolicyKind | None:
    """Return the boundary or the session's policies if the caller has them and they do not allow
    the request; `kinds` are those that do."""
    if policies.boundary is not None and PolicyKind.BOUNDARY not in kinds:
        return PolicyKind.BOUNDARY
    return _find_session_limit(policies, kinds)


def _find_session_limit(policies: ApplicablePolicies, kinds: list[PolicyKind]) -> PolicyKind | None:
    limited = policies.session is not None and PolicyKind.SESSION not in kinds
    return PolicyKind.SESSION if limited else None
