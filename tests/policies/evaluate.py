"""The decision of our evaluator on a case."""

import json
from typing import Any

from eucabox.iam.policy import (
    AuthorizationRequest,
    RoleSession,
    parse_identity_policy,
)
from eucabox.iam.policy.decision import ApplicablePolicies, Decision, NamedPolicy, decide
from eucabox.iam.policy.identity_documents import parse_resource_policy
from eucabox.iam.policy.request import key_name
from eucabox.iam.policy.simulation import SimulatedCaller
from tests.policies.cases import ANONYMOUS, SERVICE, SESSION, Case, Document


def name_policy(document: Document, name: str = "") -> NamedPolicy:
    """Compile a document of a user, group, role or session."""
    return NamedPolicy(parse_identity_policy(json.dumps(document)), name)


def _principal(arn: str) -> Any:
    if arn in (ANONYMOUS, SERVICE):
        return None
    account, name = arn.split(":")[4], arn.split("/")
    if arn == SESSION:
        return RoleSession(account, name[1], name[2])
    return SimulatedCaller(account, arn, name[-1])


def evaluate(case: Case) -> Decision:
    """Decide a case."""
    values = {
        key_name(key): (value,) if isinstance(value, str) else tuple(value)
        for key, value in case.context.items()
    }
    service = SERVICE if case.caller == SERVICE else ""
    request = AuthorizationRequest(
        case.action, case.resource, _principal(case.caller), values.get, service
    )
    resource = case.resource_policy
    policies = ApplicablePolicies(
        identity=tuple(name_policy(each) for each in case.identity),
        boundary=None if case.boundary is None else tuple(map(name_policy, case.boundary)),
        session=None if case.session is None else (name_policy(case.session),),
        resource=NamedPolicy(parse_resource_policy(json.dumps(resource))) if resource else None,
        trust=case.action == "sts:AssumeRole" and resource is not None,
    )
    return decide(request, policies, case.owner)
