"""IAM's users, groups, keys and certificates through boto3 and the AWS CLI, on the real process."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.live.euare import ask_as_euca2ools
from tests.live.process import Running

AWS = str(Path(sys.executable).with_name("aws"))


@pytest.fixture
def iam(cloud: Running) -> Iterator[Any]:
    client = cloud.client("iam")
    yield client
    client.close()


def make_client(cloud: Running, service: str, key: dict[str, str]) -> Any:
    return boto3.client(
        service,
        endpoint_url=cloud.endpoint,
        region_name="eucabox",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )


def aws(cloud: Running, *argv: str, service: str = "iam", **environment: str) -> Any:
    done = subprocess.run(
        [AWS, "--endpoint-url", cloud.endpoint, "--output", "json", service, *argv],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, **cloud.settings, "PYTHONWARNINGS": "ignore", **environment},
    )
    return json.loads(done.stdout or "{}")


def test_a_user_has_a_life_in_boto3(cloud: Running, iam: Any) -> None:
    tags = [{"Key": "team", "Value": "r\u00f6t"}]
    user = iam.create_user(UserName="ann", Path="/staff/", Tags=tags)["User"]
    assert user["Arn"].endswith(":user/staff/ann")
    iam.get_waiter("user_exists").wait(UserName="ann")
    assert iam.get_user(UserName="ANN")["User"] == user
    pages = iam.get_paginator("list_users").paginate(PathPrefix="/staff/")
    assert [each["UserName"] for page in pages for each in page["Users"]] == ["ann"]
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    sts = make_client(cloud, "sts", key)
    assert sts.get_caller_identity()["Arn"] == user["Arn"]
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        used = iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])
        if used["AccessKeyLastUsed"]["ServiceName"] == "sts":
            break
        time.sleep(0.1)
    assert used["AccessKeyLastUsed"]["LastUsedDate"] >= user["CreateDate"]
    iam.update_access_key(UserName="ann", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    with pytest.raises(ClientError, match=r"InvalidClientTokenId|AuthFailure"):
        sts.get_caller_identity()
    with pytest.raises(iam.exceptions.DeleteConflictException):
        iam.delete_user(UserName="ann")
    iam.delete_access_key(UserName="ann", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="ann")
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_user(UserName="ann")


def test_lists_that_clients_ask_for_when_they_clean_up_are_empty(iam: Any) -> None:
    iam.create_user(UserName="bea")
    one = {"UserName": "bea"}
    assert iam.list_mfa_devices(**one)["MFADevices"] == []
    assert iam.list_ssh_public_keys(**one)["SSHPublicKeys"] == []
    assert iam.list_service_specific_credentials(**one)["ServiceSpecificCredentials"] == []
    assert iam.list_signing_certificates(**one)["Certificates"] == []
    assert iam.list_groups_for_user(**one)["Groups"] == []
    assert iam.list_virtual_mfa_devices()["VirtualMFADevices"] == []
    assert iam.list_server_certificates()["ServerCertificateMetadataList"] == []
    assert iam.list_saml_providers()["SAMLProviderList"] == []
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.delete_login_profile(**one)
    iam.delete_user(**one)


def test_the_aws_cli_makes_groups_and_passwords(cloud: Running) -> None:
    aws(cloud, "create-user", "--user-name", "cyd")
    aws(cloud, "create-group", "--group-name", "crew")
    aws(cloud, "add-user-to-group", "--group-name", "crew", "--user-name", "cyd")
    (member,) = aws(cloud, "get-group", "--group-name", "crew")["Users"]
    assert member["UserName"] == "cyd"
    aws(cloud, "create-login-profile", "--user-name", "cyd", "--password", "correct horse")
    assert aws(cloud, "get-login-profile", "--user-name", "cyd")["LoginProfile"]["CreateDate"]
    assert aws(cloud, "get-account-summary")["SummaryMap"]["Groups"] == 1
    aws(cloud, "create-account-alias", "--account-alias", "home-cloud")
    assert aws(cloud, "list-account-aliases")["AccountAliases"] == ["home-cloud"]
    aws(cloud, "delete-account-alias", "--account-alias", "home-cloud")
    aws(cloud, "delete-login-profile", "--user-name", "cyd")
    aws(cloud, "remove-user-from-group", "--group-name", "crew", "--user-name", "cyd")
    aws(cloud, "delete-group", "--group-name", "crew")
    aws(cloud, "delete-user", "--user-name", "cyd")


def test_the_aws_cli_takes_roles_and_sessions(cloud: Running, tmp_path: Path) -> None:
    sts = partial(aws, cloud, service="sts")
    root = sts("get-caller-identity")
    assert root["Arn"] == f"arn:aws:iam::{root['Account']}:root"
    assert sts("get-access-key-info", "--access-key-id", cloud.access_key) == {
        "Account": root["Account"]
    }
    trust: dict[str, Any] = {"Effect": "Allow", "Action": "sts:AssumeRole"}
    trust["Principal"] = {"AWS": root["Arn"]}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    made = aws(cloud, "create-role", "--role-name", "op", "--assume-role-policy-document", document)
    arn = made["Role"]["Arn"]
    statement = {"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    named = ("--role-name", "op", "--policy-name", "reads")
    aws(cloud, "put-role-policy", *named, "--policy-document", policy)
    # the user of a key of its own takes the role by the CLI's configuration
    aws(cloud, "create-user", "--user-name", "dan")
    key = aws(cloud, "create-access-key", "--user-name", "dan")["AccessKey"]
    statement["Action"] = "sts:*"
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    named = ("--user-name", "dan", "--policy-name", "takes")
    aws(cloud, "put-user-policy", *named, "--policy-document", policy)
    trust["Principal"] = {"AWS": root["Account"]}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    aws(cloud, "update-assume-role-policy", "--role-name", "op", "--policy-document", document)
    config = tmp_path / "config"
    config.write_text(
        f"[profile dan]\naws_access_key_id = {key['AccessKeyId']}\n"
        f"aws_secret_access_key = {key['SecretAccessKey']}\n"
        f"[profile op]\nrole_arn = {arn}\nsource_profile = dan\nrole_session_name = shift\n"
    )
    mine = {"AWS_CONFIG_FILE": str(config), "HOME": str(tmp_path)}
    told = sts("get-caller-identity", "--profile", "op", **mine)
    assert told["Arn"] == f"arn:aws:sts::{root['Account']}:assumed-role/op/shift"
    listed = aws(cloud, "list-users", "--profile", "op", **mine)["Users"]
    assert [user["UserName"] for user in listed] == ["dan"]
    with pytest.raises(subprocess.CalledProcessError) as caught:
        aws(cloud, "list-roles", "--profile", "op", **mine)
    assert "(AccessDenied)" in caught.value.stderr
    token = sts("get-session-token", "--duration-seconds", "900", "--profile", "dan", **mine)
    assert token["Credentials"]["AccessKeyId"].startswith("ASIA")
    details = aws(cloud, "get-account-authorization-details", "--filter", "Role")
    (role,) = (each for each in details["RoleDetailList"] if each["RoleName"] == "op")
    assert role["RolePolicyList"][0]["PolicyName"] == "reads"


def test_eucalyptus_verbs_travel_as_euca2ools_sends_them(cloud: Running) -> None:
    ask = partial(ask_as_euca2ools, cloud)
    sent = ask("CreateAccount", AccountName="zoe")
    assert "<AccountName>zoe</AccountName>" in sent
    assert "<UserId>AIDA" in ask("CreateUser", UserName="ann", DelegateAccount="zoe")
    assert "user/ann" in ask("GetUser", UserName="ann", DelegateAccount="zoe")
    made = ask("CreateSigningCertificate", UserName="ann", DelegateAccount="zoe")
    assert "<PrivateKey>-----BEGIN RSA" in made
    assert "NoSuchEntity" in ask("GetUser", UserName="ann")
    assert "DeleteConflict" in ask("DeleteAccount", AccountName="zoe")
    ask("DeleteAccount", AccountName="zoe", Recursive="true")
    assert "zoe" not in ask("ListAccounts")
