"""The clients' door, one WSGI application: understand, perform, answer; never a verb's work."""

import contextlib
import errno
import importlib
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol, cast

from flask import Flask, Response

from eucabox import actions, ids, logs
from eucabox.actions import Call
from eucabox.errors import Fault
from eucabox.iam.credentials_folder import endpoint
from eucabox.s3 import cors
from eucabox.wire.request import (
    HEADERS,
    LIMIT_HOPS,
    TLS,
    Answer,
    FileBody,
    Request,
    from_environ,
    origin_form,
)
from eucabox.wire.request_context import PolicyContext, form_fields

if TYPE_CHECKING:
    from eucabox.cloud import Cloud

log = logging.getLogger("eucabox.api")

# No bucket can have this name, so what lies under it is ours: the health check, pages for people.
PAGES = "/_eucabox/"
HEALTH = PAGES + "health"
HEALTHY = b'{"status":"ok"}\n'
SITES = PAGES + "website/"
CONTROL = "/v20180820/"  # of S3 Control; a bucket may have this name, but sends no such header
ACCOUNT = "x-amz-account-id"
S3_PATHS = ("/services/objectstorage", "/services/Walrus", "/services/walrus")
BUCKETS = ("s3", "website")  # services whose answers are a bucket's
REPEATABLE = ("s3", "s3control")  # services whose signed requests may come again
PIECE = 256 * 1024
ENVIRON_HEADERS = HEADERS  # where a server may put the headers as they were sent
ENVIRON_TLS = TLS  # the TLS version and cipher of the connection
ENVIRON_LIMIT_HOPS = LIMIT_HOPS  # and a function that sets the answer's time to live

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]


class ApiProtocol(Protocol):
    """A protocol's three functions, as wire/query.py, wire/s3.py and wire/metadata.py have them."""

    def understand(self, request: Request, lookup: Any, now: datetime) -> Any:
        """Make a verb with arguments of a request."""

    def answer(self, understood: Any, result: Any) -> Answer:
        """Make the answer of a result."""

    def refuse(self, fault: Fault, request_id: str, service: str) -> Answer:
        """Make the answer of a fault."""


def create_app(cloud: "Cloud") -> Flask:
    """The application of the API listeners: Flask for PAGES, the protocols for everything else."""
    app = Flask("eucabox", static_folder=None)

    @app.get(HEALTH)
    def health() -> Response:
        return Response(HEALTHY, mimetype="application/json")

    app.wsgi_app = ApiDispatcher(cloud, _clients, app.wsgi_app)  # type: ignore[method-assign]
    return app


def create_metadata_app(cloud: "Cloud") -> Wsgi:
    """The application of 169.254.169.254; it serves the instances of this cloud and nobody else."""
    return ApiDispatcher(cloud, lambda request: ("metadata", "metadata"))


def preload() -> None:
    """Load what the first request of each protocol would otherwise wait for."""
    actions.load()
    for name in ("query", "s3", "metadata"):
        _protocol(name)
    model = importlib.import_module("eucabox.wire.model")
    for service in ("ec2", "sts", "s3"):
        model.service(service)


class ApiDispatcher:
    """A WSGI application that hands each request to the protocol it speaks."""

    def __init__(
        self,
        cloud: "Cloud",
        choose: Callable[[Request], tuple[str, str]],
        pages: Wsgi | None = None,
    ) -> None:
        self._cloud = cloud
        self._choose = choose
        self._pages = pages

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, whatever happens in it."""
        if not self.is_api_request(environ["PATH_INFO"], environ.get("HTTP_HOST", "")):
            assert self._pages
            return self._pages(environ, start_response)
        request = from_environ(environ, ids.request_id())
        request.hosts = self._cloud.config.api.known_hosts
        answer = self.handle(request)
        if answer.hops and LIMIT_HOPS in environ:
            environ[LIMIT_HOPS](answer.hops)
        return wsgi_response(request, answer, start_response)

    def is_api_request(self, target: str, host: str) -> bool:
        """Whether a request is for the protocols, and not for our own pages."""
        path = origin_form(target).partition("?")[0]
        if not self._pages or not path.startswith(PAGES) or path.startswith(SITES):
            return True
        hosts = self._cloud.config.api.known_hosts
        return bool(_address().bucket_of(host, hosts))  # then the path is a key

    def build_request(
        self,
        method: str,
        target: str,
        headers: dict[str, str],
        body: Any,
        tls: tuple[str, str] | None,
        source: str,
    ) -> Request:
        """Return a request that a server has read itself; `headers` by lower-case names."""
        path, _, query = origin_form(target).partition("?")
        length = headers.get("content-length")
        return Request(
            *(method, target, path or "/", query, headers, body),
            content_length=None if length is None else int(length),
            chunked="transfer-encoding" in headers,
            scheme="http" if tls is None else "https",
            tls=tls or ("", ""),
            host=headers.get("host", ""),
            hosts=self._cloud.config.api.known_hosts,
            source=source,
            request_id=ids.request_id(),
        )

    def handle(self, request: Request) -> Answer:
        """Understand, perform, answer, and log it all in one line."""
        started = time.perf_counter()
        seen: dict[str, Any] = {}
        with logs.about(request_id=request.request_id), logs.one_line(log) as line:
            answer = self._dispatch(request, line, seen)
            if line["service"] in BUCKETS:
                code = line["outcome"] if answer.status >= 400 else ""
                seen.update(code=code, milliseconds=(time.perf_counter() - started) * 1000)
                self._after_response(request, answer, seen)
            line["status"] = answer.status
            line["ms"] = (time.perf_counter() - started) * 1000
        return answer

    def _dispatch(self, request: Request, line: dict[str, Any], seen: dict[str, Any]) -> Answer:
        """A fault is refused in the words of the protocol; anything else that goes wrong is
        logged with its trace and answered as InternalError."""
        name, service = self._choose(request)
        speaker = _protocol(name)
        line.update(service=service, method=request.method, source=request.source or "-")
        try:
            if request.method == "OPTIONS" and service in BUCKETS:
                return self._preflight(request)
            understood = speaker.understand(request, self._find_credential, datetime.now(UTC))
            seen["understood"] = understood
            call = self._call(request, understood)
            result = actions.perform(understood.service, understood.name, call, understood.params)
            seen["result"] = result
            return speaker.answer(understood, result)
        except Fault as fault:
            fault.facts.setdefault("Resource", request.path)
            line["outcome"] = fault.code
            return speaker.refuse(fault, request.request_id, service)
        except Exception:
            log.exception("a request of the service %s failed", service)
            line["outcome"] = Fault.code
            return speaker.refuse(Fault(), request.request_id, service)

    def _preflight(self, request: Request) -> Answer:
        """A browser asks what a page may do: no verb, and nobody has signed it."""
        wire = importlib.import_module("eucabox.wire.s3.cors")
        answer: Answer = wire.preflight(request, _bucket(request), self._rules)
        return answer

    def _after_response(self, request: Request, answer: Answer, seen: dict[str, Any]) -> None:
        """Do what an answer of the buckets brings with it; the verb is done, so what goes wrong
        here is logged and costs nobody an answer."""
        try:
            self._add_cors_headers(request, answer, seen.get("understood"))
            _records().note(self._cloud, request, answer, seen)
        except Exception:
            log.exception("what follows an answer failed")

    def _add_cors_headers(self, request: Request, answer: Answer, understood: Any) -> None:
        """Let a page of another origin read an answer, where the bucket's CORS rules say so."""
        with contextlib.suppress(Fault):
            known = understood.params.get("bucket") if understood else None
            if rules := self._rules(known or _bucket(request)):
                importlib.import_module("eucabox.wire.s3.cors").share(request, answer, rules)

    def _rules(self, bucket: str) -> Sequence[Mapping[str, Any]]:
        return cors.rules_of(self._cloud.store.bucket(bucket).settings)

    def _find_credential(self, access_key_id: str) -> Any:
        return self._cloud.accounts.credential(access_key_id)

    def _call(self, request: Request, understood: Any) -> Call:
        api = self._cloud.config.api
        return Call(
            cloud=self._cloud,
            caller=understood.caller,
            request_id=request.request_id,
            region=self._cloud.config.cloud.region,
            endpoint=request.endpoint if request.host else endpoint(self._cloud.config),
            api_version=understood.api_version,
            source=request.source,
            path=_service_path(request),
            # S3 lets one signature be used again: presigned URLs, a PUT sent twice.
            signature="" if understood.service in REPEATABLE else understood.signature,
            expires=getattr(understood, "expires", None),
            document=getattr(understood, "document", None),
            context=PolicyContext(
                request,
                form_fields(understood),
                region=self._cloud.config.cloud.region,
                https="https" if api.https_port else "",  # a door that keeps secrets
            ),
        )


# --- which protocol ----------------------------------------------------------------------------


def _clients(request: Request) -> tuple[str, str]:
    if request.path.startswith(SITES) or ".s3-website" in request.host.lower():
        if _address().is_site(request.path, request.host, request.hosts):
            return "website", "website"
    if request.path.startswith(CONTROL) and ACCOUNT in request.headers:
        return "s3control", "s3control"
    if absent := _not_served().service_of(request):
        return "not_served", absent
    if request.path.startswith("/services/"):
        if _service_path(request) in S3_PATHS or _is_key(request):
            return "s3", "s3"
    elif not _query().speaks_query(request):
        return "s3", "s3"
    return "query", _query().service_addressed(request) or "ec2"


def _is_key(request: Request) -> bool:
    """Whether the path is that of an object, whose bucket the host names."""
    if not _address().bucket_of(request.host, request.hosts):
        return False
    scope = _query().scope_service(request)
    plain = request.method != "POST" and not _query().ACTION.search(request.query)
    return bool(scope == "s3" or (not scope and plain))


def _service_path(request: Request) -> str:
    if not request.path.startswith("/services/"):
        return ""
    return "/".join(request.path.split("/")[:3]).rstrip("/")


@cache
def _records() -> Any:
    return importlib.import_module("eucabox.wire.s3.access_log_records")


def _bucket(request: Request) -> str:
    found: str = _address().bucket_in(request.path, request.host, request.hosts)
    return found


@cache
def _address() -> Any:
    return importlib.import_module("eucabox.wire.s3.addressing")


@cache
def _query() -> Any:
    return importlib.import_module("eucabox.wire.query")


@cache
def _not_served() -> Any:
    return importlib.import_module("eucabox.wire.not_served")


@cache
def _protocol(name: str) -> ApiProtocol:
    # Imported with first use: the listeners are ready before the protocols are loaded.
    return cast(ApiProtocol, importlib.import_module(f"eucabox.wire.{name}"))


def near(target: str) -> str:
    """Return a request target as a path, also where a client sent a whole URL."""
    return origin_form(target)


# --- the answer on its way out -----------------------------------------------------------------


def wsgi_response(
    request: Request, answer: Answer, start_response: StartResponse
) -> Iterable[bytes]:
    """Give an Answer to a WSGI server."""
    status, headers, body = http_response(request, answer)
    start_response(status, headers)
    return body


def http_response(
    request: Request, answer: Answer
) -> tuple[str, list[tuple[str, str]], Iterable[bytes]]:
    """Return an Answer's status line, headers and body: with request id and length, and no body
    where HTTP has none."""
    headers = list(answer.headers)
    if not _is_plain("".join([value for _, value in headers])):
        headers = [(name, _header(value)) for name, value in headers]
    given = {name.lower() for name, _ in headers}
    if "x-amz-request-id" not in given:
        headers.append(("x-amz-request-id", request.request_id))
    bodiless = answer.status in (204, 304)
    length = _length(answer)
    if length is not None and not bodiless and "content-length" not in given:
        headers.append(("Content-Length", str(length)))
    status, body = f"{answer.status} {_phrase(answer.status)}", _body(answer)
    if bodiless or request.method == "HEAD":
        close = getattr(body, "close", None)
        if close is not None:
            close()
        return status, headers, []
    return status, headers, body


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _header(value: str) -> str:
    """One line of bytes, shown as Latin-1; what is beyond it goes out as UTF-8."""
    if _is_plain(value):
        return value
    line = "".join(each if each >= " " and each != "\x7f" else " " for each in value)
    try:
        line.encode("latin-1")
    except UnicodeEncodeError:
        return line.encode("utf-8", "replace").decode("latin-1")
    return line


@cache
def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _length(answer: Answer) -> int | None:
    if answer.file is not None:
        return answer.file.count
    if isinstance(answer.body, bytes):
        return len(answer.body) if answer.length is None else answer.length
    return answer.length


def _body(answer: Answer) -> Iterable[bytes]:
    if answer.file is not None:
        return FileStream(answer.file)
    return [answer.body] if isinstance(answer.body, bytes) else StreamedBody(answer.body)


@dataclass
class StreamedBody:
    """A body that is made while it is sent; what fails then cuts the connection."""

    body: Iterable[bytes]

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self.body
        except Fault as fault:
            log.error("role=walrus an answer was cut off: %s", fault.message)
            raise ConnectionAbortedError(errno.ECONNABORTED, fault.message) from None

    def close(self) -> None:
        """Let go of what it is made from."""
        close = getattr(self.body, "close", None)
        if close is not None:
            close()


@dataclass
class FileStream:
    """A part of an open file as a WSGI body; our own server sends `part` without copying it."""

    part: FileBody

    def __iter__(self) -> Iterator[bytes]:
        offset, end = self.part.offset, self.part.offset + self.part.count
        while offset < end:
            piece = self._read(offset, min(PIECE, end - offset))
            if not piece:
                raise OSError(f"the file ended {end - offset} bytes before its recorded end")
            offset += len(piece)
            yield piece

    def _read(self, offset: int, count: int) -> bytes:
        if self.part.fileno is None:
            return self.part.file.read(count)
        return os.pread(self.part.fileno, count, offset)

    def close(self) -> None:
        """Close the file: the answer is sent, or nobody waits for it any more."""
        self.part.file.close()
