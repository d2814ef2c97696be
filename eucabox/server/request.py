"""Reads one HTTP request and writes its response; does not know what the path means."""

import os
import re
import socket
import ssl
import time
from collections.abc import Iterable
from email.utils import formatdate
from functools import lru_cache

from cheroot import server as cheroot

from eucabox import api, ascii_text, gil_turns
from eucabox.api import HEALTHY, ApiDispatcher, FileStream
from eucabox.server.bodies import CRLF, ChunkedBody, LengthBody
from eucabox.server.sockets import TOGETHER, HeadTooLong, send_file
from eucabox.wire.request import Answer, Request

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LINE = re.compile(rb"([A-Z]{1,20}) ([\x21-\xff]+) HTTP/([0-9])\.([0-9])")
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
WRONG = re.compile(r"[\r\n\0]")
BLANKS = " \t"  # as HTTP has them
FORM = "application/x-www-form-urlencoded"
LONG = 100  # characters of a header's name that is not worth remembering
LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)
MOST_HEADERS = 16 * 1024  # bytes of all headers; the request line has a bound of its own
# A proxy could read another of two values than we do, so these may come only once.
SINGLE = {"host", "authorization", "content-length", "transfer-encoding", "content-type"}
TOO_LONG = {
    True: ("414 Request-URI Too Long", "The request's first line is too long."),
    False: (
        "400 Bad Request",
        "RequestHeaderSectionTooLarge: Your request header section exceeds the maximum allowed"
        f" request header section size: {MOST_HEADERS} bytes, and half of it for metadata.",
    ),
}


class HttpRequest(cheroot.HTTPRequest):
    """Cheroot's request with its own reading of the head and the body, and its own answer."""

    uri: bytes
    method: bytes
    fields: dict[str, str]  # the headers as they came, by lower-case name
    head = b""  # as it came, without the blank line
    _expects = False

    def parse_request(self) -> None:
        """Read the head, which has come."""
        gil_turns.acquire()
        self._read_head()
        if self.ready:
            self.conn.head_is_read(self)

    def _read_head(self) -> None:
        try:
            head, whole = self.conn.rfile.head(self.server.max_request_header_size)
        except HeadTooLong as problem:
            self.simple_response(*TOO_LONG[problem.line])
            return
        self.started_request = True
        if not head:
            return
        self.head = head
        first, _, rest = head.partition(CRLF)
        if len(rest) > MOST_HEADERS:
            self.simple_response(*TOO_LONG[False])
            return
        try:
            self._read_line(first)
            if not whole:
                raise ValueError("The headers do not end with an empty line.")
            self._read_fields(rest)
        except ValueError as problem:
            self.simple_response(self.status or "400 Bad Request", str(problem))
            return
        self.ready = True

    def answer_health(self) -> bool:
        """Answer the health check in the thread that received it; whether the connection stays."""
        self._read_head()
        if not self.ready:
            return False
        self.rfile = self._open_body()
        head_only = self.method == b"HEAD"
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(HEALTHY)))]
        self._send("200 OK", headers, [] if head_only else [HEALTHY])
        return not self.close_connection

    def _read_line(self, line: bytes) -> None:
        """Keep the target as it is: cheroot would refuse or change some that S3 clients sign."""
        match = LINE.fullmatch(line)
        if not match:
            raise ValueError("The request line is malformed.")
        self.method, self.uri, major, minor = match.groups()
        if major != b"1":
            self.status = "505 HTTP Version Not Supported"
            raise ValueError("Speak HTTP/1.1.")
        self.request_protocol = b"HTTP/1." + minor
        self.response_protocol = "HTTP/1.0" if minor == b"0" else "HTTP/1.1"

    def _read_fields(self, data: bytes) -> None:
        fields: dict[str, str] = {}
        lines = data.decode("latin-1").split("\r\n") if data else []
        if WRONG.search("".join(lines)):
            raise ValueError("A header line is malformed.")
        for line in lines:
            name, colon, value = line.partition(":")
            key = _cached_lower(name) if len(name) < LONG else _lower(name)
            if not key or not colon:
                raise ValueError("A header line is malformed.")
            text = value.strip(BLANKS)
            if key in fields:
                if key in SINGLE:
                    raise ValueError(f"The header {key.title()} comes twice.")
                text = f"{fields[key]},{text}"
            fields[key] = text
        self._check_fields(fields)
        self.fields = fields

    def _check_fields(self, fields: dict[str, str]) -> None:
        old = self.response_protocol == "HTTP/1.0"
        length, coding = fields.get("content-length"), fields.get("transfer-encoding")
        if length is not None and not LENGTH.fullmatch(length):
            raise ValueError("Content-Length is not a number.")
        if coding is not None and length is not None:
            raise ValueError("Content-Length and Transfer-Encoding exclude each other.")
        if coding is not None and coding.lower() != "chunked":
            raise ValueError("Transfer-Encoding can only be chunked.")
        if old and coding is not None:
            raise ValueError("HTTP/1.0 has no Transfer-Encoding.")
        if not old and "host" not in fields:
            raise ValueError("The header Host is missing.")
        self.chunked_read = coding is not None
        # Cheroot would send 100 Continue at once; we wait until the body is wanted.
        self._expects = fields.get("expect", "").lower() == "100-continue" and not old
        connection = fields.get("connection", "").lower()
        options = set(ascii_text.split_list(connection)) if connection else set()
        self.close_connection = "close" in options or (old and "keep-alive" not in options)

    def respond(self) -> None:
        """Answer an API request, or one of our own pages through WSGI, over the streaming body."""
        self.rfile = self._open_body()
        self.conn.body_begins(self.rfile)
        dispatcher = self.server.dispatcher
        target, host = self.uri.decode("latin-1"), self.fields.get("host", "")
        if dispatcher is not None and dispatcher.is_api_request(target, host):
            self._respond_directly(dispatcher)
            return
        gil_turns.yield_leadership()
        self.server.gateway(self).respond()
        if self.ready:
            self.ensure_headers_sent()
        if self.chunked_write:
            self.conn.wfile.write(b"0\r\n\r\n")

    def send_headers(self) -> None:
        """Send the response head. A large unread body ends the connection; one that another has
        taken gets nothing from here."""
        if self.conn.is_taken:
            self.close_connection = True
            return
        self._finish_body()
        super().send_headers()

    def _finish_body(self) -> None:
        if not self.rfile.drain():  # without a wait for the rest
            self.close_connection = True
            self.conn.lingers = True

    def simple_response(self, status: str, msg: str = "") -> None:
        """Answer a malformed request, and let the client read that before the connection ends."""
        self.close_connection = self.conn.lingers = True
        lines = (
            *(f"HTTP/1.1 {status}", f"Content-Length: {len(msg)}", "Content-Type: text/plain"),
            *("Connection: close", "", msg),
        )
        self.conn.wfile.write("\r\n".join(lines).encode("latin-1"))

    def _open_body(self) -> LengthBody | ChunkedBody:
        # a client that has begun to send waits for nothing
        send_continue = (
            self._send_continue if self._expects and not self.conn.rfile.waiting else None
        )
        if self.chunked_read:
            return ChunkedBody(self.conn.rfile, send_continue)
        length = int(self.fields.get("content-length", 0))
        if send_continue and not length:
            # botocore takes a final answer without it for the connection's last, and then hangs
            send_continue()
            send_continue = None
        return LengthBody(self.conn.rfile, length, send_continue)

    def _send_continue(self) -> None:
        self.conn.wfile.write(CONTINUE)

    # --- API requests -------------------------------------------------------------------------

    def _respond_directly(self, dispatcher: ApiDispatcher) -> None:
        if not self._is_small():
            gil_turns.yield_leadership()
        status, headers, body = self._handle(dispatcher)
        if not isinstance(body, list | FileStream) or (
            isinstance(body, FileStream) and body.part.count > TOGETHER
        ):
            gil_turns.yield_leadership()
        try:
            self._send(status, headers, body)
        finally:
            if isinstance(body, FileStream):
                body.close()

    def _is_small(self) -> bool:
        """Whether the whole request has come and is of a kind that is mostly served quickly: one of
        S3's small requests, or a form of EC2."""
        if self.method == b"POST":
            quick = self.fields.get("content-type", "").startswith(FORM)
        else:
            quick = self.method in (b"GET", b"HEAD", b"PUT", b"DELETE")
        if not quick or self.chunked_read:
            return False
        return int(self.fields.get("content-length", 0)) <= int(self.conn.rfile.waiting)

    def _handle(
        self, dispatcher: ApiDispatcher
    ) -> tuple[str, list[tuple[str, str]], Iterable[bytes]]:
        request = dispatcher.build_request(
            self.method.decode("ascii"),
            self.uri.decode("latin-1"),
            self.fields,
            self.rfile,
            self.conn.tls(),
            self.conn.remote_addr or "",
        )
        answer = dispatcher.handle(request)
        if answer.status < 300 and self.method != b"POST" and "authorization" in self.fields:
            self.conn.learn(self.head, request)
        if answer.hops:
            self.conn.limit_hops(answer.hops)
        return api.http_response(request, answer)

    def _send(self, status: str, headers: list[tuple[str, str]], body: Iterable[bytes]) -> None:
        self._finish_body()
        names = {name.lower() for name, _ in headers}
        bodiless = self.method == b"HEAD" or status[:3] in ("204", "304")
        if "content-length" not in names and not bodiless:
            self._set_unknown_length(headers)
        head = self._head(status, headers, names)
        self.sent_headers = True
        if isinstance(body, FileStream):
            self._send_file(head, body)
        elif isinstance(body, list):
            pieces = (head, *body)
            if sum(map(len, body)) <= TOGETHER:
                pieces = (b"".join(pieces),)
            for piece in pieces:
                self.conn.wfile.write(piece)
        else:
            self.conn.wfile.write(head)
            for piece in filter(None, body):
                self.write(piece)
            if self.chunked_write:
                self.conn.wfile.write(b"0\r\n\r\n")

    def _set_unknown_length(self, headers: list[tuple[str, str]]) -> None:
        self.chunked_write = self.response_protocol == "HTTP/1.1"
        if self.chunked_write:
            headers.append(("Transfer-Encoding", "chunked"))
        else:
            self.close_connection = True

    def _head(self, status: str, headers: list[tuple[str, str]], names: set[str]) -> bytes:
        if not self.close_connection:
            self.close_connection = not self.server.can_add_keepalive_connection
        if self.close_connection:
            headers.append(("Connection", "close"))
        elif self.response_protocol == "HTTP/1.0":
            headers.append(("Connection", "Keep-Alive"))
        if "date" not in names:
            headers.append(("Date", _date(int(time.time()))))
        if "server" not in names:
            headers.append(("Server", self.server.server_name))
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
        return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode("latin-1")

    def _send_file(self, head: bytes, stream: FileStream) -> None:
        part, sock = stream.part, self.conn.socket
        if part.fileno is None or isinstance(sock, ssl.SSLSocket):
            self.conn.wfile.write(head)
            for piece in stream:
                self.conn.wfile.write(piece)
        elif part.count <= TOGETHER:
            data = os.pread(part.fileno, part.count, part.offset)
            if len(data) < part.count:
                raise OSError("the file ended before its recorded end")
            self.conn.wfile.write(head + data)
        else:
            with self.conn.lend():
                sock.sendall(head, socket.MSG_MORE)
                send_file(sock, part.fileno, part.offset, part.count)


def write_answer(answer: Answer, request: Request | None, server_name: str) -> bytes:
    """Return the whole answer of the straight road, for a connection that stays open."""
    status, lines, body = api.status_line(answer.status), answer.lines, answer.body
    if request is not None:
        _, headers, body = api.http_response(request, answer)
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
    content = body if isinstance(body, bytes) else b"".join(body)
    head = f"HTTP/1.1 {status}\r\n{lines}Date: {_date(int(time.time()))}\r\n"
    return f"{head}Server: {server_name}\r\n\r\n".encode("latin-1") + content


def _lower(name: str) -> str:
    """Return a header's name in lower case, "" if it can be none."""
    return name.lower() if NAME.fullmatch(name) else ""


_cached_lower = lru_cache(1024)(_lower)


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
