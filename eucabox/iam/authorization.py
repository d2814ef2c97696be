"""The policies that apply to a caller: read from the database, compiled and remembered by each
thread until the database changes. Decides about no resource; see policy/decision.py."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from eucabox.iam.caller import Caller, Session
from eucabox.iam.effective_policies import (
    PolicyText,
    read_role_boundary,
    read_role_policies,
    read_user_boundary,
    read_user_policies,
)
from eucabox.iam.policy import compile_identity_policy
from eucabox.iam.policy.decision import ApplicablePolicies, NamedPolicy
from eucabox.iam.policy.request import AuthorizationRequest, key_name
from eucabox.iam.policy.statements import Statement
from eucabox.seal import Seal
from eucabox.state import State

MOST_KNOWN = 1000  # callers


@dataclass(frozen=True)
class _AboutAction:
    """The statements of a caller's own policies that are about one action; an Allow of each of
    `allowing` is needed."""

    denying: tuple[Statement, ...]
    allowing: tuple[tuple[Statement, ...], ...]


@dataclass(frozen=True)
class CallerPolicies:
    """The policies of a caller, those that limit it, its tags for aws:PrincipalTag, and what its
    session tells, by condition keys."""

    applicable: ApplicablePolicies
    tags: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    _by_action: dict[str, _AboutAction] = field(default_factory=dict)

    def permit(self, request: AuthorizationRequest) -> bool:
        """True if these policies alone allow a request within the caller's account.

        It is `decide` without the policy of a resource, faster and without reasons.
        """
        about = self._by_action.get(request.action)
        if about is None:
            about = self._by_action[request.action] = self._select(request)
        return all(
            any(_holds(each, request) for each in statements) for statements in about.allowing
        ) and not any(_holds(each, request) for each in about.denying)

    def may_permit(self, action: str) -> bool:
        """True if they allow the action on some resource under some conditions."""
        about = self._select(AuthorizationRequest(action, "", None, lambda key: None))
        return all(about.allowing)

    def _select(self, request: AuthorizationRequest) -> _AboutAction:
        own = self.applicable
        kinds = [() if own.is_root else own.identity, own.boundary, own.session]
        chosen = [
            [
                statement
                for named in kind
                for statement in named.policy.statements
                if statement.actions.matches(request.action, request)
            ]
            for kind in kinds
            if kind is not None
        ]
        allowing = [tuple(each for each in kind if each.allows) for kind in chosen]
        return _AboutAction(
            tuple(each for kind in chosen for each in kind if not each.allows),
            tuple(allowing[1:] if own.is_root else allowing),
        )


def _holds(statement: Statement, request: AuthorizationRequest) -> bool:
    return statement.resources.matches(request.resource, request) and all(
        each.holds(request) for each in statement.conditions
    )


WITHOUT = CallerPolicies(ApplicablePolicies())
UNLIMITED = CallerPolicies(ApplicablePolicies(is_root=True))


class Authorization:
    """Finds the policies of callers; `seal` closes what a refusal tells to its account alone."""

    def __init__(self, state: State, seal: Seal) -> None:
        self.seal = seal
        self._state = state
        self._local = threading.local()

    def find_policies(self, caller: Caller | None) -> CallerPolicies:
        """Return the policies that apply to a caller: none for an anonymous one."""
        if caller is None:
            return WITHOUT
        if not caller.is_limited:
            return UNLIMITED
        mark, local = self._state.mark(), self._local
        if mark is None:
            return self._load(caller)
        if getattr(local, "mark", None) != mark or len(local.known) > MOST_KNOWN:
            local.mark, local.known = mark, {}
        name = caller.session.access_key_id if caller.session else caller.user_id
        if name not in local.known:
            local.known[name] = self._load(caller)
        known: CallerPolicies = local.known[name]
        return known

    def _load(self, caller: Caller) -> CallerPolicies:
        session = caller.session
        role = session.role if session is not None else None
        limits = session.policies if session is not None else None
        identity, boundary = self._read_own(caller, role.role_id if role is not None else "")
        applicable = ApplicablePolicies(
            identity=_compile(identity),
            boundary=None if boundary is None else _compile([boundary]),
            session=None if limits is None else _compile([PolicyText("", each) for each in limits]),
            is_root=caller.is_root,
        )
        owner_id = role.role_id if role is not None else caller.user_id
        tags = session.tags if session is not None else {}
        own_tags = {**self._read_tags(owner_id), **tags}
        return CallerPolicies(applicable, own_tags, _describe_session(session))

    def _read_own(self, caller: Caller, role_id: str) -> tuple[list[PolicyText], PolicyText | None]:
        if role_id:
            return read_role_policies(self._state, role_id), read_role_boundary(
                self._state, role_id
            )
        if caller.is_root:
            return [], None
        return read_user_policies(self._state, caller.user_id), read_user_boundary(
            self._state, caller.user_id
        )

    def _read_tags(self, owner_id: str) -> dict[str, str]:
        sql = "select key, value from iam_tags where resource_id = ?"
        return {row["key"]: row["value"] for row in self._state.query(sql, (owner_id,))}


def _describe_session(session: Session | None) -> dict[str, str]:
    if session is None:
        return {}
    facts = {
        "aws:MultiFactorAuthPresent": "true" if session.mfa else "false",
        "aws:TokenIssueTime": session.created,
        "aws:SourceIdentity": session.source_identity,
        "aws:FederatedProvider": session.federated,
    }
    return {key_name(key): value for key, value in facts.items() if value}


def _compile(documents: list[PolicyText]) -> tuple[NamedPolicy, ...]:
    return tuple(NamedPolicy(compile_identity_policy(text), name) for name, text in documents)
