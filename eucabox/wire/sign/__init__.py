"""Who signed a request, in every version and spelling that clients use; never what they may do."""

from eucabox.wire.sign.errors import REST, Desk, Lookup
from eucabox.wire.sign.post_policy import authenticate_form
from eucabox.wire.sign.query import authenticate_query
from eucabox.wire.sign.rest import authenticate_rest
from eucabox.wire.sign.rest_v1 import moved_headers
from eucabox.wire.sign.result import Signed

__all__ = [
    "REST",
    "Desk",
    "Lookup",
    "Signed",
    "authenticate_form",
    "authenticate_query",
    "authenticate_rest",
    "moved_headers",
]
