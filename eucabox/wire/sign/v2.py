"""Signature version 2 of the query API, in a query string or a form; never version 1 or 0."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import product

from eucabox.errors import Fault, IncompleteSignature
from eucabox.iam.accounts import Credential
from eucabox.wire.request import Request
from eucabox.wire.sign import dates
from eucabox.wire.sign.canonical import encode, host_forms, octets, pairs, values
from eucabox.wire.sign.errors import SignatureCheck, mask, refuse_token

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


def access_key_of(request: Request, form: bytes) -> bool:
    """Tell whether a request carries any part of a signature in its parameters."""
    said = {**values(form), **values(request.query)}
    return "Signature" in said or "AWSAccessKeyId" in said


def verify(request: Request, form: bytes, desk: SignatureCheck) -> V2Proof:
    """Verify the signature over all parameters of the query string and the form together."""
    said = {**values(form), **values(request.query)}
    digest = _check(said)
    until = _check_time(said, desk)
    refuse_token(said.get("SecurityToken", ""))
    credential = desk.credential(said["AWSAccessKeyId"])
    provided = octets(said["Signature"].rstrip("="))
    first = b""
    for plus, to_sign in _strings_to_sign(request, form):
        ours = hmac.digest(credential.secret.encode(), to_sign, digest)
        if hmac.compare_digest(b64encode(ours).rstrip(b"="), provided):
            # without its padding: with and without it is the same signature, used once
            signature = said["Signature"].rstrip("=")
            return V2Proof(said["AWSAccessKeyId"], credential, signature, until, plus)
        first = first or to_sign
    raise desk.mismatch(said["AWSAccessKeyId"], said["Signature"], first)


def _check(said: dict[str, str]) -> str:
    """Return the digest's name; refuse what lacks a part or has another version."""
    for name in ("AWSAccessKeyId", "Signature", "SignatureVersion"):
        if not said.get(name):
            raise IncompleteSignature(reason=f"The request must contain the parameter {name}.")
    if said["SignatureVersion"] != "2":
        raise IncompleteSignature(
            reason=f"SignatureVersion '{mask(said['SignatureVersion'])}' is not supported;"
            " sign with version 2 or 4."
        )
    method = said.get("SignatureMethod", "")
    if method not in _METHODS:
        raise IncompleteSignature(
            reason=f"SignatureMethod '{mask(method)}' is not supported; use HmacSHA256 or HmacSHA1."
        )
    return _METHODS[method]


def _check_time(said: dict[str, str], desk: SignatureCheck) -> datetime:
    """Check Timestamp, else Expires; return the end of the signature's life."""
    name = "Timestamp" if "Timestamp" in said else "Expires"
    if name not in said:
        raise IncompleteSignature(
            reason="One of the parameters Timestamp and Expires must be specified."
        )
    time = dates.parse_extended(said[name])
    if time is None:
        raise _undated(name, said[name])
    if name == "Timestamp":
        desk.check_window(time)
        return time + dates.WINDOW
    if time - desk.now > _LONGEST:
        raise _undated(name, said[name])
    desk.check_expiry(time)
    return time


def _undated(name: str, said: str) -> Fault:
    return IncompleteSignature(
        reason=f"{name} must be a time like 2026-11-23T01:02:03Z, at most seven days ahead,"
        f" not '{mask(said)}'."
    )


def _strings_to_sign(request: Request, form: bytes) -> Iterator[tuple[bool, bytes]]:
    """Yield what clients sign: host with and without port, + as a blank or as itself, the path
    as sent or with its last slash toggled; each with whether + is itself there."""
    hosts = host_forms(request.host, request.scheme)
    path = request.path or "/"
    toggled = (path[:-1] or "/") if path.endswith("/") else path + "/"
    pluses = (False, True) if "+" in request.query or b"+" in form else (False,)
    parameters = [(plus, _parameters(request, form, b"+" if plus else b" ")) for plus in pluses]
    for host, uri, (plus, said) in product(hosts, (path, toggled), parameters):
        yield plus, octets(f"{request.method}\n{host.lower()}\n{uri}\n{said}")


def _parameters(request: Request, form: bytes, plus: bytes) -> str:
    every = sorted([*pairs(request.query, plus), *pairs(form, plus)])
    return "&".join(f"{encode(n)}={encode(v)}" for n, v in every if n != b"Signature")
