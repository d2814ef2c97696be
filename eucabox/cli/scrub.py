"""Takes secrets out of what leaves this host: known ones by value, keys by their form."""

import base64
import json
import re
from collections.abc import Iterable
from urllib.parse import quote

GONE = b"[taken out]"
SHORTEST = 6  # characters: of user data shorter lines say nothing, and would take out too much
FORMS = (
    re.compile(
        rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S
    ),
    re.compile(
        rb"(?i)((?:Signature|X-Amz-Security-Token|password|secret)[\"']?\s*[=:]\s*)[^\s&\"',;]+"
    ),
)


class Scrub:
    """Knows the secrets, and the user data, of a cloud."""

    def __init__(self, secrets: Iterable[str], user_data: Iterable[bytes]) -> None:
        known = {
            form
            for secret in secrets
            for form in (secret.encode(), quote(secret, safe="").encode(), _escape(secret))
        }
        for data in user_data:
            known |= set(_split_lines(data))
        known.discard(b"")  # of user data that is there and empty
        # The longest first: a short one may be a part of a longer one.
        ordered = sorted(known, key=len, reverse=True)
        self._known = re.compile(b"|".join(map(re.escape, ordered))) if ordered else None

    def __call__(self, content: bytes) -> bytes:
        """Return the content without them."""
        if self._known:
            content = self._known.sub(GONE, content)
        whole, assignments = FORMS
        return assignments.sub(rb"\1" + GONE, whole.sub(GONE, content))


def _split_lines(data: bytes) -> list[bytes]:
    text = data.decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines()]
    long = [line for line in lines if len(line) >= SHORTEST]
    return [
        *([data] if len(data) >= SHORTEST else []),
        base64.b64encode(data),
        *(line.encode() for line in long),
        *(_escape(line) for line in long),
    ]


def _escape(text: str) -> bytes:
    return json.dumps(text)[1:-1].encode()
