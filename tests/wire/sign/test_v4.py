"""Presigned requests of version 4: AWS's own example, and each parameter changed; signing keys."""

import hashlib
import hmac
from datetime import timedelta

import pytest

from eucabox.errors import Fault
from eucabox.wire.request import Request
from eucabox.wire.sign import authenticate_rest, v4
from eucabox.wire.sign.v4 import HmacKey, Scope, SigningKeys
from tests.wire.sign import signer
from tests.wire.sign.asked_rest import KNOWN, accepted, refused

PARAMETERS = "AuthorizationQueryParametersError"


def presigned(**changed: str) -> Request:
    params = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{signer.KEY}%2F{signer.SCOPE.replace('/', '%2F')}",
        "X-Amz-Date": signer.STAMP,
        "X-Amz-Expires": "86400",
        "X-Amz-SignedHeaders": "host",
    }
    params |= {"X-Amz-" + name: value for name, value in changed.items() if name != "host"}
    query = "&".join(f"{n}={v}" for n, v in sorted(params.items()) if v != "none")
    request = signer.request("GET", "/test.txt?" + query)
    request.headers = {"host": changed.get("host", "examplebucket.s3.amazonaws.com")}
    request.host = request.headers["host"]
    return request


PUBLISHED = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"


def test_aws_published_presigned_request() -> None:
    request = presigned(Signature=PUBLISHED)
    signed = accepted(request)
    assert (signed.version, signed.signature) == (4, PUBLISHED)
    assert signed.expires == signer.NOW + timedelta(days=1)


def test_a_presigned_request_expires() -> None:
    late = signer.NOW + timedelta(seconds=86401)
    with pytest.raises(Fault) as caught:
        authenticate_rest(presigned(Signature=PUBLISHED), KNOWN, late)
    assert (caught.value.code, caught.value.message) == ("AccessDenied", "Request has expired")
    assert caught.value.facts["Expires"] == "2013-05-25T00:00:00Z"
    assert caught.value.facts["ServerTime"] == "2013-05-25T00:00:01Z"


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("Algorithm", "AWS4-HMAC-SHA1", PARAMETERS),
        ("Credential", "AKIA%2F20130524", PARAMETERS),
        ("Credential", "none", PARAMETERS),
        ("Date", "2013-05-24T00:00:00Z", PARAMETERS),
        ("Date", "20131324T000000Z", PARAMETERS),
        ("Expires", "0", "AccessDenied"),
        ("Expires", "-1", "AccessDenied"),
        ("Expires", "604801", PARAMETERS),
        ("Expires", "2592000", PARAMETERS),
        ("Expires", "9" * 5000, PARAMETERS),
        ("Expires", "\u0661", PARAMETERS),
        ("Expires", "none", PARAMETERS),
        ("SignedHeaders", "none", PARAMETERS),
        ("SignedHeaders", "x-a", PARAMETERS),
        ("Expires", "604800", "SignatureDoesNotMatch"),
        ("Security-Token", "t", "InvalidToken"),
    ],
)
def test_a_presigned_parameter_changed(name: str, value: str, code: str) -> None:
    changed = {name.replace("-", "_"): value}
    request = presigned(Signature=PUBLISHED, **{n.replace("_", "-"): v for n, v in changed.items()})
    assert refused(request).code == code


def test_a_presigned_request_says_nothing_of_its_body_unless_signed() -> None:
    request = presigned(Signature=PUBLISHED)
    request.headers["x-amz-content-sha256"] = signer.EMPTY
    assert accepted(request).body.read(1) == b""
    request.headers["x-amz-content-sha256"] = "0" * 64
    assert refused(request).code == "XAmzContentSHA256Mismatch"


def test_a_presigned_path_is_not_read_as_encoded_twice() -> None:
    request = signer.sign4(signer.request("GET", "/b/a%2520b"))
    request.path = "/b/a%20b"
    assert accepted(request).caller
    query = f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={signer.KEY}/{signer.SCOPE}"
    query += f"&X-Amz-Date={signer.STAMP}&X-Amz-Expires=60&X-Amz-SignedHeaders=host"
    head = "host:s3.amazonaws.com\n\nhost\nUNSIGNED-PAYLOAD"
    standard = query.replace("/", "%2F")
    canonical = f"GET\n/b/a%2520b\n{standard}\n{head}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{signer.STAMP}\n{signer.SCOPE}\n{digest}"
    signature = signer.mac(signer.signing_key(), to_sign).hex()
    request = signer.request("GET", f"/b/a%2520b?{query}&X-Amz-Signature={signature}")
    assert accepted(request).caller
    request.path = "/b/a%20b"
    assert refused(request).code == "SignatureDoesNotMatch"


PUBLISHED_KEY = "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


def test_the_published_key() -> None:
    scope = Scope("AKIDEXAMPLE", "20150830", "us-east-1", "iam")
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    assert SigningKeys().key(scope, secret).raw.hex() == PUBLISHED_KEY
    assert str(scope) == "20150830/us-east-1/iam/aws4_request"


def test_a_changed_secret_is_a_changed_key() -> None:
    known, scope = SigningKeys(), Scope("K", "20130524", "us-east-1", "s3")
    first = known.key(scope, "old")
    assert known.key(scope, "old") == first
    assert known.key(scope, "new") != first
    assert known.key(scope, signer.SECRET).raw == signer.signing_key()


def test_the_cache_is_bounded() -> None:
    known = SigningKeys()
    for number in range(v4._MOST_KEYS + 10):
        known.key(Scope("K", "20130524", str(number), "s3"), "secret")
    assert len(known._keys) == v4._MOST_KEYS
    assert Scope("K", "20130524", "0", "s3") not in known._keys


@pytest.mark.parametrize("size", [0, 20, 32, 64])
def test_a_key_signs_as_hmac_does(size: int) -> None:
    raw, message = bytes(range(size)), b"message" * 30
    assert HmacKey(raw).sign(message) == hmac.digest(raw, message, "sha256").hex()
