"""Chooses a request's protocol by its head. It imports every protocol, and is itself imported with
the first request, so that the listeners are ready before that."""

from datetime import datetime
from typing import Any, Protocol

from eucabox.errors import Fault
from eucabox.wire import not_served, query, s3, s3control, website
from eucabox.wire.not_served import S3_SCOPE
from eucabox.wire.request import Answer, ParsedRequest, Request
from eucabox.wire.s3.routes import SITES, bucket_of, is_site

CONTROL = "/v20180820/"  # of S3 Control; a bucket may have this name, but sends no such header
S3_PATHS = ("/services/objectstorage", "/services/Walrus", "/services/walrus")


class ApiProtocol(Protocol):
    """A protocol's three functions, as wire/query.py, wire/s3 and wire/metadata.py have them."""

    def understand(self, request: Request, lookup: Any, now: datetime) -> ParsedRequest:
        """Make a verb with arguments of a request."""

    def answer(self, understood: Any, result: Any) -> Answer:
        """Make the answer of a result."""

    def refuse(self, fault: Fault, request_id: str, service: str) -> Answer:
        """Make the answer of a fault."""


def choose(request: Request) -> tuple[ApiProtocol, str]:
    """Return the protocol of a client's request, and the service that it is for."""
    if request.path.startswith(SITES) or ".s3-website" in request.host.lower():
        if is_site(request.path, request.host, request.hosts):
            return website, "website"
    if request.path.startswith(CONTROL) and s3control.ACCOUNT in request.headers:
        return s3control, "s3control"
    below_services = request.path.startswith("/services/")
    if not below_services and S3_SCOPE in request.headers.get("authorization", ""):
        return s3, "s3"
    if below_services or query.scope_service(request) not in query.SERVICES:
        if absent := not_served.find_service(request):
            return not_served, absent
    if below_services:
        if request.service_path in S3_PATHS or _is_key(request):
            return s3, "s3"
    elif not query.speaks_query(request):
        return s3, "s3"
    return query, query.addressed_service(request) or "ec2"


def _is_key(request: Request) -> bool:
    """Whether the path is that of an object, whose bucket the host names."""
    if not bucket_of(request.host, request.hosts):
        return False
    scope = query.scope_service(request)
    plain = request.method != "POST" and not query.ACTION.search(request.query)
    return scope == "s3" or (not scope and plain)
