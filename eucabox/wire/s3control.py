"""S3 Control as REST, for the tags of buckets: understand, answer, refuse; never runs a verb."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from urllib.parse import unquote_to_bytes

from eucabox.errors import (
    Fault,
    InvalidRequest,
    MethodNotAllowed,
    MissingRequestBody,
    S3NotImplemented,
)
from eucabox.wire import model, parsers, serializers, sign
from eucabox.wire.request import Answer, ParsedRequest, Request, octets, parse_pairs
from eucabox.wire.s3.requests import check_digests, compare_document
from eucabox.wire.sign import AuthenticatedRequest, Lookup
from eucabox.wire.status import status_of

SERVICE = "s3control"
TAGS = "/v20180820/tags/"
ACCOUNT = "x-amz-account-id"
OPERATIONS = {"GET": "ListTagsForResource", "POST": "TagResource", "DELETE": "UntagResource"}
MOST_XML = 1 << 16  # bytes: 50 tags in references fit
XML = "application/xml"


class S3ControlRequest(ParsedRequest):
    """A request of S3 Control."""


def understand(request: Request, lookup: Lookup, now: datetime) -> S3ControlRequest:
    """Read a request that speaks S3 Control. Raises Fault and nothing else for bad input."""
    signed = sign.authenticate_rest(request, lookup, now)
    if not request.path.startswith(TAGS):
        raise S3NotImplemented(what=f"S3 Control's {request.path[:100]}", hint="Leave it out.")
    name = OPERATIONS.get(request.method)
    if name is None:
        raise MethodNotAllowed(method=request.method)
    arn = _decode(unquote_to_bytes(octets(request.path.removeprefix(TAGS))))
    members = _read_members(request, signed, name)
    return S3ControlRequest(
        service=SERVICE,
        name=name,
        params={"account_id": request.headers[ACCOUNT], "resource_arn": arn, **members},
        caller=signed.caller,
        api_version=model.service(SERVICE).version,
        region=signed.region,
        signature=signed.signature,
        request_id=request.request_id,
    )


def _read_members(request: Request, signed: AuthenticatedRequest, name: str) -> dict[str, object]:
    check_digests(request, signed, of_body=name == "TagResource")
    body = signed.read_document(MOST_XML)
    if body:
        compare_document(request, signed, body)
    if name == "UntagResource":
        keys = [_decode(value) for key, value in parse_pairs(signed.query) if key == b"tagKeys"]
        return {"tag_keys": keys}
    if name == "ListTagsForResource":
        return {}
    if not body:
        raise MissingRequestBody()
    members = _body_reader(name)(parsers.parse_xml(body, f"{name}Request"))
    assert isinstance(members, dict)
    return members


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest(reason="The request's path or query is not UTF-8.") from None


@cache
def _body_reader(name: str) -> parsers.XmlReader:
    shape = model.service(SERVICE).get_known(name).input
    assert shape is not None
    return parsers.xml_reader(shape)


@cache
def _body_writer(name: str) -> serializers.Writer:
    shape = model.service(SERVICE).get_known(name).output
    assert shape is not None
    return serializers.xml_writer(shape)


def answer(understood: S3ControlRequest, result: Mapping[str, object] | None) -> Answer:
    """The XML of a result, or nothing but a status."""
    operation = model.service(SERVICE).get_known(understood.name)
    headers = [("x-amz-request-id", understood.request_id)]
    if result is None:
        return Answer(status=operation.http.get("responseCode", 200), headers=headers)
    writer = _body_writer(understood.name)
    body = serializers.rest_document(f"{understood.name}Result", _namespace(), writer, result)
    return Answer(headers=[*headers, ("Content-Type", XML)], body=body)


def refuse(fault: Fault, request_id: str, service: str = SERVICE) -> Answer:
    """The error answer of a fault, in the envelope that S3 Control alone puts around it."""
    code = "AccessDenied" if fault.code == "MissingAuthenticationToken" else fault.code
    detail = serializers.element("Detail", fault.detail) if fault.detail else ""
    text = (
        f'<ErrorResponse xmlns="{_namespace()}"><Error>{serializers.element("Code", code)}'
        f"{serializers.element('Message', fault.sentence)}{detail}</Error>"
        f"{serializers.element('RequestId', request_id)}<HostId>eucabox</HostId></ErrorResponse>"
    )
    headers = [("x-amz-request-id", request_id), ("Content-Type", XML)]
    body = (serializers.DECLARATION + text).encode()
    return Answer(status=status_of(code), headers=headers, body=body)


@cache
def _namespace() -> str:
    return f"http://awss3control.amazonaws.com/doc/{model.service(SERVICE).version}/"
