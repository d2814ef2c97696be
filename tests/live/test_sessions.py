"""Temporary credentials through boto3 and the AWS command line, against the real process."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError

from tests.issuer import CLIENT, Issuer, serving
from tests.live.process import Running, running

AWS = str(Path(sys.executable).with_name("aws"))
BUCKET = "sessions"
ANY_S3 = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}


@pytest.fixture(scope="module")
def cloud() -> Iterator[Running]:
    with running("[iam]\nprivate_providers = localhost\n") as started:
        started.client("s3", "ann").create_bucket(Bucket=BUCKET)
        yield started


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with serving(path="/realms/demo") as made:
        yield made


def write(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def add_role(cloud: Running, name: str, principal: dict[str, str], action: str) -> str:
    """A role of ann's account that may do all in buckets; return its ARN."""
    iam = cloud.client("iam", "ann")
    trust = write({"Effect": "Allow", "Principal": principal, "Action": action})
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]
    iam.put_role_policy(RoleName=name, PolicyName="buckets", PolicyDocument=write(ANY_S3))
    return str(role["Arn"])


def assume(cloud: Running, name: str) -> dict[str, str]:
    """Credentials of a new role that trusts ann's account."""
    account = cloud.client("sts", "ann").get_caller_identity()["Account"]
    arn = add_role(cloud, name, {"AWS": account}, "sts:AssumeRole")
    sts = cloud.client("sts", "ann")
    credentials: dict[str, str] = sts.assume_role(RoleArn=arn, RoleSessionName="tuesday")[
        "Credentials"
    ]
    return credentials


def client(
    cloud: Running, service: str, credentials: dict[str, str], signature: str | None = None
) -> Any:
    return boto3.client(
        service,
        endpoint_url=cloud.endpoint,
        region_name="eucabox",
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
        config=ClientConfig(
            signature_version=signature,
            s3={"addressing_style": "path"},
            retries={"max_attempts": 1},
        ),
    )


def refusal(call: Any, **members: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call(**members)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize("signature", ["s3v4", "s3"])
def test_a_roles_session_uses_buckets_in_every_way(cloud: Running, signature: str) -> None:
    s3 = client(cloud, "s3", assume(cloud, f"reader-{signature}"), signature)
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"hello")
    assert s3.get_object(Bucket=BUCKET, Key="a")["Body"].read() == b"hello"
    s3.put_object(Bucket=BUCKET, Key="b", Body=b"x" * 9_000_000, ChecksumAlgorithm="CRC32")
    members = {"Bucket": BUCKET, "Key": "a"}
    url = s3.generate_presigned_url("get_object", members)
    assert requests.get(url, timeout=30).text == "hello"
    url = s3.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": "c"})
    assert requests.put(url, b"put", timeout=30).status_code == 200
    form = s3.generate_presigned_post(BUCKET, "d")
    sent = requests.post(form["url"], form["fields"], files={"file": b"form"}, timeout=30)
    assert sent.status_code == 204, sent.text
    assert s3.get_object(Bucket=BUCKET, Key="d")["Body"].read() == b"form"
    del form["fields"]["x-amz-security-token"]
    sent = requests.post(form["url"], form["fields"], files={"file": b"form"}, timeout=30)
    assert (sent.status_code, "InvalidAccessKeyId" in sent.text) == (403, True)


def test_who_one_is_by_a_session(cloud: Running) -> None:
    credentials = assume(cloud, "whoami")
    arn = client(cloud, "sts", credentials).get_caller_identity()["Arn"]
    assert arn.endswith(":assumed-role/whoami/tuesday")
    own = cloud.client("sts", "ann").get_session_token()["Credentials"]
    assert client(cloud, "sts", own).get_caller_identity()["Arn"].endswith(":root")
    assert client(cloud, "ec2", own).describe_regions()["Regions"]
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
        "AWS_SESSION_TOKEN": credentials["SessionToken"],
        "AWS_DEFAULT_REGION": "eucabox",
        "PYTHONWARNINGS": "ignore",
    }
    command = [AWS, "--endpoint-url", cloud.endpoint, "s3", "ls", f"s3://{BUCKET}"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_other_tokens_and_none_are_refused(cloud: Running) -> None:
    credentials = assume(cloud, "tokens")
    wrong = {**credentials, "SessionToken": credentials["SessionToken"] + "x"}
    none = {**credentials, "SessionToken": ""}
    for used, code, status in ((wrong, "InvalidToken", 400), (none, "InvalidAccessKeyId", 403)):
        s3 = client(cloud, "s3", used)
        assert refusal(s3.list_objects_v2, Bucket=BUCKET) == (code, status)
    for used in (wrong, none):
        sts, ec2 = client(cloud, "sts", used), client(cloud, "ec2", used)
        assert refusal(sts.get_caller_identity) == ("InvalidClientTokenId", 403)
        assert refusal(ec2.describe_regions) == ("AuthFailure", 401)


def test_a_session_ends_with_its_time(cloud: Running) -> None:
    credentials = assume(cloud, "ending")
    s3 = client(cloud, "s3", credentials)
    s3.list_objects_v2(Bucket=BUCKET)
    with sqlite3.connect(cloud.data / "eucabox.db") as database:  # as if hours had passed
        sql = "update sessions set expires = created where access_key_id = ?"
        database.execute(sql, (credentials["AccessKeyId"],))
    database.close()
    assert refusal(s3.list_objects_v2, Bucket=BUCKET) == ("ExpiredToken", 400)
    assert refusal(client(cloud, "sts", credentials).get_caller_identity) == ("ExpiredToken", 403)
    assert refusal(client(cloud, "ec2", credentials).describe_regions) == ("RequestExpired", 400)


def test_a_session_ends_with_its_role(cloud: Running) -> None:
    credentials = assume(cloud, "going")
    s3 = client(cloud, "s3", credentials)
    s3.list_objects_v2(Bucket=BUCKET)
    iam = cloud.client("iam", "ann")
    iam.delete_role_policy(RoleName="going", PolicyName="buckets")
    iam.delete_role(RoleName="going")
    assert refusal(s3.list_objects_v2, Bucket=BUCKET) == ("InvalidAccessKeyId", 403)


def test_a_role_for_people_of_an_identity_provider(cloud: Running, issuer: Issuer) -> None:
    iam = cloud.client("iam", "ann")
    made = iam.create_open_id_connect_provider(Url=issuer.url, ClientIDList=[CLIENT])
    provider = made["OpenIDConnectProviderArn"]
    arn = add_role(cloud, "people", {"Federated": provider}, "sts:AssumeRoleWithWebIdentity")
    sts = cloud.client("sts", "ann")
    session = sts.assume_role_with_web_identity(
        RoleArn=arn, RoleSessionName="person", WebIdentityToken=issuer.token()
    )
    assert session["SubjectFromWebIdentityToken"] == "person-1"
    s3 = client(cloud, "s3", session["Credentials"])
    assert s3.put_object(Bucket=BUCKET, Key="p", Body=b"person")
    old = issuer.token(exp=1000)
    asked = {"RoleArn": arn, "RoleSessionName": "person"}
    ask = sts.assume_role_with_web_identity
    assert refusal(ask, **asked, WebIdentityToken=old) == ("ExpiredTokenException", 400)
    assert refusal(ask, **asked, WebIdentityToken="a.b.c") == ("InvalidIdentityToken", 400)


def test_a_providers_keys_are_given_as_a_file(cloud: Running, tmp_path: Path) -> None:
    offline = Issuer("https://login.example.com/realms/demo")
    iam = cloud.client("iam", "ann")
    made = iam.create_open_id_connect_provider(Url=offline.url, ClientIDList=[CLIENT])
    principal = {"Federated": made["OpenIDConnectProviderArn"]}
    arn = add_role(cloud, "offline", principal, "sts:AssumeRoleWithWebIdentity")
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [offline.jwk()]}))
    cloud.command("oidc", "jwks", offline.url, str(keys))
    session = cloud.client("sts", "ann").assume_role_with_web_identity(
        RoleArn=arn, RoleSessionName="person", WebIdentityToken=offline.token()
    )
    assert session["Provider"] == principal["Federated"]
