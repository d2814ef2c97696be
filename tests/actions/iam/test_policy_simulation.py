"""SimulateCustomPolicy and GetContextKeysForCustomPolicy, as IAM answers."""

import json
import time
from typing import Any

import pytest

from eucabox.actions import perform
from eucabox.errors import Fault
from tests.actions.stand_ins import ALICE, World

HOME, AWAY = "111111111111", "222222222222"
ANN = f"arn:aws:iam::{HOME}:user/ann"
CAT, DOG = "arn:aws:s3:::photos/cat", "arn:aws:s3:::photos/dog"


def write(*statements: dict[str, Any], indent: int | None = None) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, indent=indent)


def statement(effect: str = "Allow", **members: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": "s3:GetObject", "Resource": "*", **members}


ALLOW, DENY = write(statement()), write(statement("Deny"))


@pytest.fixture
def simulate(world: World) -> Any:
    def ask(policies: list[str], actions: list[str] | None = None, **members: Any) -> Any:
        members = {
            "policy_input_list": policies, "action_names": actions or ["s3:GetObject"], **members,
        }  # fmt: skip
        answer = perform("iam", "SimulateCustomPolicy", world.call(ALICE), members)
        assert answer is not None
        return answer

    return ask


def one(answer: Any) -> Any:
    (result,) = answer["evaluation_results"]
    return result


def test_without_resources_an_action_is_asked_of_everything(simulate: Any) -> None:
    answer = simulate([ALLOW])
    assert answer == {
        "is_truncated": False,
        "evaluation_results": [
            {
                "eval_action_name": "s3:GetObject",
                "eval_resource_name": "*",
                "eval_decision": "allowed",
                "matched_statements": [
                    {
                        "source_policy_id": "PolicyInputList.1",
                        "source_policy_type": "IAM Policy",
                        "start_position": {"line": 1, "column": 41},
                        "end_position": {"line": 1, "column": 103},
                    }
                ],
                "missing_context_values": [],
            }
        ],
    }
    assert ALLOW[40:102] == json.dumps(statement())


def test_an_implicit_and_an_explicit_denial_are_told_apart(simulate: Any) -> None:
    silent = one(simulate([ALLOW], ["s3:PutObject"]))
    assert (silent["eval_decision"], silent["matched_statements"]) == ("implicitDeny", [])
    denied = one(simulate([ALLOW, DENY]))
    assert denied["eval_decision"] == "explicitDeny"
    assert [each["source_policy_id"] for each in denied["matched_statements"]] == [
        "PolicyInputList.2"
    ]


def test_each_resource_has_its_own_result(simulate: Any) -> None:
    policy = write(statement(), statement("Deny", Resource=DOG), indent=2)
    result = one(simulate([policy], resource_arns=[CAT, DOG]))
    specific = result["resource_specific_results"]
    assert [(each["eval_resource_name"], each["eval_resource_decision"]) for each in specific] == [
        (CAT, "allowed"),
        (DOG, "explicitDeny"),
    ]
    assert [len(each["matched_statements"]) for each in specific] == [1, 1]
    assert specific[1]["matched_statements"][0]["start_position"] == {"line": 8, "column": 6}
    assert result["eval_decision"] == "explicitDeny"
    assert result["eval_resource_name"] == "arn:aws:s3:::${BucketName}/${ObjectName}"
    assert len(result["matched_statements"]) == 2
    assert result["eval_decision_details"] == {}


def test_one_resource_is_the_name_of_the_result(simulate: Any) -> None:
    result = one(simulate([ALLOW], resource_arns=[CAT]))
    assert result["eval_resource_name"] == CAT
    assert result["resource_specific_results"][0]["eval_resource_decision"] == "allowed"


def test_context_entries_are_the_values_of_keys_and_the_missing_ones_are_named(
    simulate: Any,
) -> None:
    condition = {
        "StringEquals": {"aws:PrincipalTag/Team": "red"},
        "DateLessThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"},
    }
    policy = write(
        statement(Condition=condition, Resource="arn:aws:s3:::photos/${aws:username}*"),
        statement(Action="s3:PutObject", Condition={"Bool": {"aws:SecureTransport": "true"}}),
    )
    missing = ["aws:username", "aws:PrincipalTag/Team", "aws:CurrentTime"]
    bare = one(simulate([policy], resource_arns=[CAT]))
    assert (bare["eval_decision"], bare["missing_context_values"]) == ("implicitDeny", missing)
    entries = [
        {"context_key_name": "aws:UserName", "context_key_values": ["cat"]},
        {"context_key_name": "aws:principaltag/Team", "context_key_values": ["red"]},
        {
            "context_key_name": "aws:CurrentTime",
            "context_key_values": ["2025-12-31T00:00:00Z"],
            "context_key_type": "date",
        },
    ]
    for count in range(len(entries)):
        asked = one(simulate([policy], resource_arns=[CAT], context_entries=entries[:count]))
        assert asked["eval_decision"] == "implicitDeny"
        assert asked["missing_context_values"] == missing[count:]
    full = one(simulate([policy], resource_arns=[CAT], context_entries=entries))
    assert (full["eval_decision"], full["missing_context_values"]) == ("allowed", [])


def test_a_key_has_several_values(simulate: Any) -> None:
    policy = write(
        statement(Condition={"ForAllValues:StringEquals": {"aws:TagKeys": ["team", "cost"]}})
    )

    def decide(*values: str) -> str:
        entry = {"context_key_name": "aws:TagKeys", "context_key_values": list(values)}
        result = one(simulate([policy], context_entries=[entry]))
        return str(result["eval_decision"])

    assert decide("team", "cost") == "allowed"
    assert decide("team", "name") == "implicitDeny"


def test_the_callers_arn_gives_its_keys(simulate: Any) -> None:
    policy = write(statement(Resource="arn:aws:s3:::photos/${aws:username}"))
    where = {"resource_arns": ["arn:aws:s3:::photos/ann"]}
    assert one(simulate([policy], caller_arn=ANN, **where))["eval_decision"] == "allowed"
    result = one(simulate([policy], **where))
    assert result["missing_context_values"] == ["aws:username"]


def test_a_boundary_limits_and_is_told_apart(simulate: Any) -> None:
    for boundary, allowed, decision in (
        (ALLOW, True, "allowed"),
        (write(statement(Action="s3:PutObject")), False, "implicitDeny"),
        (DENY, False, "explicitDeny"),
    ):
        result = one(
            simulate(
                [ALLOW], permissions_boundary_policy_input_list=[boundary], resource_arns=[CAT]
            )
        )
        assert result["eval_decision"] == decision
        detail = {"allowed_by_permissions_boundary": allowed}
        assert result["permissions_boundary_decision_detail"] == detail
        (specific,) = result["resource_specific_results"]
        assert specific["permissions_boundary_decision_detail"] == detail


def test_a_resource_policy_grants_within_the_account_and_is_needed_across(simulate: Any) -> None:
    granting = write(statement(Principal={"AWS": ANN}))
    nothing = write(statement(Action="s3:PutObject"))
    asked = {"resource_arns": [CAT], "resource_policy": granting, "caller_arn": ANN}
    result = one(simulate([nothing], **asked))
    assert result["eval_decision"] == "allowed"
    assert result["matched_statements"][0]["source_policy_id"] == "ResourcePolicy"
    assert result["eval_decision_details"] == {}
    across = {**asked, "resource_owner": f"arn:aws:iam::{AWAY}:root"}
    result = one(simulate([nothing], **across))
    assert result["eval_decision"] == "implicitDeny"
    assert result["eval_decision_details"] == {
        "IAM Policy": "implicitDeny", "Resource Policy": "allowed",
    }  # fmt: skip
    assert one(simulate([ALLOW], **across))["eval_decision"] == "allowed"


def test_a_foreign_resource_needs_its_owners_policy(simulate: Any) -> None:
    policy = write(statement(Action="ec2:*"))
    instance = f"arn:aws:ec2:eu:{AWAY}:instance/i-1"
    asked = {"actions": ["ec2:StartInstances"], "resource_arns": [instance]}
    assert one(simulate([policy], **asked))["eval_decision"] == "allowed"
    result = one(simulate([policy], **asked, caller_arn=ANN))
    assert result["eval_decision"] == "implicitDeny"
    assert result["eval_decision_details"] == {"IAM Policy": "allowed"}


def test_results_come_in_pages(simulate: Any) -> None:
    names = [f"s3:Get{number}" for number in range(5)]
    found, rounds = [], 0
    marker: dict[str, str] = {}
    while True:
        answer = simulate([ALLOW], names, max_items=2, **marker)
        found += [each["eval_action_name"] for each in answer["evaluation_results"]]
        rounds += 1
        if not answer["is_truncated"]:
            break
        marker = {"marker": answer["marker"]}
    assert (found, rounds) == (names, 3)
    assert "marker" not in answer


def test_a_hundred_results_are_a_page_and_twins_are_one(simulate: Any) -> None:
    names = [f"s3:Get{number}" for number in range(120)]
    answer = simulate([ALLOW], [*names, "s3:Get0"])
    assert (len(answer["evaluation_results"]), answer["marker"]) == (100, "100")


@pytest.mark.not_fast
def test_a_long_question_is_cut_or_refused_before_it_takes_long(simulate: Any) -> None:
    many = write(*[statement(Action=f"s3:*a{n}*b?c*", Sid=f"S{n}") for n in range(1300)])
    started = time.process_time()
    answer = simulate([many], [f"s3:Get{number}" for number in range(100)])
    assert answer["is_truncated"]
    assert len(answer["evaluation_results"]) >= 1
    with pytest.raises(Fault, match="Simulate fewer of them at a time") as caught:
        simulate([many] * 6, resource_arns=[f"{CAT}{number}" for number in range(10)])
    assert caught.value.code == "InvalidInput"
    values = ["ab" * 2048] * 20
    patterns = [f"*{n}a?b?c*" for n in range(5000)]
    dear = write(statement(Condition={"ForAnyValue:StringLike": {"aws:TagKeys": patterns}}))
    entry = {"context_key_name": "aws:TagKeys", "context_key_values": values}
    with pytest.raises(Fault, match="Simulate fewer of them at a time"):
        simulate([dear], context_entries=[entry])
    entry["context_key_values"] = values[:1]
    assert one(simulate([dear], context_entries=[entry]))["eval_decision"] == "implicitDeny"
    assert time.process_time() - started < 5


SCENARIO = "EC2-VPC-InstanceStore"


@pytest.mark.parametrize(
    ("members", "code", "words"),
    [
        ({"policy_input_list": ["{"]}, "InvalidInput", "Invalid PolicyInputList.1: Syntax errors"),
        (
            {"policy_input_list": [ALLOW, write(statement(Principal="*"))]},
            "InvalidInput",
            "Invalid PolicyInputList.2: Policy document should not specify a principal.",
        ),
        ({"policy_input_list": [""]}, "ValidationError", "greater than or equal to 1"),
        ({"policy_input_list": ["x" * 131_073]}, "ValidationError", "less than or equal to 131072"),
        ({"action_names": ["s3"]}, "ValidationError", "'actionNames.1.member' failed"),
        ({"action_names": ["GetObject"]}, "InvalidInput", "GetObject is no action"),
        ({"action_names": ["s3:Get*"]}, "InvalidInput", "without a wildcard"),
        ({"resource_arns": ["photos"]}, "InvalidInput", "photos is no ARN"),
        ({"resource_arns": ["a" * 2049]}, "ValidationError", "less than or equal to 2048"),
        ({"caller_arn": "ann"}, "InvalidInput", "Invalid CallerArn: ann"),
        (
            {"caller_arn": f"arn:aws:sts::{HOME}:assumed-role/a/b"},
            "InvalidInput",
            "Use the ARN of a user, group or role",
        ),
        ({"resource_owner": HOME}, "InvalidInput", "Use arn:aws:iam::ACCOUNT:root"),
        ({"resource_policy": ALLOW}, "InvalidInput", "CallerArn is required"),
        ({"resource_policy": ALLOW, "caller_arn": ANN}, "InvalidInput", "Invalid ResourcePolicy"),
        (
            {"resource_policy": ALLOW, "caller_arn": f"arn:aws:iam::{HOME}:role/r"},
            "InvalidInput",
            "isn't supported for IAM roles",
        ),
        (
            {"permissions_boundary_policy_input_list": [ALLOW, ALLOW]},
            "InvalidInput",
            "one permissions boundary",
        ),
        ({"permissions_boundary_policy_input_list": ["{"]}, "InvalidInput", "Invalid Permissions"),
        ({"max_items": 0}, "ValidationError", "greater than or equal to 1"),
        ({"max_items": 1001}, "ValidationError", "less than or equal to 1000"),
        ({"marker": "1"}, "InvalidInput", "Invalid Marker"),
        ({"marker": "-1"}, "InvalidInput", "Invalid Marker"),
        ({"marker": "\u0661"}, "InvalidInput", "Invalid Marker"),
        ({"context_entries": [{"context_key_name": "aws"}]}, "ValidationError", "contextKeyName"),
        (
            {"context_entries": [{"context_key_name": "aws:x", "context_key_type": "text"}]},
            "ValidationError",
            "Member must satisfy enum value set",
        ),
        (
            {"context_entries": [{"context_key_name": "aws:x", "context_key_values": ["a"] * 65}]},
            "InvalidInput",
            "aws:x can have at most 64 values of 4096 characters",
        ),
        ({"resource_handling_option": "EC2"}, "InvalidInput", "Invalid ResourceHandlingOption"),
        (
            {
                "resource_handling_option": SCENARIO,
                "resource_arns": [f"arn:aws:ec2:eu:{HOME}:instance/*", "arn:aws:ec2:eu::image/*"],
            },
            "InvalidInput",
            "among ResourceArns of: security-group, network-interface",
        ),
        ({"ordered_organization_policy_input_list": [{}]}, "UnsupportedOperation", "Ordered"),
    ],
)
def test_what_is_wrong_is_refused_by_its_name(
    simulate: Any, members: dict[str, Any], code: str, words: str
) -> None:
    asked = {"policies": [ALLOW], "actions": ["s3:GetObject"]}
    asked["policies"] = members.pop("policy_input_list", asked["policies"])
    asked["actions"] = members.pop("action_names", asked["actions"])
    with pytest.raises(Fault) as caught:
        simulate(**asked, **members)
    assert caught.value.code == code
    assert words in caught.value.message


def test_a_launch_may_be_simulated_with_all_that_it_needs(simulate: Any) -> None:
    kinds = ("instance/*", "security-group/sg-1", "network-interface/*")
    arns = [f"arn:aws:ec2:eu:{HOME}:{each}" for each in kinds] + ["arn:aws:ec2:eu::image/emi-1"]
    policy = write(statement(Action="ec2:RunInstances"))
    result = one(
        simulate(
            [policy], ["ec2:RunInstances"], resource_arns=arns, resource_handling_option=SCENARIO
        )
    )
    assert result["eval_decision"] == "allowed"
    assert len(result["resource_specific_results"]) == 4


def test_the_keys_that_policies_name_are_listed_once(world: World) -> None:
    first = write(
        statement(
            Resource=["arn:aws:s3:::${aws:username}/*", "arn:aws:s3:::${aws:userid, 'none'}/${*}"],
            Condition={
                "StringLike": {"s3:prefix": ["${aws:PrincipalTag/team}/*", "${AWS:UserName}"]},
                "Null": {"aws:MultiFactorAuthAge": "true"},
            },
        )
    )
    second = write(statement(Condition={"Bool": {"aws:SecureTransport": "true"}}))
    older = second.replace("2012-10-17", "2008-10-17").replace('"*"', '"arn:aws:s3:::${aws:x}"')
    members: dict[str, object] = {"policy_input_list": [first, second, older]}
    answer = perform("iam", "GetContextKeysForCustomPolicy", world.call(ALICE), members)
    assert answer == {
        "context_key_names": [
            "aws:username",
            "aws:userid",
            "s3:prefix",
            "aws:PrincipalTag/team",
            "aws:MultiFactorAuthAge",
            "aws:SecureTransport",
        ]
    }
    with pytest.raises(Fault, match=r"Invalid PolicyInputList\.1"):
        perform(
            "iam", "GetContextKeysForCustomPolicy", world.call(ALICE), {"policy_input_list": ["{"]}
        )
