"""Who may assume a role: finds the role and asks its trust policy; makes no session."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from eucabox.errors import SessionRefused
from eucabox.iam.caller import Caller
from eucabox.iam.iam_tags import list_tags
from eucabox.iam.policy import AuthorizationRequest, compile_trust_policy
from eucabox.iam.policy.decision import ApplicablePolicies, Decision, NamedPolicy, decide
from eucabox.iam.policy.refusals import describe_refusal
from eucabox.iam.policy.request_values import RequestValues
from eucabox.iam.rows import RoleRow
from eucabox.state import State

ROLE_ARN = re.compile(r"arn:aws:iam::(\d{12}):role(/(?:[!-~]+/)?)([\w+=,.@-]{1,64})", re.ASCII)
EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]*", re.ASCII)
TAGGING, NAMING_SOURCE = "sts:TagSession", "sts:SetSourceIdentity"


def find_role(state: State, arn: str) -> RoleRow | None:
    """Return the role of an ARN, None where there is none."""
    match = ROLE_ARN.fullmatch(arn)
    if match is None:
        return None
    account_id, path, name = match.groups()
    sql = """select * from roles where account_id = ? and lower(role_name) = lower(?)
      and role_name = ? and path = ?"""
    return state.select_one(RoleRow, sql, (account_id, name, name, path))


@dataclass(frozen=True)
class TrustRequest:
    """Somebody who wants a session of a role.

    `caller` is None where the identity provider `federated` vouches for a person. `own` are the
    caller's own policies, `context` tells how the request came, `more` has values of condition
    keys that this request alone has.
    """

    arn: str
    caller: Caller | None = None
    own: ApplicablePolicies = field(default_factory=ApplicablePolicies)
    federated: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    principal_tags: Mapping[str, str] = field(default_factory=dict)
    context: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, str | Sequence[str]] = field(default_factory=dict)

    def check(self, state: State, role: RoleRow | None, *actions: str) -> RoleRow:
        """Return the role if its trust policy and the caller's own policies allow the actions.

        Raises SessionRefused, in the same words where there is no such role; a role of the
        caller's own account also tells which policy refuses.
        """
        for action in actions:
            request = self._to_request(state, role, action)
            if role is None:
                raise SessionRefused(reason=_refuse(request))
            decision = self._decide(request, role)
            if not decision.allowed:
                own = self.caller is not None and role["account_id"] == self.caller.account_id
                told = describe_refusal(decision, request) if own else _refuse(request)
                raise SessionRefused(reason=told)
        assert role is not None, "an action is asked for"
        return role

    def _decide(self, request: AuthorizationRequest, role: RoleRow) -> Decision:
        trust = NamedPolicy(compile_trust_policy(role["trust_policy"]))
        policies = replace(self.own, resource=trust, trust=True)
        return decide(request, policies, role["account_id"])

    def _to_request(self, state: State, role: RoleRow | None, action: str) -> AuthorizationRequest:
        principal = self.caller.principal if self.caller is not None else None
        session = self.caller.session if self.caller is not None else None
        values = RequestValues(
            principal=principal,
            context=self.context,
            principal_tags=self.principal_tags,
            request_tags=self.tags,
            resource_tags=_read_tags(state, role),
            resource_account=role["account_id"] if role is not None else "",
            mfa=session.mfa if session is not None else None,
            more=self.more,
        )
        return AuthorizationRequest(action, self.arn, principal, values, federated=self.federated)


def _read_tags(state: State, role: RoleRow | None) -> dict[str, str]:
    if role is None:
        return {}
    return {each["key"]: each["value"] for each in list_tags(state, role["role_id"])}


def _refuse(request: AuthorizationRequest) -> str:
    if request.federated:
        return f"Not authorized to perform {request.action}"
    who = request.principal.arn if request.principal is not None else "anonymous"
    what = f"is not authorized to perform: {request.action} on resource: {request.resource}"
    return f"User: {who} {what}"
