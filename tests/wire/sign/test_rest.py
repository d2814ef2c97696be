"""Refusals of S3 requests: the codes, the extra elements, and what each message says."""

import hashlib
import time
from datetime import timedelta

import pytest

from eucabox.errors import Fault
from eucabox.wire.request import Request
from eucabox.wire.sign import authenticate_rest
from tests.wire.sign import signer
from tests.wire.sign.asked_rest import KNOWN, accepted, refused

MALFORMED, PARAMETERS = "AuthorizationHeaderMalformed", "AuthorizationQueryParametersError"
STREAM = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"


def put(headers: dict[str, str], body: bytes, **how: bool) -> Request:
    return signer.sign4(signer.request("PUT", "/b/k", headers, body, **how))


def test_anonymous() -> None:
    signed = accepted(signer.request("PUT", "/b/k", body=b"hello"))
    assert (signed.version, signed.caller, signed.access_key_id) == (0, None, "")
    assert signed.decoded_length == 5
    assert signed.body.read(100) == b"hello"


def test_anonymous_without_a_body() -> None:
    signed = accepted(signer.request("GET", "/b/k", {"content-length": "0"}))
    assert signed.body.read(1) == b""


def test_unknown_and_inactive_keys() -> None:
    request = signer.sign4(signer.request())
    fault = refused(request, active=False)
    assert (fault.code, fault.facts["AWSAccessKeyId"]) == ("InvalidAccessKeyId", signer.KEY)
    assert "inactive" in fault.message
    request.headers["authorization"] = request.headers["authorization"].replace("AKIA", "BKIA")
    fault = refused(request)
    assert fault.code == "InvalidAccessKeyId"
    assert "not known to this cloud" in fault.message


def test_a_mismatch_tells_what_should_have_been_signed() -> None:
    request = signer.sign4(signer.request("GET", "/b/k?x=1"))
    request.headers["authorization"] = request.headers["authorization"][:-1] + "x"
    fault = refused(request)
    assert fault.code == "SignatureDoesNotMatch"
    assert fault.facts["AWSAccessKeyId"] == signer.KEY
    assert fault.facts["SignatureProvided"].endswith("x")
    assert fault.facts["CanonicalRequest"].startswith("GET\n/b/k\nx=1\n")
    assert fault.facts["StringToSign"].startswith(f"AWS4-HMAC-SHA256\n{signer.STAMP}\n")
    assert bytes.fromhex(fault.facts["StringToSignBytes"]).startswith(b"AWS4")


def test_a_mismatch_shows_no_control_characters() -> None:
    request = signer.sign4(signer.request("GET", "/b/k", {"x-amz-meta-a": "v"}))
    request.headers["x-amz-meta-a"] = "\x00\xe9\x1b"
    fault = refused(request)
    shown = fault.facts["CanonicalRequest"]
    assert shown.isascii() and all(c.isprintable() or c == "\n" for c in shown)


@pytest.mark.parametrize("minutes", [-16, 16, -(10**6), 10**6])
def test_a_clock_too_far(minutes: int) -> None:
    request = signer.sign4(signer.request())
    now = signer.NOW + timedelta(minutes=minutes)
    with pytest.raises(Fault) as caught:
        authenticate_rest(request, KNOWN, now)
    fault = caught.value
    assert fault.code == "RequestTimeTooSkewed"
    assert fault.facts["RequestTime"] == "2013-05-24T00:00:00Z"
    assert fault.facts["ServerTime"] == now.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert fault.facts["MaxAllowedSkewMilliseconds"] == 900000


@pytest.mark.parametrize("minutes", [-15, 15])
def test_a_clock_just_near_enough(minutes: int) -> None:
    request = signer.sign4(signer.request())
    assert authenticate_rest(request, KNOWN, signer.NOW + timedelta(minutes=minutes)).caller


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("AWS4-HMAC-SHA256 Credential", "AWS4-ECDSA-P256-SHA256 Credential", "InvalidArgument"),
        ("AWS4-HMAC-SHA256 Credential", "Bearer Credential", "InvalidArgument"),
        ("Credential=", "Cred=", MALFORMED),
        ("SignedHeaders=", "Headers=", MALFORMED),
        ("Signature=", "Sig=", MALFORMED),
        ("aws4_request", "aws3_request", MALFORMED),
        ("us-east-1", "x" * 500, MALFORMED),
        ("/us-east-1", "", MALFORMED),
        ("/20130524/", "/20130525/", MALFORMED),
        ("/20130524/", "/2013/", MALFORMED),
        ("host", "Host", MALFORMED),
        ("host;", "", MALFORMED),
        ("host;", "ho st;", MALFORMED),
        ("us-east-1", "us-east-2", "SignatureDoesNotMatch"),
        ("/s3/", "/ec2/", "SignatureDoesNotMatch"),
        ("Signature=", "Signature=\u00e9", "SignatureDoesNotMatch"),
    ],
)
def test_a_header_changed(old: str, new: str, code: str) -> None:
    request = signer.sign4(signer.request())
    assert old in request.headers["authorization"]
    request.headers["authorization"] = request.headers["authorization"].replace(old, new, 1)
    assert refused(request).code == code


def test_any_region_and_service_word_will_do() -> None:
    for scope in ("20130524/undefined-4711/s3/aws4_request", "20130524/0/127/aws4_request"):
        signed = accepted(signer.sign4(signer.request(), scope=scope))
        assert f"20130524/{signed.region}/{signed.service}/aws4_request" == scope


def test_a_host_that_was_signed_without_its_port() -> None:
    """As git-annex does, and GitLab's client did: AWS has no other port."""
    request = put({}, b"")
    request.host = request.headers["host"] = request.host + ":8773"
    assert accepted(request).caller
    request.host = request.headers["host"] = "elsewhere:8773"
    assert refused(request).code == "SignatureDoesNotMatch"


def test_the_date_header_will_do() -> None:
    request = signer.sign4(signer.request(headers={"date": "Fri, 24 May 2013 00:00:00 GMT"}))
    del request.headers["x-amz-date"]
    request.headers["authorization"] = request.headers["authorization"].replace(";x-amz-date", "")
    assert refused(request).code == "SignatureDoesNotMatch"  # dated, and so far well-formed
    del request.headers["date"]
    assert refused(request).code == "AccessDenied"


def test_an_unsigned_amz_header_is_refused() -> None:
    request = signer.request("PUT", headers={"x-amz-acl": "public-read"})
    fault = refused(signer.sign4(request, leave_unsigned=["x-amz-acl"]))
    assert (fault.code, fault.facts["HeadersNotSigned"]) == ("AccessDenied", "x-amz-acl")


def test_the_payload_word_is_needed() -> None:
    request = signer.sign4(signer.request())
    del request.headers["x-amz-content-sha256"]
    fault = refused(request)
    assert fault.code == "MissingSecurityHeader"
    assert fault.facts["MissingHeaderName"] == "x-amz-content-sha256"


@pytest.mark.parametrize("word", ["STREAMING-MAYBE", "abc", "g" * 64])
def test_an_unknown_payload_word(word: str) -> None:
    assert refused(put({"x-amz-content-sha256": word}, b"hello")).code == "InvalidArgument"


@pytest.mark.parametrize("chunked", [False, True])
def test_five_forms_of_body(chunked: bool) -> None:
    data, crc = b"hello world" * 9, {"x-amz-checksum-crc32": "AAAAAA=="}
    length = {"x-amz-decoded-content-length": str(len(data)), "content-encoding": "aws-chunked"}
    digest = {"x-amz-content-sha256": hashlib.sha256(data).hexdigest()}
    for word, body in ((digest, data), ({"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, data)):
        signed = accepted(put(word, body, chunked=chunked))
        assert signed.body.read(1000) == data
    unsigned = {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", **length}
    trailing = {"x-amz-trailer": "X-Amz-Checksum-CRC32"}
    signed = accepted(
        put({**unsigned, **trailing}, signer.plain_chunks([data], crc), chunked=chunked)
    )
    assert (signed.decoded_length, signed.trailers) == (len(data), {})
    assert signed.body.read(1000) == data and signed.body.read(1000) == b""
    assert signed.trailers == crc
    for word_end, trailers in (("", None), ("-TRAILER", crc)):
        headers = {"x-amz-content-sha256": STREAM + word_end, **length}
        request = signed_stream(headers | (trailing if trailers else {}), [data], trailers, chunked)
        signed = accepted(request)
        assert signed.body.read(1000) == data and signed.body.read(1000) == b""
        assert signed.trailers == (trailers or {})


def signed_stream(
    headers: dict[str, str],
    pieces: list[bytes],
    trailers: dict[str, str] | None = None,
    chunked: bool = True,
) -> Request:
    dummy = signer.signed_chunks("0" * 64, pieces, trailers)
    request = put(headers, dummy, chunked=chunked)
    body = signer.signed_chunks(signer.seed(request), pieces, trailers)
    request.body = signer.request(body=body).body
    return request


def test_a_stream_signed_for_another_request() -> None:
    headers = {"x-amz-content-sha256": STREAM, "x-amz-decoded-content-length": "5"}
    request = put(headers, signer.signed_chunks("0" * 64, [b"hello"]))
    assert refused(request).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("said", ["", "-1", "five", "9" * 30])
def test_a_stream_needs_its_length(said: str) -> None:
    headers = {"x-amz-content-sha256": STREAM, "x-amz-decoded-content-length": said}
    assert refused(signed_stream(headers, [b"hello"])).code == "MissingContentLength"


def test_signed_chunks_need_signature_four() -> None:
    headers = {"x-amz-content-sha256": STREAM, "x-amz-decoded-content-length": "5"}
    request = signer.request(
        "PUT", headers=headers, body=signer.signed_chunks("0" * 64, [b"hello"])
    )
    assert refused(request).code == "InvalidArgument"


def test_anonymous_chunks() -> None:
    headers = {"content-encoding": "gzip, aws-chunked", "x-amz-decoded-content-length": "5"}
    signed = accepted(signer.request("PUT", headers=headers, body=signer.plain_chunks([b"hello"])))
    assert signed.decoded_length == 5
    assert signed.body.read(100) == b"hello"


def test_a_checksum_in_header_and_trailer() -> None:
    headers = {
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": "5",
        "x-amz-trailer": "x-amz-checksum-crc32",
        "x-amz-checksum-crc32": "AAAAAA==",
    }
    assert refused(put(headers, signer.plain_chunks([b"hello"]))).code == "InvalidRequest"


def test_a_checksum_algorithm_is_no_checksum() -> None:
    crc = {"x-amz-checksum-crc32": "AAAAAA=="}
    headers = {
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": "5",
        "x-amz-trailer": "x-amz-checksum-crc32",
        "x-amz-checksum-algorithm": "CRC32",
    }
    signed = accepted(put(headers, signer.plain_chunks([b"hello"], crc)))
    assert signed.body.read(9) + signed.body.read(9) == b"hello"
    assert signed.trailers == crc


def test_a_session_token_is_refused() -> None:
    request = signer.sign4(signer.request(headers={"x-amz-security-token": "t"}))
    assert refused(request).code == "InvalidToken"
    request = signer.sign1(signer.request(headers={"x-amz-security-token": "t"}), "/b/k")
    assert refused(request).code == "InvalidToken"


@pytest.mark.parametrize("text", ["Basic eDp5", "AWS HAHAHA", "AWS :sig", "AWS key:"])
def test_an_authorization_of_another_kind(text: str) -> None:
    assert refused(signer.request(headers={"authorization": text})).code == "InvalidArgument"


def test_an_empty_authorization() -> None:
    assert refused(signer.request(headers={"authorization": ""})).code == "AccessDenied"


def test_two_authorizations() -> None:
    request = signer.sign4(signer.request("GET", "/b/k?Signature=x&Expires=1&AWSAccessKeyId=y"))
    assert refused(request).code == "InvalidArgument"


def test_a_path_and_a_query_longer_than_any_are_refused_before_they_are_signed() -> None:
    request = signer.sign4(signer.request("GET", "/b?prefix=" + "a+&" * 40_000))
    started = time.process_time()
    fault = refused(request)
    assert time.process_time() - started < 0.1
    assert fault.code == "RequestHeaderSectionTooLarge"
    assert fault.facts["MaxSizeAllowed"] == 16_384
    key = "%C3%A4" * 512
    assert accepted(signer.sign4(signer.request("GET", f"/b/{key}"))).caller


def test_a_plus_that_was_signed_as_itself_is_no_blank() -> None:
    """What was signed for a%2Bb can be sent as a+b, and then it means a+b all the same."""
    request = signer.sign4(signer.request("GET", "/b?prefix=a%2Bb"))
    request.query = "prefix=a+b"
    assert accepted(request).query == "prefix=a%2Bb"
    request = signer.sign4(signer.request("GET", "/b?prefix=a%20b"))
    request.query = "prefix=a+b"
    assert accepted(request).query == "prefix=a+b"
