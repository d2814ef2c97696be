"""The aws-chunked coding as a stream: chunk signatures, trailers; never holds a whole chunk."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterator
from hashlib import sha256

from eucabox.errors import (
    BodyBrokenOff,
    ChunkSignatureDoesNotMatch,
    MalformedChunk,
    MalformedTrailer,
)
from eucabox.wire.sign.body import EMPTY, PIECE, TransportBody

_ALGORITHM = "AWS4-HMAC-SHA256"
_SIGNATURE = "chunk-signature"
TRAILER_SIGNATURE = "x-amz-trailer-signature"
_LONGEST_LINE = 8192
_MOST_LINES = 32
_BUFFER = 1 << 16
_SIZE = re.compile(rb"[0-9a-fA-F]{1,16}")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]{1,128}")


class Lines:
    """A source that can also be read by lines, with a small buffer of its own."""

    def __init__(self, source: TransportBody) -> None:
        self._source = source
        self._buffer = b""

    def take(self, size: int) -> bytes:
        """Read at most `size` bytes; b"" at the end."""
        if not self._buffer:
            if size >= _BUFFER:
                return self._source.read(size)
            self._buffer = self._source.read(_BUFFER)
        piece, self._buffer = self._buffer[:size], self._buffer[size:]
        return piece

    def line(self, fault: type[MalformedChunk] | type[MalformedTrailer]) -> bytes | None:
        """Read a line without its CRLF; None at the end. Raises `fault` on an endless line."""
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > _LONGEST_LINE:
                raise fault(reason=f"a line is longer than {_LONGEST_LINE} bytes.")
            more = self._source.read(_BUFFER)
            if not more and not self._buffer:
                return None
            if not more:
                raise BodyBrokenOff(reason="it ended within a line.")
            self._buffer += more
        if end > _LONGEST_LINE:
            raise fault(reason=f"a line is longer than {_LONGEST_LINE} bytes.")
        line, self._buffer = self._buffer[:end], self._buffer[end + 1 :]
        return line[:-1] if line.endswith(b"\r") else line


class ChunkSignatures:
    """The chunk signatures, each over the one before; begins with the request's own."""

    def __init__(self, key: bytes, time_text: str, scope: str, seed: str) -> None:
        self._key = key
        self._head = f"{time_text}\n{scope}"
        self._previous = seed

    def check_chunk(self, signature: str, digest: str) -> None:
        """Check a chunk's signature over its SHA-256 in hex."""
        self._check("PAYLOAD", f"{EMPTY}\n{digest}", signature, "a chunk")

    def check_trailer(self, signature: str, lines: bytes) -> None:
        """Check the trailer's signature over its lines, each `name:value` and a newline."""
        self._check("TRAILER", sha256(lines).hexdigest(), signature, "the trailer")

    def _check(self, kind: str, tail: str, signature: str, part: str) -> None:
        to_sign = f"{_ALGORITHM}-{kind}\n{self._head}\n{self._previous}\n{tail}"
        expected = hmac.digest(self._key, to_sign.encode(), "sha256").hex()
        if not hmac.compare_digest(expected.encode(), signature.encode("latin-1")):
            raise ChunkSignatureDoesNotMatch(part=part)
        self._previous = expected


class AwsChunked:
    """A body in aws-chunked coding, decoded and checked while it is read.

    `length` is x-amz-decoded-content-length, `declared` the names in x-amz-trailer; `trailers`
    receives their values when the last byte was read. `chain` checks signed chunks.
    """

    def __init__(
        self,
        source: TransportBody,
        length: int,
        *,
        chain: ChunkSignatures | None = None,
        declared: frozenset[str] = frozenset(),
        trailers: dict[str, str] | None = None,
    ) -> None:
        self._lines = Lines(source)
        self._length = length
        self._chain = chain
        self._declared = declared
        self._trailers = {} if trailers is None else trailers
        self._count = 0
        self._left = 0  # of the chunk being read
        self._sum = sha256()
        self._chunk_signature = ""  # the chunk's signature
        self._step: Callable[[], None] | None = self._read_head

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes, all without it; b"" at the end, after all checks."""
        if size < 0:
            return b"".join(iter(lambda: self.read(PIECE), b""))
        pieces: list[bytes] = []
        while size > 0:
            while self._step and not self._left:
                self._step()
            if not self._left:
                break
            pieces.append(self._read_piece(size))
            size -= len(pieces[-1])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _read_piece(self, size: int) -> bytes:
        piece = self._lines.take(min(size, self._left))
        if not piece:
            raise BodyBrokenOff(reason=f"it ended with {self._left} bytes of a chunk missing.")
        if self._chain:
            self._sum.update(piece)
        self._left -= len(piece)
        return piece

    def _read_head(self) -> None:
        """Read a chunk's first line: `SIZE[;chunk-signature=SIGNATURE]`."""
        line = self._lines.line(MalformedChunk)
        if line is None:
            raise BodyBrokenOff(reason="it ended without a last chunk of size 0.")
        digits, _, extension = line.partition(b";")
        if not _SIZE.fullmatch(digits.strip(b" \t")):
            raise MalformedChunk(reason="a chunk must begin with its size in hexadecimal digits.")
        self._left = int(digits, 16)
        self._chunk_signature = self._parse_signature(extension)
        self._count += self._left
        self._check_length()
        self._step = self._finish_chunk if self._left else self._finish_body

    def _check_length(self) -> None:
        """Compare what the chunks promise so far with the whole, as soon as they can differ."""
        if self._count == self._length or (self._left and self._count < self._length):
            return
        more = " or more" if self._left else ""
        raise BodyBrokenOff(
            reason=f"its chunks hold {self._count} bytes{more},"
            f" x-amz-decoded-content-length says {self._length}."
        )

    def _parse_signature(self, extension: bytes) -> str:
        if not self._chain:
            return ""
        name, _, signature = extension.decode("latin-1").strip(" \t").partition("=")
        if name != _SIGNATURE or not signature:
            raise MalformedChunk(reason=f"a chunk lacks its {_SIGNATURE}.")
        return signature

    def _finish_chunk(self) -> None:
        """Check the chunk that was read, and the line end after it."""
        self._check_chunk()
        line = self._lines.line(MalformedChunk)
        if line is None:
            raise BodyBrokenOff(reason="it ended without a last chunk of size 0.")
        if line:
            raise MalformedChunk(reason="a chunk is longer than its size says.")
        self._step = self._read_head

    def _finish_body(self) -> None:
        """Check the empty last chunk, and read the trailers to the very end of the body."""
        self._check_chunk()
        self._read_trailers()
        self._step = None

    def _trailer_lines(self) -> Iterator[bytes]:
        """Yield the lines after the last chunk; some clients put empty ones between them. The last
        one is empty: else the end was lost on the way."""
        line: bytes | None = b"-"
        for _ in range(_MOST_LINES):
            before, line = line, self._lines.line(MalformedTrailer)
            if line is None:
                if before:
                    raise BodyBrokenOff(reason="it ended without the empty line at its end.")
                return
            if line:
                yield line
        raise MalformedTrailer(reason=f"it has more than {_MOST_LINES} lines.")

    def _check_chunk(self) -> None:
        if self._chain:
            self._chain.check_chunk(self._chunk_signature, self._sum.hexdigest())
            self._sum = sha256()

    def _read_trailers(self) -> None:
        trailers: dict[str, str] = {}
        signed = b""
        for line in self._trailer_lines():
            name, value = _parse_trailer(line)
            if name in trailers:
                raise MalformedTrailer(reason=f"the trailer {name} comes twice.")
            trailers[name] = value
            if name != TRAILER_SIGNATURE:
                signed += f"{name}:{value}\n".encode("latin-1")
        signature = trailers.pop(TRAILER_SIGNATURE, "")
        if trailers.keys() != self._declared:
            names = ", ".join(sorted(trailers.keys() ^ self._declared))
            raise MalformedTrailer(reason=f"x-amz-trailer and the trailers differ in {names}.")
        if self._chain and self._declared:
            self._chain.check_trailer(signature, signed)
        self._trailers.update(trailers)


def _parse_trailer(line: bytes) -> tuple[str, str]:
    name, colon, value = line.decode("latin-1").partition(":")
    name = name.strip(" \t").lower()
    if not colon or not _NAME.fullmatch(name):
        raise MalformedTrailer(reason="a trailer must read NAME:VALUE.")
    return name, value.strip(" \t")
