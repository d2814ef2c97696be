"""Who signed a request to EC2, STS or IAM: versions 4 and 2; never reads the parameters' sense."""

from __future__ import annotations

import hmac
import io
from collections.abc import Collection
from datetime import datetime
from hashlib import sha256

from eucabox.errors import ContentHashMismatch, FormTooLarge, MissingAuthenticationToken
from eucabox.wire.request import Request, parse_query
from eucabox.wire.sign import v2, v4
from eucabox.wire.sign.canonical import encode_plus
from eucabox.wire.sign.errors import QUERY, Lookup, SignatureCheck, mask
from eucabox.wire.sign.result import AuthenticatedRequest

MOST_PARAMETERS = 20_000  # what is signed is read and sorted several ways


def authenticate_query(
    request: Request,
    form: bytes,
    lookup: Lookup,
    now: datetime,
    unsigned: Collection[str] = (),
) -> AuthenticatedRequest:
    """Check the signature of a query request whose whole body is `form`.

    A request without one is anonymous if its action is among `unsigned`.
    The body is always covered: version 4 by its digest, version 2 by its parameters. Raises
    MissingAuthenticationToken without a signature, AuthFailure or InvalidClientTokenId for a key
    that is unknown or inactive, SignatureDoesNotMatch, RequestExpired, IncompleteSignature,
    XAmzContentSHA256Mismatch.
    """
    if request.query.count("&") + form.count(b"&") > MOST_PARAMETERS:
        raise FormTooLarge(limit=MOST_PARAMETERS, unit="parameters")
    check = SignatureCheck(lookup, now, QUERY)
    if request.headers.get("authorization"):
        claim = v4.parse_authorization(request, QUERY)
        return _verify_v4(request, form, claim, check)
    params = request.parameters
    if "X-Amz-Signature" in params or "X-Amz-Algorithm" in params:
        return _verify_v4(request, form, v4.parse_presigned(params, QUERY), check)
    if v2.carries_signature(request, form):
        return _verify_v2(request, form, check)
    action = params.get("Action") or parse_query(form).get("Action")
    if action in unsigned:
        body = io.BytesIO(form)
        return AuthenticatedRequest(body, decoded_length=len(form), query=request.query)
    what = f"the {mask(action)} request" if action else "each request"
    raise MissingAuthenticationToken(action=what)


def _verify_v4(
    request: Request, form: bytes, claim: v4.V4Claim, check: SignatureCheck
) -> AuthenticatedRequest:
    payload = sha256(form).hexdigest()
    _check_digest(request, payload)
    proof = v4.verify(request, claim, payload, check, rest=False)
    return AuthenticatedRequest(
        body=io.BytesIO(form),
        caller=proof.credential.caller,
        access_key_id=claim.scope.access_key_id,
        region=claim.scope.region,
        service=claim.scope.service,
        version=4,
        decoded_length=len(form),
        signature=claim.signature,
        expires=claim.until,
        query=proof.query,
    )


def _verify_v2(request: Request, form: bytes, check: SignatureCheck) -> AuthenticatedRequest:
    proof = v2.verify(request, form, check)
    if proof.plus:
        form = form.replace(b"+", b"%2B")
    return AuthenticatedRequest(
        body=io.BytesIO(form),
        caller=proof.credential.caller,
        access_key_id=proof.access_key_id,
        version=2,
        decoded_length=len(form),
        signature=proof.signature,
        expires=proof.until,
        query=encode_plus(request.query) if proof.plus else request.query,
    )


def _check_digest(request: Request, payload: str) -> None:
    """Refuse a body that is not the one whose digest the client sent along."""
    stated = request.headers.get("x-amz-content-sha256", payload)
    if not hmac.compare_digest(stated.lower().encode("latin-1", "replace"), payload.encode()):
        raise ContentHashMismatch(
            ClientComputedContentSHA256=mask(stated), S3ComputedContentSHA256=payload
        )
