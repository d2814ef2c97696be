"""One request to try: what it says, and how it is signed; sends nothing."""

import base64
import hashlib
import hmac
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

HOST = "fuzz:8773"
UNSIGNED = "UNSIGNED-PAYLOAD"
EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass
class Case:
    """A request, all of it as text that a line can carry; `signed` is v4, v1, url4, url1 or ""."""

    method: str = "GET"
    path: str = "/"
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    signed: str = "v4"
    payload: str = ""  # x-amz-content-sha256, the body's own without it
    chunked: bool = False  # by Transfer-Encoding
    service: str = "s3"  # in the scope of the signature

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path

    def shown(self) -> str:
        members = {name: value[:200] for name, value in self.headers.items()}
        body = f"{self.body[:300]!r} of {len(self.body)} bytes"
        return f"{self.method} {self.target[:500]!r} {members} {body}, signed by {self.signed!r}"


@dataclass(frozen=True)
class Keys:
    """Who signs."""

    access: str
    secret: str


def sign(case: Case, keys: Keys, chance: random.Random) -> None:
    """Add what proves who asks; now and then a piece of it is damaged."""
    case.headers.setdefault("host", HOST)
    if case.signed == "v4":
        sign4(case, keys)
    elif case.signed == "v1":
        sign1(case, keys)
    elif case.signed == "url4":
        presign4(case, keys)
    if case.signed and chance.random() < 0.02:
        _damage(case, chance)


def _damage(case: Case, chance: random.Random) -> None:
    name = chance.choice(sorted(case.headers))
    text = case.headers[name]
    at = chance.randrange(len(text) + 1)
    end = at + chance.randrange(3)
    case.headers[name] = text[:at] + chance.choice(["", ",", "=", "\xff", " ", "0"]) + text[end:]


def now() -> datetime:
    return datetime.now(UTC)


@lru_cache(32)
def key_of(secret: str, day: str, service: str = "s3") -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, "eucabox", service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def canonical_query(query: str) -> str:
    pairs = [each.partition("=") for each in query.split("&") if each]
    decoded = [(unquote_to_bytes(_octets(n)), unquote_to_bytes(_octets(v))) for n, _, v in pairs]
    coded = sorted((quote(n, safe="-_.~"), quote(v, safe="-_.~")) for n, v in decoded)
    return "&".join(f"{name}={value}" for name, value in coded)


def _octets(text: str) -> bytes:
    return text.encode("latin-1", "replace")


def to_sign4(case: Case, stamp: str, names: list[str], payload: str, query: str) -> tuple[str, str]:
    """The scope and the text to sign."""
    lines = "".join(f"{name}:{' '.join(case.headers[name].split())}\n" for name in names)
    canonical = "\n".join([case.method, case.path, query, lines, ";".join(names), payload])
    scope = f"{stamp[:8]}/eucabox/{case.service}/aws4_request"
    digest = hashlib.sha256(_octets(canonical)).hexdigest()
    return scope, f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"


def sign4(case: Case, keys: Keys) -> str:
    """Sign by header; the signature, which chunks are signed after."""
    stamp = now().strftime("%Y%m%dT%H%M%SZ")
    payload = case.payload or hashlib.sha256(case.body).hexdigest()
    case.headers |= {"x-amz-date": stamp, "x-amz-content-sha256": payload}
    names = sorted(case.headers)
    scope, text = to_sign4(case, stamp, names, payload, canonical_query(case.query))
    signature = hmac.digest(
        key_of(keys.secret, stamp[:8], case.service), text.encode(), "sha256"
    ).hex()
    case.headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys.access}/{scope},"
        f" SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return signature


def presign4(case: Case, keys: Keys) -> None:
    stamp = now().strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/eucabox/{case.service}/aws4_request"
    params = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{keys.access}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": "600",
        "X-Amz-SignedHeaders": "host",
    }
    more = "&".join(f"{name}={quote(value, safe='')}" for name, value in params.items())
    case.query = f"{case.query}&{more}" if case.query else more
    _, text = to_sign4(case, stamp, ["host"], UNSIGNED, canonical_query(case.query))
    signature = hmac.digest(
        key_of(keys.secret, stamp[:8], case.service), text.encode(), "sha256"
    ).hex()
    case.query += f"&X-Amz-Signature={signature}"


SUBRESOURCES = frozenset(
    [
        "acl",
        "cors",
        "delete",
        "lifecycle",
        "location",
        "logging",
        "notification",
        "partNumber",
        "policy",
        "requestPayment",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
        "restore",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "versionId",
        "versioning",
        "versions",
        "website",
    ]
)


def sign1(case: Case, keys: Keys) -> None:
    case.headers["date"] = now().strftime("%a, %d %b %Y %H:%M:%S GMT")
    amz = sorted(name for name in case.headers if name.startswith("x-amz-"))
    lines = "".join(f"{name}:{' '.join(case.headers[name].split())}\n" for name in amz)
    pairs = [each.partition("=") for each in case.query.split("&") if each]
    known = sorted((n, s, v) for n, s, v in pairs if n in SUBRESOURCES)
    subresources = "&".join(
        n + s + unquote_to_bytes(_octets(v)).decode("latin-1") for n, s, v in known
    )
    head = [case.headers.get(name, "") for name in ("content-md5", "content-type", "date")]
    resource = case.path + (f"?{subresources}" if subresources else "")
    text = "\n".join([case.method, *head, lines + resource])
    digest = hmac.digest(keys.secret.encode(), _octets(text), "sha1")
    case.headers["authorization"] = f"AWS {keys.access}:{base64.b64encode(digest).decode()}"
