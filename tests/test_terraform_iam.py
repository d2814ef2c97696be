"""The calls of IAM that Terraform's AWS provider makes for a resource, in its order, over HTTP."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError

from eucabox import api
from eucabox.config import Config
from eucabox.iam.accounts import Accounts
from eucabox.server.listener import Listener
from eucabox.state import State
from tests.actions.stand_ins import World

NONE = "NoSuchEntity"  # what Terraform takes for "it is gone", and nothing else
TAGS = [{"Key": "by", "Value": "tf"}]


def document(*actions: str) -> str:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def trust(kind: str, name: str) -> str:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {kind: name}}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def iam(config: Config, state: State, first_keys: Path) -> Iterator[Any]:
    world = World(config, state)
    shutil.copytree(first_keys, config.cloud.data_dir, dirs_exist_ok=True)
    with state.transaction() as database:
        database.conn.execute("delete from accounts where account_name = 'eucalyptus'")
    accounts = Accounts(config, state)
    world.cloud = SimpleNamespace(**{**vars(world.cloud), "accounts": accounts})
    root = accounts.user_credentials(accounts.ensure_administrator())
    listener = Listener(("127.0.0.1", 0), api.create_app(world.cloud), 4, ("api", "port"))
    listener.open()
    client = boto3.client(
        "iam",
        endpoint_url=f"http://127.0.0.1:{listener.bind_addr[1]}",
        region_name="us-east-1",
        aws_access_key_id=root.caller.access_key_id,
        aws_secret_access_key=root.secret,
        config=ClientConfig(retries={"max_attempts": 0}),
    )
    yield client
    client.close()
    listener.shut()


def refusal(call: Any, **params: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**params)
    return str(caught.value.response["Error"]["Code"])


def make_policy(iam: Any, name: str = "tf") -> str:
    made = iam.create_policy(PolicyName=name, PolicyDocument=document("ec2:Describe*"), Tags=TAGS)
    return str(made["Policy"]["Arn"])


@pytest.mark.not_fast
def test_aws_iam_user_and_what_force_destroy_takes_along(iam: Any) -> None:
    one, arn = {"UserName": "tf"}, make_policy(iam)
    assert refusal(iam.get_user, **one) == NONE
    made = iam.create_user(Path="/tf/", PermissionsBoundary=arn, Tags=TAGS, **one)["User"]
    read = iam.get_user(**one)["User"]
    assert (read["Arn"], read["Tags"]) == (made["Arn"], TAGS)
    assert read["PermissionsBoundary"]["PermissionsBoundaryArn"] == arn
    iam.update_user(NewUserName="tf2", NewPath="/", **one)
    one = {"UserName": "tf2"}
    iam.delete_user_permissions_boundary(**one)
    iam.put_user_permissions_boundary(PermissionsBoundary=arn, **one)
    iam.untag_user(TagKeys=["by"], **one)
    iam.tag_user(Tags=[{"Key": "by", "Value": "hand"}], **one)
    key = iam.create_access_key(**one)["AccessKey"]["AccessKeyId"]
    iam.create_login_profile(Password="correct horse battery", PasswordResetRequired=True, **one)
    assert iam.get_login_profile(**one)["LoginProfile"]["PasswordResetRequired"] is True
    iam.create_group(GroupName="tf")
    iam.add_user_to_group(GroupName="tf", **one)

    assert refusal(iam.delete_user, **one) == "DeleteConflict"
    (group,) = iam.list_groups_for_user(**one)["Groups"]
    iam.remove_user_from_group(GroupName=group["GroupName"], **one)
    (row,) = iam.list_access_keys(**one)["AccessKeyMetadata"]
    assert row["AccessKeyId"] == key
    iam.delete_access_key(AccessKeyId=key, **one)
    assert iam.list_ssh_public_keys(**one)["SSHPublicKeys"] == []
    assert iam.list_virtual_mfa_devices(AssignmentStatus="Assigned")["VirtualMFADevices"] == []
    assert iam.list_mfa_devices(**one)["MFADevices"] == []
    iam.delete_login_profile(**one)
    assert refusal(iam.delete_login_profile, **one) == NONE
    assert iam.list_signing_certificates(**one)["Certificates"] == []
    assert iam.list_service_specific_credentials(**one)["ServiceSpecificCredentials"] == []
    iam.delete_user(**one)
    assert refusal(iam.get_user, **one) == NONE


@pytest.mark.not_fast
def test_aws_iam_access_key(iam: Any) -> None:
    one = {"UserName": "tf"}
    iam.create_user(**one)
    key = {"AccessKeyId": iam.create_access_key(**one)["AccessKey"]["AccessKeyId"]}
    iam.update_access_key(Status="Inactive", **one, **key)
    (row,) = iam.list_access_keys(**one)["AccessKeyMetadata"]
    assert (row["AccessKeyId"], row["Status"]) == (key["AccessKeyId"], "Inactive")
    assert "AccessKeyLastUsed" in iam.get_access_key_last_used(**key)
    iam.delete_access_key(**one, **key)
    assert refusal(iam.delete_access_key, **one, **key) == NONE


@pytest.mark.not_fast
def test_aws_iam_group_and_its_members_and_policies(iam: Any) -> None:
    one, arn = {"GroupName": "tf"}, make_policy(iam)
    assert refusal(iam.get_group, **one) == NONE
    iam.create_group(Path="/tf/", **one)
    iam.update_group(NewPath="/", **one)
    iam.create_user(UserName="ann")
    iam.add_user_to_group(UserName="ann", **one)
    assert [user["UserName"] for user in iam.get_group(**one)["Users"]] == ["ann"]
    iam.put_group_policy(PolicyName="in", PolicyDocument=document("s3:*"), **one)
    assert iam.get_group_policy(PolicyName="in", **one)["PolicyDocument"]["Statement"]
    iam.attach_group_policy(PolicyArn=arn, **one)
    (row,) = iam.list_attached_group_policies(**one)["AttachedPolicies"]
    assert row["PolicyArn"] == arn
    iam.detach_group_policy(PolicyArn=arn, **one)
    assert refusal(iam.detach_group_policy, PolicyArn=arn, **one) == NONE
    iam.delete_group_policy(PolicyName="in", **one)
    assert refusal(iam.get_group_policy, PolicyName="in", **one) == NONE
    iam.remove_user_from_group(UserName="ann", **one)
    iam.delete_group(**one)
    assert refusal(iam.remove_user_from_group, UserName="ann", **one) == NONE


@pytest.mark.not_fast
def test_aws_iam_policy_and_its_versions(iam: Any) -> None:
    one = {"PolicyArn": make_policy(iam)}
    policy = iam.get_policy(**one)["Policy"]
    assert (policy["Tags"], policy["DefaultVersionId"]) == (TAGS, "v1")
    for number in range(2, 8):  # five may be at once: the oldest goes first
        versions = iam.list_policy_versions(**one)["Versions"]
        if len(versions) == 5:
            oldest = min(versions, key=lambda version: version["CreateDate"])
            assert not oldest["IsDefaultVersion"]
            iam.delete_policy_version(VersionId=oldest["VersionId"], **one)
        text = document(f"s3:Get{number}*")
        made = iam.create_policy_version(PolicyDocument=text, SetAsDefault=False, **one)
        iam.set_default_policy_version(VersionId=made["PolicyVersion"]["VersionId"], **one)
    version = iam.get_policy(**one)["Policy"]["DefaultVersionId"]
    assert version == "v7"
    read = iam.get_policy_version(VersionId=version, **one)["PolicyVersion"]["Document"]
    assert read == json.loads(document("s3:Get7*"))
    iam.untag_policy(TagKeys=["by"], **one)
    iam.tag_policy(Tags=[{"Key": "by", "Value": "hand"}], **one)
    assert iam.list_policy_tags(**one)["Tags"] == [{"Key": "by", "Value": "hand"}]
    for each in iam.list_policy_versions(**one)["Versions"]:
        if not each["IsDefaultVersion"]:
            iam.delete_policy_version(VersionId=each["VersionId"], **one)
    iam.delete_policy(**one)
    assert refusal(iam.get_policy, **one) == NONE


@pytest.mark.not_fast
def test_aws_iam_role_and_what_force_detach_policies_takes_along(iam: Any) -> None:
    one, arn = {"RoleName": "tf"}, make_policy(iam)
    ghost = trust("AWS", "arn:aws:iam::123456789012:user/ghost")
    with pytest.raises(ClientError, match="Invalid principal in policy") as caught:
        iam.create_role(AssumeRolePolicyDocument=ghost, **one)
    assert caught.value.response["Error"]["Code"] == "MalformedPolicyDocument"
    made = iam.create_role(
        Path="/tf/", Description="by tf", MaxSessionDuration=7200, PermissionsBoundary=arn,
        AssumeRolePolicyDocument=trust("Service", "ec2.amazonaws.com"), Tags=TAGS, **one,
    )["Role"]  # fmt: skip
    read = iam.get_role(**one)["Role"]
    assert (read["RoleId"], read["Tags"]) == (made["RoleId"], TAGS)
    assert read["Arn"].endswith(":role/tf/tf")
    assert read["PermissionsBoundary"]["PermissionsBoundaryArn"] == arn
    iam.put_role_policy(PolicyName="in", PolicyDocument=document("s3:*"), **one)
    iam.attach_role_policy(PolicyArn=arn, **one)
    iam.attach_role_policy(PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess", **one)
    user = iam.create_user(UserName="ann")["User"]["Arn"]
    iam.update_assume_role_policy(PolicyDocument=trust("AWS", user), **one)
    told = iam.get_role(**one)["Role"]["AssumeRolePolicyDocument"]
    assert told["Statement"][0]["Principal"]["AWS"] == user  # an id would keep Terraform waiting
    iam.update_role_description(Description="by hand", **one)
    iam.update_role(MaxSessionDuration=3600, **one)
    iam.delete_role_permissions_boundary(**one)
    iam.untag_role(TagKeys=["by"], **one)
    iam.create_instance_profile(InstanceProfileName="tf", Tags=TAGS)
    iam.add_role_to_instance_profile(InstanceProfileName="tf", **one)

    (profile,) = iam.list_instance_profiles_for_role(**one)["InstanceProfiles"]
    assert refusal(iam.delete_role, **one) == "DeleteConflict"
    iam.remove_role_from_instance_profile(InstanceProfileName=profile["InstanceProfileName"], **one)
    for policy in iam.list_attached_role_policies(**one)["AttachedPolicies"]:
        iam.detach_role_policy(PolicyArn=policy["PolicyArn"], **one)
    for name in iam.list_role_policies(**one)["PolicyNames"]:
        assert iam.get_role_policy(PolicyName=name, **one)["PolicyDocument"]["Statement"]
        iam.delete_role_policy(PolicyName=name, **one)
    iam.delete_role(**one)
    assert refusal(iam.get_role, **one) == NONE
    assert iam.get_instance_profile(InstanceProfileName="tf")["InstanceProfile"]["Roles"] == []
    iam.delete_instance_profile(InstanceProfileName="tf")
    assert refusal(iam.get_instance_profile, InstanceProfileName="tf") == NONE


@pytest.mark.not_fast
def test_aws_iam_openid_connect_provider_alias_and_password_policy(iam: Any) -> None:
    made = iam.create_open_id_connect_provider(
        Url="https://accounts.example.com", ClientIDList=["web"], ThumbprintList=["0" * 40]
    )
    one = {"OpenIDConnectProviderArn": made["OpenIDConnectProviderArn"]}
    read = iam.get_open_id_connect_provider(**one)
    assert (read["Url"], read["ClientIDList"]) == ("accounts.example.com", ["web"])
    iam.update_open_id_connect_provider_thumbprint(ThumbprintList=["1" * 40], **one)
    iam.add_client_id_to_open_id_connect_provider(ClientID="app", **one)
    iam.remove_client_id_from_open_id_connect_provider(ClientID="web", **one)
    iam.delete_open_id_connect_provider(**one)
    assert refusal(iam.get_open_id_connect_provider, **one) == NONE

    iam.create_account_alias(AccountAlias="tf-cloud")
    assert iam.list_account_aliases()["AccountAliases"] == ["tf-cloud"]
    iam.delete_account_alias(AccountAlias="tf-cloud")
    assert refusal(iam.get_account_password_policy) == NONE
    iam.update_account_password_policy(MinimumPasswordLength=12, AllowUsersToChangePassword=True)
    told = iam.get_account_password_policy()["PasswordPolicy"]
    assert told["MinimumPasswordLength"] == 12
    iam.delete_account_password_policy()
    assert refusal(iam.get_account_password_policy) == NONE
