"""A small signing client of the tests' own, written from AWS's description alone."""

import hashlib
import hmac
import io
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import format_datetime

from eucabox.wire.request import Request

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
NOW = datetime(2013, 5, 24, tzinfo=UTC)
STAMP, DAY = "20130524T000000Z", "20130524"
SCOPE = f"{DAY}/us-east-1/s3/aws4_request"
EMPTY = hashlib.sha256(b"").hexdigest()


def mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signing_key(secret: str = SECRET, scope: str = SCOPE) -> bytes:
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = mac(key, part)
    return key


def request(
    method: str = "GET",
    target: str = "/b/k",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    *,
    chunked: bool = False,
) -> Request:
    path, _, query = target.partition("?")
    headers = {"host": "s3.amazonaws.com", **(headers or {})}
    if not chunked:
        headers.setdefault("content-length", str(len(body)))
    return Request(
        method=method,
        target=target,
        path=path,
        query=query,
        headers=headers,
        body=io.BytesIO(body),
        content_length=None if chunked else int(headers["content-length"]),
        chunked=chunked,
        scheme="http",
        host=headers["host"],
    )


def sign4(
    request: Request,
    payload: str = "",
    *,
    scope: str = SCOPE,
    stamp: str = STAMP,
    leave_unsigned: Iterable[str] = (),
) -> Request:
    """Add a version 4 Authorization header over every header."""
    payload = payload or request.headers.get("x-amz-content-sha256", EMPTY)
    request.headers.setdefault("x-amz-content-sha256", payload)
    request.headers.setdefault("x-amz-date", stamp)
    names = sorted(set(request.headers) - set(leave_unsigned))
    lines = "".join(f"{name}:{request.headers[name]}\n" for name in names)
    signed = ";".join(names)
    canonical = f"{request.method}\n{request.path}\n{request.query}\n{lines}\n{signed}\n{payload}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    signature = mac(signing_key(scope=scope), to_sign).hex()
    request.headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={signed}, Signature={signature}"
    )
    return request


def seed(request: Request) -> str:
    return request.headers["authorization"].rpartition("=")[2]


def chunk_signature(previous: str, data: bytes, kind: str = "PAYLOAD") -> str:
    digest = hashlib.sha256(data).hexdigest()
    tail = f"{EMPTY}\n{digest}" if kind == "PAYLOAD" else digest
    to_sign = f"AWS4-HMAC-SHA256-{kind}\n{STAMP}\n{SCOPE}\n{previous}\n{tail}"
    return mac(signing_key(), to_sign).hex()


def signed_chunks(
    previous: str, pieces: Iterable[bytes], trailers: dict[str, str] | None = None
) -> bytes:
    """Code a body in signed chunks, with signed trailers if given."""
    coded = b""
    for piece in (*pieces, b""):
        previous = chunk_signature(previous, piece)
        coded += f"{len(piece):x};chunk-signature={previous}\r\n".encode()
        coded += piece + b"\r\n" if piece else b""
    if trailers:
        lines = "".join(f"{name}:{value}\n" for name, value in trailers.items())
        previous = chunk_signature(previous, lines.encode(), "TRAILER")
        coded += lines.replace("\n", "\r\n").encode()
        coded += f"x-amz-trailer-signature:{previous}\r\n".encode()
    return coded + b"\r\n"


def plain_chunks(pieces: Iterable[bytes], trailers: dict[str, str] | None = None) -> bytes:
    """Code a body in unsigned chunks."""
    coded = b"".join(f"{len(p):x}\r\n".encode() + p + b"\r\n" for p in pieces)
    lines = "".join(f"{name}:{value}\r\n" for name, value in (trailers or {}).items())
    return coded + b"0\r\n" + lines.encode() + b"\r\n"


def sign1(request: Request, resource: str, when: datetime = NOW) -> Request:
    """Add S3's first Authorization header over `resource`."""
    request.headers.setdefault("date", format_datetime(when, usegmt=True))
    amz = "".join(
        f"{n}:{v}\n" for n, v in sorted(request.headers.items()) if n.startswith("x-amz-")
    )
    date = "" if "x-amz-date" in request.headers else request.headers["date"]
    md5, kind = request.headers.get("content-md5", ""), request.headers.get("content-type", "")
    to_sign = f"{request.method}\n{md5}\n{kind}\n{date}\n{amz}{resource}"
    request.headers["authorization"] = f"AWS {KEY}:{mac1(to_sign)}"
    return request


def mac1(to_sign: str) -> str:
    import base64

    return base64.b64encode(
        hmac.new(SECRET.encode(), to_sign.encode(), hashlib.sha1).digest()
    ).decode()
