"""One connection to S3, signed and light, and an answer as the model knows it."""

import hashlib
import re
import socket
import time
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPMessage, HTTPResponse
from xml.etree import ElementTree

from bench.s3 import signing
from tests.linear.model import MARKER, Answer, Entry

PATIENCE = 120.0  # seconds until a killed eucabox must be back
SECONDS = 60.0  # for one answer
AGAIN = 0.02
TORN = "no content that was ever sent"
CODE = re.compile(rb"<Code>([^<]+)</Code>")
SPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"


class Unanswered(Exception):
    """The connection ended before the answer."""


@dataclass
class Reply:
    """What came back, and when the request left and the last byte came."""

    status: int
    headers: HTTPMessage
    body: bytes
    begin: float
    end: float


@dataclass
class Wire:
    """A connection that is kept, and opened again after a kill."""

    target: signing.Target
    opened: float = 0.0
    begin: float = 0.0  # of the last request
    _socket: socket.socket | None = field(default=None, repr=False)

    def open(self) -> None:
        """Connect, as soon as somebody listens."""
        deadline = time.monotonic() + PATIENCE
        while self._socket is None:
            self.opened = time.monotonic()
            try:
                self._socket = socket.create_connection(
                    (self.target.host, self.target.port), SECONDS
                )
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(AGAIN)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ask(
        self, method: str, path: str, query: str = "", body: bytes = b"", header: str = ""
    ) -> Reply:
        """Send a request, with one more header if there is one; Unanswered."""
        self.open()
        assert self._socket is not None
        pieces = signing.request(self.target, method, path, query, body, "signed")
        head, _, rest = b"".join(pieces).partition(b"\r\n\r\n")
        more = f"\r\n{header}".encode() if header else b""
        self.begin = time.monotonic()
        try:
            self._socket.sendall(head + more + b"\r\n\r\n" + rest)
            response = HTTPResponse(self._socket, method=method)
            response.begin()
            content = response.read()
        except (OSError, HTTPException) as error:
            self.close()
            raise Unanswered(repr(error)) from None
        end = time.monotonic()
        if response.will_close:
            self.close()
        return Reply(response.status, response.headers, content, self.begin, end)


def read_refusal(reply: Reply) -> Answer | None:
    """Return the answer that a reply is if it refuses, None if it does not."""
    code = CODE.search(reply.body) if b"<Error>" in reply.body else None
    if code is None and reply.status < 300:
        return None
    named = {404: "NoSuchKey", 405: "MethodNotAllowed"}.get(reply.status, str(reply.status))
    return (code[1].decode() if code else named,)


def read_miss(reply: Reply) -> Answer | None:
    """Return the refusal of a read, with the id of the delete marker that hides the object."""
    refusal = read_refusal(reply)
    if refusal is None:
        return None
    hidden = reply.headers.get("x-amz-delete-marker") == "true"
    return (*refusal, get_version(reply) if hidden else "")


def get_version(reply: Reply) -> str:
    return str(reply.headers.get("x-amz-version-id", ""))


def get_e_tag(reply: Reply, *, whole: bool) -> str:
    """Return the ETag of a read, which must be that of the content, if that came with it."""
    e_tag = str(reply.headers.get("ETag", "")).strip('"')
    if whole and e_tag not in (md5(reply.body), md5_of_part(reply.body)):
        return f"{TORN}: {e_tag} {reply.body[:100]!r}"
    return e_tag


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def md5_of_part(content: bytes) -> str:
    """Return the ETag of an upload of one part."""
    return md5(bytes.fromhex(md5(content))) + "-1"


def read_keys(reply: Reply, key: str) -> tuple[Entry, ...]:
    """Return the entry of a key in a listing without versions, if it is in it."""
    root = ElementTree.fromstring(reply.body)
    found = [each for each in root.iter(f"{SPACE}Contents") if _text(each, "Key") == key]
    return tuple(("", _text(each, "ETag").strip('"')) for each in found)


def read_versions(reply: Reply, key: str) -> tuple[Entry, ...]:
    """Return the versions and delete markers of a key in a listing, the first of them marked as
    the latest."""
    root = ElementTree.fromstring(reply.body)
    names = (f"{SPACE}Version", f"{SPACE}DeleteMarker")
    found = [each for each in root if each.tag in names and _text(each, "Key") == key]
    latest = [_text(each, "IsLatest") == "true" for each in found]
    if latest != [place == 0 for place in range(len(found))]:
        return ((TORN, f"IsLatest is {latest}"),)
    return tuple((_text(each, "VersionId"), _text(each, "ETag").strip('"') or MARKER)
                 for each in found)  # fmt: skip


def _text(element: ElementTree.Element, name: str) -> str:
    return element.findtext(f"{SPACE}{name}", "")
