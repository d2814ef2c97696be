"""Who signed a request, in every version and spelling that clients use; never what they may do."""

from eucabox.wire.sign.errors import REST, Lookup, SignatureCheck
from eucabox.wire.sign.post_policy import authenticate_form
from eucabox.wire.sign.query import authenticate_query
from eucabox.wire.sign.rest import authenticate_rest
from eucabox.wire.sign.rest_v1 import headers_from_query
from eucabox.wire.sign.result import AuthenticatedRequest

__all__ = [
    "REST",
    "AuthenticatedRequest",
    "Lookup",
    "SignatureCheck",
    "authenticate_form",
    "authenticate_query",
    "authenticate_rest",
    "headers_from_query",
]
