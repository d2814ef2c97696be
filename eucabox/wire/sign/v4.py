"""Signature version 4, in the Authorization header or presigned; never reads a body."""

from __future__ import annotations

import hmac
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from itertools import islice
from threading import Lock
from types import MappingProxyType
from typing import NamedTuple

from eucabox import ascii_text
from eucabox.ascii_text import BLANKS
from eucabox.errors import Fault, SignatureRefused
from eucabox.iam.caller import Credential
from eucabox.wire.request import Request, octets
from eucabox.wire.sign import dates
from eucabox.wire.sign.canonical import (
    encode_plus,
    host_forms,
    query_forms,
    split_prefix,
    uri_forms,
)
from eucabox.wire.sign.errors import SignatureCheck, SignatureErrors, mask

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
_MOST_KEYS = 1024
SIGNATURE_PARAMETER = "X-Amz-Signature"
_FIELDS = ("Credential", "SignedHeaders", "Signature")
_TRIES = 64
_LONGEST = 512  # characters of a credential, whose scope is a cache's key
_CACHED, _SHORT = 256, 1024  # what is remembered of how clients sign, and its characters
_BLOCK = 64  # bytes of SHA-256; a signing key is shorter
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))
_NAME = re.compile(r"[!-~]{1,2100}")  # metadata has 2 KiB in all, also in one name


class Scope(NamedTuple):
    """The credential scope of a request. Its region is never compared with this cloud's, because
    clients make up their own."""

    access_key_id: str
    date: str
    region: str
    service: str

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/{TERMINATOR}"


class HmacKey:
    """A key of HMAC-SHA256; the two digests that begin with it are made once, not per message."""

    __slots__ = ("_inner", "_outer", "raw")

    def __init__(self, raw: bytes) -> None:
        padded = raw.ljust(_BLOCK, b"\0")
        self.raw = raw
        self._inner = sha256(padded.translate(_INNER))
        self._outer = sha256(padded.translate(_OUTER))

    def sign(self, message: bytes) -> str:
        """Return the hex HMAC of a message."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.hexdigest()


class SigningKeys:
    """The last 1024 signing keys by scope. A changed secret makes its old keys useless."""

    def __init__(self) -> None:
        self._keys: OrderedDict[Scope, tuple[bytes, HmacKey]] = OrderedDict()
        self._lock = Lock()

    def key(self, scope: Scope, secret: str) -> HmacKey:
        """Return the signing key of a scope, derived unless it is cached for the same secret."""
        secret_digest = sha256(secret.encode()).digest()
        with self._lock:
            cached = self._keys.get(scope)
            if cached and hmac.compare_digest(cached[0], secret_digest):
                self._keys.move_to_end(scope)
                return cached[1]
        key = HmacKey(_derive_key(secret, scope))
        with self._lock:
            self._keys[scope] = secret_digest, key
            if len(self._keys) > _MOST_KEYS:
                self._keys.popitem(last=False)
        return key


def _derive_key(secret: str, scope: Scope) -> bytes:
    key = b"AWS4" + secret.encode()
    for part in (*scope[1:], TERMINATOR):
        key = hmac.digest(key, part.encode("utf-8", "surrogateescape"), "sha256")
    return key


day_keys = SigningKeys()


@dataclass(frozen=True)
class V4Claim:
    """The parts of a request's signature."""

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


def parse_authorization(request: Request, errors: SignatureErrors) -> V4Claim:
    """Read the Authorization header `AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., ...`."""
    algorithm, _, rest = request.headers["authorization"].partition(" ")
    if algorithm != ALGORITHM:
        raise errors.malformed(reason=f"the algorithm must be {ALGORITHM}.")
    before_signature, mark, signature = rest.rpartition("Signature=")
    if mark and "," not in signature and len(before_signature) < _SHORT:
        fields = {**_cached_fields(before_signature), "Signature": signature.strip(BLANKS)}
    else:
        fields = _read_fields(rest)
    for name in _FIELDS:
        if not fields.get(name):
            raise errors.malformed(reason=f"the Authorization header lacks '{name}'.")
    time, time_text = _header_time(request, errors)
    scope = parse_scope(fields["Credential"], time_text, errors.malformed)
    signed = _parse_signed_headers(fields["SignedHeaders"], errors.malformed)
    return V4Claim(scope, signed, fields["Signature"], time, time_text)


def _read_fields(rest: str) -> dict[str, str]:
    return dict(_parse_field(part) for part in rest.split(",") if ascii_text.strip(part))


@lru_cache(_CACHED)  # a client signs one request like the other, but for the signature itself
def _cached_fields(text: str) -> Mapping[str, str]:
    return MappingProxyType(_read_fields(text))


def parse_presigned(params: Mapping[str, str], errors: SignatureErrors) -> V4Claim:
    """Read the X-Amz- parameters of a presigned request.

    X-Amz-Expires is 1 to 604800 seconds as at AWS; with 0 or less it has expired. euca2ools
    presigns its import manifests for 30 days; they are refused too: an upload that needs a month
    is not worth a month-long key.
    """
    error = errors.malformed_query
    names = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
    fields = {name: params.get(f"X-Amz-{name}", "") for name in names}
    missing = [f"X-Amz-{name}" for name in names if not fields[name]]
    if missing:
        raise error(reason=f"A presigned request needs the parameter {missing[0]} too.")
    if fields["Algorithm"] != ALGORITHM:
        raise error(reason=f'X-Amz-Algorithm only supports "{ALGORITHM}"')
    time = dates.parse_basic(fields["Date"])
    if time is None:
        raise error(reason="X-Amz-Date must be in the ISO8601 format yyyyMMdd'T'HHmmss'Z'")
    scope = parse_scope(fields["Credential"], fields["Date"], error)
    signed = _parse_signed_headers(fields["SignedHeaders"], error)
    lifetime = _parse_lifetime(fields["Expires"], errors)
    return V4Claim(scope, signed, fields["Signature"], time, fields["Date"], lifetime)


def verify(
    request: Request,
    claim: V4Claim,
    payload: str,
    check: SignatureCheck,
    *,
    rest: bool,
    hosted: bool = False,
) -> V4Proof:
    """Verify a claim over a request whose payload hash is `payload`.

    `rest` means S3's rules: every x-amz- header must be signed, and the service prefix of the path
    may be missing from what was signed, unless the bucket is `hosted`: then all of it is the key.
    """
    _check_time(claim, check)
    token = request.headers.get("x-amz-security-token", "")
    if claim.lifetime is not None:
        token = request.parameters.get("X-Amz-Security-Token") or token
    scope = claim.scope
    credential = check.find_credential(scope.access_key_id, token, scope.service)
    _check_headers(request, claim, check.errors, rest=rest)
    key = day_keys.key(scope, credential.secret)
    provided = _encode_signature(claim.signature)
    first: tuple[bytes, bytes] | None = None
    for form in islice(_forms(request, claim, rest=rest, hosted=hosted), _TRIES):
        canonical = _canonical_request(request, claim, form, payload)
        to_sign = _string_to_sign(claim.time_text, str(claim.scope), canonical)
        if hmac.compare_digest(key.sign(to_sign).encode(), provided):
            query = encode_plus(request.query) if form.plus else request.query
            return V4Proof(claim, credential, key.raw, query)
        first = first or (to_sign, canonical)
    assert first
    raise check.mismatch(claim.scope.access_key_id, claim.signature, *first)


def _check_time(claim: V4Claim, check: SignatureCheck) -> None:
    if claim.lifetime is None:
        check.check_window(claim.time)
        return
    if claim.time - check.now > dates.WINDOW:
        check.check_window(claim.time)
    check.check_expiry(claim.until)


def _check_headers(
    request: Request, claim: V4Claim, errors: SignatureErrors, *, rest: bool
) -> None:
    error = errors.malformed if claim.lifetime is None else errors.malformed_query
    if "host" not in claim.signed_headers:
        raise error(reason="the header host must be among the SignedHeaders.")
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
    path, twice = request.path or "/", claim.lifetime is None
    values = "|".join([request.headers.get(name, "") for name in claim.signed_headers])
    blanks = "  " in values or "\t" in values  # then folded values differ
    if not (request.query or blanks):
        yield _Form(path, request.host, "", fold=False, plus=False)
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


def _canonical_request(request: Request, claim: V4Claim, form: _Form, payload: str) -> bytes:
    values = {name: request.headers.get(name, "") for name in claim.signed_headers}
    if form.fold:
        values = {name: ascii_text.fold(value) for name, value in values.items()}
    values["host"] = form.host
    return octets(
        write_canonical(request.method, form.uri, form.query, claim.signed_headers, values, payload)
    )


def write_canonical(
    method: str,
    uri: str,
    query: str,
    signed_headers: tuple[str, ...],
    values: Mapping[str, str],
    payload: str,
) -> str:
    """Return the canonical request of these parts."""
    headers = "".join([f"{name}:{values[name]}\n" for name in signed_headers])
    signed = ";".join(signed_headers)
    return f"{method}\n{uri}\n{query}\n{headers}\n{signed}\n{payload}"


def _string_to_sign(time_text: str, scope: str, canonical: bytes) -> bytes:
    return octets(f"{ALGORITHM}\n{time_text}\n{scope}\n{sha256(canonical).hexdigest()}")


def _encode_signature(signature: str) -> bytes:
    return signature.encode("utf-8", "surrogateescape")


# --- a client that signs one request like the other -------------------------------------------


class Signer(NamedTuple):
    """Who signs requests whose Authorization headers begin alike, with which key, and what they
    cover."""

    credential: Credential
    date: str
    scope: str
    signed_headers: tuple[str, ...]
    key: HmacKey

    def has_signed(self, canonical: str, time_text: str, signature: str, now: datetime) -> bool:
        """Whether a canonical request has this fresh signature, in ASCII. False means: ask
        `verify`, which knows other spellings."""
        time = dates.parse_basic(time_text)
        if time is None or time_text[:8] != self.date or abs(now - time) > dates.WINDOW:
            return False
        to_sign = _string_to_sign(time_text, self.scope, octets(canonical))
        return hmac.compare_digest(self.key.sign(to_sign), signature)


def find_signer(request: Request, check: SignatureCheck) -> Signer:
    """Return who a request to S3 says that it is signed by, with a permanent key; its signature is
    not looked at. Raises as `parse_authorization` and `verify`."""
    claim = parse_authorization(request, check.errors)
    credential = check.find_credential(claim.scope.access_key_id, "", claim.scope.service)
    _check_headers(request, claim, check.errors, rest=True)
    key = day_keys.key(claim.scope, credential.secret)
    return Signer(credential, claim.scope.date, str(claim.scope), claim.signed_headers, key)


def _parse_field(part: str) -> tuple[str, str]:
    name, _, value = ascii_text.strip(part).partition("=")
    return name, ascii_text.strip(value)


def _header_time(request: Request, errors: SignatureErrors) -> tuple[datetime, str]:
    name = "x-amz-date" if "x-amz-date" in request.headers else "date"
    text = request.headers.get(name, "")
    time = dates.parse(text)
    if time is None:
        raise errors.undated(
            reason="AWS authentication requires a valid Date or x-amz-date header;"
            f" {name} is '{mask(text)}'."
        )
    return time, text if dates.parse_basic(text) else dates.basic_text(time)


def parse_scope(credential: str, time_text: str, error: type[Fault]) -> Scope:
    """Read KEY/YYYYMMDD/REGION/SERVICE/aws4_request of the day of a time; raises `refused`."""
    parts = credential.rsplit("/", 4)
    if len(parts) != 5 or parts[4] != TERMINATOR or len(credential) > _LONGEST:
        raise error(
            reason=f"the Credential must be KEY/YYYYMMDD/REGION/SERVICE/{TERMINATOR},"
            f" not '{mask(credential)}'."
        )
    if parts[1] != time_text[:8]:
        raise error(
            reason=f'Invalid credential date "{mask(parts[1])}". It is not the day of the'
            f' request time "{time_text}".'
        )
    return Scope(*parts[:4])


def _parse_signed_headers(text: str, error: type[Fault]) -> tuple[str, ...]:
    names = _cached_names(text) if len(text) < _SHORT else _read_names(text)
    if not names:
        raise error(reason="SignedHeaders must be lower-case header names parted by ';'.")
    return names


def _read_names(text: str) -> tuple[str, ...]:
    """Return the names, none if one of them can't be one."""
    names = tuple(text.split(";"))
    return names if all(_NAME.fullmatch(each) and each == each.lower() for each in names) else ()


_cached_names = lru_cache(_CACHED)(_read_names)


def _parse_lifetime(text: str, errors: SignatureErrors) -> timedelta:
    error = errors.malformed_query
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise error(reason="X-Amz-Expires should be a number")
    seconds = int(digits[:20])
    if text.startswith("-") or seconds == 0:
        raise errors.expired(reason="Its X-Amz-Expires ended before it began.", Expires=mask(text))
    if seconds > dates.LONGEST:
        raise error(
            reason="X-Amz-Expires must be less than a week (in seconds); that is, at most"
            f" {dates.LONGEST}, not {seconds}."
        )
    return timedelta(seconds=seconds)
