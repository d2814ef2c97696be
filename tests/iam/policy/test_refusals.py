"""The sentences of refusals, as AWS's clients know them."""

from typing import Any

import pytest

from eucabox.iam.policy import AuthorizationRequest
from eucabox.iam.policy.decision import ApplicablePolicies, decide
from eucabox.iam.policy.refusals import describe_refusal
from tests.iam.policy.test_decision import (
    ALLOW,
    ANN,
    AWAY,
    OBJECT,
    READER,
    SILENT,
    identity,
    resource,
    statement,
)

WHO = "User: arn:aws:iam::111111111111:user/ann is not authorized to perform: s3:GetObject"
ON = f"on resource: {OBJECT}"
NAMED = identity(statement("Deny"), name="arn:aws:iam::111111111111:policy/never")


@pytest.mark.parametrize(
    ("policies", "end"),
    [
        ({}, "because no identity-based policy allows the s3:GetObject action"),
        (
            {"identity": (ALLOW,), "boundary": (SILENT,)},
            "because no permissions boundary allows the s3:GetObject action",
        ),
        (
            {"identity": (ALLOW,), "session": (SILENT,)},
            "because no session policy allows the s3:GetObject action",
        ),
        ({"identity": (ALLOW,), "boundary": (NAMED,)}, "with an explicit deny in a permissions"
         " boundary: arn:aws:iam::111111111111:policy/never"),
        ({"identity": (NAMED,)}, "with an explicit deny in an identity-based policy:"
         " arn:aws:iam::111111111111:policy/never"),
        (
            {"identity": (ALLOW,), "resource": resource("*", "Deny")},
            "with an explicit deny in a resource-based policy",
        ),
        (
            {"identity": (ALLOW,), "session": (NAMED,)},
            "with an explicit deny in a session policy: arn:aws:iam::111111111111:policy/never",
        ),
    ],
)  # fmt: skip
def test_a_refusal_names_the_policy_that_refused(policies: dict[str, Any], end: str) -> None:
    assert refuse(ANN, **policies) == f"{WHO} {ON} {end}"


def refuse(caller: Any, owner: str = "", quote: bool = False, **policies: Any) -> str:
    request = AuthorizationRequest("s3:GetObject", OBJECT, caller, lambda key: None)
    decision = decide(request, ApplicablePolicies(**policies), owner)
    assert not decision.allowed
    return describe_refusal(decision, request, quote)


def test_across_accounts_the_resource_may_refuse() -> None:
    end = "because no resource-based policy allows the s3:GetObject action"
    assert refuse(ANN, AWAY, identity=(ALLOW,)) == f"{WHO} {ON} {end}"


def test_s3_quotes_the_resource_and_names_sessions_and_strangers() -> None:
    assert f'on resource: "{OBJECT}" because' in refuse(ANN, quote=True)
    assert refuse(READER).startswith(
        "User: arn:aws:sts::111111111111:assumed-role/reader/tuesday is not"
    )
    assert refuse(None).startswith("User: anonymous is not authorized")


def test_what_is_asked_of_no_resource_names_none() -> None:
    request = AuthorizationRequest("ec2:DescribeInstances", "*", ANN, lambda key: None)
    decision = decide(request, ApplicablePolicies())
    assert describe_refusal(decision, request) == (
        "User: arn:aws:iam::111111111111:user/ann is not authorized to perform:"
        " ec2:DescribeInstances because no identity-based policy allows the"
        " ec2:DescribeInstances action"
    )
