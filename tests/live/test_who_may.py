"""Who may do what, asked by real clients of a real process: policies, blocks, e-mail, quotas."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.live.process import Running, running

LIMITS = "[limits]\nbuckets = 9\nobject_mb = 20\nbucket_mb = 30\n"
TOOLS = Path(sys.executable).parent


@pytest.fixture(name="cloud", scope="module")
def _cloud() -> Iterator[Running]:
    with running(LIMITS) as cloud:
        yield cloud


@pytest.fixture(name="ann")
def _ann(cloud: Running) -> Any:
    return cloud.client("s3", "ann")


@pytest.fixture(name="bob")
def _bob(cloud: Running) -> Any:
    return cloud.client("s3", "bob")


def refused(verb: Any, **members: Any) -> str:
    with pytest.raises(ClientError) as caught:
        verb(**members)
    return str(caught.value.response["Error"]["Code"])


def reach(url: str, **headers: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def document(bucket: str, **members: Any) -> str:
    both = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": both}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**statement, **members}]})


def test_a_policy_outlives_a_kill(cloud: Running, ann: Any, bob: Any) -> None:
    ann.create_bucket(Bucket="policed")
    ann.put_object(Bucket="policed", Key="k", Body=b"x")
    text = document("policed", Condition={"StringLike": {"aws:Referer": "http://site/*"}})
    answer = ann.put_bucket_policy(Bucket="policed", Policy=text)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    block = {
        "BlockPublicAcls": True, "IgnorePublicAcls": True,
        "BlockPublicPolicy": False, "RestrictPublicBuckets": False,
    }  # fmt: skip
    ann.put_public_access_block(Bucket="policed", PublicAccessBlockConfiguration=block)
    cloud.kill()
    cloud.start()
    assert ann.get_bucket_policy(Bucket="policed")["Policy"] == text
    told = ann.get_public_access_block(Bucket="policed")["PublicAccessBlockConfiguration"]
    assert told == block
    url = f"{cloud.endpoint}/policed/k"
    assert reach(url) == 403
    assert reach(url, Referer="http://site/page") == 200
    assert reach(url, Referer="http://other/") == 403
    assert refused(bob.get_object, Bucket="policed", Key="k") == "AccessDenied"
    assert refused(bob.put_bucket_policy, Bucket="policed", Policy=text) == "AccessDenied"
    assert refused(ann.put_object_acl, Bucket="policed", Key="k", ACL="public-read")


def test_how_a_request_is_made_is_known(cloud: Running, ann: Any) -> None:
    ann.create_bucket(Bucket="strict")
    ann.put_object(Bucket="strict", Key="k", Body=b"x")

    def deny(**condition: Any) -> None:
        text = document("strict", Effect="Deny", Action="s3:GetObject", Condition=condition)
        ann.put_bucket_policy(Bucket="strict", Policy=text)

    over_tls = cloud.client("s3", "ann", https=True)
    deny(Bool={"aws:SecureTransport": "false"})
    assert refused(ann.get_object, Bucket="strict", Key="k") == "AccessDenied"
    assert over_tls.get_object(Bucket="strict", Key="k")
    deny(StringEquals={"s3:authType": "REST-QUERY-STRING"})
    assert ann.get_object(Bucket="strict", Key="k")
    named = {"Bucket": "strict", "Key": "k"}
    assert reach(ann.generate_presigned_url("get_object", named)) == 403
    deny(NumericGreaterThan={"s3:signatureAge": 0})
    assert refused(ann.get_object, **named) == "AccessDenied"
    deny(NotIpAddress={"aws:SourceIp": "127.0.0.0/8"})
    assert ann.get_object(**named)
    deny(StringEquals={"aws:username": "ann", "s3:signatureversion": "AWS4-HMAC-SHA256"})
    assert refused(ann.head_object, **named) == "403"
    ann.delete_bucket_policy(Bucket="strict")
    assert ann.get_object(**named)


def test_access_lists_by_mail(cloud: Running, ann: Any, bob: Any) -> None:
    assert cloud.command("user", "email", "bob", "Bob@Example.com").returncode == 0
    assert "bob@example.com" in cloud.command("user", "list").stdout
    taken = cloud.command("user", "email", "ann", "bob@example.com", check=False)
    assert taken.returncode != 0
    assert "bob@example.com" in taken.stderr
    ann.create_bucket(Bucket="mailed")
    grant = 'emailAddress="bob@example.com"'
    ann.put_object(Bucket="mailed", Key="k", Body=b"x", GrantRead=grant)
    assert bob.get_object(Bucket="mailed", Key="k")["Body"].read() == b"x"
    members = {"Bucket": "mailed", "Key": "k", "GrantRead": 'emailAddress="eve@example.com"'}
    assert refused(ann.put_object, **members) == "UnresolvableGrantByEmailAddress"


def test_quotas(cloud: Running, ann: Any) -> None:
    ann.create_bucket(Bucket="full")
    body = bytes(11 << 20)
    ann.put_object(Bucket="full", Key="a", Body=body)
    ann.put_object(Bucket="full", Key="b", Body=body)
    assert refused(ann.put_object, Bucket="full", Key="c", Body=body) == "QuotaExceeded"
    assert refused(ann.put_object, Bucket="full", Key="c", Body=body * 2) == "EntityTooLarge"
    ann.put_object(Bucket="full", Key="a", Body=body)
    ann.delete_object(Bucket="full", Key="b")
    ann.put_object(Bucket="full", Key="c", Body=body)
    made = {each["Name"] for each in ann.list_buckets()["Buckets"]}
    for number in range(9 - len(made)):
        ann.create_bucket(Bucket=f"another-{number}")
    assert refused(ann.create_bucket, Bucket="beyond") == "TooManyBuckets"
    ann.create_bucket(Bucket="full")


def test_s3cmd_and_aws(cloud: Running, tmp_path: Path) -> None:
    settings = cloud.settings
    file = tmp_path / "policy.json"
    file.write_text(document("tools"))
    where = f"127.0.0.1:{cloud.port}"
    config = tmp_path / "s3cfg"
    config.write_text(
        f"[default]\naccess_key = {cloud.access_key}\nsecret_key = {cloud.secret_key}\n"
        f"host_base = {where}\nhost_bucket = {where}\nuse_https = False\n"
    )
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": settings["AWS_ACCESS_KEY"],
        "AWS_SECRET_ACCESS_KEY": settings["AWS_SECRET_KEY"],
        "AWS_DEFAULT_REGION": "eucabox",
    }

    def run(tool: str, *argv: str) -> str:
        command = [str(TOOLS / tool), *argv]
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def s3cmd(*argv: str) -> str:
        return run("s3cmd", "-c", str(config), *argv)

    def aws(*argv: str) -> str:
        return run("aws", "--endpoint-url", cloud.endpoint, "s3api", *argv)

    s3cmd("mb", "s3://tools")
    s3cmd("setpolicy", str(file), "s3://tools")
    assert "arn:aws:s3:::tools/*" in s3cmd("info", "s3://tools")
    status = json.loads(aws("get-bucket-policy-status", "--bucket", "tools"))
    assert status == {"PolicyStatus": {"IsPublic": True}}
    rules = "Rules=[{ObjectOwnership=BucketOwnerEnforced}]"
    aws("put-bucket-ownership-controls", "--bucket", "tools", "--ownership-controls", rules)
    assert "BucketOwnerEnforced" in aws("get-bucket-ownership-controls", "--bucket", "tools")
    flags = "BlockPublicAcls=true,IgnorePublicAcls=true,RestrictPublicBuckets=true"
    flags += ",BlockPublicPolicy=true"
    block = ("--public-access-block-configuration", flags)
    aws("put-public-access-block", "--bucket", "tools", *block)
    s3cmd("delpolicy", "s3://tools")
    assert "none" in s3cmd("info", "s3://tools")
