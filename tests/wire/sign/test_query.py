"""Refusals of query requests: the codes, and what each message says."""

import hashlib
from datetime import timedelta

import pytest

from eucabox.errors import Fault
from eucabox.wire.request import Request
from eucabox.wire.sign import authenticate_query
from tests.wire.sign import signer
from tests.wire.sign.asked_query import KNOWN, accepted, refused

FORM = b"Action=DescribeInstances&Version=2016-11-15"
SCOPE = "20130524/eucabox/ec2/aws4_request"


def four(form: bytes = FORM, scope: str = SCOPE, headers: dict[str, str] | None = None) -> Request:
    request = signer.request("POST", "/services/compute", headers, form)
    return signer.sign4(request, hashlib.sha256(form).hexdigest(), scope=scope)


def test_unsigned() -> None:
    fault = refused(signer.request("POST", "/", body=FORM), FORM)
    assert fault.code == "MissingAuthenticationToken"
    assert "Sign the DescribeInstances request with an access key" in fault.message
    nameless = refused(signer.request("POST", "/"), b"").message
    assert nameless.endswith(" Sign each request with an access key of this cloud.")


def test_an_action_that_nobody_needs_to_sign() -> None:
    request = signer.request("POST", "/", body=FORM)
    signed = authenticate_query(request, FORM, KNOWN, signer.NOW, {"DescribeInstances"})
    assert (signed.version, signed.caller, signed.body.read(1000)) == (0, None, FORM)
    wrong = four()
    wrong.headers["authorization"] = wrong.headers["authorization"][:-4] + "0000"
    with pytest.raises(Fault) as caught:
        authenticate_query(wrong, FORM, KNOWN, signer.NOW, {"DescribeInstances"})
    assert caught.value.code == "SignatureDoesNotMatch"


def test_version_four() -> None:
    signed = accepted(four(), FORM)
    assert (signed.version, signed.region, signed.service) == (4, "eucabox", "ec2")
    assert signed.body.read(1000) == FORM
    assert signed.expires == signer.NOW + timedelta(minutes=15)


@pytest.mark.parametrize(
    ("scope", "code"),
    [
        (SCOPE, "AuthFailure"),
        (SCOPE.replace("ec2", "sts"), "InvalidClientTokenId"),
        (SCOPE.replace("ec2", "iam"), "InvalidClientTokenId"),
    ],
)
def test_unknown_and_inactive_keys(scope: str, code: str) -> None:
    request = four(scope=scope)
    assert refused(request, FORM, active=False).code == code
    request.headers["authorization"] = request.headers["authorization"].replace("AKIA", "BKIA")
    fault = refused(request, FORM)
    assert fault.code == code
    assert fault.message.startswith("The access key ID BKIAIOSFODNN7EXAMPLE is not known")


def test_a_mismatch_tells_what_should_have_been_signed() -> None:
    request = four()
    request.headers["authorization"] = request.headers["authorization"][:-4] + "0000"
    fault = refused(request, FORM)
    assert fault.code == "SignatureDoesNotMatch"
    assert "'POST\n/services/compute\n" in fault.message
    assert "'AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/eucabox/ec2" in fault.message


def test_the_body_is_always_covered() -> None:
    request = four()
    assert refused(request, FORM + b"x").code == "XAmzContentSHA256Mismatch"
    request = signer.request("POST", "/", body=FORM)
    request = signer.sign4(request, "UNSIGNED-PAYLOAD", scope=SCOPE)
    assert refused(request, FORM).code == "XAmzContentSHA256Mismatch"
    del request.headers["x-amz-content-sha256"]
    assert refused(request, FORM).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("AWS4-HMAC-SHA256 ", "AWS3 "),
        ("Signature=", "Sig="),
        ("/20130524/", "/20130525/"),
        ("host;", ""),
    ],
)
def test_an_incomplete_header(old: str, new: str) -> None:
    request = four()
    request.headers["authorization"] = request.headers["authorization"].replace(old, new)
    assert refused(request, FORM).code == "IncompleteSignature"


def test_an_old_request() -> None:
    request = four()
    with pytest.raises(Fault) as caught:
        authenticate_query(request, FORM, KNOWN, signer.NOW + timedelta(minutes=16))
    assert caught.value.code == "RequestExpired"
    assert "2013-05-24T00:00:00Z" in caught.value.message
    assert "2013-05-24T00:16:00Z" in caught.value.message
