"""Requests signed with signature 4 before the clock runs, in the body forms that clients use."""

import base64
import hashlib
import hmac
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from urllib.parse import quote

UNSIGNED = "UNSIGNED-PAYLOAD"
CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
FORMS = ("unsigned", "signed", "chunked", "trailer")
CHUNK = 64 << 10  # bytes of a signed chunk, as the SDKs cut them
UNSIGNED_CHUNK = 1 << 20  # botocore's
EMPTY = hashlib.sha256().hexdigest()


@dataclass(frozen=True)
class Target:
    """A server and whose keys it takes; without a key requests go unsigned."""

    host: str
    port: int
    key: str = ""
    secret: str = ""
    region: str = "us-east-1"


def request(
    target: Target, method: str, path: str, query: str = "", body: bytes = b"", form: str = ""
) -> list[bytes | memoryview]:
    """Return the pieces of a request, ready to be sent. `query` is sorted and encoded."""
    headers = {"host": f"{target.host}:{target.port}"}
    if not target.key:
        return [_head(method, path, query, {**headers, "content-length": str(len(body))}), body]
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers |= {"x-amz-date": now, "x-amz-content-sha256": _payload(form, body)}
    if form in ("chunked", "trailer"):
        headers |= {"content-encoding": "aws-chunked"}
        headers |= {"x-amz-decoded-content-length": str(len(body))}
    if form == "trailer":
        headers |= {"x-amz-trailer": "x-amz-checksum-crc32"}
    scope = f"{now[:8]}/{target.region}/s3/aws4_request"
    names = ";".join(sorted(headers))
    canonical = "\n".join(
        (method, path, query, *(f"{name}:{headers[name]}" for name in sorted(headers)), "", names)
    )
    canonical += "\n" + headers["x-amz-content-sha256"]
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = _key(target.secret, now[:8], target.region)
    signature = _sign(key, f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{digest}")
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={target.key}/{scope},"
        f" SignedHeaders={names}, Signature={signature}"
    )
    pieces: list[bytes | memoryview] = [body]
    if form == "chunked":
        pieces = list(_signed_chunks(body, key, f"{now}\n{scope}", signature))
    elif form == "trailer":
        pieces = list(_unsigned_chunks(body))
    headers["content-length"] = str(sum(map(len, pieces)))
    head = _head(method, path, query, headers)
    return [head + body] if len(body) < CHUNK and form in ("", *FORMS[:2]) else [head, *pieces]


def path_of(bucket: str, key: str = "") -> str:
    return quote(f"/{bucket}/{key}" if key else f"/{bucket}")


def _payload(form: str, body: bytes) -> str:
    words = {"unsigned": UNSIGNED, "chunked": CHUNKS, "trailer": TRAILER}
    return words.get(form) or (_sha256(body) if body else EMPTY)


@cache
def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _head(method: str, path: str, query: str, headers: dict[str, str]) -> bytes:
    lines = [f"{method} {path}{'?' if query else ''}{query} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@cache
def _key(secret: str, date: str, region: str) -> bytes:
    key = b"AWS4" + secret.encode()
    for part in (date, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _sign(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(), "sha256").hex()


def _signed_chunks(body: bytes, key: bytes, scope: str, seed: str) -> Iterator[bytes]:
    view = memoryview(body)
    for start in range(0, len(body) + CHUNK, CHUNK):
        piece = view[start : start + CHUNK]
        digest = hashlib.sha256(piece).hexdigest()
        seed = _sign(key, f"AWS4-HMAC-SHA256-PAYLOAD\n{scope}\n{seed}\n{EMPTY}\n{digest}")
        yield b"%x;chunk-signature=%s\r\n%s\r\n" % (len(piece), seed.encode(), piece)
        if not piece:
            return


def _unsigned_chunks(body: bytes) -> Iterator[bytes]:
    view = memoryview(body)
    for start in range(0, len(body), UNSIGNED_CHUNK):
        piece = view[start : start + UNSIGNED_CHUNK]
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    crc = base64.b64encode(zlib.crc32(body).to_bytes(4, "big"))
    yield b"0\r\nx-amz-checksum-crc32:" + crc + b"\r\n\r\n"
