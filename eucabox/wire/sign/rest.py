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
from eucabox.wire.sign.body import UNSIGNED, DigestCheckedBody, payload_of, transport
from eucabox.wire.sign.canonical import values
from eucabox.wire.sign.chunked import AwsChunked, ChunkSignatures
from eucabox.wire.sign.errors import REST, Lookup, SignatureCheck, refuse_token
from eucabox.wire.sign.result import AuthenticatedRequest
from eucabox.wire.sign.signing_keys import ALGORITHM

_SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
_STREAMS = {
    _SIGNED: (True, False),
    f"{_SIGNED}-TRAILER": (True, True),
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER": (False, True),
}  # payload word -> (its chunks are signed, trailers may follow)
_MOST_TARGET = 16 * 1024  # bytes, of which a key has 3,072; what is signed is read several ways
_NO_CHECKSUM = ("x-amz-checksum-algorithm", "x-amz-checksum-type", "x-amz-checksum-mode")


def authenticate_rest(
    request: Request, lookup: Lookup, now: datetime, *, bucket: str = ""
) -> AuthenticatedRequest:
    """Check the signature of an S3 request; one without any is anonymous.

    `bucket` is the bucket that the host names, "" for path style: the first signature covers it.
    The body must be read to its end, where its digest, chunk signatures, length and trailers are
    checked. Raises AccessDenied, InvalidAccessKeyId, SignatureDoesNotMatch, RequestTimeTooSkewed,
    AuthorizationHeaderMalformed, AuthorizationQueryParametersError, InvalidToken, ...; `body`
    raises IncompleteBody, XAmzContentSHA256Mismatch, InvalidRequest, MalformedTrailerError,
    SignatureDoesNotMatch.
    """
    size = len(request.path) + len(request.query)
    if size > _MOST_TARGET:
        raise RequestHeaderSectionTooLarge(size=size, MaxSizeAllowed=_MOST_TARGET)
    desk = SignatureCheck(lookup, now, REST)
    said = values(request.query)
    presigned4 = "X-Amz-Signature" in said or "X-Amz-Algorithm" in said
    presigned1 = "Signature" in said or "AWSAccessKeyId" in said
    header = request.headers.get("authorization")
    if (header is not None) + presigned4 + presigned1 > 1:
        raise AuthorizationTypeUnsupported(
            reason="Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter,"
            " Signature query string parameter or the Authorization header should be specified."
        )
    if header is not None:
        return _by_header(request, header, desk, bucket)
    if presigned4:
        refuse_token(said.get("X-Amz-Security-Token", ""))
        payload = said.get("X-Amz-Content-Sha256", UNSIGNED)
        return _by_v4(request, v4.from_query(said, REST), payload, desk, bucket)
    if presigned1:
        return _by_v1(request, rest_v1.verify_query(request, said, desk, bucket))
    return _with_body(
        AuthenticatedRequest(body=transport(request), query=request.query), request, None
    )


def _by_header(
    request: Request, header: str, desk: SignatureCheck, bucket: str
) -> AuthenticatedRequest:
    scheme = header.partition(" ")[0]
    if scheme == ALGORITHM:
        return _by_v4(request, v4.from_header(request, REST), "", desk, bucket)
    if scheme == "AWS":
        return _by_v1(request, rest_v1.verify_header(request, desk, bucket))
    if not header:
        raise SignatureRefused(reason="The Authorization header is empty: leave it out or sign.")
    raise AuthorizationTypeUnsupported(
        reason=f"Sign with {ALGORITHM} or AWS.", ArgumentName="Authorization"
    )


def _by_v4(
    request: Request, claim: v4.V4Claim, payload: str, desk: SignatureCheck, bucket: str
) -> AuthenticatedRequest:
    said = request.headers.get("x-amz-content-sha256", payload)
    if not said:
        raise MissingSecurityHeader(MissingHeaderName="x-amz-content-sha256")
    if not payload or "x-amz-content-sha256" in claim.signed_headers:
        payload = said  # else a presigned request, to whose sender the header means nothing
    proof = v4.verify(request, claim, payload, desk, rest=True, hosted=bool(bucket))
    signed = AuthenticatedRequest(
        body=transport(request),
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
    chain = ChunkSignatures(proof.key, claim.time_text, str(claim.scope), claim.signature)
    return _with_body(signed, request, chain, said if payload == UNSIGNED else payload)


def _by_v1(request: Request, proof: rest_v1.V1Proof) -> AuthenticatedRequest:
    signed = AuthenticatedRequest(
        body=transport(request),
        caller=proof.credential.caller,
        access_key_id=proof.access_key_id,
        version=1,
        signature=proof.signature,
        expires=proof.until,
        query=rest_v1.write_as_signed(request.query),
    )
    return _with_body(signed, request, None)


def _with_body(
    signed: AuthenticatedRequest, request: Request, chain: ChunkSignatures | None, payload: str = ""
) -> AuthenticatedRequest:
    """Put the stream that `payload` asks for in front of the transport's."""
    payload = payload or request.headers.get("x-amz-content-sha256", "")
    if payload in _STREAMS or (not payload_of(payload) and _coded(request)):
        signed.decoded_length = _decoded_length(request)
        signed.body = _chunked(signed, request, chain, payload)
    else:
        signed.decoded_length = None if request.chunked else request.content_length or 0
        signed.body = DigestCheckedBody(transport(request), payload_of(payload))
    return signed


def _chunked(
    signed: AuthenticatedRequest, request: Request, chain: ChunkSignatures | None, payload: str
) -> AwsChunked:
    chunks_signed, trailing = _STREAMS.get(payload, (False, True))
    if chunks_signed and chain is None:
        raise ContentHashForm(
            reason=f"x-amz-content-sha256 {payload} needs a request signed with {ALGORITHM}."
        )
    signed.declared = _declared(request) if trailing else frozenset()
    return AwsChunked(
        transport(request),
        signed.decoded_length or 0,
        chain=chain if chunks_signed else None,
        declared=signed.declared,
        trailers=signed.trailers,
    )


def _coded(request: Request) -> bool:
    """Whether a body is aws-chunked though no payload word says so: signatures before 4."""
    codings = ascii_text.lower(request.headers.get("content-encoding", ""))
    named = "aws-chunked" in ascii_text.split_list(codings)
    return named and "x-amz-decoded-content-length" in request.headers


def _decoded_length(request: Request) -> int:
    said = request.headers.get("x-amz-decoded-content-length", "")
    if not (said.isascii() and said.isdigit() and len(said) < 20):
        raise DecodedLengthMissing()
    return int(said)


def _declared(request: Request) -> frozenset[str]:
    """The trailers that x-amz-trailer announces; refuse a checksum that is a header as well."""
    said = ascii_text.lower(request.headers.get("x-amz-trailer", ""))
    names = frozenset(ascii_text.split_list(said))
    headers = [n for n in request.headers if n not in _NO_CHECKSUM]
    for group in (headers, names):
        if not any(name.startswith("x-amz-checksum-") for name in group):
            return names
    raise ChecksumTwice()
