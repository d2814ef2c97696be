"""Requests to S3 as clients write and sign them, and what may be odd about one; sends nothing."""

import base64
import hashlib
import hmac
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache

EMPTY = hashlib.sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"
TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
HOST = "roads:8773"
BOTO = "Boto3/1.44 md/Botocore#1.44 ua/2.1 os/linux#6 md/arch#x86_64 lang/python#3.11 cfg/retry#1"
Chance = random.Random


@dataclass
class Keys:
    """Who signs."""

    access: str
    secret: str
    token: str = ""


@dataclass
class Sent:
    """One request: `headers` in their order, those that are `signed`, and the lines as they go."""

    method: str
    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    payload: str = EMPTY
    unsigned: dict[str, str] = field(default_factory=dict)
    skew: float = 0  # seconds
    service: str = "s3"
    region: str = "eucabox"
    version: str = "HTTP/1.1"
    damage: Callable[[str], str] | None = None  # of the head's text
    signed_path: str = ""
    chunked: bool = False  # signed chunks

    def write(self, keys: Keys) -> bytes:
        """Sign the request and return its bytes."""
        moment = datetime.now(UTC) + timedelta(seconds=self.skew)
        stamp = moment.strftime("%Y%m%dT%H%M%SZ")
        headers = {"host": HOST, **self.headers, "x-amz-date": stamp}
        headers["x-amz-content-sha256"] = self.payload
        if keys.token:
            headers["x-amz-security-token"] = keys.token
        names = sorted(headers)
        lines = "".join(f"{name}:{headers[name]}\n" for name in names)
        path = self.signed_path or self.path
        parts = (self.method, path, self.query, lines, ";".join(names), self.payload)
        scope = f"{stamp[:8]}/{self.region}/{self.service}/aws4_request"
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        key = _derive(keys.secret, stamp[:8], self.region, self.service)
        signature = _sign(key, f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}")
        body = _chunk(self.body, key, stamp, scope, signature) if self.chunked else self.body
        headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={keys.access}/{scope},"
            f" SignedHeaders={';'.join(names)}, Signature={signature}"
        )
        headers |= self.unsigned
        if self.method == "PUT" or body:
            headers.setdefault("Content-Length", str(len(body)))
        target = f"{self.path}?{self.query}" if self.query else self.path
        head = f"{self.method} {target} {self.version}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        if self.damage:
            head = self.damage(head)
        return f"{head}\r\n".encode("latin-1", "replace") + body


@lru_cache(64)
def _derive(secret: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _sign(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(), "sha256").hex()


def _chunk(body: bytes, key: bytes, stamp: str, scope: str, seed: str) -> bytes:
    coded = b""
    for piece in (body, b"") if body else (b"",):
        digest = hashlib.sha256(piece).hexdigest()
        text = f"{stamp}\n{scope}\n{seed}\n{EMPTY}\n{digest}"
        seed = _sign(key, f"AWS4-HMAC-SHA256-PAYLOAD\n{text}")
        coded += b"%x;chunk-signature=%s\r\n%s\r\n" % (len(piece), seed.encode(), piece)
    return coded


# --- clients -----------------------------------------------------------------------------------


def curl(method: str, path: str, body: bytes, chance: Chance) -> Sent:
    """The least that a request needs."""
    return Sent(method, path, body=body, payload=_digest(body))


def boto3(method: str, path: str, body: bytes, chance: Chance) -> Sent:
    """Boto3 over HTTP; whoever calls this adds Expect."""
    sent = Sent(method, path, body=body, payload=_digest(body))
    if method in ("GET", "HEAD"):
        sent.headers["x-amz-checksum-mode"] = "ENABLED"
    if method == "PUT":
        sent.headers["x-amz-checksum-crc32"] = _crc(body)
        sent.headers["x-amz-sdk-checksum-algorithm"] = "CRC32"
    invocation = f"{chance.getrandbits(64):x}"
    sent.unsigned = {"User-Agent": BOTO, "amz-sdk-invocation-id": invocation}
    sent.unsigned |= {"amz-sdk-request": "attempt=1; max=3", "Accept-Encoding": "identity"}
    if method == "DELETE":
        sent.unsigned["Content-Length"] = "0"
    return sent


def trailing(method: str, path: str, body: bytes, chance: Chance) -> Sent:
    """The AWS SDKs over HTTPS, but for the transfer coding."""
    sent = boto3(method, path, body, chance)
    if method == "PUT":
        del sent.headers["x-amz-checksum-crc32"]
        sent.headers |= {"content-encoding": "aws-chunked", "x-amz-trailer": "x-amz-checksum-crc32"}
        sent.headers["x-amz-decoded-content-length"] = str(len(body))
        coded = b"%x\r\n%s\r\n" % (len(body), body) if body else b""
        sent.body = coded + b"0\r\nx-amz-checksum-crc32:" + _crc(body).encode() + b"\r\n\r\n"
        sent.payload = TRAILER
    return sent


def rclone(method: str, path: str, body: bytes, chance: Chance) -> Sent:
    """AWS's library for Go, as rclone uses it."""
    name = {"GET": "Get", "HEAD": "Head", "PUT": "Put", "DELETE": "Delete"}[method]
    sent = Sent(method, path, f"x-id={name}Object" if method != "HEAD" else "", body=body)
    sent.payload = UNSIGNED if method == "PUT" else EMPTY
    sent.headers["amz-sdk-request"] = "attempt=1; max=10"
    if method == "PUT":
        sent.headers |= {"content-type": "text/plain; charset=utf-8", "x-amz-meta-mtime": "1.5"}
        sent.headers["content-md5"] = base64.b64encode(hashlib.md5(body).digest()).decode()
    sent.unsigned = {"User-Agent": "rclone/v1.70", "Accept-Encoding": "gzip"}
    return sent


def minio(method: str, path: str, body: bytes, chance: Chance) -> Sent:
    """MinIO's clients, whose chunks are signed over HTTP."""
    sent = Sent(method, path, body=body, payload=_digest(body))
    if method == "PUT":
        sent.payload, sent.chunked = CHUNKS, True
        sent.headers["x-amz-decoded-content-length"] = str(len(body))
        sent.headers["content-type"] = "application/octet-stream"
    sent.unsigned = {"User-Agent": "MinIO (linux; amd64) minio-go/v7", "Accept-Encoding": "gzip"}
    return sent


def s3fs(method: str, path: str, body: bytes, chance: Chance) -> Sent:
    """s3fs, which reads by ranges and writes the attributes of files."""
    sent = Sent(method, path, body=body, payload=_digest(body) if body else EMPTY)
    if method == "PUT":
        sent.headers |= {"content-type": "text/plain", "x-amz-meta-mode": "33188"}
        sent.headers |= {"x-amz-meta-mtime": f"{chance.randrange(10**9)}", "x-amz-meta-uid": "0"}
    if method == "GET":
        start = chance.choice((0, 0, 1, 100, 5000))
        sent.unsigned["Range"] = f"bytes={start}-{start + chance.choice((0, 99, 10**6))}"
    sent.unsigned |= {"User-Agent": "s3fs/1.91", "Accept": "*/*"}
    return sent


CLIENTS = (curl, boto3, trailing, rclone, minio, s3fs)


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _crc(body: bytes) -> str:
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


# --- what may be odd ---------------------------------------------------------------------------


MORE = (
    ("range", "bytes=0-9"), ("range", "bytes=-5"), ("range", "bytes=99999-"), ("range", "x"),
    ("range", "bytes=0-1,3-4"), ("if-match", '"0"'), ("if-match", "*"), ("if-none-match", "*"),
    ("if-none-match", '"0", W/"1"'), ("if-modified-since", "Wed, 21 Oct 2015 07:28:00 GMT"),
    ("if-unmodified-since", "Wed, 21 Oct 2015 07:28:00 GMT"), ("if-range", '"0"'),
    ("x-amz-acl", "public-read"), ("x-amz-tagging", "a=b"), ("origin", "http://a.example"),
    ("x-amz-meta-a", "b"), ("x-amz-meta-a", "b  c"), ("x-amz-meta-b", "\xe4"),
    ("cache-control", "no-cache"), ("content-disposition", 'attachment; filename="a%b"'),
    ("content-language", "de"), ("content-encoding", "gzip"), ("content-type", "text/html"),
    ("content-type", ""), ("expires", "never"), ("x-amz-storage-class", "STANDARD_IA"),
    ("x-amz-storage-class", "ODD"), ("x-amz-server-side-encryption", "AES256"),
    ("x-amz-expected-bucket-owner", "1"), ("x-amz-request-payer", "requester"),
    ("x-amz-checksum-mode", "ENABLED"), ("x-amz-checksum-mode", "odd"),
    ("x-amz-checksum-sha256", "AAAA"), ("x-amz-checksum-crc32", "AAAAAA=="),
    ("x-amz-sdk-checksum-algorithm", "SHA1"), ("x-amz-sdk-checksum-algorithm", "odd"),
    ("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="), ("content-md5", "odd"), ("x-amz-trailer", "a"),
    ("sec-fetch-dest", "document"), ("x-forwarded-for", "10.1.2.3"), ("connection", "keep-alive"),
    ("connection", "close"), ("expect", "100-continue"), ("x-amz-date", "20200101T000000Z"),
    ("x-amz-object-lock-mode", "GOVERNANCE"), ("x-amz-copy-source", "/plain/a"),
    ("x-amz-website-redirect-location", "/b"), ("transfer-encoding", "chunked"),
    ("x-amz-account-id", "1"), ("x-amz-security-token", "odd"), ("x-amz-bypass-governance", "1"),
    ("date", "Wed, 21 Oct 2015 07:28:00 GMT"), ("user-agent", "a  b"), ("accept", "a\tb"),
)  # fmt: skip
QUERIES = (
    "acl=", "tagging=", "versionId=null", "versionId=", "partNumber=1", "x-id=GetObject",
    "x-id=PutObject", "x-id=odd", "response-content-type=text%2Fhtml", "a=b", "x=%2B", "uploads=",
    "partNumber=1&uploadId=x", "attributes=", "retention=", "torrent=",
)  # fmt: skip


def make_odd(sent: Sent, chance: Chance) -> None:
    """Change one thing or two."""
    for _ in range(chance.choice((1, 1, 2))):
        chance.choice(ODDITIES)(sent, chance)


def _add_header(sent: Sent, chance: Chance) -> None:
    name, value = chance.choice(MORE)
    place = sent.headers if chance.random() < 0.7 else sent.unsigned
    place[name if chance.random() < 0.8 else name.title()] = value


def _drop_header(sent: Sent, chance: Chance) -> None:
    for place in (sent.headers, sent.unsigned):
        if place and chance.random() < 0.5:
            del place[chance.choice(list(place))]


def _query(sent: Sent, chance: Chance) -> None:
    sent.query = chance.choice(QUERIES)


def _skew(sent: Sent, chance: Chance) -> None:
    sent.skew = chance.choice((-100, 100, -1000, 1000, -86400, 86400, -800, 800))


def _scope(sent: Sent, chance: Chance) -> None:
    sent.service, sent.region = chance.choice((("s3", "mars"), ("ec2", "eucabox"), ("s3", "")))


def _payload(sent: Sent, chance: Chance) -> None:
    words = (UNSIGNED, EMPTY, "odd", "0" * 64, TRAILER, CHUNKS, sent.payload.upper())
    sent.payload = chance.choice(words)


def _body(sent: Sent, chance: Chance) -> None:
    sent.body = chance.choice((b"", sent.body[:-1], sent.body + b"x", b"other"))


def _length(sent: Sent, chance: Chance) -> None:
    sent.unsigned["Content-Length"] = chance.choice(("00", "0", "x", f"0{len(sent.body)}", ""))


def _other_path(sent: Sent, chance: Chance) -> None:
    sent.signed_path, sent.path = sent.path, chance.choice((sent.path + "x", "/plain/a", "/"))


def _spelled_path(sent: Sent, chance: Chance) -> None:
    spelled = sent.path.replace("a", "%61"), f"/services/objectstorage{sent.path}", sent.path + "?"
    sent.path = chance.choice((*spelled, f"http://{HOST}{sent.path}", "/" + sent.path))


def _old_version(sent: Sent, chance: Chance) -> None:
    sent.version = chance.choice(("HTTP/1.0", "HTTP/1.1 ", "HTTP/2.0"))


def _method(sent: Sent, chance: Chance) -> None:
    sent.method = chance.choice(("POST", "OPTIONS", "PATCH", "get", "HEAD", "DELETE", "PUT"))


def _damage(sent: Sent, chance: Chance) -> None:
    at, new = (
        chance.random(),
        chance.choice(("", " ", "  ", "\t", "\xff", "0", "%", "A", ":", "\r")),
    )

    def change(head: str) -> str:
        place = int(at * len(head))
        return head[:place] + new + head[place + chance.choice((0, 1)) :]

    sent.damage = change


def _twice(sent: Sent, chance: Chance) -> None:
    name = chance.choice(("x-amz-date", "authorization", "host", "range", "user-agent", "x-amz-a"))

    def repeat(head: str) -> str:
        lines = [each for each in head.split("\r\n") if each.lower().startswith(name)]
        return head + (f"{lines[0]}\r\n" if lines else f"{name}: a\r\n")

    sent.damage = repeat


def _host(sent: Sent, chance: Chance) -> None:
    hosts = ("plain.s3.roads:8773", "ROADS:8773", "roads", "plain.s3-website.roads", "x.localhost")
    sent.headers["host"] = chance.choice(hosts)


ODDITIES = (
    *(_add_header,) * 6, *(_damage,) * 3, _drop_header, _query, _query, _skew, _scope, _payload,
    _body, _length, _other_path, _spelled_path, _old_version, _method, _twice, _host,
)  # fmt: skip
