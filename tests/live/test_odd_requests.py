"""Well-signed nonsense at the real process: every answer is a refusal, none an InternalError."""

import http.client
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import botocore.session
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from eucabox import actions
from tests.live.process import Running

ODD = [
    *("", "\0", "\x01x", "\u00e9\u2603\U0001f600", "-1", "0", "true", "NaN", "1e309", "<x>&", "="),
    *("99999999999999999999", "9223372036854775807", "a" * 5000, "' or 1=1", "../../etc/passwd"),
    *("i-00000000", "emi-12345678", "sg-12345678", "2020-01-01", "192.0.2.0/24", "*?[\\"),
]
SUBRESOURCES = [
    *("", "acl", "cors", "uploads", "uploadId=..%2f..%2fetc", "partNumber=1&uploadId=x"),
    *("partNumber=-1", "versionId=x", "tagging", "torrent", "policy", "delete", "restore", "nope"),
    *("select&select-type=2", "attributes", "retention", "encryption", "location", "versions"),
    *("list-type=2&max-keys=x", "list-type=2&continuation-token=%00", "prefix=%00", "marker=%ff"),
    *("delimiter=%00&prefix=a", "encoding-type=xml", "response-content-type=a%0d%0ab", "=", "%zz"),
]
HEADERS = [
    *(("Range", each) for each in ("bytes=5-2", "bytes=9" + "9" * 30 + "-", "bytes=-0", "x=1")),
    *(("If-Modified-Since", each) for each in ("x", "Fri, 31 Dec 9999 23:59:59 -2359")),
    *(("Content-MD5", each) for each in ("x", "AAAA")),
    *(("x-amz-copy-source", each) for each in ("", "/", "odd/%ff", ".eucabox/index.db")),
    *(("x-amz-acl", "nope"), ("x-amz-grant-read", ",,,"), ("x-amz-checksum-crc32", "x")),
    *(("x-amz-decoded-content-length", "-1"), ("Content-Encoding", "aws-chunked")),
    *(("x-amz-meta-x", "v" * 9000), ("x-amz-expected-bucket-owner", "x")),
]
BODIES = [b"", b"<x/>", b"<Delete>", b"\xff\xfe", b"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"]
KEYS = ["obj", "%00", "..%2f..%2fetc", "//", "a" * 1025, "%ff", ".eucabox/objects/x"]


class Line:
    """One connection on which requests are signed and sent as they are."""

    def __init__(self, cloud: Running) -> None:
        self._cloud = cloud
        self._keys = Credentials(cloud.access_key, cloud.secret_key)
        self._http = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=10)

    def ask(self, service: str, method: str, target: str, body: bytes, **headers: str) -> int:
        headers = {"Content-Length": str(len(body)), **headers}
        request = AWSRequest(method, f"{self._cloud.endpoint}{target}", headers, body)
        signer = S3SigV4Auth if service == "s3" else SigV4Auth
        signer(self._keys, service, "eucabox").add_auth(request)
        self._http.request(method, target, body, dict(request.headers.items()))
        answer = self._http.getresponse()
        answer.read()
        return answer.status

    def close(self) -> None:
        self._http.close()


def no_trace(cloud: Running, seen: Counter[int]) -> None:
    assert seen[500] == 0, [line for line in cloud.log.read_text().splitlines() if "trace=" in line]
    assert "trace=" not in cloud.log.read_text()


def leaves(shape: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every parameter of an EC2 operation, each list with one entry."""
    if shape.type_name == "structure" and len(path) < 8:
        for name, member in shape.members.items():
            wire_name = member.serialization.get("name", name)
            own = member.serialization.get("queryName", wire_name[0].upper() + wire_name[1:])
            yield from leaves(member, (*path, own))
    elif shape.type_name == "list":
        yield from leaves(shape.member, (*path, "1"))
    elif path:
        yield ".".join(path)


def test_ec2_refuses_every_odd_form(cloud: Running) -> None:
    chance = random.Random(3)
    model = botocore.session.get_session().get_service_model("ec2")
    names = [name for service, name in actions.load() if service == "ec2"]
    line, seen = Line(cloud), Counter[int]()
    for name in sorted(set(names) & set(model.operation_names)):
        shape = model.operation_model(name).input_shape
        known = sorted(set(leaves(shape)) - {"DryRun"}) if shape else []
        for _ in range(4):
            some = chance.sample(known, min(len(known), chance.randint(1, 5)))
            headers = [f"{each}={quote(chance.choice(ODD))}" for each in some]
            form = "&".join([f"Action={name}&Version=2016-11-15", *headers]).encode()
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            seen[line.ask("ec2", "POST", "/", form, **kind)] += 1
    line.close()
    no_trace(cloud, seen)


def test_s3_refuses_every_odd_request(cloud: Running) -> None:
    chance = random.Random(3)
    line, seen = Line(cloud), Counter[int]()
    for method in ("PUT", "GET", "HEAD", "POST", "DELETE", "OPTIONS", "PATCH"):
        for target in ("/odd", "/odd/obj", "/nobucket/x"):
            line.ask("s3", "PUT", "/odd", b"")
            for each in SUBRESOURCES:
                body = chance.choice(BODIES) if method in ("PUT", "POST") else b""
                seen[line.ask("s3", method, f"{target}?{each}", body)] += 1
    for key in KEYS:
        for method in ("PUT", "GET", "DELETE"):
            seen[line.ask("s3", method, f"/odd/{key}", b"")] += 1
    for name, value in HEADERS:
        for method in ("PUT", "GET"):
            seen[line.ask("s3", method, "/odd/obj", b"", **{name: value})] += 1
    line.close()
    no_trace(cloud, seen)
