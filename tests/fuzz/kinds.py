"""The kinds of odd requests; each makes a case of a chance alone, so that a number repeats it."""

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from eucabox import actions
from eucabox.wire import model
from eucabox.wire.model import Operation
from eucabox.wire.shapes import StructureShape
from tests.fuzz import odd
from tests.fuzz.case import EMPTY, HOST, Case, Keys, key_of, now, sign4
from tests.fuzz.odd import BUCKET, KEY
from tests.fuzz.shop import Shop

METHODS = ("GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "get", "PROPFIND")
SIGNED = ("v4",) * 12 + ("v1", "url4", "")
Kind = Callable[[random.Random, Shop], Case]


def operations() -> list[Any]:
    service = model.service("s3")
    found = [service.operation(name) for name in sorted(service.names)]
    return [each for each in found if each is not None and each.input is not None]


def served() -> list[Any]:
    """Those of the operations that this eucabox has."""
    return [each for each in OPERATIONS if ("s3", each.name) in actions.load()]


OPERATIONS = operations()
SERVED = served()
WITH_BODY = [each for each in SERVED if each.input.serialization.get("payload")]


# --- an operation with odd members ---------------------------------------------------------------


def operation(chance: random.Random, shop: Shop) -> Case:
    """Any operation of the model, its members odd."""
    return _ask(chance.choice(OPERATIONS if chance.random() < 0.1 else SERVED), chance, shop)


def documents(chance: random.Random, shop: Shop) -> Case:
    """An operation that has a body of XML or JSON."""
    return _ask(chance.choice(WITH_BODY), chance, shop)


def _ask(asked: Operation, chance: random.Random, shop: Shop) -> Case:
    shape: Any = asked.input
    path, _, query = asked.http["requestUri"].partition("?")
    bucket = BUCKET if chance.random() < 0.95 else _segment(chance)
    key = KEY if chance.random() < 0.8 else _key(chance)
    case = Case(asked.http["method"], path.replace("{Bucket}", bucket).replace("{Key+}", key))
    case.signed = chance.choice(SIGNED)
    pairs = [query] if query else []
    share = chance.choice([0, 0.02, 0.1, 0.2])
    for name, member in shape.members.items():
        place, wire_name = (
            member.serialization.get("location"),
            member.serialization.get("name", name),
        )
        wanted = name in shape.required_members or chance.random() < share
        if place == "querystring" and wanted:
            value = _known(wire_name, shop) if chance.random() < 0.6 else odd.scalar(member, chance)
            pairs.append(f"{wire_name}={odd.in_query(value, chance)}")
        elif place == "header" and wanted:
            value = (
                _header(wire_name, chance) if chance.random() < 0.3 else odd.scalar(member, chance)
            )
            case.headers[wire_name.lower()] = odd.in_header(value)
        elif place == "headers" and wanted:
            case.headers[wire_name.lower() + chance.choice("ab")] = odd.in_header(odd.text(chance))
    case.query = "&".join(pairs)
    _give_body(case, shape, chance)
    return case


def _known(name: str, shop: Shop) -> str:
    return {"uploadId": shop.uploads[0], "partNumber": "1", "versionId": "null"}.get(name, "1")


def _header(name: str, chance: random.Random) -> str:
    """A value that the header may well have."""
    name = name.lower()
    if name == "x-amz-copy-source":
        return f"/{BUCKET}/{KEY}"
    if name == "x-amz-expected-bucket-owner":
        return chance.choice(["000000000000", "x"])
    if name.endswith("customer-key"):
        return base64.b64encode(b"k" * 32).decode()
    if name.endswith("customer-key-md5"):
        return base64.b64encode(hashlib.md5(b"k" * 32).digest()).decode()
    if name.endswith("customer-algorithm"):
        return "AES256"
    return odd.text(chance)


def _give_body(case: Case, shape: Any, chance: random.Random) -> None:
    payload = shape.serialization.get("payload")
    member = shape.members.get(payload) if payload else None
    if isinstance(member, StructureShape):
        case.body = odd.document(member, chance)
    elif "policy" in case.query and case.method == "PUT":
        case.body = odd.policy(chance)
    elif member is not None:
        case.body = chance.choice([b"", b"x", b"x" * 100, bytes(range(256)) * 40])
    elif case.method in ("PUT", "POST") and chance.random() < 0.1:
        case.body = chance.choice([b"<x/>", b"x" * 1000])
    if case.body and chance.random() < 0.4:
        case.headers["content-md5"] = base64.b64encode(hashlib.md5(case.body).digest()).decode()
    case.chunked = chance.random() < 0.05


def policies(chance: random.Random, shop: Shop) -> Case:
    """A bucket policy, and then something that it is asked about."""
    if chance.random() < 0.7:
        return Case("PUT", f"/{BUCKET}", "policy", body=odd.policy(chance))
    case = _ask(chance.choice(SERVED), chance, shop)
    case.signed = chance.choice(["", "v4"])
    return case


# --- keys, queries, headers ----------------------------------------------------------------------


def _segment(chance: random.Random) -> str:
    return odd.in_query(odd.text(chance), chance)


PIECES = (
    *("a", "b", ".", "..", "", ".eucabox", "%2e%2e", "%2F", "%5c", "%00", "%0a", "%01", "%7f", "%"),
    *("%C3%A9", "%F0%9F%98%80", "%ff", "%ed%a0%80", "x" * 255, "x" * 256, "y" * 600, "%20", "+"),
    *("index.db", "lock", "bucket.json", "objects", "temporary", "uploads", "etc", "passwd", "a;b"),
)  # fmt: skip


def _key(chance: random.Random) -> str:
    if chance.random() < 0.3:
        return _segment(chance)
    return "/".join(chance.choice(PIECES) for _ in range(chance.choice([1, 1, 2, 3, 5, 12])))


def keys(chance: random.Random, shop: Shop) -> Case:
    """A key of odd pieces, put, read, copied, listed, deleted."""
    key = _key(chance)
    path, roll = f"/{BUCKET}/{key}", chance.random()
    if roll < 0.4:
        return Case("PUT", path, body=b"key", signed=chance.choice(SIGNED))
    if roll < 0.8:
        return Case(chance.choice(["GET", "HEAD", "DELETE"]), path, signed=chance.choice(SIGNED))
    if roll < 0.85:
        return Case(
            "PUT", path, headers={"x-amz-copy-source": odd.in_header(f"/{BUCKET}/{_key(chance)}")}
        )
    if roll < 0.9:
        return Case(chance.choice(METHODS), f"/{key}")
    if roll < 0.92:
        host = chance.choice(
            [f"{BUCKET}.localhost", ".localhost", "a..localhost", "[::1", "x" * 300, "\xff"]
        )
        return Case("GET", f"/{key}", headers={"host": host})
    return Case("GET", f"/{BUCKET}", _listing(chance))


def _listing(chance: random.Random) -> str:
    names = ["list-type=2", "versions", "uploads", "x=1"]
    params = [chance.choice(names)]
    for name in ("prefix", "delimiter", "marker", "max-keys", "encoding-type", "start-after",
                 "continuation-token", "key-marker", "version-id-marker", "upload-id-marker",
                 "max-uploads", "fetch-owner"):  # fmt: skip
        if chance.random() < 0.25:
            value = chance.choice(["url", "1", "/", "a", odd.text(chance), odd.text(chance)])
            params.append(f"{name}={odd.in_query(value, chance)}")
    return "&".join(params)


def queries(chance: random.Random, shop: Shop) -> Case:
    """Every subresource with every method, alone and mixed."""
    names = sorted(_subresources())
    said = []
    for _ in range(chance.choice([1, 1, 2, 3, 30])):
        name = (
            chance.choice(names)
            if chance.random() < 0.8
            else odd.in_query(odd.text(chance), chance)
        )
        roll = chance.random()
        value = "" if roll < 0.4 else "=" + odd.in_query(odd.text(chance), chance)
        said.append(name + value)
    path = chance.choice(
        ["/", f"/{BUCKET}", f"/{BUCKET}/{KEY}", "/nowhere", f"//{BUCKET}//{KEY}", "*"]
    )
    body = chance.choice([b"", b"<x/>", b"{}", b"\xff"])
    return Case(
        chance.choice(METHODS), path, "&".join(said), body=body, signed=chance.choice(SIGNED)
    )


def _subresources() -> set[str]:
    found = {
        "logging",
        "website",
        "torrent",
        "select",
        "select-type",
        "x-id",
        "response-content-type",
    }
    for each in OPERATIONS:
        query = each.http["requestUri"].partition("?")[2]
        found |= {pair.partition("=")[0] for pair in query.split("&") if pair}
        found |= {
            member.serialization.get("name", name)
            for name, member in each.input.members.items()
            if member.serialization.get("location") == "querystring"
        }
    return found


HEADERS = (
    *("range", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "expect"),
    *("content-md5", "content-type", "content-encoding", "content-disposition", "cache-control"),
    *("expires", "content-length", "x-amz-decoded-content-length", "x-amz-trailer", "origin"),
    *("access-control-request-method", "access-control-request-headers", "x-amz-date", "referer"),
    *("x-amz-security-token", "x-amz-expected-bucket-owner", "x-amz-request-payer", "date"),
    "x-amz-source-expected-bucket-owner",
    *("x-amz-checksum-crc64nvme", "x-amz-checksum-sha256", "x-amz-sdk-checksum-algorithm"),
    *("x-amz-object-ownership", "x-amz-bucket-object-lock-enabled", "cookie"),
    *("x-amz-website-redirect-location", "x-amz-if-match-size", "x-amz-write-offset-bytes"),
    *("x-amz-meta-", "x-amz-meta-\u00e9", "x-amz-meta-a", "authorization", "transfer-encoding"),
)  # fmt: skip


def headers(chance: random.Random, shop: Shop) -> Case:
    """Headers of every operation and of HTTP, on the commonest requests."""
    method = chance.choice(["GET", "PUT", "HEAD", "DELETE", "POST", "OPTIONS"])
    path = chance.choice([f"/{BUCKET}/{KEY}", f"/{BUCKET}/{KEY}", f"/{BUCKET}", "/", "/new-bucket"])
    case = Case(method, path, signed=chance.choice(SIGNED))
    if method == "PUT" and path.endswith(KEY):
        case.body = b"x" * chance.choice([0, 1, 100])
    for _ in range(chance.choice([1, 1, 2, 4])):
        name = chance.choice(HEADERS) if chance.random() < 0.5 else chance.choice(_all_headers())
        value = _header(name, chance) if chance.random() < 0.2 else odd.text(chance)
        case.headers[name.encode().decode("latin-1")] = odd.in_header(value)
    return case


def _all_headers() -> list[str]:
    if not _ALL:
        _ALL.extend(
            sorted(
                {
                    member.serialization.get("name", name).lower()
                    for each in OPERATIONS
                    for name, member in each.input.members.items()
                    if member.serialization.get("location") == "header"
                }
            )
        )
    return _ALL


_ALL: list[str] = []


# --- bodies in chunks ----------------------------------------------------------------------------

FORMS = (
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
    "UNSIGNED-PAYLOAD",
)


SIZES = (b"-1", b"+1", b"0x1", b"1_0", b" 1", b"f" * 17, b"g", b"", b"9" * 9000)


def chunks(chance: random.Random, shop: Shop) -> Case:
    """A body in aws-chunked coding, of any form, damaged in its frames."""
    form = chance.choice(FORMS)
    content = b"c" * chance.choice([0, 1, 100, 9000])
    case = Case("PUT", f"/{BUCKET}/{KEY}", payload=form, headers={"host": HOST})
    if chance.random() < 0.2:
        case.query = f"partNumber=1&uploadId={shop.uploads[0]}"
    case.headers["content-encoding"] = chance.choice(["aws-chunked", "aws-chunked,gzip", "gzip"])
    length = len(content) if chance.random() < 0.8 else chance.choice([0, -1, 10**20, "x", ""])
    case.headers["x-amz-decoded-content-length"] = str(length)
    trailer = form.endswith("TRAILER") or chance.random() < 0.1
    if trailer:
        case.headers["x-amz-trailer"] = chance.choice(
            ["x-amz-checksum-crc32", "x-amz-checksum-sha256", "x-amz-checksum-nope", ",", "host"]
        )
    signature = sign4(case, shop.owner)
    case.body = _damage_frames(
        _frames(content, signature, trailer, shop.owner, case, chance), chance
    )
    case.chunked = chance.random() < 0.3
    return case


def _frames(
    content: bytes, seed: str, trailer: bool, keys: Keys, case: Case, chance: random.Random
) -> bytes:
    signed = "HMAC" in case.payload
    size = chance.choice([1 << 16, 40, 8192])
    pieces = [content[at : at + size] for at in range(0, len(content), size)] + [b""]
    body = b""
    for piece in pieces:
        seed = _chain(keys, case, seed, piece)
        mark = f";chunk-signature={seed}" if signed else ""
        body += f"{len(piece):x}{mark}\r\n".encode() + piece + (b"\r\n" if piece else b"")
    if trailer:
        name = case.headers.get("x-amz-trailer", "x-amz-checksum-crc32")
        value = chance.choice(
            ["AAAAAA==", "x", base64.b64encode(hashlib.sha256(content).digest()).decode()]
        )
        body += f"{name}:{value}\r\n".encode()
        if signed:
            body += f"x-amz-trailer-signature:{seed}\r\n".encode()
    return body + b"\r\n"


def _chain(keys: Keys, case: Case, before: str, piece: bytes) -> str:
    stamp = case.headers["x-amz-date"]
    scope = f"{stamp[:8]}/eucabox/s3/aws4_request"
    digest = hashlib.sha256(piece).hexdigest()
    text = f"AWS4-HMAC-SHA256-PAYLOAD\n{stamp}\n{scope}\n{before}\n{EMPTY}\n{digest}"
    return hmac.digest(key_of(keys.secret, stamp[:8]), text.encode(), "sha256").hex()


def _damage_frames(body: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.15:
        return body
    at = chance.randrange(len(body) + 1)
    ways: list[Callable[[], bytes]] = [
        lambda: body[:at],
        lambda: body[:at] + bytes([chance.randrange(256)]) + body[at + 1 :],
        lambda: body[:at] + chance.choice([b"\r\n", b"\n", b"0\r\n\r\n", b";", b"\0"]) + body[at:],
        lambda: body.replace(b"\r\n", b"\n"),
        lambda: body.replace(b"\r\n", b"\r\n\r\n", 1),
        lambda: chance.choice(SIZES) + body,
        lambda: body + chance.choice([b"junk", b"\r\n" * 100, b"0\r\n\r\n", b"a:b\r\n" * 1000]),
        lambda: body + b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n",
        lambda: body.replace(
            b"chunk-signature=", chance.choice([b"", b"chunk-signature==", b"x="])
        ),
        lambda: b"5;" + b"e" * chance.choice([10, 9000]) + b"\r\nhello\r\n" + body,
        lambda: b"",
    ]
    return chance.choice(ways)()


# --- forms ---------------------------------------------------------------------------------------


def forms(chance: random.Random, shop: Shop) -> Case:
    """A browser's form, its policy and its framing odd."""
    boundary = chance.choice(["b0undary"] * 15 + ["b" * 70, "b" * 300, "a b", "", "\u00e9"])
    fields = _fields(chance, shop)
    body = b"".join(_field(name, value, boundary, chance) for name, value in fields)
    body += f"--{boundary}--\r\n".encode()
    if chance.random() < 0.2:
        body = _damage_frames(body, chance)
    kind = f"multipart/form-data; boundary={boundary}"
    case = Case("POST", f"/{BUCKET}", body=body, signed="", headers={"host": HOST})
    case.headers["content-type"] = odd.in_header(
        kind if chance.random() < 0.9 else odd.text(chance)
    )
    if chance.random() < 0.1:
        case.path += f"/{_key(chance)}"
    return case


FIELDS = (
    *("acl", "tagging", "success_action_redirect", "success_action_status", "Content-Type"),
    *("x-amz-meta-a", "x-amz-checksum-sha256", "x-amz-storage-class", "x-ignore-me", "redirect"),
    *("x-amz-server-side-encryption", "Cache-Control"),
)


def _fields(chance: random.Random, shop: Shop) -> list[tuple[str, bytes]]:
    stamp = now().strftime("%Y%m%dT%H%M%SZ")
    scope = f"{shop.owner.access}/{stamp[:8]}/eucabox/s3/aws4_request"
    file_name = "${filename}"
    named = ["k", "user/k", file_name, "up/\udcff", odd.text(chance), _key(chance)]
    members = {"key": chance.choice(named)}
    members |= {name: odd.text(chance) for name in FIELDS if chance.random() < 0.05}
    policy = base64.b64encode(_form_policy(chance, members))
    key = key_of(shop.owner.secret, stamp[:8])
    fields = [
        *((name, value.encode("utf-8", "surrogatepass")) for name, value in members.items()),
        ("policy", policy),
        ("x-amz-algorithm", b"AWS4-HMAC-SHA256"),
        ("x-amz-credential", scope.encode()),
        ("x-amz-date", stamp.encode()),
        ("x-amz-signature", hmac.digest(key, policy, "sha256").hex().encode()),
    ]
    if chance.random() < 0.1:
        fields.pop(chance.randrange(len(fields)))
    if chance.random() < 0.1:
        fields.append(chance.choice(fields))
    fields.append(("file", b"content" * chance.choice([0, 1, 1000])))
    return fields if chance.random() < 0.9 else fields[::-1]


ALWAYS = ("x-amz-algorithm", "x-amz-credential", "x-amz-date")
CONDITIONS: list[Any] = [
    *(["content-length-range", 0, 10**7], ["content-length-range", "0", "1e3"]),
    *(["content-length-range", 5, 1], ["content-length-range"], ["content-length-range", {}, []]),
    *(["eq"], [], {}, None, "x", {"a": {"b": 1}}, ["nope", "$x", "y"], ["eq", 1, 2], {"acl": 5}),
]


def _form_policy(chance: random.Random, sent: dict[str, str]) -> bytes:
    conditions: list[Any] = [{"bucket": BUCKET}]
    for name in (*ALWAYS, *sent):
        if chance.random() < 0.98:
            conditions.append(["starts-with", f"${name}", ""])
    if chance.random() < 0.3:
        conditions.append(chance.choice(CONDITIONS))
    until = chance.choice(
        ["2099-01-01T00:00:00.000Z"] * 8 + ["x", "2000-01-01T00:00:00Z", odd.text(chance)]
    )
    whole: Any = {"expiration": until, "conditions": conditions}
    if chance.random() < 0.1:
        whole = chance.choice([{}, [], None, "x", {"conditions": conditions}, {"expiration": 5}])
    found = json.dumps(whole).encode()
    return found if chance.random() < 0.9 else _damage_frames(found, chance)


def _field(name: str, value: bytes, boundary: str, chance: random.Random) -> bytes:
    file = f'; filename="{odd.text(chance)[:200]}"' if name == "file" else ""
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n'
    if chance.random() < 0.03:
        head = head.replace("form-data", chance.choice(["", "attachment", "form-data; name=x"]))
    return head.encode("utf-8", "surrogatepass") + b"\r\n" + value + b"\r\n"


def preflights(chance: random.Random, shop: Shop) -> Case:
    """What a browser asks before, and says with, a request from another place."""
    key = quote(odd.text(chance)[:50])
    site = f"/_eucabox/website/{chance.choice([BUCKET, key])}/{key}"
    path = chance.choice([f"/{BUCKET}", f"/{BUCKET}/{key}", site, "/", "/nowhere/x"])
    case = Case(chance.choice(["OPTIONS", "GET"]), path, signed=chance.choice(["", "v4"]))
    for name in ("origin", "access-control-request-method", "access-control-request-headers"):
        if chance.random() < 0.8:
            value = chance.choice(["http://x", "*", "GET", "null", "a,b", odd.text(chance)])
            case.headers[name] = odd.in_header(value)
    return case


KINDS: dict[str, tuple[Kind, int]] = {  # with their share in a hundred
    "operation": (operation, 25),
    "documents": (documents, 22),
    "keys": (keys, 12),
    "queries": (queries, 8),
    "headers": (headers, 12),
    "chunks": (chunks, 9),
    "forms": (forms, 5),
    "policies": (policies, 5),
    "preflights": (preflights, 2),
}
