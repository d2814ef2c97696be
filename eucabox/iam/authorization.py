"""The policies that apply to a caller: read from the database, compiled and remembered until the
database says something else of who may do what. Decides about no resource."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from eucabox.iam.caller import Caller
from eucabox.iam.managed_policies import read_default_document
from eucabox.iam.needed_permission import LoadedTags
from eucabox.iam.policy import compile_identity_policy
from eucabox.iam.policy.decision import ApplicablePolicies, NamedPolicy
from eucabox.iam.policy.request import AuthorizationRequest, key_name
from eucabox.iam.policy.statements import Statement
from eucabox.iam.policy.wildcards import Match
from eucabox.seal import Seal
from eucabox.state import State

MOST_KNOWN = 1000  # callers
MOST_WAYS = 64  # addresses
# keys whose values do not depend on the resource, nor on the members of a request
OF_EVERY_REQUEST = frozenset(
    {
        "aws:currenttime",
        "aws:epochtime",
        "aws:multifactorauthage",
        "aws:multifactorauthpresent",
        "aws:requestedregion",
        "aws:securetransport",
        "aws:sourceip",
        "aws:tokenissuetime",
        "aws:useragent",
        "ec2:region",
    }
)
IDENTITY, BOUNDARY, SESSION = "identity", "boundary", "session"
# What effective_policies.py reads in several queries, in one: requests wait for it.
_OWNERS = "select :id union all select group_id from group_members where user_id = :id"
_OWN = f"""select 'identity' as kind, policy_name as name, document as text from inline_policies
    where owner_id in ({_OWNERS})
  union all select distinct 'identity', policy_arn, null from attached_policies
    where owner_id in ({_OWNERS})
  union all select 'boundary', permissions_boundary, null from {{kind}}s
    where {{kind}}_id = :id and permissions_boundary <> ''"""


class _Plain(NamedTuple):
    """What statements without variables allow to requests that come in one way.

    `resources` are the matchers of allowed resources, of each kind of policies; `everywhere` is
    True if each kind allows every resource.
    """

    resources: list[list[Match]]
    everywhere: bool


@dataclass(frozen=True)
class _AboutAction:
    """The statements of a caller's own policies that are about one action; an Allow of each of
    `allowing` is needed."""

    denying: tuple[Statement, ...]
    allowing: tuple[tuple[Statement, ...], ...]
    _plain: dict[tuple[str, str], _Plain] = field(default_factory=dict, compare=False)

    def find_plain(self, context: Mapping[str, str]) -> _Plain:
        """Return what the statements allow to requests from the address in `context`, with or
        without TLS, whatever else they say."""
        way = source_ip, secure = context.get("source_ip", ""), context.get("secure", "")
        plain = self._plain.get(way)
        if plain is None:
            if len(self._plain) >= MOST_WAYS:
                self._plain.clear()
            values = {"aws:sourceip": source_ip, "aws:securetransport": secure}
            known = {key: (value,) for key, value in values.items() if value}
            request = AuthorizationRequest("", "", None, known.get)
            held = [
                [each for each in kind if _holds_plainly(each, request)] for kind in self.allowing
            ]
            plain = self._plain[way] = _Plain(
                [[match for each in kind for match in _fixed(each)] for kind in held],
                all(any(map(_names_all, kind)) for kind in held),
            )
        return plain


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
        for statements in about.allowing:
            for each in statements:
                if _holds(each, request):
                    break
            else:
                return False
        return not any(_holds(each, request) for each in about.denying)

    def permit_plainly(self, action: str, resource: str, context: Mapping[str, str]) -> bool:
        """True if these policies allow it as their statements without variables can tell, by its
        resource and by the address and TLS in `context` alone. False means: ask `permit`."""
        about = self._by_action.get(action)
        if about is None or about.denying:
            return False
        for kind in about.find_plain(context).resources:
            for match in kind:
                if match(resource):
                    break
            else:
                return False
        return True

    def permit_everywhere_plainly(self, action: str, context: Mapping[str, str]) -> bool:
        """True if `permit_plainly` is, whatever the resource. False means: ask further."""
        about = self._by_action.get(action)
        return about is not None and not about.denying and about.find_plain(context).everywhere

    def permit_everywhere(self, request: AuthorizationRequest) -> bool:
        """True if these policies allow the action whatever the resource is, and its tags and those
        of the request are, so that these need not be looked for."""
        about = self._by_action.get(request.action)
        if about is None:
            about = self._by_action[request.action] = self._select(request)
        return not about.denying and all(
            any(_holds_everywhere(each, request) for each in kind) for kind in about.allowing
        )

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
    if not statement.resources.matches(request.resource, request):
        return False
    return all(each.holds(request) for each in statement.conditions)


def _holds_plainly(statement: Statement, request: AuthorizationRequest) -> bool:
    return all(
        each.key in ("aws:sourceip", "aws:securetransport")
        and not any("${" in value for value in each.values)
        and each.holds(request)
        for each in statement.conditions
    )


def _fixed(statement: Statement) -> Iterator[Match]:
    """Yield the matchers of the resources that a statement names without variables."""
    if not statement.resources.others:
        for pattern in statement.resources.patterns:
            if pattern.fixed is not None:
                yield pattern.fixed


def _names_all(statement: Statement) -> bool:
    resources = statement.resources
    return not resources.others and any(each.text == "*" for each in resources.patterns)


def _holds_everywhere(statement: Statement, request: AuthorizationRequest) -> bool:
    return _names_all(statement) and all(
        each.key in OF_EVERY_REQUEST
        and not any("${" in value for value in each.values)
        and each.holds(request)
        for each in statement.conditions
    )


@dataclass(frozen=True)
class _KnownPolicies:
    """What was read while the database had one identity mark, and before that."""

    mark: int
    older: Mapping[str, CallerPolicies]
    policies: dict[str, CallerPolicies] = field(default_factory=dict)


WITHOUT = CallerPolicies(ApplicablePolicies())
UNLIMITED = CallerPolicies(ApplicablePolicies(is_root=True))


class Authorization:
    """Finds the policies of callers; `seal` closes what a refusal tells to its account alone."""

    def __init__(self, state: State, seal: Seal) -> None:
        self.seal = seal
        self._state = state
        self._known = _KnownPolicies(-1, {})

    def find_policies(self, caller: Caller | None) -> CallerPolicies:
        """Return the policies that apply to a caller: none for an anonymous one."""
        if caller is None:
            return WITHOUT
        if not caller.is_limited:
            return UNLIMITED if caller.sign_in is None else _tell_sign_in(caller)
        mark, known = self._state.identity_mark(), self._known
        if mark is None:
            return self._load(caller)
        if known.mark != mark or len(known.policies) > MOST_KNOWN:
            known = self._known = _KnownPolicies(mark, known.policies)
        name = _name(caller)
        policies = known.policies.get(name)
        if policies is None:
            policies = known.policies[name] = self._load(caller, known.older.get(name))
        return policies

    def _load(self, caller: Caller, before: CallerPolicies | None = None) -> CallerPolicies:
        """Return a caller's policies, with what `before` knows of them if they are the same."""
        session = caller.session
        role = session.role if session is not None else None
        owner_id = role.role_id if role is not None else caller.user_id
        own = [] if caller.is_root else self._read_own("user" if role is None else "role", owner_id)
        limits = session.policies if session is not None else None
        tags = session.tags if session is not None else {}
        applicable = ApplicablePolicies(
            identity=_compile(own, IDENTITY),
            boundary=_compile(own, BOUNDARY) or None,
            session=None if limits is None else _compile((SESSION, "", each) for each in limits),
            is_root=caller.is_root,
        )
        all_tags = LoadedTags(lambda: {**self._read_tags(owner_id), **tags})
        known = before._by_action if before and before.applicable == applicable else {}
        return CallerPolicies(applicable, all_tags, _describe_session(caller), known)

    def _read_own(self, kind: str, owner_id: str) -> list[tuple[str, str, str]]:
        """Return kind, name and text of each policy of a user or role, and of its boundary."""
        rows = self._state.query(_OWN.format(kind=kind), {"id": owner_id})
        return [
            (
                row["kind"],
                row["name"],
                read_default_document(self._state, row["name"])
                if row["text"] is None
                else row["text"],
            )
            for row in rows
        ]

    def _read_tags(self, owner_id: str) -> dict[str, str]:
        sql = "select key, value from iam_tags where resource_id = ?"
        return {row["key"]: row["value"] for row in self._state.query(sql, (owner_id,))}


def _name(caller: Caller) -> str:
    """What callers with the same policies and facts have in common."""
    if caller.session:
        return caller.session.access_key_id
    came = caller.sign_in
    return f"{caller.user_id} {came.mfa} {came.created}" if came else caller.user_id


def _tell_sign_in(root: Caller) -> CallerPolicies:
    """What conditions of other policies, as those of buckets, may ask of a root."""
    return replace(UNLIMITED, facts=_describe_session(root))


def _describe_session(caller: Caller) -> dict[str, str]:
    begun = caller.session or caller.sign_in
    if begun is None:  # an access key alone
        return {}
    session = caller.session
    facts = {
        "aws:MultiFactorAuthPresent": "true" if begun.mfa else "false",
        "aws:TokenIssueTime": begun.created,
        "aws:SourceIdentity": session.source_identity if session else "",
        "aws:FederatedProvider": session.federated if session else "",
    }
    return {key_name(key): value for key, value in facts.items() if value}


def _compile(documents: Iterable[tuple[str, str, str]], kind: str = "") -> tuple[NamedPolicy, ...]:
    return tuple(
        NamedPolicy(compile_identity_policy(text), name)
        for each, name, text in documents
        if kind in ("", each)
    )
