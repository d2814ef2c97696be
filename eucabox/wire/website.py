"""Websites of buckets as browsers ask for them: pages, redirects, errors in HTML; no signatures."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from eucabox.errors import Fault, MethodNotAllowed
from eucabox.wire import model, s3
from eucabox.wire.request import Answer, ParsedRequest, Request
from eucabox.wire.s3.errors import document_elements
from eucabox.wire.s3.parameters import reader
from eucabox.wire.s3.routes import BucketAddress, WebsiteHost, site_of
from eucabox.wire.sign import Lookup
from eucabox.wire.status import status_of

CONDITIONS = (
    *("range", "if-range", "if-match", "if-none-match"),
    *("if-modified-since", "if-unmodified-since"),
)
PAGE = "GetObject"
HTML = "text/html; charset=utf-8"
TITLES = {403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed"}


@dataclass(frozen=True, kw_only=True)
class WebsiteRequest(ParsedRequest):
    """A request for a page of a website."""

    service: str = "website"
    name: str = "GetPage"
    endpoint: str
    site: WebsiteHost


def understand(request: Request, lookup: Lookup, now: datetime) -> WebsiteRequest:
    """Read a request for a page; a signature is ignored. Raises MethodNotAllowed."""
    site = site_of(request.path, request.host)
    if request.method not in ("GET", "HEAD"):
        raise MethodNotAllowed(method=request.method)
    headers = {name: request.headers[name] for name in CONDITIONS if name in request.headers}
    conditions = reader(model.service("s3").get_known(PAGE))({}, headers)
    params = {"bucket": site.bucket, "path": site.key, "conditions": conditions}
    return WebsiteRequest(
        params=params, request_id=request.request_id, endpoint=request.endpoint, site=site
    )


def answer(understood: WebsiteRequest, result: dict[str, Any]) -> Answer:
    """The page, or where it is."""
    if "redirect" in result:
        location = _redirect_url(understood, result["redirect"])
        headers = [("Location", location), ("x-amz-request-id", understood.request_id)]
        return Answer(status=result["status"], headers=headers)
    response = s3.answer(_object_request(understood), result["got"])
    if "error" in result:
        response.status = status_of(result["error"])
        response.headers.append(("x-amz-error-code", result["error"]))
    return response


def refuse(fault: Fault, request_id: str, service: str = "website") -> Answer:
    """The error as a page; one about an unchanged page has no body."""
    if fault.code == "NotModified":
        return s3.refuse(fault, request_id)
    status = status_of(fault.code)
    title = f"{status} {TITLES.get(status, 'Error')}"
    elements = {**document_elements(fault), "RequestId": request_id, "HostId": "eucabox"}
    lines = "".join(f"<li>{name}: {_escape(text)}</li>\n" for name, text in elements.items())
    page = f"<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n<ul>\n"
    page += f"{lines}</ul>\n<hr/>\n</body>\n</html>\n"
    headers = [("x-amz-error-code", fault.code), ("x-amz-error-message", fault.sentence)]
    headers += [("x-amz-request-id", request_id), ("Content-Type", HTML)]
    if fault.code == MethodNotAllowed.code:
        headers.append(("Allow", "GET, HEAD, OPTIONS"))
    return Answer(status=status, headers=headers, body=page.encode("ascii"))


def _escape(text: str) -> str:
    import html  # with the names of two thousand characters

    return html.escape(text).encode("ascii", "xmlcharrefreplace").decode()


def _redirect_url(understood: WebsiteRequest, target: dict[str, Any]) -> str:
    """The URL of a redirect: of an object's own, of a key here, or of a key on another host."""
    location: str = target.get("location", "")
    if location:
        return understood.site.base + location if location.startswith("/") else location
    key = quote(target["key"].encode("utf-8", "surrogateescape"), safe="/~!$&'()*+,;=:@")
    scheme, _, host = understood.endpoint.partition("://")
    base = "" if target.get("host_name") else understood.site.base
    scheme, host = target.get("protocol") or scheme, target.get("host_name") or host
    return f"{scheme}://{host}{base}/{key}"


def _object_request(understood: WebsiteRequest) -> s3.S3Request:
    return s3.S3Request(
        service="s3",
        name=PAGE,
        params={},
        request_id=understood.request_id,
        operation=model.service("s3").get_known(PAGE),
        address=BucketAddress(understood.site.bucket, understood.site.key),
        endpoint=understood.endpoint,
    )
