"""Signature version 2 of the query API, in a query string or a form; never version 1 or 0."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import product

from eucabox.errors import Fault, IncompleteSignature
from eucabox.iam.caller import Credential
from eucabox.wire.request import Request, octets, parse_pairs, parse_query
from eucabox.wire.sign import dates
from eucabox.wire.sign.canonical import encode, host_forms
from eucabox.wire.sign.errors import SignatureCheck, mask

_METHODS = {"": "sha1", "HmacSHA1": "sha1", "HmacSHA256": "sha256"}
_LONGEST = timedelta(seconds=dates.LONGEST)


@dataclass(frozen=True)
class V2Proof:
    """A verified signature and the moment after which the same one is refused."""

    access_key_id: str
    credential: Credential = field(repr=False)
    signature: str
    until: datetime
    plus: bool = False  # a plus was signed as itself, and not as a blank


def carries_signature(request: Request, form: bytes) -> bool:
    """Tell whether a request carries any part of a signature in its parameters."""
    params = {**parse_query(form), **request.parameters}
    return "Signature" in params or "AWSAccessKeyId" in params


def verify(request: Request, form: bytes, check: SignatureCheck) -> V2Proof:
    """Verify the signature over all parameters of the query string and the form together."""
    params = {**parse_query(form), **request.parameters}
    digest = _check_parameters(params)
    until = _check_time(params, check)
    credential = check.find_credential(params["AWSAccessKeyId"], params.get("SecurityToken", ""))
    provided = octets(params["Signature"].rstrip("="))
    first = b""
    for plus, to_sign in _strings_to_sign(request, form):
        ours = hmac.digest(credential.secret.encode(), to_sign, digest)
        if hmac.compare_digest(b64encode(ours).rstrip(b"="), provided):
            # without its padding: with and without it is the same signature, used once
            signature = params["Signature"].rstrip("=")
            return V2Proof(params["AWSAccessKeyId"], credential, signature, until, plus)
        first = first or to_sign
    raise check.mismatch(params["AWSAccessKeyId"], params["Signature"], first)


def _check_parameters(params: dict[str, str]) -> str:
    """Return the digest's name; refuse what lacks a part or has another version."""
    for name in ("AWSAccessKeyId", "Signature", "SignatureVersion"):
        if not params.get(name):
            raise IncompleteSignature(reason=f"The request must contain the parameter {name}.")
    if params["SignatureVersion"] != "2":
        raise IncompleteSignature(
            reason=f"SignatureVersion '{mask(params['SignatureVersion'])}' is not supported;"
            " sign with version 2 or 4."
        )
    method = params.get("SignatureMethod", "")
    if method not in _METHODS:
        raise IncompleteSignature(
            reason=f"SignatureMethod '{mask(method)}' is not supported; use HmacSHA256 or HmacSHA1."
        )
    return _METHODS[method]


def _check_time(params: dict[str, str], check: SignatureCheck) -> datetime:
    """Check Timestamp, else Expires; return the end of the signature's life."""
    name = "Timestamp" if "Timestamp" in params else "Expires"
    if name not in params:
        raise IncompleteSignature(
            reason="One of the parameters Timestamp and Expires must be specified."
        )
    time = dates.parse_extended(params[name])
    if time is None:
        raise _time_error(name, params[name])
    if name == "Timestamp":
        check.check_window(time)
        return time + dates.WINDOW
    if time - check.now > _LONGEST:
        raise _time_error(name, params[name])
    check.check_expiry(time)
    return time


def _time_error(name: str, value: str) -> Fault:
    return IncompleteSignature(
        reason=f"{name} must be a time like 2026-11-23T01:02:03Z, at most seven days ahead,"
        f" not '{mask(value)}'."
    )


def _strings_to_sign(request: Request, form: bytes) -> Iterator[tuple[bool, bytes]]:
    """Yield what clients sign: host with and without port, + as a blank or as itself, the path
    as sent or with its last slash toggled; each with whether + is itself there."""
    hosts = host_forms(request.host, request.scheme)
    path = request.path or "/"
    toggled = (path[:-1] or "/") if path.endswith("/") else path + "/"
    pluses = (False, True) if "+" in request.query or b"+" in form else (False,)
    parameters = [
        (plus, _canonical_parameters(request, form, b"+" if plus else b" ")) for plus in pluses
    ]
    for host, uri, (plus, parameter_text) in product(hosts, (path, toggled), parameters):
        yield plus, octets(f"{request.method}\n{host.lower()}\n{uri}\n{parameter_text}")


def _canonical_parameters(request: Request, form: bytes, plus: bytes) -> str:
    ordered = sorted([*parse_pairs(request.query, plus), *parse_pairs(form, plus)])
    return "&".join(f"{encode(n)}={encode(v)}" for n, v in ordered if n != b"Signature")
