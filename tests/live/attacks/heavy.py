"""Small requests that cost much: patterns, documents, forms and signatures."""

import hashlib
import json
import secrets
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from tests.live.attacks.slow import FORM, head
from tests.live.attacks.world import World

DENIED = "/attacks-patterns/k"


def _with_policy(world: World, operator: str, key: str, pattern: str) -> None:
    """Have a stranger's bucket judge everybody's requests by a pattern."""
    s3: Any = world.cloud.client("s3", user="mallory")
    try:
        s3.create_bucket(Bucket="attacks-patterns")
    except ClientError as refused:
        assert refused.response["Error"]["Code"] == "BucketAlreadyOwnedByYou"
    statement = {
        "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::attacks-patterns/*",
        "Condition": {operator: {key: pattern}},
    }  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    s3.put_object(Bucket="attacks-patterns", Key="k", Body=b"")  # else ListBucket is judged
    try:
        s3.put_bucket_policy(Bucket="attacks-patterns", Policy=policy)
    except ClientError:
        return  # refused at once, which is as good


def _agents(world: World) -> None:
    _with_policy(world, "StringLike", "aws:UserAgent", "*a" * 9000 + "b")
    for size in (15_000, 120_000):
        raw = head("GET", DENIED, f"User-Agent: {'a' * size}")
        for _ in range(3):
            if not world.over.is_set():
                world.ask(raw)


def _referers(world: World) -> None:
    _with_policy(world, "StringLike", "aws:UserAgent", "${aws:referer}N*" * 900)
    for size in (10, 3500, 60_000):  # the last is beyond what headers may have
        headers = (f"Referer: {'*a' * size}", f"User-Agent: {'a' * 2 * size}")
        world.ask(head("GET", DENIED, *headers))


def _different_patterns(world: World) -> None:
    _with_policy(world, "StringLike", "aws:UserAgent", "${aws:referer}*")
    while not world.over.is_set():
        answer = secrets.token_hex(3500)
        world.ask(head("GET", DENIED, f"Referer: {answer}", "User-Agent: a"))


def _deletions(world: World) -> None:
    entry = b"<Object><Key>a</Key></Object>"
    document = b"<Delete>" + entry * ((8 << 20) // len(entry) - 1) + b"</Delete>"
    digest = b64encode(hashlib.md5(document, usedforsecurity=False).digest()).decode()
    headers = f"Content-Length: {len(document)}", f"Content-MD5: {digest}"
    said = head("POST", "/attacks-not-there?delete", *headers)
    while not world.over.is_set():
        world.ask(said + document)


def _forms(world: World) -> None:
    form = b"Action=DescribeInstances&" + b"&".join(b"A.%d=1" % each for each in range(95_000))
    form += b"&AWSAccessKeyId=" + world.cloud.access_key.encode() + b"&SignatureVersion=2"
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    form += f"&SignatureMethod=HmacSHA256&Timestamp={now}&Signature=x".encode()
    raw = head("POST", "/", f"Content-Length: {len(form)}", FORM) + form
    while not world.over.is_set():
        world.ask(raw)


def _queries(world: World) -> None:
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{world.cloud.access_key}%2F{now[:8]}%2Feucabox%2Fs3%2Faws4_request"
    signed = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-SignedHeaders=host&X-Amz-Expires=900"
    signed += f"&X-Amz-Date={now}&X-Amz-Credential={scope}"
    for size in (7_000, 60_000, 120_000):
        many = "&".join(f"a{each}=" for each in range(size // 7))
        world.ask(head("GET", f"/attacks-public/large?{signed}&X-Amz-Signature=0&{many}"))


ATTACKS: dict[str, Callable[[World], None]] = {
    "patterns of agents": _agents,
    "patterns of referers": _referers,
    "patterns without end": _different_patterns,
    "8 MiB ?delete": _deletions,
    "1 MB forms": _forms,
    "120 KB V4 queries": _queries,
}
