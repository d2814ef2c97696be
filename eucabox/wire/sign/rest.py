"""Who signed a request to S3, and its body as a checked stream; never which operation it is."""

from __future__ import annotations

from datetime import datetime

from eucabox import ascii_text
from eucabox.errors import (
    AuthorizationTypeUnsupported,
    ChecksumTwice,
    ContentHashForm,
    DecodedLengthMissing,
    MissingSecurityHeader,
    RequestHeaderSectionTooLarge,
    SignatureRefused,
)
from eucabox.wire.request import Request
from eucabox.wire.sign import rest_v1, v4
from eucabox.wire.sign.body import (
    EMPTY,
    UNSIGNED,
    DigestCheckedBody,
    expected_digest,
    transport_body,
)
from eucabox.wire.sign.chunked import AwsChunked, ChunkSignatures
from eucabox.wire.sign.errors import REST, Lookup, SignatureCheck
from eucabox.wire.sign.result import AuthenticatedRequest
from eucabox.wire.sign.v4 import ALGORITHM

_SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
_STREAMS = {
    _SIGNED: (True, False),
    f"{_SIGNED}-TRAILER": (True, True),
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER": (False, True),
}  # payload word -> (its chunks are signed, trailers may follow)
_NOTHING = (EMPTY, UNSIGNED)  # what the digest of an empty body may be
_MOST_TARGET = 16 * 1024  # bytes, of which a key has 3,072; what is signed is read several ways
_NO_CHECKSUM = ("x-amz-checksum-algorithm", "x-amz-checksum-type", "x-amz-checksum-mode")


def authenticate_rest(
    request: Request, lookup: Lookup, now: datetime, *, bucket: str = ""
) -> AuthenticatedRequest:
    """Check the signature of an S3 request; one without any is anonymous.

    `bucket` is the bucket that the host names, "" for path style: the first signature covers it.
    The body must be read to its end, where its digest, chunk signatures, length and trailers are
    checked. Raises AccessDenied, InvalidAccessKeyId, SignatureDoesNotMatch, RequestTimeTooSkewed,
    AuthorizationHeaderMalformed, AuthorizationQueryParametersError, InvalidToken, ExpiredToken;
    `body` raises IncompleteBody, XAmzContentSHA256Mismatch, InvalidRequest,
    MalformedTrailerError, SignatureDoesNotMatch.
    """
    size = len(request.path) + len(request.query)
    if size > _MOST_TARGET:
        raise RequestHeaderSectionTooLarge(size=size, MaxSizeAllowed=_MOST_TARGET)
    check = SignatureCheck(lookup, now, REST)
    params = request.parameters
    presigned4 = "X-Amz-Signature" in params or "X-Amz-Algorithm" in params
    presigned1 = "Signature" in params or "AWSAccessKeyId" in params
    header = request.headers.get("authorization")
    if (header is not None) + presigned4 + presigned1 > 1:
        raise AuthorizationTypeUnsupported(
            reason="Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter,"
            " Signature query string parameter or the Authorization header should be specified."
        )
    if header is not None:
        return _verify_header(request, header, check, bucket)
    if presigned4:
        payload = params.get("X-Amz-Content-Sha256", UNSIGNED)
        return _verify_v4(request, v4.parse_presigned(params, REST), payload, check, bucket)
    if presigned1:
        return _verify_v1(request, rest_v1.verify_query(request, params, check, bucket))
    return _wrap_body(AuthenticatedRequest(request.body, query=request.query), request, None)


def _verify_header(
    request: Request, header: str, check: SignatureCheck, bucket: str
) -> AuthenticatedRequest:
    scheme = header.partition(" ")[0]
    if scheme == ALGORITHM:
        return _verify_v4(request, v4.parse_authorization(request, REST), "", check, bucket)
    if scheme == "AWS":
        return _verify_v1(request, rest_v1.verify_header(request, check, bucket))
    if not header:
        raise SignatureRefused(reason="The Authorization header is empty: leave it out or sign.")
    raise AuthorizationTypeUnsupported(
        reason=f"Sign with {ALGORITHM} or AWS.", ArgumentName="Authorization"
    )


def _verify_v4(
    request: Request, claim: v4.V4Claim, payload: str, check: SignatureCheck, bucket: str
) -> AuthenticatedRequest:
    digest = request.headers.get("x-amz-content-sha256", payload)
    if not digest:
        raise MissingSecurityHeader(MissingHeaderName="x-amz-content-sha256")
    if not payload or "x-amz-content-sha256" in claim.signed_headers:
        payload = digest  # else a presigned request, to whose sender the header means nothing
    proof = v4.verify(request, claim, payload, check, rest=True, hosted=bool(bucket))
    signed = AuthenticatedRequest(
        body=request.body,
        caller=proof.credential.caller,
        access_key_id=claim.scope.access_key_id,
        region=claim.scope.region,
        service=claim.scope.service,
        version=4,
        signature=claim.signature,
        expires=claim.until,
        query=proof.query,
        headers=claim.signed_headers,
    )
    payload = digest if payload == UNSIGNED else payload
    if payload not in _STREAMS:
        return _wrap_body(signed, request, None, payload)
    chain = ChunkSignatures(proof.key, claim.time_text, str(claim.scope), claim.signature)
    return _wrap_body(signed, request, chain, payload)


def wrap_signed(request: Request, signer: v4.Signer, signature: str) -> AuthenticatedRequest:
    """Return what `authenticate_rest` does of a request that `is_signed_by` has verified, as far as
    the body goes; raises as it."""
    signed = AuthenticatedRequest(body=request.body, caller=signer.credential.caller)
    payload, chain = request.headers["x-amz-content-sha256"], None
    if payload in _STREAMS:
        time_text = request.headers["x-amz-date"]
        chain = ChunkSignatures(signer.key.raw, time_text, signer.scope, signature)
    return _wrap_body(signed, request, chain, payload)


def _verify_v1(request: Request, proof: rest_v1.V1Proof) -> AuthenticatedRequest:
    signed = AuthenticatedRequest(
        body=request.body,
        caller=proof.credential.caller,
        access_key_id=proof.access_key_id,
        version=1,
        signature=proof.signature,
        expires=proof.until,
        query=rest_v1.write_as_signed(request.query),
    )
    return _wrap_body(signed, request, None)


def _wrap_body(
    signed: AuthenticatedRequest, request: Request, chain: ChunkSignatures | None, payload: str = ""
) -> AuthenticatedRequest:
    """Give `signed` the body stream that `payload` (x-amz-content-sha256) means."""
    payload = payload or request.headers.get("x-amz-content-sha256", "")
    if payload in _NOTHING and not (request.content_length or request.chunked):
        signed.decoded_length = 0
        return signed
    digest = "" if payload in _STREAMS else expected_digest(payload)
    if payload in _STREAMS or (not digest and _is_aws_chunked(request)):
        signed.decoded_length = _decoded_length(request)
        signed.body = _chunked_body(signed, request, chain, payload)
    else:
        signed.decoded_length = None if request.chunked else request.content_length or 0
        signed.body = DigestCheckedBody(transport_body(request), digest)
    return signed


def _chunked_body(
    signed: AuthenticatedRequest, request: Request, chain: ChunkSignatures | None, payload: str
) -> AwsChunked:
    chunks_signed, trailing = _STREAMS.get(payload, (False, True))
    if chunks_signed and chain is None:
        raise ContentHashForm(
            reason=f"x-amz-content-sha256 {payload} needs a request signed with {ALGORITHM}."
        )
    signed.declared = _declared_trailers(request) if trailing else frozenset()
    return AwsChunked(
        transport_body(request),
        signed.decoded_length or 0,
        chain=chain if chunks_signed else None,
        declared=signed.declared,
        trailers=signed.trailers,
    )


def _is_aws_chunked(request: Request) -> bool:
    """Whether a body is aws-chunked without x-amz-content-sha256: before signature 4."""
    codings = ascii_text.lower(request.headers.get("content-encoding", ""))
    is_coded = "aws-chunked" in ascii_text.split_list(codings)
    return is_coded and "x-amz-decoded-content-length" in request.headers


def _decoded_length(request: Request) -> int:
    text = request.headers.get("x-amz-decoded-content-length", "")
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise DecodedLengthMissing()
    return int(text)


def _declared_trailers(request: Request) -> frozenset[str]:
    """The trailers that x-amz-trailer announces; refuse a checksum that is a header as well."""
    text = ascii_text.lower(request.headers.get("x-amz-trailer", ""))
    names = frozenset(ascii_text.split_list(text))
    headers = [n for n in request.headers if n not in _NO_CHECKSUM]
    for group in (headers, names):
        if not any(name.startswith("x-amz-checksum-") for name in group):
            return names
    raise ChecksumTwice()
