"""Ask for an S3 request to be accepted or refused, with the key of AWS's own examples."""

import pytest

from eucabox.errors import Fault
from eucabox.wire.request import Request
from eucabox.wire.sign import AuthenticatedRequest, authenticate_rest
from tests.wire.sign import signer
from tests.wire.sign.recorded import lookup_of

KNOWN = lookup_of((signer.KEY, signer.SECRET))


def accepted(request: Request) -> AuthenticatedRequest:
    return authenticate_rest(request, KNOWN, signer.NOW)


def refused(request: Request, **changed: object) -> Fault:
    lookup = lookup_of((signer.KEY, signer.SECRET), active=changed.get("active", True) is True)
    with pytest.raises(Fault) as caught:
        signed = authenticate_rest(request, lookup, signer.NOW)
        while signed.body.read(4096):
            pass
    assert caught.value.message.isascii()
    assert signer.SECRET not in caught.value.message + repr(caught.value.facts)
    return caught.value
