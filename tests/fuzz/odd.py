"""Values that programs stumble over, and shapes of the model filled with them."""

import base64
import json
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from eucabox.wire.shapes import ListShape, MapShape, Shape, StructureShape

BUCKET, KEY = "fuzz", "obj"
TEXTS = (
    *("", " ", "\t", "0", "-1", "1", "2", "true", "TRUE", "null", "None", "NaN", "inf", "1e309"),
    *("99999999999999999999", "9223372036854775807", "9223372036854775808", "2147483648", "0x10"),
    *("\u0661\u0662", "\u00e9\u2603\U0001f600", "\ufeffx", "\u202ex", "\ud7ff", "\uffff", "\x7f"),
    *("<x>&", "&amp;", "]]>", "%", "%zz", "%00", "%2e%2e%2f", "a%0d%0aSet-Cookie: x", "+", "a b"),
    *(".", "..", "/", "//", "../../etc/passwd", "/etc/passwd", ".eucabox", ".eucabox/index.db"),
    *("*", "?", "**", "[a", "(((", "a" * 256, "a" * 1025, "' or 1=1 --", "${x}", "{{7*7}}", "%s%n"),
    *("arn:aws:s3:::fuzz", "arn:aws:s3:::fuzz/*", "arn:aws:iam::000000000000:root", "arn:::::"),
    *("2020-01-01T00:00:00Z", "2020-01-01", "9999-12-31T23:59:59Z", "0000-00-00", "-1-1-1"),
    *("Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "1", "1e10", "=", "AAAA"),
    *("AES256", "aws:kms", "GOVERNANCE", "COMPLIANCE", "ON", "OFF", "COPY", "REPLACE", "Enabled"),
    *("STANDARD", "GLACIER", "private", "public-read", "bucket-owner-full-control", "url", "*/*"),
    *("a=b", "a=b&a=c", "a=%00", "=", "&&&", "a" * 129 + "=x", "x=" + "b" * 257),
    *("bytes=0-0", "bytes=5-2", "bytes=9" + "9" * 30 + "-", "bytes=-0", "bytes=-", "x=1"),
    "bytes=0-1,2-3",
    *("fuzz/obj", "/fuzz/obj", "fuzz", "fuzz/%ff", "fuzz/obj?versionId=null"),
    *("nowhere/x", "?", "/"),
    *("id=1", 'id="x", uri="y"', 'emailAddress="a@b"', "id=", ",,,"),
    'uri="http://acs.amazonaws.com/groups/global/AllUsers"',
    *("application/xml", "multipart/form-data", "multipart/form-data; boundary="),
    *("aws-chunked", "gzip"),
    *(base64.b64encode(bytes(size)).decode() for size in (4, 8, 16, 20, 32)),
    *("null", "0" * 32, "f" * 40, "0" * 64),
    *("3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo"),
)  # fmt: skip
POLICY_WORDS = (
    *("s3:GetObject", "s3:*", "s3:Put*", "*", "s3:", "ec2:*", "s3:?", ""),
    *("StringLike", "StringEquals", "IpAddress", "Bool", "NumericLessThan", "DateGreaterThan"),
    *("ForAllValues:StringLike", "ForAnyValue:StringEquals", "StringEqualsIfExists", "Null"),
    "Bogus",
    *("aws:SourceIp", "s3:prefix", "aws:SecureTransport", "s3:x-amz-acl", "aws:username"),
    "s3:max-keys",
    *("10.0.0.0/8", "::1/128", "300.1.1.1", "fuzz", "${aws:username}", "${"),
    "arn:aws:s3:::fuzz/${aws:x}",
)  # fmt: skip
PLAIN = {
    "AllowedOrigin": "http://*.example.com",
    "AllowedMethod": "GET",
    "Suffix": "index.html",
    "HostName": "example.com",
    "HttpRedirectCode": "301",
    "ExpirationStatus": "Enabled",
    "UploadIdMarker": "",
}
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


class Chance(random.Random):
    """A chance with a share of odd values of its own: with many, no document gets far."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.odd = self.choice([0, 0, 0.02, 0.1, 0.3])


def text(chance: random.Random) -> str:
    roll = chance.random()
    if roll < 0.9:
        return str(chance.choice(TEXTS))
    if roll < 0.95:
        return "".join(chr(chance.randrange(1, 0xD800)) for _ in range(chance.randrange(20)))
    return chance.choice("ax%/.&=+\u00e9") * chance.choice([1, 255, 1024, 5000, 70_000])


def in_header(value: str) -> str:
    """A text as a header can carry it: Latin-1 that stands for the bytes."""
    raw = value.encode("utf-8", "surrogatepass").replace(b"\r", b"").replace(b"\n", b"")
    return raw.replace(b"\0", b"").strip().decode("latin-1")


def in_query(value: str, chance: random.Random) -> str:
    if chance.random() < 0.05:
        return in_header(value).replace(" ", "+").replace("#", "")
    return quote(value.encode("utf-8", "surrogatepass"), safe="/" if chance.random() < 0.5 else "")


def scalar(shape: Shape, chance: random.Random) -> str:
    """A value for a member: often one that it may have."""
    if chance.random() < getattr(chance, "odd", 0.25):
        return text(chance)
    choices = shape.metadata.get("enum")
    if choices:
        return str(chance.choice(choices))
    kind = shape.type_name
    if kind in ("integer", "long"):
        return str(chance.choice([1, 1, 2, 3, 30, 1000]))
    if kind == "boolean":
        return chance.choice(["true", "false"])
    if kind == "timestamp":
        return chance.choice(["2030-01-01T00:00:00Z", "2000-01-01T00:00:00.000Z", "2030-01-01"])
    return PLAIN.get(shape.name) or chance.choice(
        [BUCKET, KEY, "a", "b", "id-1", f"x{chance.random()}"]
    )


# --- XML -----------------------------------------------------------------------------------------


def xml(shape: Shape, name: str, chance: random.Random, depth: int = 0) -> str:
    """An element of a shape; members are missing, twice, in a wrong place or of a wrong kind."""
    if isinstance(shape, StructureShape):
        return f"<{name}{_attributes(shape, chance)}>{_members(shape, chance, depth)}</{name}>"
    if isinstance(shape, ListShape):
        return _list(shape, name, chance, depth)
    if isinstance(shape, MapShape):
        return f"<{name}/>"
    return f"<{name}>{escape(_printable(scalar(shape, chance)))}</{name}>"


def _printable(value: str) -> str:
    return "".join(each for each in value if each >= " " and not "\ud800" <= each <= "\udfff")


def _members(shape: StructureShape, chance: random.Random, depth: int) -> str:
    if depth > 7:
        return ""
    share, odd = chance.choice([0.1, 0.3, 0.6, 1]), getattr(chance, "odd", 0.25)
    pieces = []
    for name, member in shape.members.items():
        if member.serialization.get("location") or member.serialization.get("xmlAttribute"):
            continue
        if name in shape.required_members or chance.random() < share:
            wire_name = member.serialization.get("name", name)
            pieces.append(xml(member, wire_name, chance, depth + 1))
    if chance.random() < odd:
        chance.shuffle(pieces)
    if pieces and chance.random() < odd:
        pieces.append(chance.choice(pieces))
    if chance.random() < odd / 2:
        pieces.append(
            chance.choice(["text", "<Nope/>", "<!-- x -->", "<x:y xmlns:x='z'/>", "&#65;"])
        )
    if pieces and chance.random() < odd / 2:
        pieces.pop()
    return "".join(pieces)


def _list(shape: ListShape, name: str, chance: random.Random, depth: int) -> str:
    flat = bool(shape.serialization.get("flattened"))
    inner = name if flat else shape.member.serialization.get("name", "member")
    many = chance.choice([0, 1, 1, 1, 2, 3, chance.choice([11, 101, 1001]) if depth < 3 else 1])
    if many > 5:
        items = xml(shape.member, inner, chance, max(depth + 1, 5)) * many
    else:
        items = "".join(xml(shape.member, inner, chance, depth + 1) for _ in range(many))
    return items if flat else f"<{name}>{items}</{name}>"


def _attributes(shape: StructureShape, chance: random.Random) -> str:
    space = shape.serialization.get("xmlNamespace", {}).get("uri")
    found = f' xmlns="{space}"' if space and chance.random() < 0.7 else ""
    for member in shape.members.values():
        if member.serialization.get("xmlAttribute"):
            kind = chance.choice(["CanonicalUser", "Group", "AmazonCustomerByEmail", text(chance)])
            found += ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
            found += f" xsi:type={quoteattr(_printable(kind))}"
    return found


def document(shape: Shape, chance: random.Random) -> bytes:
    """A whole body; whether it is well-formed is another matter."""
    name = shape.serialization.get("name", shape.name)
    body = xml(shape, name, chance)
    roll = chance.random()
    if roll < 0.7:
        return body.encode()
    if roll < 0.8:
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'.encode()
    return damaged(body, name, chance)


BOMB = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))


def damaged(body: str, name: str, chance: random.Random) -> bytes:
    """A document broken in one of the ways that documents are broken."""
    at = chance.randrange(len(body) + 1)
    bomb = f'<!DOCTYPE {name} [<!ENTITY e0 "x">{BOMB}]>'
    tags = "<Tag><Key>a</Key><Value>b</Value></Tag>" * 2000
    ways: list[Callable[[], str | bytes]] = [
        lambda: body[:at],
        lambda: body[:at] + chance.choice("<>&'\"/\x00\x0b\ufffe") + body[at:],
        lambda: f"{bomb}{body.replace('><', '>&e11;<', 1)}",
        lambda: f'<!DOCTYPE x SYSTEM "file:///etc/passwd">{body}',
        lambda: f'<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1/">%p;]>{body}',
        lambda: body.encode("utf-16"),
        lambda: f'<?xml version="1.0" encoding="UTF-16"?>{body}',
        lambda: f'<?xml version="1.0" encoding="{text(chance)}"?>{body}',
        lambda: f'<?xml version="1.1"?>{body}',
        lambda: "\ufeff" + body,
        lambda: body + body,
        lambda: f"<{name}>" * 5000 + body + f"</{name}>" * 5000,
        lambda: f"<{name}>{tags}</{name}>",
        lambda: body.replace(NAMESPACE, chance.choice(["", "urn:x", "http://x/"])),
        lambda: body.replace("<", "<s3:").replace("<s3:/", "</s3:"),
        lambda: body.replace(">", "><![CDATA[", 1),
        lambda: body[:-1] + f" {'a' * 100_000}='b'>",
        lambda: bytes(chance.randrange(256) for _ in range(chance.randrange(200))),
        lambda: json.dumps({name: body}),
        lambda: b" " * chance.choice([1, 100_000]),
    ]
    found = chance.choice(ways)()
    return found if isinstance(found, bytes) else found.encode("utf-8", "ignore")


# --- JSON ----------------------------------------------------------------------------------------


def policy(chance: random.Random) -> bytes:
    """A bucket policy, or what is like one."""
    if chance.random() < 0.5:
        return json.dumps({"Version": "2012-10-17", "Statement": [_plain(chance)]}).encode()
    statements = [_statement(chance) for _ in range(chance.choice([0, 1, 1, 1, 2, 30]))]
    members: Any = {"Version": chance.choice(["2012-10-17", "2008-10-17", "x", 1, None])}
    others: list[Any] = [statements[:1], {}, "x", None]
    members["Statement"] = chance.choice(others) if chance.random() < 0.2 else statements
    if chance.random() < 0.1:
        members[text(chance)] = _json(chance, 3)
    found = json.dumps(members)
    roll = chance.random()
    if roll < 0.05:
        return found[: chance.randrange(len(found))].encode()
    if roll < 0.1:
        return chance.choice(
            [b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe", b"null", b"1e999", b'"x"']
        )
    if roll < 0.13:
        return found.replace('"Effect"', '"Effect": "Allow", "Effect"', 1).encode()
    return found.encode()


def _plain(chance: random.Random) -> Any:
    """A statement that is as it should be; its condition perhaps not."""
    members: dict[str, Any] = {
        "Effect": chance.choice(["Allow", "Allow", "Deny"]),
        "Principal": chance.choice(["*", {"AWS": "*"}]),
        "Action": chance.choice(["s3:*", "s3:GetObject", "s3:List*", ["s3:PutObject", "s3:Get*"]]),
        "Resource": ["arn:aws:s3:::fuzz", "arn:aws:s3:::fuzz/*"],
    }
    if chance.random() < 0.8:
        key, value = chance.choice(POLICY_WORDS[16:]), chance.choice([*POLICY_WORDS, *TEXTS[:12]])
        members["Condition"] = {chance.choice(POLICY_WORDS[8:16]): {key: value}}
    return members


def _statement(chance: random.Random) -> Any:
    arn = [
        "arn:aws:s3:::fuzz/*",
        "arn:aws:s3:::fuzz",
        "arn:aws:s3:::other/*",
        "*",
        "arn:aws:s3:::fuzz/a*",
    ]
    members: dict[str, Any] = {
        "Sid": text(chance)[:200],
        "Effect": chance.choice(["Allow", "Deny", "allow", 1])
        if chance.random() < 0.2
        else "Allow",
        "Principal": chance.choice(
            [
                "*",
                {"AWS": "*"},
                {"AWS": ["*", "000000000000"]},
                {"Federated": "x"},
                {"AWS": {}},
                [],
                7,
            ]
        ),
        "Action": _some(chance, [*POLICY_WORDS[:8]]),
        "Resource": _some(chance, arn),
    }
    if chance.random() < 0.5:
        members["Condition"] = {
            chance.choice(POLICY_WORDS): {
                chance.choice(POLICY_WORDS): _some(chance, [*POLICY_WORDS, True, 1, None])
            }
        }
    if chance.random() < 0.15:
        members[chance.choice(["NotAction", "NotResource", "NotPrincipal", "Nope"])] = _json(
            chance, 2
        )
    if chance.random() < 0.15:
        del members[chance.choice(sorted(members))]
    if chance.random() < 0.15:
        members[chance.choice(sorted(members))] = _json(chance, 3)
    return members


def _some(chance: random.Random, choices: list[Any]) -> Any:
    roll = chance.random()
    if roll < 0.5:
        return chance.choice(choices)
    return [chance.choice(choices) for _ in range(chance.choice([0, 1, 2, 5]))]


def _json(chance: random.Random, depth: int) -> Any:
    kind = chance.randrange(7 if depth else 5)
    if kind < 5:
        return (text(chance)[:300], 1, None, True, -1.5)[kind]
    if kind == 5:
        return [_json(chance, depth - 1) for _ in range(chance.randrange(3))]
    return {text(chance)[:50]: _json(chance, depth - 1) for _ in range(chance.randrange(3))}
