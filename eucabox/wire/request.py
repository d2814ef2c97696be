"""One HTTP request and its answer as plain values, and how a query string is decoded; never what a
path, a parameter or a signature means."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from datetime import datetime

    from eucabox.iam.caller import Caller


class BodyReader(Protocol):
    """What a body needs to offer."""

    def read(self, size: int, /) -> bytes:
        """Return at most that many bytes; b"" at the end."""


class ClosableReader(BodyReader, Protocol):
    """A readable that holds something open."""

    def close(self) -> None:
        """Let go of it."""


@dataclass
class Request:
    """A request as it came over the line.

    `target` is the raw request target, `path` and `query` its two halves, percent-encoded as the
    client sent them: signatures cover exactly these bytes. Header names are lower case, values
    are Latin-1 text without surrounding blanks.
    """

    method: str
    target: str
    path: str
    query: str
    headers: dict[str, str]
    body: BodyReader = field(default_factory=io.BytesIO)
    content_length: int | None = None
    chunked: bool = False
    scheme: str = "http"
    host: str = ""
    source: str = ""
    request_id: str = ""
    tls: tuple[str, str] = ("", "")  # TLSv1.3 and the name of the cipher
    hosts: tuple[str, ...] = ()  # the names under which this cloud is known

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        """The decoded query string; of a name that comes twice the first value."""
        return parse_query(self.query) if self.query else {}

    @property
    def service_path(self) -> str:
        """The service's part of the path, such as /services/compute, or ""."""
        if not self.path.startswith("/services/"):
            return ""
        return "/".join(self.path.split("/")[:3]).rstrip("/")

    @property
    def endpoint(self) -> str:
        """Where the client reached us, such as http://127.0.0.1:8773, without a path."""
        return f"{self.scheme}://{self.host}"


@dataclass(frozen=True, kw_only=True)
class ParsedRequest:
    """An action with its arguments and its caller, which a protocol makes of a request. Each
    protocol adds what its `answer` needs."""

    service: str
    name: str
    params: dict[str, Any]
    caller: Caller | None = None
    api_version: str = ""
    region: str = ""
    signature: str = field(default="", repr=False)
    expires: datetime | None = None  # after it the signature is refused for its age
    request_id: str = ""
    # reads the members that stand in a document, once it is known that the caller has a chance
    document: Callable[[], dict[str, Any]] | None = field(default=None, repr=False)

    @property
    def form(self) -> Mapping[str, str] | None:
        """The fields of an upload by a form, None for any other request."""
        return None


@dataclass
class FileBody:
    """`count` bytes of an open file from `offset`; the server closes it when they are sent."""

    file: ClosableReader
    offset: int
    count: int
    fileno: int | None = None


@dataclass
class Answer:
    """What goes back. `lines` are its headers instead of `headers`, where they are written already,
    but for the length of `body`. `length` is the Content-Length where the body is not plain bytes;
    without it the body is sent chunked. `file`, if given, is the body instead of `body`. `hops`
    is how many networks it may cross, 0 for no limit.
    """

    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | Iterable[bytes] = b""
    length: int | None = None
    file: FileBody | None = None
    hops: int = 0
    lines: str = ""


@dataclass
class Exchange:
    """A request and what became of it, as far as it came: `code` is the fault's, "" for none."""

    request: Request
    understood: ParsedRequest | None = None
    result: Mapping[str, Any] | None = None
    answer: Answer = field(default_factory=Answer)
    code: str = ""
    milliseconds: float = 0.0

    @property
    def name(self) -> str:
        """The operation, as PutObject."""
        return self.understood.name if self.understood else ""

    @property
    def params(self) -> Mapping[str, Any]:
        """The members of the request."""
        return self.understood.params if self.understood else {}


def origin_form(target: str) -> str:
    """A target without scheme and host: a client behind a proxy setting sends the whole URL."""
    if target.startswith("/"):
        return target
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        return target
    cut = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    tail = rest[cut:]
    return tail if tail.startswith("/") else "/" + tail


# --- query strings and forms -------------------------------------------------------------------


def octets(text: str) -> bytes:
    """The bytes that came over the line, of header or target text (Latin-1)."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape")


def parse_pairs(query: str | bytes, plus: bytes = b" ") -> list[tuple[bytes, bytes]]:
    """Decode a query string or a form into pairs in their order; `plus` is what + stands for."""
    raw = octets(query) if isinstance(query, str) else query
    return [
        (unquote_to_bytes(name.replace(b"+", plus)), unquote_to_bytes(value.replace(b"+", plus)))
        for name, _, value in (part.partition(b"=") for part in raw.split(b"&") if part)
    ]


def parse_query(query: str | bytes) -> dict[str, str]:
    """Decode a query string or a form; of a repeated name the first value stays."""
    decoded: dict[str, str] = {}
    for name, value in parse_pairs(query):
        decoded.setdefault(_decode(name), _decode(value))
    return decoded


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
