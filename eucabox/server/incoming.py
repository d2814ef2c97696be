"""One HTTP request on its way in: a strict head, a streamed body; never what its path means."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes

from cheroot import server as cheroot

MOST_DRAIN = 1 << 20
CRLF = b"\r\n"
LINE = re.compile(rb"([A-Z]{1,20}) ([\x21-\xff]+) HTTP/([0-9])\.([0-9])\r\n\Z")
NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n\Z")
# Repeated, these could be read differently by whoever stands before or behind us.
SINGLE = {b"Host", b"Authorization", b"Content-Length", b"Transfer-Encoding", b"Content-Type"}


class Head(cheroot.HeaderReader):
    """Reads the header lines; ValueError, with what is wrong, becomes 400 Bad Request."""

    def __init__(self) -> None:
        self.expects = False

    def __call__(self, rfile: Any, hdict: dict[bytes, bytes] | None = None) -> dict[bytes, bytes]:
        """Fill and return a dict of headers; repeated ones are joined by a comma."""
        headers = {} if hdict is None else hdict
        while (line := rfile.readline()) != CRLF:
            self._add(headers, line)
        self._check(headers)
        # Cheroot would send 100 Continue at once; we wait until the body is wanted.
        self.expects = headers.pop(b"Expect", b"").lower() == b"100-continue"
        return headers

    def _add(self, headers: dict[bytes, bytes], line: bytes) -> None:
        if not line.endswith(CRLF):
            raise ValueError("The headers do not end with an empty line.")
        name, colon, value = line.partition(b":")
        if not colon or not NAME.match(name):
            raise ValueError("A header line is malformed.")
        name, value = name.title(), value.strip()
        if b"\r" in value or b"\x00" in value:
            raise ValueError("A header line is malformed.")
        if name in headers:
            if name in SINGLE:
                raise ValueError(f"The header {name.decode()} comes twice.")
            value = headers[name] + b"," + value
        headers[name] = value

    def _check(self, headers: dict[bytes, bytes]) -> None:
        length = headers.get(b"Content-Length")
        if length is not None and not re.fullmatch(rb"[0-9]{1,18}", length):
            raise ValueError("Content-Length is not a number.")
        coding = headers.get(b"Transfer-Encoding")
        if coding is not None and length is not None:
            raise ValueError("Content-Length and Transfer-Encoding exclude each other.")
        if coding is not None and coding.lower() != b"chunked":
            raise ValueError("Transfer-Encoding can only be chunked.")


class LengthBody:
    """A body of Content-Length bytes. A client that vanishes is a short read, not an error."""

    def __init__(self, stream: Any, length: int, invite: Callable[[], None] | None) -> None:
        self._stream = stream
        self._left = length
        self._invite = invite

    @property
    def ended(self) -> bool:
        """Whether all of it was read."""
        return self._left == 0

    def read(self, size: int | None = None) -> bytes:
        """Return at most `size` bytes, all that is left without one; b"" at the end."""
        if self._left and self._invite:
            self._invite()
            self._invite = None
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        piece: bytes = self._stream.read(wanted) if wanted else b""
        self._left -= len(piece)
        return piece

    def settle(self) -> bool:
        """Read a small rest away; False where the connection can't be used for more."""
        if self._left == 0:
            return True
        if self._invite or self._left > MOST_DRAIN:
            return False
        self.read(self._left)
        return self.ended


class ChunkedBody:
    """A body in chunks of any size, read without keeping a whole one.

    Raises ValueError for a malformed chunk, ConnectionError for a client that vanishes.
    """

    def __init__(self, stream: Any, invite: Callable[[], None] | None) -> None:
        self._stream = stream
        self._left = 0  # of the chunk at hand
        self._started = False
        self._invite = invite
        self.ended = False

    def read(self, size: int | None = None) -> bytes:
        """Return at most `size` bytes, all that is left without one; b"" at the end."""
        if self._invite and not self.ended:
            self._invite()
            self._invite = None
        pieces: list[bytes] = []
        wanted = size if size is not None and size >= 0 else 1 << 62
        while wanted and not self.ended:
            if not self._left:
                self._next()
                continue
            piece = self._stream.read(min(wanted, self._left, MOST_DRAIN))
            if not piece:
                raise ConnectionResetError("The client left in the middle of a chunk.")
            self._left -= len(piece)
            wanted -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def settle(self) -> bool:
        """Read a small rest away; False where the connection can't be used for more."""
        if not self.ended and not self._invite:
            try:
                self.read(MOST_DRAIN)
                self.read(1)
            except (OSError, ValueError):
                return False
        return self.ended

    def _next(self) -> None:
        if self._started and self._stream.readline(3) != CRLF:
            raise ValueError("A chunk does not end where its length says.")
        self._started = True
        found = CHUNK.match(self._stream.readline(1024))
        if not found:
            raise ValueError("A chunk's length is malformed.")
        self._left = int(found.group(1), 16)
        if self._left == 0:
            self._trailers()
            self.ended = True

    def _trailers(self) -> None:
        for _ in range(64):
            line = self._stream.readline(8192)
            if line == CRLF:
                return
            if not line.endswith(CRLF):
                break
        raise ValueError("The body's trailers are malformed.")


class Incoming(cheroot.HTTPRequest):
    """Cheroot's request with its own reading of the head and the body."""

    uri: bytes
    method: bytes

    def parse_request(self) -> None:
        """Read the head, within the time that the connection is given for it."""
        self.header_reader = self.head = Head()
        super().parse_request()
        self.conn.head_is_read(self)

    def read_request_line(self) -> bool:
        """Take the target as it is: cheroot would refuse or change some that S3 clients sign."""
        line = self.rfile.readline()
        if line == CRLF:
            line = self.rfile.readline()
        self.started_request = True
        if not line:
            return False
        found = LINE.match(line)
        if not found:
            return self._bad("400 Bad Request", "The request line is malformed.")
        self.method, self.uri, major, minor = found.groups()
        if major != b"1":
            return self._bad("505 HTTP Version Not Supported", "Speak HTTP/1.1.")
        self.request_protocol = b"HTTP/1." + minor
        self.response_protocol = "HTTP/1.0" if minor == b"0" else "HTTP/1.1"
        path, _, self.qs = self.uri.partition(b"?")
        self.path, self.authority = unquote_to_bytes(path), b""
        return True

    def read_request_headers(self) -> bool:
        """Read the headers and what they say of the body and the connection."""
        if not super().read_request_headers():  # type: ignore[no-untyped-call]
            return False
        if self.response_protocol == "HTTP/1.0" and b"Transfer-Encoding" in self.inheaders:
            return self._bad("400 Bad Request", "HTTP/1.0 has no Transfer-Encoding.")
        if self.response_protocol == "HTTP/1.1" and b"Host" not in self.inheaders:
            return self._bad("400 Bad Request", "The header Host is missing.")
        if self.inheaders.get(b"Connection", b"").lower() == b"close":
            self.close_connection = True
        return True

    def respond(self) -> None:
        """Run the application over the streaming body."""
        self.rfile = self._body()
        self.conn.body_begins(self.rfile)
        self.server.gateway(self).respond()
        if self.ready:
            self.ensure_headers_sent()
        if self.chunked_write:
            self.conn.wfile.write(b"0\r\n\r\n")

    def send_headers(self) -> None:
        """Send the answer's head. A large body that nobody read ends the connection."""
        if not self.rfile.settle():
            self.close_connection = True
            self.conn.lingers = True
        super().send_headers()

    def simple_response(self, status: str, msg: str = "") -> None:
        """Answer what never became a request, and let the client read it before the end."""
        self.conn.lingers = True
        super().simple_response(status, msg)

    def _bad(self, status: str, reason: str) -> bool:
        self.simple_response(status, reason)
        return False

    def _body(self) -> LengthBody | ChunkedBody:
        expects = self.head.expects and self.response_protocol == "HTTP/1.1"
        invite = self._invite if expects else None
        if self.chunked_read:
            return ChunkedBody(self.conn.rfile, invite)
        length = int(self.inheaders.get(b"Content-Length", 0))
        if invite and not length:
            # botocore takes a final answer without it for the connection's last, and then hangs
            invite()
            invite = None
        return LengthBody(self.conn.rfile, length, invite)

    def _invite(self) -> None:
        self.conn.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
