"""The HTTP entry of the APIs: parse a request, perform its action, make the response."""

import errno
import logging
import os
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from eucabox import actions, ids, logs
from eucabox.actions import Call
from eucabox.errors import Fault
from eucabox.events.request_counts import REQUESTS, SECONDS
from eucabox.iam.credentials_folder import endpoint
from eucabox.wire import failures
from eucabox.wire.request import (
    Answer,
    BodyReader,
    Exchange,
    FileBody,
    ParsedRequest,
    Request,
    origin_form,
)
from eucabox.wire.request_context import PolicyContext

if TYPE_CHECKING:
    from flask import Flask

    from eucabox.cloud import Cloud
    from eucabox.iam.caller import Credential
    from eucabox.wire.protocols import ApiProtocol
    from eucabox.wire.s3.straight_road import StraightRoad

log = logging.getLogger("eucabox.api")

# No bucket can have this name, so what lies under it is ours: the health check, pages for people.
PAGES = "/_eucabox/"
HEALTH = PAGES + "health"
HEALTHY = b'{"status":"ok"}\n'
SITES = PAGES + "website/"
BUCKETS = ("s3", "website")  # services whose answers are a bucket's
REPEATABLE = ("s3", "s3control")  # services whose signed requests may come again
PIECE = 256 * 1024

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]


def create_app(cloud: "Cloud") -> "ApiDispatcher":
    """The application of the API listeners: Flask for PAGES, the protocols for everything else."""
    return ApiDispatcher(cloud, _choose_for_clients, _serve_page)


def create_metadata_app(cloud: "Cloud") -> "ApiDispatcher":
    """The application of 169.254.169.254; it serves this cloud's instances only."""
    return ApiDispatcher(cloud, _choose_for_guests)


def preload() -> None:
    """Load what the first request of each protocol would otherwise wait for."""
    from eucabox.wire import model

    model.load()  # first, as what that takes for a moment is taken by what is loaded then
    from eucabox.wire import metadata, protocols  # noqa: F401  # loading it is the purpose
    from eucabox.wire.s3 import straight_road  # noqa: F401

    actions.load()


class ApiDispatcher:
    """Hands each request to the protocol it speaks; as a WSGI application it serves the pages."""

    def __init__(
        self,
        cloud: "Cloud",
        choose: Callable[[Request], "tuple[ApiProtocol, str]"],
        pages: Wsgi | None = None,
    ) -> None:
        self._cloud = cloud
        self._choose = choose
        self._pages = pages
        REQUESTS.names = actions.ACTIONS

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one of our own pages; the server hands API requests to `handle`."""
        assert self._pages
        return self._pages(environ, start_response)

    @cached_property
    def straight_road(self) -> "StraightRoad | None":
        """The straight road of S3, None for guests; it is made for the second request."""
        if not self._pages:
            return None
        from eucabox.wire.s3.straight_road import StraightRoad

        return StraightRoad(self._cloud)

    def is_api_request(self, target: str, host: str) -> bool:
        """Whether a request is for the protocols, and not for our own pages."""
        if not self._pages or PAGES not in target:
            return True
        path = origin_form(target).partition("?")[0]
        if not path.startswith(PAGES) or path.startswith(SITES):
            return True
        from eucabox.wire.s3.routes import bucket_of

        return bool(bucket_of(host, self._cloud.config.api.known_hosts))  # then the path is a key

    def build_request(
        self,
        method: str,
        target: str,
        headers: dict[str, str],
        body: BodyReader,
        tls: tuple[str, str] | None,
        source: str,
    ) -> Request:
        """Return a request that a server has read itself; `headers` by lower-case names."""
        path, _, query = origin_form(target).partition("?")
        length = headers.get("content-length")
        return Request(
            method,
            target,
            path or "/",
            query,
            headers,
            body,
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
        exchange = Exchange(request)
        with logs.about(request_id=request.request_id), logs.one_line(log) as line:
            answer = exchange.answer = self._dispatch(exchange, line)
            if line["service"] in BUCKETS:
                from eucabox.wire.s3 import middleware

                exchange.code = str(line["outcome"]) if answer.status >= 400 else ""
                exchange.milliseconds = (time.perf_counter() - started) * 1000
                confines = self._cloud.config.api.sandbox_pages
                middleware.finish(self._cloud, exchange, confines=confines)
            line["status"] = answer.status
            seconds = time.perf_counter() - started
            line["ms"] = seconds * 1000
            _count(line, seconds)
        return answer

    def _dispatch(self, exchange: Exchange, line: dict[str, object]) -> Answer:
        """A fault becomes the protocol's error answer; anything else that goes wrong is
        logged with its trace and answered as InternalError."""
        request = exchange.request
        protocol, service = self._choose(request)
        line.update(service=service, method=request.method, source=request.source or "-")
        try:
            if request.method == "OPTIONS" and service in BUCKETS:
                from eucabox.wire.s3 import middleware

                return middleware.preflight(self._cloud, request)
            parsed = protocol.understand(request, self._find_credential, datetime.now(UTC))
            exchange.understood, caller = parsed, parsed.caller
            if caller is not None:
                self._cloud.accounts.known_keys.note_use(caller.credential_id, parsed.service)
            call = self._call(request, parsed)
            result = actions.perform(parsed.service, parsed.name, call, parsed.params)
            exchange.result = result
            return protocol.answer(parsed, result)
        except Exception as problem:
            answer, line["outcome"] = failures.word(problem, protocol.refuse, request, service)
            return answer

    def _find_credential(self, access_key_id: str) -> "Credential | None":
        return self._cloud.accounts.known_keys.credential(access_key_id)

    def _call(self, request: Request, understood: ParsedRequest) -> Call:
        api = self._cloud.config.api
        return Call(
            cloud=self._cloud,
            caller=understood.caller,
            request_id=request.request_id,
            region=self._cloud.config.cloud.region,
            endpoint=request.endpoint if request.host else endpoint(self._cloud.config),
            api_version=understood.api_version,
            source=request.source,
            path=request.service_path,
            # S3 lets one signature be used again: presigned URLs, a PUT sent twice.
            signature="" if understood.service in REPEATABLE else understood.signature,
            expires=understood.expires,
            document=understood.document,
            context=PolicyContext(
                request,
                understood.form,
                {
                    "region": self._cloud.config.cloud.region,
                    "https": "https" if api.https_port else "",  # where a client may send secrets
                },
            ),
        )


def _count(line: dict[str, object], seconds: float) -> None:
    """Count a request as REQUESTS.count does, without the call."""
    service, name = str(line["service"]), str(line.get("action", ""))
    outcome = str(line.get("outcome", "ok"))
    row = REQUESTS.rows.get((service, name, outcome)) or REQUESTS.find_row(service, name, outcome)
    bucket = 1 + bisect_left(SECONDS, seconds)
    with REQUESTS.lock:
        row[0] += seconds
        row[bucket] += 1


def _serve_page(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return _create_pages().wsgi_app(environ, start_response)


@cache
def _create_pages() -> "Flask":
    """Made with the first request that comes here, as Flask takes 8 MiB: connections themselves
    answer the health check as clients send it."""
    from flask import Flask, Response

    app = Flask("eucabox", static_folder=None)

    @app.get(HEALTH)
    def health() -> Response:
        return Response(HEALTHY, mimetype="application/json")

    return app


# --- which protocol: imported with the first request, the listeners are ready before ------------


def _choose_for_clients(request: Request) -> "tuple[ApiProtocol, str]":
    from eucabox.wire import protocols

    return protocols.choose(request)


def _choose_for_guests(request: Request) -> "tuple[ApiProtocol, str]":
    from eucabox.wire import metadata

    return metadata, "metadata"


# --- the answer on its way out -----------------------------------------------------------------


def http_response(
    request: Request, answer: Answer
) -> tuple[str, list[tuple[str, str]], Iterable[bytes]]:
    """Return an Answer's status line, headers and body: with request id and length, and no body
    where HTTP has none."""
    headers = list(answer.headers)
    if not _is_plain("".join([value for _, value in headers])):
        headers = [(name, _header(value)) for name, value in headers]
    present = {name.lower() for name, _ in headers}
    if "x-amz-request-id" not in present:
        headers.append(("x-amz-request-id", request.request_id))
    bodiless = answer.status in (204, 304)
    length = _length(answer)
    if length is not None and not bodiless and "content-length" not in present:
        headers.append(("Content-Length", str(length)))
    status, body = status_line(answer.status), _body(answer)
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
def status_line(status: int) -> str:
    """Return a status with its phrase."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"


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
    """A part of an open file as a body; over plain TCP the server sends `part` by sendfile."""

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
        """Close the file, once the answer is sent or the client is gone."""
        self.part.file.close()
