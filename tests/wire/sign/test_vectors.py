"""Every request that a real client signed is accepted, and refused when anything in it changes."""

import re
from collections import defaultdict
from datetime import timedelta
from urllib.parse import unquote

import pytest

from eucabox.errors import Fault
from tests.wire.sign.recorded import Vector, check, vectors

VECTORS = vectors()  # by file
LATE = timedelta(minutes=16)
REFUSED = ("SignatureDoesNotMatch", "XAmzContentSHA256Mismatch")
OLD = ("RequestExpired", "RequestTimeTooSkewed", "AccessDenied")
MALFORMED = defaultdict(
    lambda: REFUSED,
    {
        ("x-amz-date", "query"): ("IncompleteSignature",),
        ("x-amz-date", "s3"): ("AccessDenied",),
        ("date", "s3"): ("AccessDenied",),
        ("x-amz-content-sha256", "s3"): (*REFUSED, "InvalidArgument"),
    },
)


def named(vector: Vector) -> str:
    path = unquote(vector.target.partition("?")[0])
    return f"{vector.client}-{vector.method}-{path}".encode("ascii", "replace").decode()


every = pytest.mark.parametrize("client", VECTORS)


def refused(vector: Vector, **changed: object) -> str:
    with pytest.raises(Fault) as caught:
        check(vector, **changed)
    assert caught.value.message.isascii()
    return caught.value.code


@every
def test_accepted_as_sent(client: str) -> None:
    for vector in VECTORS[client]:
        signed, body = check(vector)
        assert signed.version == vector.version
        assert signed.caller and signed.access_key_id == vector.access_key
        assert signed.decoded_length in (None, len(body))
        assert signed.expires and signed.expires > vector.arrived


@every
def test_refused_with_another_secret(client: str) -> None:
    for vector in VECTORS[client]:
        code = refused(vector, secret=vector.secret[:-1] + "8")
        assert code == "SignatureDoesNotMatch", named(vector)


@every
def test_refused_with_another_path(client: str) -> None:
    for vector in VECTORS[client]:
        path, mark, query = vector.target.partition("?")
        changed = vector.copy(target=path + "x" + mark + query)
        assert refused(changed) == "SignatureDoesNotMatch", named(vector)


@every
def test_refused_with_another_method(client: str) -> None:
    for vector in VECTORS[client]:
        changed = vector.copy(method="PATCH")
        assert refused(changed) == "SignatureDoesNotMatch", named(vector)


@pytest.mark.not_fast
@every
def test_refused_with_another_signed_header(client: str) -> None:
    for vector in VECTORS[client]:
        for name in signed_names(vector):
            value = vector.headers[name]
            other = ("z" if value[:1] != "z" else "y") + value[1:]
            if name == "content-length":
                other = str(int(value) + 1)
            changed = vector.copy(headers={**vector.headers, name: other})
            assert refused(changed) in MALFORMED[name, vector.service], named(vector)


@every
def test_refused_once_expired(client: str) -> None:
    for vector in VECTORS[client]:
        signed, _ = check(vector)
        assert signed.expires
        assert refused(vector, now=signed.expires + timedelta(seconds=1)) in OLD, named(vector)
        if "Expires=" not in vector.target:
            assert refused(vector, now=vector.arrived + LATE) in OLD, named(vector)


@every
def test_refused_before_its_time(client: str) -> None:
    for vector in VECTORS[client]:
        if vector.version == 1 and "Expires=" in vector.target:
            continue  # such a one says only when it ends
        assert refused(vector, now=vector.arrived - LATE) in OLD, named(vector)


@every
def test_refused_with_another_body(client: str) -> None:
    for vector in filter(covers_body, VECTORS[client]):
        data = vector.data
        turned = vector.with_data(data[:-1] + bytes([data[-1] ^ 1]))
        assert refused(turned) in REFUSED, named(vector)
        assert refused(vector.with_data(data[:-1])) in (*REFUSED, "IncompleteBody"), named(vector)


def test_every_client_and_version_is_there() -> None:
    seen = {(v.client.split()[0], v.version) for known in VECTORS.values() for v in known}
    both = {(client, v) for client in ("boto", "boto3", "s3cmd", "s3fs", "rclone") for v in (1, 4)}
    assert both <= seen
    assert {("euca2ools", 1), ("euca2ools", 2), ("euca2ools", 4), ("libcloud", 2)} <= seen
    assert {("aws-cli", 4), ("s5cmd", 4), ("boto", 2)} <= seen


def covers_body(vector: Vector) -> bool:
    digest = vector.headers.get("x-amz-content-sha256", "")
    return bool(vector.data) and (vector.service == "query" or len(digest) == 64)


def signed_names(vector: Vector) -> list[str]:
    text = unquote(vector.headers.get("authorization", "") + "&" + vector.target)
    found = re.search(r"SignedHeaders=([^, &]*)", text)
    if found:
        return [name for name in found[1].split(";") if vector.headers.get(name)]
    if vector.service == "query":
        return ["host"]
    always = ("content-md5", "content-type")
    return [n for n in vector.headers if n in always or n.startswith("x-amz-meta")]
