"""A signed URL and a form act for their signer, as the signer's policies are when they are used."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.wire.conftest import Box

FORM = {"Content-Type": "multipart/form-data; boundary=b"}


class Signer:
    """A user of the account with a key of its own."""

    def __init__(self, box: Box, name: str) -> None:
        self.name, self.iam = name, box.client("iam")
        self.iam.create_user(UserName=name)
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        self.key_id = key["AccessKeyId"]
        self.box = Box(box.port, self.key_id, key["SecretAccessKey"])

    def allow(self, *actions: str, resource: str = "*") -> None:
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
        document = json.dumps({"Version": "2012-10-17", "Statement": statement})
        self.iam.put_user_policy(UserName=self.name, PolicyName="own", PolicyDocument=document)

    def take_away(self) -> None:
        self.iam.delete_user_policy(UserName=self.name, PolicyName="own")

    def post(self, key: str) -> tuple[int, str]:
        """Upload by a form that the user signed; return status and code."""
        form: dict[str, Any] = self.box.client().generate_presigned_post("box", key)
        parts = [
            f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in (*form["fields"].items(), ("file", "x"))
        ]
        reply = self.box.send("POST", "/box", "".join(parts).encode() + b"--b--\r\n", FORM)
        return reply.status, reply.code

    def presign(self, key: str) -> str:
        """Return the target of a signed GET."""
        url: str = self.box.client().generate_presigned_url(
            "get_object", Params={"Bucket": "box", "Key": key}
        )
        return url.removeprefix(f"http://127.0.0.1:{self.box.port}")


@pytest.fixture
def signer(box: Box) -> Iterator[Signer]:
    made = Signer(box, "eve")
    made.allow("s3:GetObject")
    yield made
    made.take_away()
    made.iam.delete_access_key(UserName="eve", AccessKeyId=made.key_id)
    made.iam.delete_user(UserName="eve")


@pytest.mark.not_fast
def test_a_signed_url_ends_with_its_signers_policy(box: Box, signer: Signer) -> None:
    assert box.ask("PUT", "/box/page", b"x").status == 200
    target = signer.presign("page")
    assert box.send("GET", target, b"", {}).body == b"x"
    signer.take_away()
    reply = box.send("GET", target, b"", {})
    assert (reply.status, reply.code) == (403, "AccessDenied")
    told = reply.element("Message").replace("&quot;", '"')
    assert told.endswith(
        ':user/eve is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::box/page"'
        " because no identity-based policy allows the s3:GetObject action"
    )
    signer.allow("s3:GetObject")
    assert box.send("GET", target, b"", {}).status == 200


@pytest.mark.not_fast
def test_a_form_writes_what_its_signer_may_write(box: Box, signer: Signer) -> None:
    assert signer.post("form") == (403, "AccessDenied")
    signer.allow("s3:PutObject", resource="arn:aws:s3:::box/in/*")
    assert signer.post("in/form") == (204, "")
    assert signer.post("in/../form") == (204, "")  # a key is no path
    assert box.ask("GET", "/box/form").code == "NoSuchKey"
    assert signer.post("form") == (403, "AccessDenied")


@pytest.mark.not_fast
def test_a_user_without_policy_is_refused_with_403_by_each_service(signer: Signer) -> None:
    signer.allow("s3:GetObject")
    for service, verb, code in (
        ("iam", "list_users", "AccessDenied"),
        ("ec2", "describe_regions", "UnauthorizedOperation"),
        ("s3", "list_buckets", "AccessDenied"),
    ):
        client = signer.box.client(service)
        with pytest.raises(client.exceptions.ClientError) as refused:
            getattr(client, verb)()
        answer = refused.value.response
        assert answer["Error"]["Code"] == code
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403
        assert "is not authorized to perform" in answer["Error"]["Message"]
    arn = signer.box.client("sts").get_caller_identity()["Arn"]
    assert arn.endswith(":user/eve")
