"""Signs links with which anybody may read one object for a while; opens nothing, judges nobody.

Signature version 4 in the query, of path-style addresses, as every S3 client makes them.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

LONGEST = 7 * 24 * 3600  # seconds, as S3 has it
ALGORITHM = "AWS4-HMAC-SHA256"
PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")


@dataclass(frozen=True)
class LinkSigner:
    """An access key with its secret, and the region that its signatures name."""

    access_key_id: str
    secret: str
    region: str

    def sign(
        self, endpoint: str, path: str, members: Mapping[str, str], seconds: int, now: datetime
    ) -> str:
        """Return the address of `path` (/bucket/key, as text) at an endpoint such as
        http://localhost:8773, to be read by GET for so many seconds from `now`.

        `members` are further parameters of the query, as versionId.
        """
        time, uri = now.strftime("%Y%m%dT%H%M%SZ"), encode(path, "/")
        scope = f"{time[:8]}/{self.region}/s3/aws4_request"
        query = _write_query(
            {
                **members,
                "X-Amz-Algorithm": ALGORITHM,
                "X-Amz-Credential": f"{self.access_key_id}/{scope}",
                "X-Amz-Date": time,
                "X-Amz-Expires": str(seconds),
                "X-Amz-SignedHeaders": "host",
            }
        )
        host = endpoint.partition("://")[2]
        canonical = f"GET\n{uri}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
        digest = sha256(canonical.encode()).hexdigest()
        to_sign = f"{ALGORITHM}\n{time}\n{scope}\n{digest}"
        signature = hmac.digest(self._derive_key(scope), to_sign.encode(), "sha256").hex()
        return f"{endpoint}{uri}?{query}&X-Amz-Signature={signature}"

    def _derive_key(self, scope: str) -> bytes:
        key = b"AWS4" + self.secret.encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return key


def encode(text: str, safe: str = "") -> str:
    """Percent-encode as signatures want it: all but letters, digits, -_.~ and `safe`."""
    kept = PLAIN | frozenset(safe.encode())
    return "".join([chr(each) if each in kept else f"%{each:02X}" for each in text.encode()])


def _write_query(members: Mapping[str, str]) -> str:
    pairs = sorted((encode(name), encode(value)) for name, value in members.items())
    return "&".join([f"{name}={value}" for name, value in pairs])
