"""The result of a checked signature; checks none itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from eucabox.errors import RequestBodyTooLarge
from eucabox.iam.caller import Caller
from eucabox.wire.request import BodyReader

PIECE = 1 << 16


@dataclass
class AuthenticatedRequest:
    """The caller, and the body that is checked while it is read.

    `caller` is None for an anonymous request, whose `version` is 0; else `version` is 1, 2 or 4.
    `region` and `service` are the client's own words, "" before version 4. `decoded_length` is
    the number of bytes that `body` will give, None if unknown; `trailers` is filled when `body`
    has ended, with those that are `declared`. After `expires` the same signature is refused for
    its age.

    `query` is the query string as it was signed: where that took a plus for itself, the plus is
    written as %2B, so that it stands for no blank. `headers` are the names of those that are
    covered, None where that are all that a signature can cover.
    """

    body: BodyReader = field(repr=False)
    caller: Caller | None = None
    access_key_id: str = ""
    region: str = ""
    service: str = ""
    version: int = 0
    decoded_length: int | None = None
    trailers: dict[str, str] = field(default_factory=dict)
    declared: frozenset[str] = frozenset()
    signature: str = ""
    expires: datetime | None = None
    query: str = ""
    headers: tuple[str, ...] | None = None

    def read_document(self, most: int) -> bytes:
        """Read a body that is a document, or none, to its end; raises RequestBodyTooLarge."""
        content, size = bytearray(), self.decoded_length or 0
        while size <= most and (piece := self.body.read(PIECE)):
            content += piece
            size = len(content)
        if size > most:
            raise RequestBodyTooLarge(limit=most)
        return bytes(content)
