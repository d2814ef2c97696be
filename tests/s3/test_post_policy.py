"""A policy allows what it says, when it is signed, until it expires."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from eucabox.errors import InvalidParameterValue, PolicyNotSigned
from eucabox.s3 import post_policy

SECRET = "secret"
FIELDS = {"acl": "ec2-bundle-read", "bucket": "b", "key": "p/name"}
# As euca-bundle-instance writes it.
SAID: dict[str, Any] = {
    "expiration": "2099-01-01T00:00:00.000Z",
    "conditions": [
        {"acl": "ec2-bundle-read"},
        {"bucket": "b"},
        ["starts-with", "$key", "p/"],
    ],
}


def signed(document: Any) -> tuple[bytes, str]:
    policy = base64.b64encode(json.dumps(document).encode())
    return policy, signature(policy)


def signature(policy: bytes) -> str:
    return base64.b64encode(hmac.new(SECRET.encode(), policy, hashlib.sha1).digest()).decode()


def test_a_signed_policy_is_accepted_as_json_and_as_base64() -> None:
    policy, sign = signed(SAID)
    post_policy.check(policy, sign, SECRET, FIELDS)
    post_policy.check(base64.b64decode(policy), sign, SECRET, FIELDS)


@pytest.mark.parametrize(
    "conditions",
    [
        [["eq", "$bucket", "b"], ["content-length-range", 0, 9]],
        [{"key": "p/name"}],
        [],
    ],
)
def test_every_form_of_condition_is_known(conditions: list[Any]) -> None:
    post_policy.check(*signed({**SAID, "conditions": conditions}), SECRET, FIELDS)


@pytest.mark.parametrize(
    "change",
    [
        {"expiration": "2001-01-01T00:00:00Z"},
        {"expiration": "2001-01-01T00:00:00"},
        {"expiration": "soon"},
        {"expiration": None},
        {"conditions": [{"bucket": "other"}]},
        {"conditions": [{"acl": "public-read"}]},
        {"conditions": [["starts-with", "$key", "q"]]},
        {"conditions": [["starts-with", "key", "p"]]},
        {"conditions": [["ends-with", "$key", "name"]]},
        {"conditions": [{"x-amz-meta-a": "b"}]},
        {"conditions": [{}]},
        {"conditions": [5]},
        {"conditions": None},
        {"conditions": "abc"},
    ],
)
def test_what_it_does_not_allow_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterValue, match="UploadPolicy"):
        post_policy.check(*signed({**SAID, **change}), SECRET, FIELDS)


@pytest.mark.parametrize("bad", [b"", b"[]", b"W10=", b"notbase64!", b"{", b"\xff\xfe"])
def test_what_is_no_policy_is_refused(bad: bytes) -> None:
    text = base64.b64encode(bad) if bad.startswith(b"{") else bad
    with pytest.raises(InvalidParameterValue):
        post_policy.check(bad, signature(text), SECRET, FIELDS)


@pytest.mark.parametrize("sign", ["", "AAAA", "\xe9", signature(b"another")])
def test_a_wrong_signature_is_refused(sign: str) -> None:
    policy, _ = signed(SAID)
    with pytest.raises(PolicyNotSigned):
        post_policy.check(policy, sign, SECRET, FIELDS)


def test_a_policy_that_expired_says_when_and_what_to_do() -> None:
    expired = {**SAID, "expiration": "2001-01-01T00:00:00Z"}
    with pytest.raises(InvalidParameterValue) as refused:
        post_policy.check(*signed(expired), SECRET, FIELDS)
    assert "expiration 2001-01-01T00:00:00.000Z" in refused.value.message
    assert refused.value.message.endswith("Sign a new one.")
