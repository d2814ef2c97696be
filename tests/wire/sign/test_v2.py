"""Version 2: the spellings that clients sign, and what is refused."""

import base64
import hmac
import time
from datetime import timedelta
from urllib.parse import quote

import pytest

from eucabox.wire.request import Request
from tests.wire.sign import signer
from tests.wire.sign.asked_query import accepted, refused

PARAMETERS = {
    "Action": "DescribeInstances",
    "AWSAccessKeyId": signer.KEY,
    "SignatureVersion": "2",
    "SignatureMethod": "HmacSHA256",
    "Timestamp": "2013-05-24T00:00:00Z",
    "Filter.1.Value.1": "a b+c*~/\u00fc",
}


def encoded(params: dict[str, str], space: str = "%20") -> str:
    return "&".join(
        f"{quote(n, safe='-_.~')}={quote(v, safe='-_.~').replace('%20', space)}"
        for n, v in sorted(params.items())
    )


def two(
    changed: dict[str, str] | None = None,
    *,
    method: str = "GET",
    host: str = "cloud.example:8773",
    signed_host: str = "",
    path: str = "/services/Eucalyptus",
    signed_path: str = "",
    digest: str = "sha256",
    space: str = "%20",
    signed_space: str = "%20",
) -> tuple[Request, bytes]:
    members = {n: v for n, v in (PARAMETERS | (changed or {})).items() if v}
    lines = f"{method}\n{signed_host or host}\n{signed_path or path}\n"
    to_sign = (lines + encoded(members, signed_space)).encode()
    mac = base64.b64encode(hmac.new(signer.SECRET.encode(), to_sign, digest).digest())
    query = encoded(members | {"Signature": mac.decode()}, space)
    if method == "POST":
        return signer.request("POST", path, {"host": host}, query.encode()), query.encode()
    return signer.request("GET", f"{path}?{query}", {"host": host}), b""


@pytest.mark.parametrize(
    "spelling",
    [
        {},
        {"method": "POST"},
        {"method": "POST", "space": "+"},
        {"signed_host": "cloud.example"},
        {"host": "cloud.example", "signed_host": "cloud.example:80"},
        {"host": "Cloud.Example", "signed_host": "cloud.example"},
        {"signed_path": "/services/Eucalyptus/"},
        {"path": "/services/Eucalyptus/", "signed_path": "/services/Eucalyptus"},
        {"path": "/"},
    ],
)
def test_spellings_of_version_two(spelling: dict[str, str]) -> None:
    signed = accepted(*two(**spelling))  # type: ignore[arg-type]
    assert (signed.version, signed.access_key_id) == (2, signer.KEY)
    assert signed.expires == signer.NOW + timedelta(minutes=15)


def test_a_plus_that_means_itself() -> None:
    request, form = two({"Filter.1.Value.1": "a+b"})
    request.query = request.query.replace("a%2Bb", "a+b")
    assert accepted(request, form).caller


def test_version_two_with_sha1() -> None:
    assert accepted(*two({"SignatureMethod": "HmacSHA1"}, digest="sha1")).caller
    assert accepted(*two({"SignatureMethod": ""}, digest="sha1")).caller


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"SignatureVersion": "1"}, "IncompleteSignature"),
        ({"SignatureVersion": ""}, "IncompleteSignature"),
        ({"SignatureMethod": "HmacMD5"}, "IncompleteSignature"),
        ({"AWSAccessKeyId": ""}, "IncompleteSignature"),
        ({"AWSAccessKeyId": "unknown"}, "AuthFailure"),
        ({"Timestamp": ""}, "IncompleteSignature"),
        ({"Timestamp": "yesterday"}, "IncompleteSignature"),
        ({"Timestamp": "2013-13-24T00:00:00Z"}, "IncompleteSignature"),
        ({"Timestamp": "2013-05-24T00:16:00Z"}, "RequestExpired"),
        ({"Timestamp": "2013-05-23T23:44:00Z"}, "RequestExpired"),
        ({"Timestamp": "", "Expires": "2013-05-23T23:59:59Z"}, "RequestExpired"),
        ({"Timestamp": "", "Expires": "2013-06-24T00:00:00Z"}, "IncompleteSignature"),
    ],
)
def test_version_two_refused(changed: dict[str, str], code: str) -> None:
    request, form = two(changed)
    assert refused(request, form).code == code


@pytest.mark.parametrize(
    "timestamp",
    [
        "2013-05-24T00:00:00",
        "2013-05-24T00:00:00.123Z",
        "2013-05-24T00:00:00.123",
        "2013-05-24T02:00:00+0200",
        "2013-05-24T02:00:00+02:00",
        "2013-05-24T02:00:00.000+02:00",
        "2013-05-23T19:00:00-05:00",
    ],
)
def test_forms_of_a_timestamp(timestamp: str) -> None:
    assert accepted(*two({"Timestamp": timestamp})).caller


def test_expires_says_how_long() -> None:
    signed = accepted(*two({"Timestamp": "", "Expires": "2013-05-24T01:00:00Z"}))
    assert signed.expires == signer.NOW + timedelta(hours=1)


def test_a_parameter_added_to_a_signed_form_is_refused() -> None:
    request, form = two(method="POST")
    request.query = "DryRun=true"
    assert refused(request, form).code == "SignatureDoesNotMatch"


def test_the_first_version_is_refused_by_name() -> None:
    fault = refused(*two({"SignatureVersion": "1"}))
    assert "'1' is not supported; sign with version 2 or 4" in fault.message


def test_a_signature_with_and_without_its_padding_is_one() -> None:
    request, form = two(method="POST")
    bare = form.replace(b"%3D&", b"&").removesuffix(b"%3D")
    assert bare != form
    again = signer.request("POST", request.path, {"host": request.host}, bare)
    assert accepted(request, form).signature == accepted(again, bare).signature


def test_a_plus_that_was_signed_as_itself_is_no_blank() -> None:
    request, form = two(space="+", signed_space="%2B", method="POST")
    assert b"=a%2Bb" in accepted(request, form).body.read(4096)
    request, form = two(space="+", signed_space="%2B")
    assert "=a%2Bb" in accepted(request, form).query
    request, form = two(space="+", method="POST")
    assert b"=a+b" in accepted(request, form).body.read(4096)


def test_a_form_of_more_parameters_than_any_request_has_is_refused_unread() -> None:
    started = time.process_time()
    form = b"AWSAccessKeyId=" + signer.KEY.encode() + b"&Signature=x&" + b"a+&" * 330_000
    request = signer.request("POST", "/services/compute", {"host": "h"}, form)
    assert refused(request, form).code == "RequestEntityTooLarge"
    request = signer.request("GET", "/services/compute?" + "a+&" * 40_000, {"host": "h"})
    assert refused(request).code == "RequestEntityTooLarge"
    assert time.process_time() - started < 0.5
