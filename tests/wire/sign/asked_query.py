"""Ask for a query request to be accepted or refused, with the key of AWS's own examples."""

import pytest

from eucabox.errors import Fault
from eucabox.wire.request import Request
from eucabox.wire.sign import AuthenticatedRequest, authenticate_query
from tests.wire.sign import signer
from tests.wire.sign.recorded import lookup_of

KNOWN = lookup_of((signer.KEY, signer.SECRET))


def accepted(request: Request, form: bytes = b"") -> AuthenticatedRequest:
    return authenticate_query(request, form, KNOWN, signer.NOW)


def refused(request: Request, form: bytes = b"", *, active: bool = True) -> Fault:
    lookup = lookup_of((signer.KEY, signer.SECRET), active=active)
    with pytest.raises(Fault) as caught:
        authenticate_query(request, form, lookup, signer.NOW)
    assert caught.value.message.isascii()
    assert signer.SECRET not in caught.value.message
    return caught.value
