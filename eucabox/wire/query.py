"""EC2, STS, IAM and bootstrap as form requests: understand, answer, refuse; never runs a verb."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from urllib.parse import unquote

from botocore import xform_name

from eucabox import actions
from eucabox.actions import unsupported
from eucabox.errors import (
    BodyBrokenOff,
    Fault,
    FormTooLarge,
    InvalidAction,
    MissingParameter,
    UnknownApiVersion,
    UnsupportedOperation,
)
from eucabox.iam.caller import Credential
from eucabox.wire import model, parsers, serializers, sign
from eucabox.wire.request import Answer, ParsedRequest, Request
from eucabox.wire.status import status_of

Lookup = Callable[[str], Credential | None]

SERVICES = ("ec2", "sts", "iam", "bootstrap")
PATHS = {
    "/services/compute": "ec2",
    "/services/Eucalyptus": "ec2",
    "/services/Tokens": "sts",
    "/services/Euare": "iam",
    "/services/Empyrean": "bootstrap",
    "/services/bootstrap": "bootstrap",
}
MOST_FORM = 1 << 20
XML = "text/xml;charset=UTF-8"
DATED = re.compile(r"20[0-9]{2}-[01][0-9]-[0-3][0-9]\Z", re.ASCII)
REASONS = {"ec2": unsupported.ec2_reason, "iam": unsupported.iam_reason}
# actions that vouch for their callers by other means; `perform` knows who else must sign
UNSIGNED = frozenset({"AssumeRoleWithWebIdentity"})
ACTION = re.compile(r"(?:^|&)Action=")
CREDENTIAL = re.compile(r"(?:^|&)X-Amz-Credential=([^&]*)")
SCOPE = re.compile(r"[^/,\s]/[0-9]{8}/([^/,\s]*)/([^/,\s]*)/aws4_request", re.ASCII)

# Parameters of the request itself, not of the action: versions 1, 2 and 4 of the signature.
ENVELOPE = frozenset(
    [
        *("Action", "Version", "AWSAccessKeyId", "Signature", "SignatureMethod"),
        *("SignatureVersion", "Timestamp", "Expires", "SecurityToken"),
        *("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires"),
        *("X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Security-Token"),
        "X-Amz-Content-Sha256",
    ]
)


@dataclass(frozen=True, kw_only=True)
class QueryRequest(ParsedRequest):
    """A request of a form, with its operation and the service path behind the host."""

    operation: "FormOperation" = field(repr=False)
    path: str = ""


@dataclass(frozen=True)
class FormOperation:
    """An operation of a form, with its reader and its writer, which are compiled once."""

    name: str
    ignored: frozenset[str]
    read: parsers.TreeReader
    write: serializers.Writer | None
    wrapper: str  # of the result, where the protocol has one
    newer: Mapping[str, str]  # the members of the answer that came in later versions, and in which
    has_return: bool  # EC2's `return`


def understand(request: Request, lookup: Lookup, now: datetime) -> QueryRequest:
    """Read a request that speaks EC2, STS or IAM. Raises Fault and nothing else for bad input."""
    body = _read_form(request)
    signed = sign.authenticate_query(request, body, lookup, now, UNSIGNED)
    form = signed.body.read(3 * MOST_FORM)  # `body` again; a plus in it may have become %2B
    fields = parsers.parse_form(signed.query, form.decode("latin-1"))
    service = find_service(request, fields)
    operation = _find_operation(service, fields)
    # Eucalyptus has it on every verb of IAM; the models have it on none
    account = fields.pop("DelegateAccount", "") if service == "iam" else ""
    delegated: dict[str, object] = {"delegate_account": account} if account else {}
    plain = {
        name: value
        for name, value in fields.items()
        if name not in ENVELOPE and name not in operation.ignored
    }
    return QueryRequest(
        service=service,
        name=operation.name,
        operation=operation,
        params={**delegated, **operation.read(parsers.build_tree(plain))},
        caller=signed.caller,
        api_version=fields["Version"],
        region=signed.region,
        signature=signed.signature,
        expires=signed.expires,
        request_id=request.request_id,
        path=service_path(request),
    )


def answer(understood: QueryRequest, result: dict[str, object] | None) -> Answer:
    """The XML of a result, in the API version of the request."""
    operation, request_id = understood.operation, understood.request_id
    name, writer, value = operation.name, operation.write, result or {}
    unknown = [each for each, came in operation.newer.items() if understood.api_version < came]
    if unknown:
        value = {member: each for member, each in value.items() if member not in unknown}
    if operation.has_return and value.get("return") is None:  # it succeeded
        value = {**value, "return": True}
    if understood.service == "bootstrap":
        space = model.service("bootstrap").namespace
        body = serializers.ec2_document(name, space, request_id, writer, value)
    elif understood.service == "ec2":
        space = f"http://ec2.amazonaws.com/doc/{understood.api_version}/"
        body = serializers.ec2_document(name, space, request_id, writer, value)
    else:
        space = _namespace(understood.service, understood.api_version)
        body = serializers.query_document(name, space, request_id, operation.wrapper, writer, value)
    return Answer(headers=[("Content-Type", XML)], body=body)


def refuse(fault: Fault, request_id: str, service: str = "ec2") -> Answer:
    """The error answer of a service: EC2's envelope, or that of IAM and STS."""
    status = status_of(fault.code)
    code = serializers.element("Code", fault.code)
    message = serializers.element("Message", fault.message)
    if service == "ec2":
        text = (
            f"<Response><Errors><Error>{code}{message}</Error></Errors>"
            f"{serializers.element('RequestID', request_id)}</Response>"
        )
    else:
        space = _namespace(service, model.service(service).version)
        blame = serializers.element("Type", "Receiver" if status >= 500 else "Sender")
        text = (
            f'<ErrorResponse xmlns="{space}"><Error>{blame}{code}{message}</Error>'
            f"{serializers.element('RequestId', request_id)}</ErrorResponse>"
        )
    body = serializers.ascii_document(serializers.DECLARATION + text)
    return Answer(status=status, headers=[("Content-Type", XML)], body=body)


# --- which service -----------------------------------------------------------------------------


def service_path(request: Request) -> str:
    """The service path a client used, such as /services/compute, or ""."""
    path = request.path.rstrip("/")
    return path if path.startswith("/services/") else ""


def scope_service(request: Request) -> str:
    """The service in the scope of a version 4 signature (header or query), or ""."""
    header = request.headers.get("authorization", "")
    if not header:
        presigned = CREDENTIAL.search(request.query)
        header = unquote(presigned.group(1)) if presigned else ""
    match = SCOPE.search(header)
    return match.group(2) if match else ""


def addressed_service(request: Request) -> str:
    """The query service that path, scope or host name tell, or "" where only the form can."""
    by_path = PATHS.get(service_path(request))
    if by_path:
        return by_path
    scope = scope_service(request)
    if scope in SERVICES:
        return scope
    host = request.host.partition(".")[0].lower()
    return host if host in SERVICES and request.path == "/" and scope != "s3" else ""


def find_service(request: Request, fields: dict[str, str]) -> str:
    """The service of a request: addressed, else the one that knows its Action in its Version."""
    addressed = addressed_service(request)
    if addressed:
        return addressed
    name, version = fields.get("Action", ""), fields.get("Version", "")
    for service in ("sts", "iam"):
        service_model = model.service(service)
        if version == service_model.version and service_model.operation(name):
            return service
    return "ec2"


def speaks_query(request: Request) -> bool:
    """Whether a request is EC2, STS or IAM rather than S3, as far as its head tells."""
    if addressed_service(request):
        return True
    if request.path != "/" or scope_service(request) == "s3":
        return False
    if ACTION.search(request.query):
        return True
    form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    return form and request.method == "POST"


# --- the parts of understand and answer --------------------------------------------------------


def _read_form(request: Request) -> bytes:
    length = request.content_length
    if length is not None and length > MOST_FORM:
        raise FormTooLarge(limit=MOST_FORM, unit="bytes")
    pieces: list[bytes] = []
    size = 0
    try:
        while size <= MOST_FORM and (piece := request.body.read(1 << 16)):
            pieces.append(piece)
            size += len(piece)
    except (OSError, ValueError) as broken:
        raise BodyBrokenOff(reason=f"it broke off after {size} bytes.") from broken
    if size > MOST_FORM:
        raise FormTooLarge(limit=MOST_FORM, unit="bytes")
    if length is not None and size < length:
        raise BodyBrokenOff(reason=f"it ended after {size} of {length} bytes.")
    return b"".join(pieces)


def _find_operation(service: str, fields: dict[str, str]) -> FormOperation:
    for name in ("Action", "Version"):
        if not fields.get(name):
            raise MissingParameter(parameter=name)
    version = fields["Version"]
    if not DATED.match(version) and version != model.service(service).version:
        raise UnknownApiVersion(version=version[:40])
    operation = compile_operation(service, fields["Action"])
    if (service, operation.name) not in actions.load():
        reason = REASONS[service](operation.name) if service in REASONS else ""
        what = reason or f"This cloud does not serve {service.upper()}'s {operation.name}."
        raise UnsupportedOperation(what=what)
    return operation


@cache
def compile_operation(service: str, name: str) -> FormOperation:
    """Return an operation of a service; raises InvalidAction if it has none of that name."""
    service_model = model.service(service)
    operation = service_model.operation(name)
    if operation is None:
        raise InvalidAction(action=name[:128])
    sent, shape = operation.input, operation.output
    item = "item" if service in ("ec2", "bootstrap") else "member"
    return FormOperation(
        name=name,
        ignored=operation.ignored,
        read=parsers.form_reader(sent, service_model.protocol) if sent else _read_nothing,
        write=serializers.xml_writer(shape, item) if shape else None,
        wrapper=shape.serialization.get("resultWrapper", f"{name}Result") if shape else "",
        newer={xform_name(member): came for member, came in operation.since.items()},
        has_return="Return" in getattr(shape, "members", {}),
    )


def _read_nothing(tree: parsers.Tree) -> dict[str, object]:
    for node in tree.values():
        raise parsers.unknown_parameter(node)
    return {}


def _namespace(service: str, version: str) -> str:
    service_model = model.service(service)
    return service_model.namespace.replace(service_model.version, version)
