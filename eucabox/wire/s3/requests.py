"""An HTTP request of S3 becomes a verb with arguments and a checked body; never runs it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from eucabox import actions
from eucabox.actions import unsupported
from eucabox.errors import (
    AccessDenied,
    FormWanted,
    InvalidDigest,
    MissingContentLength,
    MissingRequestBody,
    S3NotImplemented,
)
from eucabox.s3 import values as nouns
from eucabox.s3.body_streams import RequestBody
from eucabox.store import checksums
from eucabox.wire import model, sign
from eucabox.wire.model import Operation
from eucabox.wire.request import ParsedRequest, Request
from eucabox.wire.s3 import checksum_headers, post_object, routes
from eucabox.wire.s3.parameters import ParameterReader, reader
from eucabox.wire.s3.post_object import FormUpload
from eucabox.wire.s3.routes import BucketAddress, locate
from eucabox.wire.sign import AuthenticatedRequest, Lookup

# Bytes of a document: 1,000 keys of 1,024 bytes in references, 10,000 parts with two checksums,
# 1,000 rules; what no verb reads is only compared with its digest.
MOST_XML = {
    "DeleteObjects": 8 << 20,
    "CompleteMultipartUpload": 4 << 20,
    "PutBucketLifecycleConfiguration": 2 << 20,
}
MOST_OTHERS = 1 << 18
WITH_BODY = ("PUT", "POST")
# whose checksums are not those of the body
OF_ANOTHER = frozenset({"CompleteMultipartUpload"})


@dataclass(frozen=True, kw_only=True)
class S3Request(ParsedRequest):
    """A request of S3, with what its answer depends on."""

    operation: Operation = field(repr=False)
    address: BucketAddress
    endpoint: str = ""
    upload: FormUpload | None = None  # a form, whose fields may ask for another answer

    @property
    def form(self) -> Mapping[str, str] | None:
        """The fields of an upload by a form, None for any other request."""
        return self.upload.fields if self.upload else None


def understand(request: Request, lookup: Lookup, now: datetime) -> S3Request:
    """Read a request that speaks S3: check its signature first, then find its operation.

    The body of an object is not read here; `params["body"]` is a RequestBody that checks it. Nor is
    a document; `document` reads it, and checks it too.
    Raises Fault and nothing else for bad input.
    """
    address = locate(request.path, request.host, request.hosts)
    signed = sign.authenticate_rest(request, lookup, now, bucket=address.hosted)
    if signed.query != request.query:
        request = replace(request, query=signed.query)
    may_be_presigned = signed.caller is not None and "authorization" not in request.headers
    if may_be_presigned and (query_headers := sign.headers_from_query(request)):
        request = replace(
            request, headers=_prefer_signed(request.headers, query_headers, signed.headers)
        )
    query = request.parameters
    upload = _read_upload(
        request, signed, address, query, sign.SignatureCheck(lookup, now, sign.REST)
    )
    if upload:
        operation = model.service("s3").get_known("PutObject")
    else:
        operation = routes.find(request.method, address.depth, query, request.headers)
    name = operation.name
    if ("s3", name) not in actions.load():
        raise S3NotImplemented(what=name, hint=unsupported.s3_hint(name))
    if signed.caller is None and address.depth == 0:
        raise AccessDenied(reason="Sign the request: buckets are listed for their owner.")
    read = reader(operation)
    return S3Request(
        service="s3",
        name=name,
        params=upload.read_params(read)
        if upload
        else _read_params(request, signed, address, query, read, name),
        caller=(upload and upload.caller) or signed.caller,
        api_version=operation.service.version,
        region=signed.region,
        signature=signed.signature,
        request_id=request.request_id,
        operation=operation,
        address=address,
        endpoint=request.endpoint,
        upload=upload,
        document=None if upload else _document_reader(request, signed, query, read, name),
    )


def _prefer_signed(
    headers: Mapping[str, str], query_headers: Mapping[str, str], signed: tuple[str, ...] | None
) -> dict[str, str]:
    """Return the headers with those that stand in a presigned URL; a header of the request goes
    before them only if it was signed itself, or anyone with the URL could set another type."""
    presigned = {name: value for name, value in query_headers.items() if _counts_in_url(name)}
    if signed is None:
        return {**presigned, **headers}
    unsigned = {name: value for name, value in headers.items() if name not in signed}
    return {**unsigned, **presigned, **{name: headers[name] for name in signed if name in headers}}


def _counts_in_url(name: str) -> bool:
    """Checksums are ignored in presigned URLs, as in S3: there is no body when they are signed,
    and AWS's JavaScript SDK puts the checksum of an empty body there."""
    return name != checksum_headers.SDK_ALGORITHM and not checksum_headers.is_checksum(name)


def _read_upload(
    request: Request,
    signed: AuthenticatedRequest,
    address: BucketAddress,
    query: Mapping[str, str],
    check: sign.SignatureCheck,
) -> FormUpload | None:
    """Read the fields of a form that uploads an object; None for any other request."""
    plain = routes.subresources(1).isdisjoint(query)
    if request.method != "POST" or address.depth != 1 or not plain:
        return None
    if not post_object.is_form(request):
        wanted = "Bucket POST must be of the enclosure-type multipart/form-data"
        raise FormWanted(Condition=wanted)
    return post_object.read(request, signed.body, address.bucket or "", check)


def _read_params(
    request: Request,
    signed: AuthenticatedRequest,
    address: BucketAddress,
    query: Mapping[str, str],
    read: ParameterReader,
    name: str,
) -> dict[str, Any]:
    check_digests(request, signed, of_body=bool(read.payload) and name not in OF_ANOTHER)
    params = read(query, request.headers)
    if address.bucket is not None:
        params["bucket"] = address.bucket
    if address.key is not None:
        params["key"] = address.key
    if read.streaming:
        params[read.payload] = request_body(request, signed)
    return params


def _document_reader(
    request: Request,
    signed: AuthenticatedRequest,
    query: Mapping[str, str],
    reader: ParameterReader,
    name: str,
) -> Callable[[], dict[str, Any]] | None:
    """Return what reads the document of a request; None where there is nothing to read."""
    if reader.streaming:
        return None
    most = MOST_XML.get(name, MOST_OTHERS)
    if not reader.body:
        _read_checked_document(request, signed, name, most)
        return None
    wanted = reader.wants_body or (request.method == "POST" and "uploadId" not in query)
    convert = reader.body

    def read() -> dict[str, Any]:
        body = _read_checked_document(request, signed, name, most)
        if not body and wanted:
            raise MissingRequestBody()
        return {reader.payload: convert(body)} if body else {}

    return read


def request_body(request: Request, signed: AuthenticatedRequest) -> RequestBody:
    """Return the body of an object, to be read and checked; raises MissingContentLength."""
    if request.content_length is None and not request.chunked:
        raise MissingContentLength()
    algorithms = tuple(checksum_headers.NAMES[each] for each in sorted(signed.declared))

    def trailers() -> dict[str, str]:
        return checksum_headers.read_trailers(signed.trailers)

    return RequestBody(signed.body, signed.decoded_length, algorithms, trailers)


def _read_checked_document(
    request: Request, signed: AuthenticatedRequest, name: str, most: int
) -> bytes:
    """Read a body that is a document, or none, and compare it with its digests."""
    body = signed.read_document(most) if signed.decoded_length != 0 else b""
    if request.method in WITH_BODY and name not in OF_ANOTHER:
        compare_document(request, signed, body)
    elif body:
        nouns.check_md5(body, request.headers.get("content-md5", ""))
    return body


def check_digests(request: Request, signed: AuthenticatedRequest, *, of_body: bool) -> None:
    """Refuse a request whose digests could not be verified."""
    if request.headers.get("content-md5") == "":
        raise InvalidDigest()
    if request.method in WITH_BODY:
        checksum_headers.check(request.headers, signed.declared, of_body=of_body)


def compare_document(request: Request, signed: AuthenticatedRequest, body: bytes) -> None:
    """Compare a document that was read with what headers and trailers say of it."""
    of_headers = checksum_headers.read_checksums(request.headers)
    stated = of_headers | checksum_headers.read_trailers(signed.trailers)
    for algorithm, value in stated.items():
        checksum = checksums.new(algorithm)
        checksum.update(body)
        checksums.compare(algorithm, checksums.encode(checksum.digest()), value)
    nouns.check_md5(body, request.headers.get("content-md5", ""))
