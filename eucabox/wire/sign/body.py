"""A request's body as a checked stream: length and digest; never holds a whole object."""

from __future__ import annotations

import hmac
import re
from hashlib import sha256

from eucabox.errors import BodyBrokenOff, ContentHashForm, ContentHashMismatch
from eucabox.wire.request import BodyReader, Request
from eucabox.wire.sign.errors import mask

PIECE = 1 << 20
UNSIGNED = "UNSIGNED-PAYLOAD"
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
EMPTY = sha256().hexdigest()


class TransportBody:
    """The bytes that the server hands us, never more than Content-Length and never fewer."""

    def __init__(self, stream: BodyReader, length: int | None) -> None:
        self._stream = stream
        self._length = length
        self._count = 0

    @property
    def ended(self) -> bool:
        """Whether every promised byte was read; unknown (False) before the end without a length."""
        return self._length is not None and self._count >= self._length

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes; b"" at the end. Raises BodyBrokenOff on a short body."""
        if self._length is not None:
            size = min(size, self._length - self._count)
        piece = self._read_stream(min(size, PIECE)) if size > 0 else b""
        self._count += len(piece)
        if size > 0 and not piece and self._length is not None:
            raise BodyBrokenOff(reason=f"it ended after {self._count} of {self._length} bytes.")
        return piece

    def _read_stream(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except (OSError, ValueError) as broken:  # a connection lost, a transport chunk unreadable
            raise BodyBrokenOff(reason=f"it broke off after {self._count} bytes.") from broken


class DigestCheckedBody:
    """A plain body, checked against the digest that the signature covers ("" if none)."""

    def __init__(self, source: TransportBody, digest: str = "") -> None:
        self._source = source
        self._expected = digest.lower()
        self._ended = source.ended and self._expected in ("", EMPTY)
        self._sum = sha256() if digest and not self._ended else None
        if source.ended and not self._ended:
            self._end()

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes, all without it; b"" at the end, after the checks."""
        if size < 0:
            return b"".join(iter(lambda: self.read(PIECE), b""))
        if not size or self._ended:
            return b""
        piece = self._source.read(size)
        if self._sum:
            self._sum.update(piece)
        if not piece or self._source.ended:
            self._end()
        return piece

    def _end(self) -> None:
        self._ended = True
        digest = self._sum.hexdigest() if self._sum else ""
        if not hmac.compare_digest(digest, self._expected):
            raise ContentHashMismatch(
                ClientComputedContentSHA256=self._expected, S3ComputedContentSHA256=digest
            )


def transport_body(request: Request) -> TransportBody:
    """The source of a request's body: by Content-Length, by transfer coding, or empty."""
    length = None if request.chunked else request.content_length or 0
    return TransportBody(request.body, length)


def expected_digest(value: str) -> str:
    """Return the digest a body is checked against, "" for none; refuse an unknown word."""
    if value == UNSIGNED or not value:
        return ""
    if _DIGEST.fullmatch(value):
        return value
    raise ContentHashForm(
        reason="x-amz-content-sha256 must be UNSIGNED-PAYLOAD,"
        " STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD,"
        " STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
        ArgumentName="x-amz-content-sha256",
        ArgumentValue=mask(value),
    )
