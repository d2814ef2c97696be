"""S3's first signature: spellings of the resource, dates, presigned requests."""

import base64
import hashlib
from datetime import timedelta

import pytest

from eucabox.errors import Fault
from eucabox.wire.request import Request
from eucabox.wire.s3 import routes
from eucabox.wire.sign import authenticate_rest, rest_v1
from tests.wire.sign import signer
from tests.wire.sign.asked_rest import KNOWN, accepted, refused

WIDENING = frozenset().union(*(routes.subresources(depth) for depth in (1, 2))) - {"list-type"}


def test_the_first_signature() -> None:
    signed = accepted(signer.sign1(signer.request(), "/b/k"))
    assert (signed.version, signed.region, signed.access_key_id) == (1, "", signer.KEY)


@pytest.mark.parametrize(
    ("target", "resource"),
    [
        ("/services/objectstorage/b/k", "/b/k"),
        ("/services/Walrus/b/k", "/services/Walrus/b/k"),
        ("/services/walrus/b/k", "/b/k"),
        ("/b", "/b/"),
        ("/b/", "/b"),
        ("/services/objectstorage/b", "/services/objectstorage/b/"),
        ("/b?acl", "/b?acl"),
        ("/b?acl=", "/b?acl"),
        ("/b?acl&prefix=x", "/b?acl"),
        ("/b/k?uploadId=a%2Bb&partNumber=1", "/b/k?partNumber=1&uploadId=a+b"),
        ("/b/k?uploadId=a%2Bb&partNumber=1", "/b/k?partNumber=1&uploadId=a%2Bb"),
        ("/b?encryption", "/b?encryption"),
        ("/b?encryption", "/b"),
        ("/b/a%2fb", "/b/a/b"),
        ("/b/%7Ek", "/b/~k"),
        ("/", "/"),
    ],
)
def test_spellings_of_the_resource(target: str, resource: str) -> None:
    assert accepted(signer.sign1(signer.request("GET", target), resource)).caller


@pytest.mark.parametrize(
    ("target", "resource"),
    [
        ("/b/k", "/b/k/"),
        ("/b/k/", "/b/k"),
        ("/b//", "/b/"),
        ("/b/k?acl", "/b/k"),
        ("/b?policy", "/b"),
        ("/b/services/objectstorage/k", "/b/k"),
        ("/services/objectstorageb/k", "/b/k"),
    ],
)
def test_other_resources_are_refused(target: str, resource: str) -> None:
    fault = refused(signer.sign1(signer.request("GET", target), resource))
    assert fault.code == "SignatureDoesNotMatch"


def test_the_bucket_of_a_virtual_host_is_signed() -> None:
    request = signer.sign1(signer.request("GET", "/k"), "/b/k")
    assert authenticate_rest(request, KNOWN, signer.NOW, bucket="b").caller
    with pytest.raises(Fault):
        authenticate_rest(request, KNOWN, signer.NOW, bucket="other")
    request = signer.sign1(signer.request("GET", "/b/k"), "/b/k")
    with pytest.raises(Fault):  # or a request for /b/k could be replayed at another bucket
        authenticate_rest(request, KNOWN, signer.NOW, bucket="other")


@pytest.mark.parametrize(
    ("date", "code"),
    [
        ("", "AccessDenied"),
        ("Bad Date", "AccessDenied"),
        ("Tue, 07 Jul 1950 21:53:04 GMT", "AccessDenied"),
        ("Tue, 07 Jul 2010 21:53:04 GMT", "RequestTimeTooSkewed"),
        ("Tue, 07 Jul 9999 21:53:04 GMT", "RequestTimeTooSkewed"),
        ("Fri, 31 Dec 9999 23:53:04 -2359", "AccessDenied"),
        ("Fri, 24 May 2013 00:15:01 GMT", "RequestTimeTooSkewed"),
    ],
)
def test_dates_of_the_first_signature(date: str, code: str) -> None:
    request = signer.sign1(signer.request(headers={"x-amz-date": date}), "/b/k")
    assert refused(request).code == code


@pytest.mark.parametrize(
    "date",
    [
        "Fri, 24 May 2013 00:00:00 -0000",
        "Fri, 24 May 2013 00:00:00 UTC",
        "Fri, 24 May 2013 02:00:00 +0200",
        "20130524T000000Z",
        "2013-05-24T00:00:00.000Z",
    ],
)
def test_forms_of_a_date(date: str) -> None:
    assert accepted(signer.sign1(signer.request(headers={"date": date}), "/b/k")).caller
    assert accepted(signer.sign1(signer.request(headers={"x-amz-date": date}), "/b/k")).caller


def first_presigned(expires: str = "1369440000", **members: str) -> Request:
    signature = signer.mac1(f"GET\n\n\n{expires}\n/b/k").replace("+", "%2B").replace("=", "%3D")
    every = {"AWSAccessKeyId": signer.KEY, "Expires": expires, "Signature": signature, **members}
    query = "&".join(f"{n}={v}" for n, v in every.items() if v)
    return signer.request("GET", "/b/k?" + query, {"content-length": "0"})


def test_the_first_presigned() -> None:
    signed = accepted(first_presigned())
    assert signed.version == 1
    assert signed.expires == signer.NOW + timedelta(days=1)


@pytest.mark.parametrize("name", ["AWSAccessKeyId", "Expires", "Signature"])
def test_the_first_presigned_needs_all_three(name: str) -> None:
    assert refused(first_presigned(**{name: ""})).code == "AccessDenied"


@pytest.mark.parametrize(
    ("expires", "message"),
    [
        ("1369353599", "Request has expired"),
        ("soon", "Invalid date (should be seconds since epoch): soon"),
        ("9" * 25, "Invalid date (should be seconds since epoch): " + "9" * 25),
    ],
)
def test_the_first_presigned_and_its_end(expires: str, message: str) -> None:
    fault = refused(first_presigned(expires))
    assert (fault.code, fault.message) == ("AccessDenied", message)


def test_the_first_signature_covers_md5_and_type() -> None:
    md5 = base64.b64encode(hashlib.md5(b"hello").digest()).decode()
    headers = {"content-md5": md5, "content-type": "text/plain", "x-amz-meta-a": "two  blanks"}
    request = signer.sign1(signer.request("PUT", headers=headers, body=b"hello"), "/b/k")
    assert accepted(request).body.read(9) == b"hello"
    for name in headers:
        changed = signer.request("PUT", headers={**request.headers, name: "x"}, body=b"hello")
        assert refused(changed).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("name", sorted(WIDENING))
@pytest.mark.parametrize("spelt", ["{}", "{}=", "{}=x", "%{:02x}{}"])
def test_a_presigned_request_means_no_more_than_was_signed(name: str, spelt: str) -> None:
    """Whoever has the URL adds a subresource, and makes a deletion of a policy of it, or a hold."""
    told = spelt.format(ord(name[0]), name[1:]) if "%" in spelt else spelt.format(name)
    request = first_presigned()
    request.query += f"&{told}"
    assert refused(request).code == "SignatureDoesNotMatch"


def test_each_name_that_makes_another_operation_is_known_here() -> None:
    told_apart = frozenset().union(*(routes.subresources(depth) for depth in (0, 1, 2)))
    assert told_apart - rest_v1._EVERY == {"list-type"}  # the same list in another form


def test_a_header_of_the_first_signature_covers_encoded_names_too() -> None:
    assert refused(signer.sign1(signer.request("GET", "/b/k?%61cl"), "/b/k")).code


def test_a_plus_in_what_the_first_signature_covers_is_a_plus() -> None:
    """What was signed for a%2Bb could be sent as a+b, which would be read as a and b apart."""
    request = signer.request("GET", "/b/k?uploadId=a+b&prefix=c+d")
    assert accepted(signer.sign1(request, "/b/k?uploadId=a+b")).query == "uploadId=a%2Bb&prefix=c+d"
