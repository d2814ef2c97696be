"""Forms and policies as browsers and boto3 write them, made by the tests themselves."""

import base64
import hashlib
import hmac
import io
import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from eucabox.iam.caller import Caller, Credential
from eucabox.wire import s3
from eucabox.wire.request import Request
from tests.wire.sign import signer

BOUNDARY = "----boundary42"
CALLER = Caller("123456789012", "ann", "c" * 64, "AIDA", "ann", False, is_root=True)
POLICY = {
    "expiration": (signer.NOW + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "conditions": [{"bucket": "b"}, ["starts-with", "$key", "up/"]],
}
Fields = Iterable[tuple[str, str | bytes]]


def body(fields: Fields, content: bytes | None = b"content", name: str = "f.txt") -> bytes:
    """A form's body, the file last."""
    made = bytearray()
    for field, value in fields:
        octets = value.encode() if isinstance(value, str) else value
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n'
        made += head.encode() + octets + b"\r\n"
    if content is not None:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"'
        made += head.encode() + b"\r\nContent-Type: text/x\r\n\r\n" + content + b"\r\n"
    return bytes(made) + f"--{BOUNDARY}--\r\n".encode()


def post(sent: bytes, path: str = "/b", host: str = "localhost", **headers: str) -> Request:
    """The request that sends it."""
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    return Request(
        method="POST",
        target=path,
        path=path,
        query="",
        headers={"content-type": kind, "content-length": str(len(sent)), **headers},
        body=io.BytesIO(sent),
        content_length=len(sent),
        host=host,
    )


def sign(policy: Any, version: int = 2) -> dict[str, str]:
    """The fields of a policy and its signature."""
    text = policy if isinstance(policy, bytes) else json.dumps(policy).encode()
    encoded = base64.b64encode(text)
    if version == 2:
        digest = hmac.new(signer.SECRET.encode(), encoded, hashlib.sha1).digest()
        signature = base64.b64encode(digest).decode()
        return {
            "AWSAccessKeyId": signer.KEY,
            "policy": encoded.decode(),
            "signature": signature,
        }
    right = hmac.new(signer.signing_key(), encoded, hashlib.sha256).hexdigest()
    return {
        "policy": encoded.decode(),
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{signer.KEY}/{signer.SCOPE}",
        "X-Amz-Date": signer.STAMP,
        "X-Amz-Signature": right,
    }


def lookup(key_id: str) -> Credential | None:
    """The one account that signs."""
    return Credential(CALLER, signer.SECRET, True) if key_id == signer.KEY else None


def understood(request: Request) -> s3.S3Request:
    """What the wire makes of it."""
    return s3.understand(request, lookup, signer.NOW)
