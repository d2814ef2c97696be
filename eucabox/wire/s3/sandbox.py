"""Keeps the scripts of bucket pages from running under a host name that all buckets share.

There every page could read and plant what the others keep in the browser: cookies know no port,
storage no bucket. Pages under a host name of their own bucket are left alone.
"""

from eucabox import ascii_text
from eucabox.wire.request import Answer, Exchange, Request
from eucabox.wire.s3.routes import bucket_of, website_of

PAGES = ("document", "frame", "iframe", "embed", "object")  # what Sec-Fetch-Dest calls a page
SCRIPTED = ("text/html", "text/xml", "text/xsl", "application/xml")
OBJECTS = ("GetObject", "GetPage")
HEADER = ("Content-Security-Policy", "sandbox")


def confine(exchange: Exchange) -> None:
    """Add the header to an object that a browser opens as a page with scripts, on a shared host."""
    request, answer = exchange.request, exchange.answer
    is_page = request.headers.get("sec-fetch-dest") in PAGES and exchange.name in OBJECTS
    if is_page and _is_scripted(answer) and _is_shared(request):
        answer.headers.append(HEADER)


def _is_scripted(answer: Answer) -> bool:
    kinds = [value for name, value in answer.headers if name.lower() == "content-type"]
    kind = ascii_text.lower(ascii_text.strip(kinds[0].partition(";")[0])) if kinds else ""
    return kind in SCRIPTED or kind.endswith("+xml")


def _is_shared(request: Request) -> bool:
    return not bucket_of(request.host, request.hosts) and not website_of(request.host)
