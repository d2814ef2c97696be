"""Requests that real clients sent, kept in vectors/, one file a client; never signs anything."""

import base64
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from eucabox.iam.caller import Caller, Credential
from eucabox.wire.request import Request, origin_form
from eucabox.wire.sign import AuthenticatedRequest, authenticate_query, authenticate_rest
from eucabox.wire.sign.dates import parse_extended

FOLDER = Path(__file__).parent / "vectors"


@dataclass
class Vector:
    """One recorded request with the key that signed it and the time it arrived."""

    client: str
    service: str  # "query" or "s3"
    bucket: str  # of a virtual host
    access_key: str
    secret: str
    time: str
    scheme: str
    method: str
    target: str
    headers: dict[str, str]
    body: str
    version: int = 0
    arrived: datetime = field(init=False)

    def __post_init__(self) -> None:
        arrived = parse_extended(self.time)
        assert arrived
        self.arrived = arrived

    @property
    def data(self) -> bytes:
        return base64.b64decode(self.body)

    def copy(self, **changed: Any) -> Self:
        """The same request with some facts changed."""
        return replace(self, **changed)

    def with_data(self, data: bytes) -> Self:
        """The same request with another body."""
        return self.copy(body=base64.b64encode(data).decode())


def vectors() -> dict[str, list[Vector]]:
    """Read every recorded request, by the name of its file."""
    files = sorted(FOLDER.glob("*.json"))
    return {f.stem: [Vector(**facts) for facts in json.loads(f.read_text("utf-8"))] for f in files}


def request_of(vector: Vector) -> Request:
    """Make the request that the server would hand to the wire."""
    path, _, query = origin_form(vector.target).partition("?")
    length = vector.headers.get("content-length")
    return Request(
        method=vector.method,
        target=vector.target,
        path=path or "/",
        query=query,
        headers=dict(vector.headers),
        body=io.BytesIO(vector.data),
        content_length=int(length) if length else None,
        chunked="transfer-encoding" in vector.headers,
        scheme=vector.scheme,
        host=vector.headers.get("host", ""),
    )


def lookup_of(*known: tuple[str, str], active: bool = True) -> Callable[[str], Credential | None]:
    """A look-up that knows the given access keys with their secrets."""
    keys = {key: Credential(_caller(key), secret, active) for key, secret in known}
    return keys.get


def check(vector: Vector, **changed: Any) -> tuple[AuthenticatedRequest, bytes]:
    """Authenticate a vector and read its body to the end."""
    lookup = lookup_of((vector.access_key, changed.get("secret", vector.secret)))
    now = changed.get("now", vector.arrived)
    request = request_of(vector)
    if vector.service == "query":
        signed = authenticate_query(request, vector.data, lookup, now)
    else:
        signed = authenticate_rest(request, lookup, now, bucket=vector.bucket)
    return signed, b"".join(iter(lambda: signed.body.read(1 << 20), b""))


def _caller(access_key_id: str) -> Caller:
    return Caller(
        "000000000001", "eucalyptus", "c" * 64, "u-1", "admin", True, access_key_id, is_root=True
    )
