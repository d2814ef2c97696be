"""The day keys of signature 4, derived once and kept; never an access key's secret itself."""

from __future__ import annotations

import hmac
from collections import OrderedDict
from hashlib import sha256
from threading import Lock
from typing import NamedTuple

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
_MOST_KEYS = 1024


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
        self._keys: OrderedDict[Scope, tuple[bytes, bytes]] = OrderedDict()
        self._lock = Lock()

    def key(self, scope: Scope, secret: str) -> bytes:
        """Return the signing key of a scope, derived if it is not kept for this very secret."""
        secret_digest = sha256(secret.encode()).digest()
        with self._lock:
            cached = self._keys.get(scope)
            if cached and hmac.compare_digest(cached[0], secret_digest):
                self._keys.move_to_end(scope)
                return cached[1]
        key = _derive_key(secret, scope)
        with self._lock:
            self._keys[scope] = secret_digest, key
            if len(self._keys) > _MOST_KEYS:
                self._keys.popitem(last=False)
        return key


def _derive_key(secret: str, scope: Scope) -> bytes:
    key = b"AWS4" + secret.encode()
    for part in (*scope[1:], TERMINATOR):
        key = hmac.digest(key, part.encode("utf-8", "surrogateescape"), "sha256")
    return key
