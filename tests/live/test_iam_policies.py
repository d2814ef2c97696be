"""IAM's roles and policies through boto3 and the AWS command line, against the real process; the
order of calls is that of Terraform's and Ansible's modules."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.live.process import Running

AWS = str(Path(sys.executable).with_name("aws"))
READS = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
ALLOW = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::a b/*"}],
}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


@pytest.fixture(scope="module")
def iam(cloud: Running) -> Any:
    return cloud.client("iam")


def command(cloud: Running, *argv: str) -> Any:
    done = subprocess.run(
        [AWS, "--endpoint-url", cloud.endpoint, "--output", "json", "iam", *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **cloud.settings, "PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout else None


def refuse(call: Any, **members: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as caught:
        call(**members)
    answer = caught.value.response
    error = answer["Error"]
    return answer["ResponseMetadata"]["HTTPStatusCode"], error["Code"], error["Message"]


def test_a_role_lives_as_terraform_has_it(iam: Any) -> None:
    own = {"RoleName": "tf"}
    created = iam.create_role(
        **own, AssumeRolePolicyDocument=json.dumps(TRUST), Path="/tf/", MaxSessionDuration=7200,
        Description="made", Tags=[{"Key": "a", "Value": "b"}],
    )["Role"]  # fmt: skip
    role = iam.get_role(**own)["Role"]
    assert (role["Arn"], role["AssumeRolePolicyDocument"]) == (created["Arn"], TRUST)
    assert role["Tags"] == [{"Key": "a", "Value": "b"}]
    assert iam.get_waiter("role_exists").wait(**own) is None
    assert iam.list_role_policies(**own)["PolicyNames"] == []
    assert iam.list_attached_role_policies(**own)["AttachedPolicies"] == []
    deny = {**TRUST, "Statement": [{**TRUST["Statement"][0], "Effect": "Deny"}]}  # type: ignore[dict-item]
    iam.update_assume_role_policy(**own, PolicyDocument=json.dumps(deny))
    iam.update_role_description(**own, Description="changed")
    iam.update_role(**own, MaxSessionDuration=3600)
    iam.put_role_permissions_boundary(**own, PermissionsBoundary=READS)
    iam.tag_role(**own, Tags=[{"Key": "c", "Value": "d"}])
    iam.untag_role(**own, TagKeys=["a"])
    iam.put_role_policy(**own, PolicyName="inline", PolicyDocument=json.dumps(ALLOW))
    iam.attach_role_policy(**own, PolicyArn=READS)
    role = iam.get_role(**own)["Role"]
    assert (role["AssumeRolePolicyDocument"], role["Description"]) == (deny, "changed")
    assert role["PermissionsBoundary"] == {
        "PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": READS,
    }  # fmt: skip
    assert iam.get_role_policy(**own, PolicyName="inline")["PolicyDocument"] == ALLOW
    iam.create_instance_profile(InstanceProfileName="tf")
    iam.add_role_to_instance_profile(InstanceProfileName="tf", **own)
    status, code, sentence = refuse(iam.delete_role, **own)
    assert (status, code) == (409, "DeleteConflict")
    assert "must remove roles from instance profile first" in sentence
    for profile in iam.list_instance_profiles_for_role(**own)["InstanceProfiles"]:
        assert profile["Roles"][0]["AssumeRolePolicyDocument"] == deny
        name = profile["InstanceProfileName"]
        iam.remove_role_from_instance_profile(InstanceProfileName=name, **own)
        iam.delete_instance_profile(InstanceProfileName=name)
    for policy in iam.list_attached_role_policies(**own)["AttachedPolicies"]:
        iam.detach_role_policy(**own, PolicyArn=policy["PolicyArn"])
    for inline in iam.list_role_policies(**own)["PolicyNames"]:
        iam.delete_role_policy(**own, PolicyName=inline)
    iam.delete_role_permissions_boundary(**own)
    iam.delete_role(**own)
    assert refuse(iam.get_role, **own) == (
        404, "NoSuchEntity", "The role with name tf cannot be found.",
    )  # fmt: skip


def test_a_trust_in_a_user_who_is_not_there_is_refused_as_clients_wait_for(iam: Any) -> None:
    statement = {**TRUST["Statement"][0], "Principal": {"AWS": "arn:aws:iam::123456789012:user/x"}}  # type: ignore[dict-item]
    document = json.dumps({**TRUST, "Statement": [statement]})
    status, code, sentence = refuse(
        iam.create_role, RoleName="x", AssumeRolePolicyDocument=document
    )
    assert (status, code) == (400, "MalformedPolicyDocument")
    assert sentence.startswith("Invalid principal in policy")


def test_a_policy_lives_as_terraform_has_it(iam: Any) -> None:
    arn = iam.create_policy(
        PolicyName="tf", PolicyDocument=json.dumps(ALLOW), Tags=[{"Key": "a", "Value": "b"}]
    )["Policy"]["Arn"]
    own = {"PolicyArn": arn}
    assert iam.get_waiter("policy_exists").wait(**own) is None
    policy = iam.get_policy(**own)["Policy"]
    assert policy["Tags"] == [{"Key": "a", "Value": "b"}]
    version = iam.get_policy_version(**own, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
    assert version["Document"] == ALLOW
    for number in range(2, 6):
        made = iam.create_policy_version(**own, PolicyDocument=json.dumps(ALLOW))["PolicyVersion"]
        assert (made["VersionId"], made["IsDefaultVersion"]) == (f"v{number}", False)
    assert refuse(iam.create_policy_version, **own, PolicyDocument=json.dumps(ALLOW))[:2] == (
        409, "LimitExceeded",
    )  # fmt: skip
    iam.set_default_policy_version(**own, VersionId="v5")
    iam.delete_policy_version(**own, VersionId="v1")
    iam.tag_policy(**own, Tags=[{"Key": "c", "Value": "d"}])
    iam.untag_policy(**own, TagKeys=["a"])
    assert iam.list_policy_tags(**own)["Tags"] == [{"Key": "c", "Value": "d"}]
    assert refuse(iam.delete_policy, **own)[1] == "DeleteConflict"
    for each in iam.list_policy_versions(**own)["Versions"]:
        if not each["IsDefaultVersion"]:
            iam.delete_policy_version(**own, VersionId=each["VersionId"])
    iam.delete_policy(**own)
    assert refuse(iam.get_policy, **own)[:2] == (404, "NoSuchEntity")


def test_lists_are_paged_as_ansible_reads_them(iam: Any) -> None:
    for number in range(3):
        iam.create_role(RoleName=f"page{number}", AssumeRolePolicyDocument=json.dumps(TRUST))
        iam.create_instance_profile(InstanceProfileName=f"page{number}")
        iam.attach_role_policy(RoleName=f"page{number}", PolicyArn=READS)
    small = {"PaginationConfig": {"PageSize": 1}}

    def read(name: str, member: str, **members: Any) -> list[Any]:
        pages = list(iam.get_paginator(name).paginate(**members, **small))
        assert len(pages) > 1 or not pages[0].get("IsTruncated")
        return [each for page in pages for each in page[member]]

    assert [each["RoleName"] for each in read("list_roles", "Roles")] == ["page0", "page1", "page2"]
    assert len(read("list_instance_profiles", "InstanceProfiles")) == 3
    holders = read("list_entities_for_policy", "PolicyRoles", PolicyArn=READS)
    assert [each["RoleName"] for each in holders] == ["page0", "page1", "page2"]
    attached = read("list_attached_role_policies", "AttachedPolicies", RoleName="page0")
    assert attached == [{"PolicyName": "AmazonS3ReadOnlyAccess", "PolicyArn": READS}]
    policies = read("list_policies", "Policies", Scope="AWS")
    assert policies == iam.list_policies(Scope="AWS")["Policies"]
    (used,) = iam.list_policies(OnlyAttached=True)["Policies"]
    assert (used["Arn"], used["AttachmentCount"]) == (READS, 3)
    details = read("get_account_authorization_details", "RoleDetailList")
    assert [each["AssumeRolePolicyDocument"] for each in details] == [TRUST] * 3


def test_the_aws_command_line_has_users_groups_and_roles_keep_policies(
    cloud: Running, iam: Any
) -> None:
    iam.create_user(UserName="cli")
    document = ["--policy-document", json.dumps(ALLOW)]
    command(cloud, "put-user-policy", "--user-name", "cli", "--policy-name", "p", *document)
    told = command(cloud, "get-user-policy", "--user-name", "cli", "--policy-name", "p")
    assert told == {"UserName": "cli", "PolicyName": "p", "PolicyDocument": ALLOW}
    command(cloud, "attach-user-policy", "--user-name", "cli", "--policy-arn", READS)
    attached = command(cloud, "list-attached-user-policies", "--user-name", "cli")
    assert attached["AttachedPolicies"][0]["PolicyArn"] == READS
    arn = iam.get_user(UserName="cli")["User"]["Arn"]
    simulated = command(
        cloud, "simulate-principal-policy", "--policy-source-arn", arn, "--action-names",
        "s3:ListBucket", "s3:PutObject",
    )  # fmt: skip
    decisions = [each["EvalDecision"] for each in simulated["EvaluationResults"]]
    assert decisions == ["allowed", "implicitDeny"]
    keys = command(cloud, "get-context-keys-for-principal-policy", "--policy-source-arn", arn)
    assert keys == {"ContextKeyNames": []}
    granting = command(
        cloud, "list-policies-granting-service-access", "--arn", arn, "--service-namespaces", "s3"
    )
    names = [
        each["PolicyName"] for each in granting["PoliciesGrantingServiceAccess"][0]["Policies"]
    ]
    assert names == ["p", "AmazonS3ReadOnlyAccess"]
    version = command(
        cloud, "get-policy-version", "--policy-arn", READS, "--version-id", "v1"
    )["PolicyVersion"]  # fmt: skip
    assert version["Document"]["Statement"][0]["Action"] == ["s3:Describe*", "s3:Get*", "s3:List*"]


def test_a_deleted_user_is_told_by_its_id_where_it_was_trusted(iam: Any) -> None:
    user = iam.create_user(UserName="gone")["User"]
    statement = {**TRUST["Statement"][0], "Principal": {"AWS": user["Arn"]}}  # type: ignore[dict-item]
    document = {**TRUST, "Statement": [statement]}
    own = {"RoleName": "trusting"}
    iam.create_role(**own, AssumeRolePolicyDocument=json.dumps(document))
    assert iam.get_role(**own)["Role"]["AssumeRolePolicyDocument"] == document
    iam.delete_user(UserName="gone")
    told = iam.get_role(**own)["Role"]["AssumeRolePolicyDocument"]
    assert told["Statement"][0]["Principal"] == {"AWS": user["UserId"]}
