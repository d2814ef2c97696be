"""The day keys of signature 4, derived once and kept; never an access key's secret itself."""

from __future__ import annotations

import hmac
from collections import OrderedDict
from hashlib import sha256
from threading import Lock
from typing import NamedTuple

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
_KEPT = 1024


class Scope(NamedTuple):
    """What a signature is good for, as the request says; never compared with this cloud's region,
    because clients make up their own."""

    access_key_id: str
    date: str
    region: str
    service: str

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/{TERMINATOR}"


class SigningKeys:
    """The last 1024 signing keys by scope. A changed secret makes its old keys useless."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Scope, tuple[bytes, bytes]] = OrderedDict()
        self._lock = Lock()

    def key(self, scope: Scope, secret: str) -> bytes:
        """Return the signing key of a scope, derived if it is not kept for this very secret."""
        mark = sha256(secret.encode()).digest()
        with self._lock:
            kept = self._kept.get(scope)
            if kept and hmac.compare_digest(kept[0], mark):
                self._kept.move_to_end(scope)
                return kept[1]
        key = _derive(secret, scope)
        with self._lock:
            self._kept[scope] = mark, key
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return key


def _derive(secret: str, scope: Scope) -> bytes:
    key = b"AWS4" + secret.encode()
    for part in (*scope[1:], TERMINATOR):
        key = hmac.digest(key, part.encode("utf-8", "surrogateescape"), "sha256")
    return key
