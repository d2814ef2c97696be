"""How the policies that apply to a request are combined, and what the decision says of itself."""

import json
from typing import Any

import pytest

from eucabox.iam.policy import AuthorizationRequest, RoleSession, parse_identity_policy
from eucabox.iam.policy.decision import (
    ApplicablePolicies,
    Decision,
    NamedPolicy,
    Outcome,
    PolicyKind,
    decide,
)
from eucabox.iam.policy.identity_documents import parse_resource_policy, parse_trust_policy
from eucabox.iam.policy.simulation import SimulatedCaller

HOME, AWAY = "111111111111", "222222222222"
ANN = SimulatedCaller(HOME, f"arn:aws:iam::{HOME}:user/ann", "ann", canonical_id="a" * 64)
READER = RoleSession(HOME, "reader", "tuesday")
USER, ROLE = ANN.arn, READER.role_arn
OBJECT = "arn:aws:s3:::photos/cat.jpg"


def statement(effect: str = "Allow", **members: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": "s3:GetObject", "Resource": "*", **members}


def identity(*statements: dict[str, Any], name: str = "") -> NamedPolicy:
    return NamedPolicy(parse_identity_policy(json.dumps(document(*statements))), name)


def resource(principal: Any, effect: str = "Allow", **members: Any) -> NamedPolicy:
    said = statement(effect, Principal=principal, **members)
    return NamedPolicy(parse_resource_policy(json.dumps(document(said))))


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def judge(
    caller: Any = ANN, owner: str = HOME, service: str = "", **policies: Any
) -> tuple[Outcome, PolicyKind | None]:
    decision = ask(caller, owner, service, **policies)
    return decision.outcome, decision.kind


def ask(caller: Any = ANN, owner: str = HOME, service: str = "", **policies: Any) -> Decision:
    request = AuthorizationRequest("s3:GetObject", OBJECT, caller, lambda key: None, service)
    return decide(request, ApplicablePolicies(**policies), owner)


ALLOW, DENY = identity(statement()), identity(statement("Deny"))
SILENT = identity(statement(Action="s3:PutObject"))
YES = (Outcome.ALLOWED, None)


def no(kind: PolicyKind) -> tuple[Outcome, PolicyKind]:
    return Outcome.IMPLICIT_DENY, kind


def denied(kind: PolicyKind) -> tuple[Outcome, PolicyKind]:
    return Outcome.EXPLICIT_DENY, kind


IDENTITY, RESOURCE = PolicyKind.IDENTITY, PolicyKind.RESOURCE
BOUNDARY, SESSION = PolicyKind.BOUNDARY, PolicyKind.SESSION


def test_without_a_policy_nothing_is_allowed() -> None:
    assert judge() == no(IDENTITY)
    assert judge(identity=(SILENT,)) == no(IDENTITY)


def test_within_an_account_either_policy_allows() -> None:
    assert judge(identity=(ALLOW,)) == YES
    assert judge(identity=(SILENT, ALLOW)) == YES
    assert judge(resource=resource({"AWS": USER})) == YES
    assert judge(identity=(ALLOW,), resource=resource({"AWS": AWAY})) == YES


@pytest.mark.parametrize(
    ("policies", "kind"),
    [
        ({"identity": (ALLOW, DENY)}, IDENTITY),
        ({"identity": (ALLOW,), "resource": resource({"AWS": USER}, "Deny")}, RESOURCE),
        ({"identity": (ALLOW,), "resource": resource("*", "Deny")}, RESOURCE),
        ({"identity": (ALLOW,), "boundary": (ALLOW, DENY)}, BOUNDARY),
        ({"identity": (ALLOW,), "session": (DENY,)}, SESSION),
        ({"identity": (ALLOW,), "is_root": True, "session": (DENY,)}, SESSION),
    ],
)
def test_a_denial_anywhere_wins_and_is_named(policies: dict[str, Any], kind: PolicyKind) -> None:
    assert judge(**policies) == denied(kind)


def test_across_accounts_both_must_allow() -> None:
    granting = resource({"AWS": USER})
    assert judge(owner=AWAY, identity=(ALLOW,), resource=granting) == YES
    assert judge(owner=AWAY, identity=(ALLOW,), resource=resource({"AWS": HOME})) == YES
    assert judge(owner=AWAY, identity=(ALLOW,)) == no(RESOURCE)
    assert judge(owner=AWAY, resource=granting) == no(IDENTITY)
    assert judge(owner=AWAY, is_root=True) == no(RESOURCE)
    assert judge(owner=AWAY, identity=(ALLOW,), boundary=(), resource=granting) == no(BOUNDARY)
    assert judge(owner=AWAY, identity=(ALLOW,), session=(), resource=granting) == no(SESSION)
    assert ask(owner=AWAY, identity=(ALLOW,)).crosses_accounts
    assert not ask(owner=HOME, identity=(ALLOW,)).crosses_accounts


def test_a_boundary_and_a_session_policy_limit_and_grant_nothing() -> None:
    assert judge(identity=(ALLOW,), boundary=(ALLOW,), session=(ALLOW,)) == YES
    assert judge(identity=(ALLOW,), boundary=(SILENT,)) == no(BOUNDARY)
    assert judge(identity=(ALLOW,), boundary=(ALLOW,), session=(SILENT,)) == no(SESSION)
    assert judge(boundary=(ALLOW,), session=(ALLOW,)) == no(IDENTITY)


@pytest.mark.parametrize(
    ("caller", "principal", "limits", "outcome"),
    [
        # what is given to the user or the session by name is not limited
        (ANN, {"AWS": USER}, {"boundary": ()}, YES),
        (ANN, {"AWS": USER}, {"session": ()}, YES),
        (READER, {"AWS": READER.arn}, {"boundary": (), "session": ()}, YES),
        # to the role both limit it
        (READER, {"AWS": ROLE}, {}, YES),
        (READER, {"AWS": ROLE}, {"boundary": ()}, no(BOUNDARY)),
        (READER, {"AWS": ROLE}, {"session": ()}, no(SESSION)),
        (READER, {"AWS": ROLE}, {"boundary": (ALLOW,), "session": (ALLOW,)}, YES),
        # to everyone the session's policy
        (READER, "*", {"boundary": ()}, YES),
        (READER, "*", {"session": ()}, no(SESSION)),
        # the account's own policies must hand it on
        (ANN, {"AWS": HOME}, {}, no(IDENTITY)),
        (ANN, {"CanonicalUser": "a" * 64}, {}, no(IDENTITY)),
        (READER, {"AWS": f"arn:aws:iam::{HOME}:root"}, {}, no(IDENTITY)),
        # to others
        (READER, {"AWS": f"arn:aws:sts::{HOME}:assumed-role/reader/monday"}, {}, no(IDENTITY)),
        (READER, {"AWS": USER}, {}, no(IDENTITY)),
        (ANN, {"AWS": ROLE}, {}, no(IDENTITY)),
    ],
)
def test_what_a_resource_gives_reaches_as_far_as_it_names_the_caller(
    caller: Any, principal: Any, limits: dict[str, Any], outcome: Any
) -> None:
    assert judge(caller, resource=resource(principal), **limits) == outcome


def test_strangers_and_services_are_only_known_to_the_resource() -> None:
    service = "logging.s3.amazonaws.com"
    assert judge(None, resource=resource("*")) == YES
    assert judge(None, resource=resource({"AWS": HOME})) == no(RESOURCE)
    assert judge(None) == no(RESOURCE)
    assert judge(None, resource=resource("*", "Deny")) == denied(RESOURCE)
    assert judge(None, service=service, resource=resource({"Service": service})) == YES
    assert judge(None, service=service, resource=resource("*")) == no(RESOURCE)
    assert judge(None, service=service, resource=resource("*", "Deny")) == denied(RESOURCE)


def test_a_root_needs_no_policy_in_its_own_account() -> None:
    assert judge(is_root=True) == YES
    assert judge(is_root=True, resource=resource({"AWS": HOME}, "Deny")) == denied(RESOURCE)


def test_a_denial_of_all_but_some_meets_whoever_has_a_boundary() -> None:
    """As AWS documents it of NotPrincipal."""
    said = statement("Deny", NotPrincipal={"AWS": USER})
    others = NamedPolicy(parse_resource_policy(json.dumps(document(said))))
    assert judge(identity=(ALLOW,), resource=others) == YES
    assert judge(READER, identity=(ALLOW,), resource=others) == denied(RESOURCE)
    assert judge(identity=(ALLOW,), resource=others, boundary=(ALLOW,)) == denied(RESOURCE)


def trust(principal: Any) -> NamedPolicy:
    said = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
    return NamedPolicy(parse_trust_policy(json.dumps(document(said))))


@pytest.mark.parametrize(
    ("principal", "may_ask", "owner", "outcome"),
    [
        ({"AWS": USER}, False, HOME, YES),
        ({"AWS": HOME}, True, HOME, YES),
        ({"AWS": HOME}, False, HOME, no(IDENTITY)),
        ({"AWS": AWAY}, True, HOME, no(RESOURCE)),
        ({"AWS": USER}, True, AWAY, YES),
        ({"AWS": USER}, False, AWAY, no(IDENTITY)),
        ({"Service": "ec2.amazonaws.com"}, True, HOME, no(RESOURCE)),
    ],
)
def test_a_role_is_assumed_by_whom_it_trusts(
    principal: Any, may_ask: bool, owner: str, outcome: Any
) -> None:
    request = AuthorizationRequest(
        "sts:AssumeRole", f"arn:aws:iam::{owner}:role/reader", ANN, lambda key: None
    )
    asking = (identity(statement(Action="sts:AssumeRole")),) if may_ask else ()
    policies = ApplicablePolicies(identity=asking, resource=trust(principal), trust=True)
    decision = decide(request, policies, owner)
    assert (decision.outcome, decision.kind) == outcome


def test_a_provider_vouches_for_who_has_no_account_yet() -> None:
    provider = f"arn:aws:iam::{HOME}:oidc-provider/issuer.example.com"
    action = "sts:AssumeRoleWithWebIdentity"
    said = {"Effect": "Allow", "Action": action, "Principal": {"Federated": provider}}
    trusting = NamedPolicy(parse_trust_policy(json.dumps(document(said))))
    policies = ApplicablePolicies(resource=trusting, trust=True)

    def may(vouching: str) -> bool:
        request = AuthorizationRequest(action, ROLE, None, lambda key: None, federated=vouching)
        return decide(request, policies, HOME).allowed

    assert may(provider)
    assert not may(f"arn:aws:iam::{HOME}:oidc-provider/other.example.com")


def test_a_decision_names_the_statements_that_made_it() -> None:
    named = identity(statement(Sid="One"), statement(Action="s3:*", Sid="Two"), name="mine")
    allowed = ask(identity=(SILENT, named), resource=resource({"AWS": USER}))
    matched = [(each.kind, each.policy.name, each.number, each.sid) for each in allowed.matched]
    assert matched == [
        (IDENTITY, "mine", 0, "One"),
        (IDENTITY, "mine", 1, "Two"),
        (RESOURCE, "", 0, ""),
    ]
    refusing = identity(statement(), statement("Deny", Sid="Never"), name="theirs")
    refused = ask(identity=(named, refusing))
    assert [(each.policy.name, each.number, each.sid) for each in refused.matched] == [
        ("theirs", 1, "Never")
    ]
    assert ask(identity=(SILENT,)).matched == ()


def test_a_decision_tells_what_each_kind_of_policy_says_by_itself() -> None:
    decision = ask(identity=(ALLOW,), boundary=(ALLOW, DENY), session=())
    verdicts = [decision.judge_kind(kind) for kind in PolicyKind]
    assert verdicts == [Outcome.ALLOWED, None, Outcome.EXPLICIT_DENY, Outcome.IMPLICIT_DENY]
    assert ask(is_root=True).judge_kind(IDENTITY) is Outcome.ALLOWED
    assert ask().judge_kind(IDENTITY) is Outcome.IMPLICIT_DENY
    assert ask(owner=AWAY, resource=resource("*")).judge_kind(RESOURCE) is Outcome.ALLOWED
