"""Signature version 4, in the Authorization header or presigned; never reads a body."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from itertools import islice
from types import MappingProxyType
from typing import NamedTuple

from eucabox import ascii_text
from eucabox.errors import Fault, SignatureRefused
from eucabox.iam.accounts import Credential
from eucabox.wire.request import Request
from eucabox.wire.sign import dates
from eucabox.wire.sign.canonical import (
    encode_plus,
    host_forms,
    octets,
    query_forms,
    split_prefix,
    uri_forms,
)
from eucabox.wire.sign.errors import SignatureCheck, SignatureErrors, mask, refuse_token
from eucabox.wire.sign.signing_keys import ALGORITHM, TERMINATOR, Scope, SigningKeys

SIGNATURE_PARAMETER = "X-Amz-Signature"
_FIELDS = ("Credential", "SignedHeaders", "Signature")
_TRIES = 64
_LONGEST = 512  # characters of a credential; its scope is kept with the key made of it
_KEPT, _SHORT = 256, 1024  # what is remembered of how clients sign, and its characters
_NAME = re.compile(r"[!-~]{1,2100}")  # metadata has 2 KiB in all, also in one name
day_keys = SigningKeys()


@dataclass(frozen=True)
class V4Claim:
    """What a request says about its own signature."""

    scope: Scope
    signed_headers: tuple[str, ...]
    signature: str
    time: datetime
    time_text: str
    lifetime: timedelta | None = None  # of a presigned request

    @property
    def until(self) -> datetime:
        """The moment after which the same signature is refused."""
        return self.time + (dates.WINDOW if self.lifetime is None else self.lifetime)


@dataclass(frozen=True)
class V4Proof:
    """A verified signature: whose it is, and the key that signs the chunks of the body."""

    claim: V4Claim
    credential: Credential = field(repr=False)
    key: bytes = field(repr=False)
    query: str = ""  # with each plus that was signed as itself written as %2B


class _Form(NamedTuple):
    """One way to spell the parts that clients spell differently."""

    uri: str
    host: str
    query: str
    fold: bool  # runs of blanks in header values into one
    plus: bool  # a plus in the query stands for itself


def from_header(request: Request, words: SignatureErrors) -> V4Claim:
    """Read the Authorization header `AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., ...`."""
    algorithm, _, rest = request.headers["authorization"].partition(" ")
    if algorithm != ALGORITHM:
        raise words.malformed(reason=f"the algorithm must be {ALGORITHM}.")
    known, mark, signature = rest.rpartition("Signature=")
    if mark and "," not in signature and len(known) < _SHORT:
        said = {**_fields(known), "Signature": ascii_text.strip(signature)}
    else:
        said = _read_fields(rest)
    for name in _FIELDS:
        if not said.get(name):
            raise words.malformed(reason=f"the Authorization header lacks '{name}'.")
    time, time_text = _header_time(request, words)
    scope = scope_of(said["Credential"], time_text, words.malformed)
    signed = _signed_headers(said["SignedHeaders"], words.malformed)
    return V4Claim(scope, signed, said["Signature"], time, time_text)


def _read_fields(rest: str) -> dict[str, str]:
    return dict(_field(part) for part in rest.split(",") if ascii_text.strip(part))


@lru_cache(_KEPT)  # a client signs one request like the other, but for the signature itself
def _fields(known: str) -> Mapping[str, str]:
    return MappingProxyType(_read_fields(known))


def from_query(values: dict[str, str], words: SignatureErrors) -> V4Claim:
    """Read the X-Amz- parameters of a presigned request.

    X-Amz-Expires is 1 to 604800 seconds as at AWS; with 0 or less it has expired. euca2ools
    presigns its import manifests for 30 days; they are refused too: an upload that needs a month
    is not worth a month-long key.
    """
    refused = words.malformed_query
    names = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
    said = {name: values.get(f"X-Amz-{name}", "") for name in names}
    missing = [f"X-Amz-{name}" for name in names if not said[name]]
    if missing:
        raise refused(reason=f"A presigned request needs the parameter {missing[0]} too.")
    if said["Algorithm"] != ALGORITHM:
        raise refused(reason=f'X-Amz-Algorithm only supports "{ALGORITHM}"')
    time = dates.parse_basic(said["Date"])
    if time is None:
        raise refused(reason="X-Amz-Date must be in the ISO8601 format yyyyMMdd'T'HHmmss'Z'")
    scope = scope_of(said["Credential"], said["Date"], refused)
    signed = _signed_headers(said["SignedHeaders"], refused)
    lifetime = _lifetime(said["Expires"], words)
    return V4Claim(scope, signed, said["Signature"], time, said["Date"], lifetime)


def verify(
    request: Request,
    claim: V4Claim,
    payload: str,
    desk: SignatureCheck,
    *,
    rest: bool,
    hosted: bool = False,
) -> V4Proof:
    """Verify a claim over a request whose payload hash is `payload`.

    `rest` says S3's rules: every x-amz- header must be signed, and the service prefix of the path
    may be missing from what was signed, unless the bucket is `hosted`: then all of it is the key.
    """
    _check_time(claim, desk)
    refuse_token(request.headers.get("x-amz-security-token", ""))
    credential = desk.credential(claim.scope.access_key_id, claim.scope.service)
    _check_headers(request, claim, desk.words, rest=rest)
    key = day_keys.key(claim.scope, credential.secret)
    provided = claim.signature.encode("utf-8", "surrogateescape")
    first: tuple[bytes, bytes] | None = None
    for form in islice(_forms(request, claim, rest=rest, hosted=hosted), _TRIES):
        canonical = _canonical(request, claim, form, payload)
        to_sign = _string_to_sign(claim, canonical)
        if hmac.compare_digest(hmac.digest(key, to_sign, "sha256").hex().encode(), provided):
            query = encode_plus(request.query) if form.plus else request.query
            return V4Proof(claim, credential, key, query)
        first = first or (to_sign, canonical)
    assert first
    raise desk.mismatch(claim.scope.access_key_id, claim.signature, *first)


def _check_time(claim: V4Claim, desk: SignatureCheck) -> None:
    if claim.lifetime is None:
        desk.check_window(claim.time)
        return
    if claim.time - desk.now > dates.WINDOW:
        desk.check_window(claim.time)
    desk.check_expiry(claim.until)


def _check_headers(request: Request, claim: V4Claim, words: SignatureErrors, *, rest: bool) -> None:
    refused = words.malformed if claim.lifetime is None else words.malformed_query
    if "host" not in claim.signed_headers:
        raise refused(reason="the header host must be among the SignedHeaders.")
    if not rest:
        return
    missing = [
        name
        for name in request.headers
        if name.startswith("x-amz-")
        and name != "x-amz-content-sha256"  # signed as the last line of the canonical request
        and name not in claim.signed_headers
    ]
    if missing:
        raise SignatureRefused(
            reason="There were headers present in the request which were not signed: "
            + ", ".join(missing),
            HeadersNotSigned=mask(", ".join(missing)),
        )


def _forms(request: Request, claim: V4Claim, *, rest: bool, hosted: bool) -> Iterator[_Form]:
    """Yield the forms that real clients sign, the commonest first and made one by one."""
    said = [request.headers.get(name, "") for name in claim.signed_headers]
    blanks = _has_runs("|".join(said))
    path, twice = request.path or "/", claim.lifetime is None
    leave_out = "" if twice else SIGNATURE_PARAMETER
    for number, query in enumerate(query_forms(request.query, leave_out)):
        plus = number == 1 and "+" in request.query
        for host in host_forms(request.host, request.scheme):
            for uri, tail in _uris(path, rest=rest, twice=twice, hosted=hosted):
                for fold in (True, False) if blanks else (False,):
                    yield _Form(uri, host + tail, query, fold, plus)


def _uris(path: str, *, rest: bool, twice: bool, hosted: bool) -> Iterator[tuple[str, str]]:
    """Yield a canonical path and the tail that the client gave the host.

    euca2ools signs the path encoded twice. That is also how another key is signed rightly, so a
    presigned request, which people hand around, may not be read this way.
    """
    for uri in uri_forms(path, twice=twice):
        yield uri, ""
    if not rest:
        yield (path[:-1] or "/") if path.endswith("/") else path + "/", ""
        return
    prefix, bare = ("", path) if hosted else split_prefix(path)
    for uri in uri_forms(bare, twice=twice) if prefix else []:
        yield uri, ""
        yield uri, prefix  # s3cmd takes its whole --host for the host


def _canonical(request: Request, claim: V4Claim, form: _Form, payload: str) -> bytes:
    lines = [f"{name}:{_value(request, name, form)}\n" for name in claim.signed_headers]
    headers = "".join(lines)
    signed = ";".join(claim.signed_headers)
    return octets(f"{request.method}\n{form.uri}\n{form.query}\n{headers}\n{signed}\n{payload}")


def _value(request: Request, name: str, form: _Form) -> str:
    if name == "host":
        return form.host
    value = request.headers.get(name, "")
    return ascii_text.fold(value) if form.fold else value


def _has_runs(value: str) -> bool:
    """Whether folding changes one of some values, which have no blanks around them."""
    return "  " in value or "\t" in value


def _string_to_sign(claim: V4Claim, canonical: bytes) -> bytes:
    digest = sha256(canonical).hexdigest()
    return octets(f"{ALGORITHM}\n{claim.time_text}\n{claim.scope}\n{digest}")


def _field(part: str) -> tuple[str, str]:
    name, _, value = ascii_text.strip(part).partition("=")
    return name, ascii_text.strip(value)


def _header_time(request: Request, words: SignatureErrors) -> tuple[datetime, str]:
    name = "x-amz-date" if "x-amz-date" in request.headers else "date"
    said = request.headers.get(name, "")
    time = dates.parse(said)
    if time is None:
        raise words.undated(
            reason="AWS authentication requires a valid Date or x-amz-date header;"
            f" {name} is '{mask(said)}'."
        )
    return time, said if dates.parse_basic(said) else dates.basic_text(time)


def scope_of(credential: str, time_text: str, refused: type[Fault]) -> Scope:
    """Read KEY/YYYYMMDD/REGION/SERVICE/aws4_request of the day of a time; raises `refused`."""
    parts = credential.rsplit("/", 4)
    if len(parts) != 5 or parts[4] != TERMINATOR or len(credential) > _LONGEST:
        raise refused(
            reason=f"the Credential must be KEY/YYYYMMDD/REGION/SERVICE/{TERMINATOR},"
            f" not '{mask(credential)}'."
        )
    if parts[1] != time_text[:8]:
        raise refused(
            reason=f'Invalid credential date "{mask(parts[1])}". It is not the day of the'
            f' request time "{time_text}".'
        )
    return Scope(*parts[:4])


def _signed_headers(said: str, refused: type[Fault]) -> tuple[str, ...]:
    names = _names(said) if len(said) < _SHORT else _read_names(said)
    if not names:
        raise refused(reason="SignedHeaders must be lower-case header names parted by ';'.")
    return names


def _read_names(said: str) -> tuple[str, ...]:
    """Return the names, none if one of them can't be one."""
    names = tuple(said.split(";"))
    return names if all(_NAME.fullmatch(each) and each == each.lower() for each in names) else ()


_names = lru_cache(_KEPT)(_read_names)


def _lifetime(said: str, words: SignatureErrors) -> timedelta:
    refused = words.malformed_query
    digits = said.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise refused(reason="X-Amz-Expires should be a number")
    seconds = int(digits[:20])
    if said.startswith("-") or seconds == 0:
        raise words.expired(reason="Its X-Amz-Expires ended before it began.", Expires=mask(said))
    if seconds > dates.LONGEST:
        raise refused(
            reason="X-Amz-Expires must be less than a week (in seconds); that is, at most"
            f" {dates.LONGEST}, not {seconds}."
        )
    return timedelta(seconds=seconds)
