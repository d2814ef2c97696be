"""SimulatePrincipalPolicy, GetContextKeysForPrincipalPolicy, ListPoliciesGrantingServiceAccess and
GetAccountAuthorizationDetails, as IAM answers."""

from typing import Any

import pytest

from tests.actions.iam.entities import (
    DENY_ALL,
    HOME,
    OTHER_ROOT,
    Entities,
    allow,
    write,
)
from tests.actions.stand_ins import World

ANN = f"arn:aws:iam::{HOME}:user/staff/ann"
READS = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


@pytest.fixture
def iam(world: World) -> Entities:
    iam = Entities(world)
    iam.add_group("dev", iam.add_user("ann", path="/staff/"))
    return iam


def simulate(iam: Entities, arn: str = ANN, *actions: str, **members: Any) -> list[str]:
    names = list(actions or ("s3:GetObject", "s3:PutObject"))
    answer = iam.do("SimulatePrincipalPolicy", policy_source_arn=arn, action_names=names, **members)
    return [each["eval_decision"] for each in answer["evaluation_results"]]


def put(iam: Entities, kind: str, owner: str, name: str, document: str) -> None:
    members = {f"{kind}_name": owner, "policy_name": name, "policy_document": document}
    iam.do(f"Put{kind.capitalize()}Policy", **members)


def test_a_user_is_simulated_with_its_own_policies_and_its_groups(iam: Entities) -> None:
    assert simulate(iam) == ["implicitDeny"] * 2
    put(iam, "user", "ann", "puts", allow("s3:PutObject"))
    iam.do("AttachGroupPolicy", group_name="dev", policy_arn=READS)
    assert simulate(iam) == ["allowed", "allowed"]
    answer = iam.do(
        "SimulatePrincipalPolicy", policy_source_arn=ANN,
        action_names=["s3:GetObject", "s3:PutObject"],
    )  # fmt: skip
    sources = [
        each["matched_statements"][0]["source_policy_id"] for each in answer["evaluation_results"]
    ]
    assert sources == [READS, "user_ann_puts"]
    assert simulate(iam, ANN, policy_input_list=[write({"Effect": "Deny", "Action": "s3:Get*",
        "Resource": "*"})]) == ["explicitDeny", "allowed"]  # fmt: skip
    group = f"arn:aws:iam::{HOME}:group/dev"
    assert simulate(iam, group) == ["allowed", "implicitDeny"]


def test_inline_policies_of_one_name_are_told_apart(iam: Entities) -> None:
    put(iam, "user", "ann", "p", allow("s3:PutObject"))
    put(iam, "group", "dev", "p", allow("s3:GetObject"))
    assert simulate(iam) == ["allowed", "allowed"]


def test_a_boundary_limits_a_simulation_unless_another_is_given(iam: Entities) -> None:
    put(iam, "user", "ann", "all", allow("s3:*"))
    iam.do("PutUserPermissionsBoundary", user_name="ann", permissions_boundary=READS)
    assert simulate(iam) == ["allowed", "implicitDeny"]
    other = {"permissions_boundary_policy_input_list": [allow("s3:PutObject")]}
    assert simulate(iam, ANN, **other) == ["implicitDeny", "allowed"]


def test_a_role_is_simulated(iam: Entities) -> None:
    role = iam.add_role("web", path="/x/", permissions_boundary=READS)
    put(iam, "role", "web", "all", allow("*"))
    assert simulate(iam, role["arn"]) == ["allowed", "implicitDeny"]


def test_the_user_is_the_caller_for_variables(iam: Entities) -> None:
    resource = "arn:aws:s3:::home/${aws:username}/*"
    put(iam, "user", "ann", "home", allow(Resource=resource))
    mine, other = (f"arn:aws:s3:::home/{name}/x" for name in ("ann", "bob"))
    assert simulate(iam, ANN, "s3:GetObject", resource_arns=[mine]) == ["allowed"]
    assert simulate(iam, ANN, "s3:GetObject", resource_arns=[other]) == ["implicitDeny"]


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        (f"arn:aws:iam::{HOME}:user/staff/nobody", "NoSuchEntity"),
        (f"arn:aws:iam::{HOME}:user/ann", "InvalidInput"),
        (f"arn:aws:iam::{HOME}:policy/nothing", "InvalidInput"),
        ("arn:aws:iam::999999999999:user/staff/ann", "InvalidInput"),
        (f"arn:aws:iam::{HOME}:root", "InvalidInput"),
        ("x", "InvalidInput"),
    ],
)
def test_who_is_not_there_is_not_simulated(iam: Entities, arn: str, code: str) -> None:
    own = {"policy_source_arn": arn}
    actions = {"action_names": ["s3:GetObject"]}
    assert iam.refused("SimulatePrincipalPolicy", **own, **actions)[0] == code
    assert iam.refused("GetContextKeysForPrincipalPolicy", **own)[0] == code
    services = {"arn": arn, "service_namespaces": ["s3"]}
    assert iam.refused("ListPoliciesGrantingServiceAccess", **services)[0] == code


def test_a_simulation_names_whom_and_what(iam: Entities) -> None:
    actions = {"action_names": ["s3:GetObject"]}
    assert iam.refused("SimulatePrincipalPolicy", **actions)[0] == "MissingParameter"
    assert iam.refused("SimulatePrincipalPolicy", policy_source_arn=ANN)[0] == "MissingParameter"


def test_context_keys_are_those_of_all_policies(iam: Entities) -> None:
    put(iam, "user", "ann", "a", allow(Condition={"Bool": {"aws:SecureTransport": "true"}}))
    put(iam, "group", "dev", "b", allow(Resource="arn:aws:s3:::${aws:username}/*"))
    given = [allow(Condition={"StringLike": {"s3:prefix": "x"}})]
    answer = iam.do(
        "GetContextKeysForPrincipalPolicy", policy_source_arn=ANN, policy_input_list=given
    )
    assert answer == {"context_key_names": ["aws:SecureTransport", "aws:username", "s3:prefix"]}


def test_policies_that_grant_a_service_are_listed(iam: Entities) -> None:
    put(iam, "user", "ann", "puts", allow("s3:PutObject"))
    put(iam, "user", "ann", "denies", write({"Effect": "Deny", "Action": "*", "Resource": "*"}))
    put(iam, "group", "dev", "others", write(
        {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}))  # fmt: skip
    iam.do("AttachUserPolicy", user_name="ann", policy_arn=READS)
    answer = iam.do(
        "ListPoliciesGrantingServiceAccess", arn=ANN, service_namespaces=["s3", "iam", "ec2"]
    )
    assert answer["is_truncated"] is False
    granting = {
        each["service_namespace"]: [policy["policy_name"] for policy in each["policies"]]
        for each in answer["policies_granting_service_access"]
    }
    assert granting == {
        "s3": ["puts", "AmazonS3ReadOnlyAccess", "others"], "iam": [], "ec2": ["others"],
    }  # fmt: skip
    inline, managed, _ = answer["policies_granting_service_access"][0]["policies"]
    assert inline == {
        "policy_name": "puts", "policy_type": "INLINE", "entity_type": "USER",
        "entity_name": "ann",
    }  # fmt: skip
    assert (managed["policy_type"], managed["policy_arn"]) == ("MANAGED", READS)


# --- all at once --------------------------------------------------------------------------------


def test_the_details_of_an_account_have_everything(iam: Entities) -> None:
    arn = iam.add_policy("Mine")
    iam.add_role("web", permissions_boundary=DENY_ALL, tags=[{"key": "a", "value": "b"}])
    iam.do("CreateInstanceProfile", instance_profile_name="web")
    iam.do("AddRoleToInstanceProfile", instance_profile_name="web", role_name="web")
    iam.do("CreateRole", OTHER_ROOT, role_name="theirs", assume_role_policy_document=write(
        {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}))  # fmt: skip
    put(iam, "user", "ann", "p", allow())
    iam.do("AttachGroupPolicy", group_name="dev", policy_arn=arn)
    whole = iam.do("GetAccountAuthorizationDetails", max_items=1000)
    (user,), (group,), (role,) = (
        whole[f"{kind}_detail_list"] for kind in ("user", "group", "role")
    )
    assert (user["arn"], user["group_list"], user["tags"]) == (ANN, ["dev"], [])
    assert user["user_policy_list"] == [{"policy_name": "p", "policy_document": allow()}]
    assert group["attached_managed_policies"] == [{"policy_name": "Mine", "policy_arn": arn}]
    assert role["instance_profile_list"][0]["instance_profile_name"] == "web"
    assert role["permissions_boundary"]["permissions_boundary_arn"] == DENY_ALL
    assert role["tags"] == [{"key": "a", "value": "b"}]
    (mine,) = (each for each in whole["policies"] if each["arn"] == arn)
    assert mine["policy_version_list"][0]["document"] == allow()
    assert (mine["attachment_count"], mine["default_version_id"]) == (1, "v1")
    paged: dict[str, list[Any]] = {name: [] for name in whole if isinstance(whole[name], list)}
    marker: dict[str, str] = {}
    while True:
        answer = iam.do("GetAccountAuthorizationDetails", max_items=2, **marker)
        assert sum(len(answer[name]) for name in paged) <= 2
        for name in paged:
            paged[name] += answer[name]
        if not answer["is_truncated"]:
            break
        marker = {"marker": answer["marker"]}
    assert paged == {name: whole[name] for name in paged}


def test_the_details_can_be_of_some_kinds(iam: Entities) -> None:
    arn = iam.add_policy("Mine")
    local = iam.do("GetAccountAuthorizationDetails", filter=["LocalManagedPolicy"])
    assert [each["arn"] for each in local["policies"]] == [arn]
    assert local["user_detail_list"] == []
    users = iam.do("GetAccountAuthorizationDetails", filter=["User", "Group"])
    assert (len(users["user_detail_list"]), len(users["group_detail_list"])) == (1, 1)
    assert users["policies"] == []
    assert iam.refused("GetAccountAuthorizationDetails", filter=["Users"])[0] == "ValidationError"
