"""A role that guests may have, and what it may reach: made as its administrator makes it."""

import json
from typing import Any

import boto3
import pytest
from botocore.config import Config as ClientConfig
from botocore.exceptions import ClientError

from tests.live.process import Running

ROLE = "reader"
ALLOWED, OTHER, PUBLIC = "guests-own", "guests-not", "everybodys"


def document(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def make_role(cloud: Running) -> None:
    """Make the role, which may read one bucket, and the instance profile of the same name."""
    iam = cloud.client("iam")
    service = {"Service": "ec2.amazonaws.com"}
    trust = document(Principal=service, Action="sts:AssumeRole")
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=trust)
    arn = f"arn:aws:s3:::{ALLOWED}"
    policy = document(Action=["s3:ListBucket", "s3:GetObject"], Resource=[arn, f"{arn}/*"])
    iam.put_role_policy(RoleName=ROLE, PolicyName="read", PolicyDocument=policy)
    iam.create_instance_profile(InstanceProfileName=ROLE)
    iam.add_role_to_instance_profile(InstanceProfileName=ROLE, RoleName=ROLE)
    iam.close()


def make_buckets(cloud: Running) -> None:
    """Make a bucket that the role may read, one that it may not, and one of everybody's."""
    s3 = cloud.client("s3")
    for bucket, key in ((ALLOWED, "mine"), (OTHER, "secret"), (PUBLIC, "hello")):
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    anybody = document(Principal="*", Action="s3:GetObject", Resource=f"arn:aws:s3:::{PUBLIC}/*")
    s3.delete_public_access_block(Bucket=PUBLIC)
    s3.put_bucket_policy(Bucket=PUBLIC, Policy=anybody)
    s3.close()


def copy_client(service: str, keys: dict[str, str], endpoint: str) -> Any:
    """A client with keys that were copied out of a guest."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="eucabox",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["Token"],
        config=ClientConfig(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
    )


def refuse(call: Any, **params: Any) -> str:
    """Return the code with which a call is refused."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    return str(caught.value.response["Error"]["Code"])
