"""One HTTP request and its answer as plain values; never decodes a path, a form or a signature."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from eucabox import ascii_text

if TYPE_CHECKING:
    from datetime import datetime

    from eucabox.iam.accounts import Caller

LIMIT_HOPS = "eucabox.limit_hops"  # and its function that limits how far an answer travels
TLS = "eucabox.tls"  # the version and the cipher of a connection that has them
HEADERS = "eucabox.headers"  # our server's own environ key: names as sent, '_' told from '-'


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

    @property
    def endpoint(self) -> str:
        """Where the client reached us, such as http://127.0.0.1:8773, without a path."""
        return f"{self.scheme}://{self.host}"


@dataclass(frozen=True, kw_only=True)
class ParsedRequest:
    """What a protocol makes of a request: a verb with its arguments and who asks for it. Each
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
    """What goes back. `length` is the Content-Length where the body is not plain bytes;
    without it the body is sent chunked. `file`, if given, is the body instead of `body`. `hops`
    is how many networks it may cross, 0 for no limit.
    """

    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | Iterable[bytes] = b""
    length: int | None = None
    file: FileBody | None = None
    hops: int = 0


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


def from_environ(environ: Mapping[str, Any], request_id: str = "") -> Request:
    """Build a request from a WSGI environ. The path is computed from the raw target, because
    servers decode PATH_INFO in ways that lose what was signed (%2F, a leading //)."""
    target = raw_target(environ)
    path, _, query = origin_form(target).partition("?")
    headers = dict(environ.get(HEADERS) or _read_headers(environ))
    return Request(
        method=environ["REQUEST_METHOD"],
        target=target,
        path=path or "/",
        query=query,
        headers=headers,
        body=environ["wsgi.input"],
        content_length=_parse_length(headers.get("content-length", "")),
        chunked="chunked" in headers.get("transfer-encoding", "").lower(),
        scheme=environ.get("wsgi.url_scheme", "http"),
        host=headers.get("host", ""),
        source=environ.get("REMOTE_ADDR", ""),
        request_id=request_id,
        tls=environ.get(TLS, ("", "")),
    )


def raw_target(environ: Mapping[str, Any]) -> str:
    """The request target as sent: REQUEST_URI (cheroot, werkzeug) or RAW_URI (gunicorn)."""
    raw = environ.get("REQUEST_URI") or environ.get("RAW_URI")
    if raw:
        return str(raw)
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "/")
    query = environ.get("QUERY_STRING", "")
    return f"{path}?{query}" if query else path


def origin_form(target: str) -> str:
    """A target without scheme and host: a client behind a proxy setting sends the whole URL."""
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        return target
    cut = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    tail = rest[cut:]
    return tail if tail.startswith("/") else "/" + tail


def _read_headers(environ: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            yield name[5:].replace("_", "-").lower(), ascii_text.strip(str(value))
        elif name in ("CONTENT_TYPE", "CONTENT_LENGTH") and value:
            yield name.replace("_", "-").lower(), ascii_text.strip(str(value))


def _parse_length(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None
