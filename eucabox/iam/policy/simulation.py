"""Simulates requests under given policies and tells the outcome in the form of IAM's API."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from eucabox.iam.policy.context_keys import list_missing_keys
from eucabox.iam.policy.decision import (
    ApplicablePolicies,
    Decision,
    MatchedStatement,
    Outcome,
    PolicyKind,
    decide,
)
from eucabox.iam.policy.positions import Position, StatementPlace, locate_statements
from eucabox.iam.policy.request import AuthorizationRequest
from eucabox.iam.policy.request_values import RequestValues
from eucabox.iam.policy.resource_types import resource_template
from eucabox.iam.policy.statements import Policy

EVERYTHING = "*"
# the keys whose values the caller's ARN tells
OF_CALLER = frozenset(
    {"aws:principalaccount", "aws:principalarn", "aws:principaltype", "aws:userid", "aws:username"}
)
SOURCES = {PolicyKind.IDENTITY: "IAM Policy", PolicyKind.RESOURCE: "Resource Policy"}
SEVEREST = (Outcome.EXPLICIT_DENY, Outcome.IMPLICIT_DENY, Outcome.ALLOWED)

Api = dict[str, object]


@dataclass(frozen=True)
class SimulatedCaller:
    """A caller that need not exist; `arn` is "" where the simulation names none."""

    account_id: str
    arn: str = ""
    user_name: str = ""
    account_name: str = ""
    canonical_id: str = ""
    unique_id: str = ""


@dataclass(frozen=True)
class Simulation:
    """The policies of a simulation, whose texts stand under their names, with its caller, the
    values of context keys, and the account of resources whose ARNs name none."""

    policies: ApplicablePolicies
    texts: Mapping[str, str]
    caller: SimulatedCaller
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    resource_owner: str = ""

    def evaluate(self, action: str, resources: Sequence[str]) -> Api:
        """Return the EvaluationResult of an action on resources, `*` alone for none."""
        results = [self._evaluate_one(action, each) for each in resources]
        decisions = [decision for decision, _ in results]
        statements = {
            (match.policy.name, match.number): match for each in decisions for match in each.matched
        }
        severest = min((each.outcome for each in decisions), key=SEVEREST.index)
        missing = dict.fromkeys(key for _, keys in results for key in keys)
        evaluation: Api = {
            "eval_action_name": action,
            "eval_resource_name": resources[0]
            if len(resources) == 1
            else resource_template(action),
            "eval_decision": severest.value,
            "matched_statements": self._list_matched(statements.values()),
            "missing_context_values": list(missing),
            **self._describe_boundary(decisions),
        }
        if list(resources) != [EVERYTHING]:
            evaluation["eval_decision_details"] = _describe_kinds(decisions)
            evaluation["resource_specific_results"] = [
                self._describe_resource(name, *result)
                for name, result in zip(resources, results, strict=True)
            ]
        return evaluation

    def _evaluate_one(self, action: str, resource: str) -> tuple[Decision, list[str]]:
        request = AuthorizationRequest(action, resource, self.caller, self._value)
        decision = decide(request, self.policies, self._find_owner(resource))
        return decision, list_missing_keys(self._list_policies(), request)

    def _value(self, key: str) -> Sequence[str] | None:
        if key in self.values:
            return self.values[key]
        if key in OF_CALLER and self.caller.arn:
            return RequestValues(self.caller)(key)
        return None

    def _find_owner(self, resource: str) -> str:
        """Return the account that owns a resource; the caller's where no caller is named."""
        if not self.caller.arn:
            return self.caller.account_id
        named = (resource.split(":", 5) + [""] * 5)[4]
        return named if named.isdecimal() else self.resource_owner or self.caller.account_id

    def _list_policies(self) -> list[Policy]:
        named = [*self.policies.identity, *(self.policies.boundary or ())]
        if self.policies.resource is not None:
            named.append(self.policies.resource)
        return [each.policy for each in named]

    def _describe_resource(self, name: str, decision: Decision, missing: list[str]) -> Api:
        return {
            "eval_resource_name": name,
            "eval_resource_decision": decision.outcome.value,
            "matched_statements": self._list_matched(decision.matched),
            "missing_context_values": missing,
            "eval_decision_details": _describe_kinds([decision]),
            **self._describe_boundary([decision]),
        }

    def _list_matched(self, matched: Iterable[MatchedStatement]) -> list[Api]:
        return [
            {
                "source_policy_id": each.policy.name,
                "source_policy_type": SOURCES[each.kind],
                "start_position": _to_api(place.start),
                "end_position": _to_api(place.end),
            }
            for each in matched
            if each.kind in SOURCES
            for place in [self._places[each.policy.name][each.number]]
        ]

    @cached_property
    def _places(self) -> dict[str, list[StatementPlace]]:
        return {name: locate_statements(text) for name, text in self.texts.items()}

    def _describe_boundary(self, decisions: list[Decision]) -> Api:
        if self.policies.boundary is None:
            return {}
        verdicts = [each.judge_kind(PolicyKind.BOUNDARY) for each in decisions]
        allowed = all(each is Outcome.ALLOWED for each in verdicts)
        detail = {"allowed_by_permissions_boundary": allowed}
        return {"permissions_boundary_decision_detail": detail}


def _to_api(position: Position) -> Api:
    return {"line": position.line, "column": position.column}


def _describe_kinds(decisions: list[Decision]) -> Api:
    """Return what each kind of policy says of requests across accounts; within one nothing."""
    crossing = [each for each in decisions if each.crosses_accounts]
    details: Api = {}
    for kind, source in SOURCES.items():
        verdicts = [each.judge_kind(kind) for each in crossing]
        told = [each for each in verdicts if each is not None]
        if told:
            details[source] = min(told, key=SEVEREST.index).value
    return details
