"""S3's first signature (`AWS key:signature`), in the header or presigned; never reads a body."""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from urllib.parse import unquote_to_bytes

from eucabox import ascii_text
from eucabox.errors import AuthorizationTypeUnsupported, SignatureRefused
from eucabox.iam.caller import Credential
from eucabox.wire.request import Request, octets
from eucabox.wire.sign import dates as clock
from eucabox.wire.sign.canonical import encode, encode_plus, split_prefix
from eucabox.wire.sign.errors import SignatureCheck, mask

# Every client signs these where they occur in the query string.
_ALWAYS = (
    *("acl", "cors", "delete", "lifecycle", "location", "logging", "notification"),
    *("partNumber", "policy", "requestPayment", "restore", "tagging", "torrent"),
    *("response-cache-control", "response-content-disposition", "response-content-encoding"),
    *("response-content-language", "response-content-type", "response-expires"),
    *("uploadId", "uploads", "versionId", "versioning", "versions", "website"),
)
# Clients differ on these: they came after this signature was written down.
_SOMETIMES = (
    *("accelerate", "analytics", "attributes", "billing", "compose", "defaultObjectAcl"),
    *("encryption", "intelligent-tiering", "inventory", "legal-hold", "metrics", "object-lock"),
    *("ownershipControls", "policyStatus", "publicAccessBlock", "replication", "retention"),
    *("select", "select-type", "storageClass", "websiteConfig"),
    *("abac", "annotation", "annotationName", "id", "metadataAnnotationTable"),
    *("metadataConfiguration", "metadataInventoryTable", "metadataJournalTable", "metadataTable"),
    *("renameObject", "session"),
)
_EVERY = frozenset((*_ALWAYS, *_SOMETIMES))
_QUERY = ("AWSAccessKeyId", "Expires", "Signature")
_MOVED = ("content-md5", "content-type")
_SECONDS = re.compile(r"-?[0-9]{1,19}", re.ASCII)


@dataclass(frozen=True)
class V1Proof:
    """A verified signature and the moment after which the same one is refused."""

    access_key_id: str
    credential: Credential = field(repr=False)
    signature: str
    until: datetime


def verify_header(request: Request, check: SignatureCheck, bucket: str) -> V1Proof:
    """Verify `Authorization: AWS key:signature`; `bucket` is that of a virtual host, if any."""
    _, _, value = request.headers["authorization"].partition(" ")
    access_key_id, colon, signature = ascii_text.strip(value).rpartition(":")
    if not colon or not access_key_id or not signature:
        raise AuthorizationTypeUnsupported(
            reason="The header must read 'AWS KEY:SIGNATURE'.", ArgumentName="Authorization"
        )
    time = _header_time(request)
    check.check_window(time)
    dates = [""] if "x-amz-date" in request.headers else [request.headers.get("date", "")]
    credential = _verify(request, check, access_key_id, signature, dates, bucket)
    return V1Proof(access_key_id, credential, signature, time + clock.WINDOW)


def verify_query(
    request: Request, params: Mapping[str, str], check: SignatureCheck, bucket: str
) -> V1Proof:
    """Verify a presigned request: AWSAccessKeyId, Expires (seconds since 1970) and Signature."""
    if not all(params.get(name) for name in _QUERY):
        raise SignatureRefused(
            reason="Query-string authentication requires the Signature, Expires and"
            " AWSAccessKeyId parameters"
        )
    until = _parse_epoch(params["Expires"])
    check.check_expiry(until)
    access_key_id, signature = params["AWSAccessKeyId"], params["Signature"]
    credential = _verify(request, check, access_key_id, signature, [params["Expires"]], bucket)
    return V1Proof(access_key_id, credential, signature, until)


def _verify(
    request: Request,
    check: SignatureCheck,
    key_id: str,
    signature: str,
    dates: list[str],
    bucket: str,
) -> Credential:
    headers = {**headers_from_query(request), **request.headers}
    credential = check.find_credential(key_id, headers.get("x-amz-security-token", ""))
    provided = octets(signature.rstrip("="))
    first = b""
    for to_sign in _strings_to_sign(request, dates, bucket):
        ours = hmac.digest(credential.secret.encode(), to_sign, "sha1")
        if hmac.compare_digest(b64encode(ours).rstrip(b"="), provided):
            return credential
        first = first or to_sign
    raise check.mismatch(key_id, signature, first)


def _header_time(request: Request) -> datetime:
    name = "x-amz-date" if "x-amz-date" in request.headers else "date"
    text = request.headers.get(name, "")
    time = clock.parse(text)
    if time is None or time.timestamp() < 0:
        raise SignatureRefused(
            reason="AWS authentication requires a valid Date or x-amz-date header;"
            f" {name} is '{mask(text)}'."
        )
    return time


def _parse_epoch(text: str) -> datetime:
    try:
        if not _SECONDS.fullmatch(text):
            raise ValueError(text)
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError):
        raise SignatureRefused(
            reason=f"Invalid date (should be seconds since epoch): {mask(text)}"
        ) from None


def _strings_to_sign(request: Request, dates: list[str], bucket: str) -> Iterator[bytes]:
    headers = {**headers_from_query(request), **request.headers}
    amz = dict.fromkeys(_amz_headers(headers, fold=fold) for fold in (False, True))
    md5, kind = headers.get("content-md5", ""), headers.get("content-type", "")
    resources = dict.fromkeys(_resources(request, bucket))
    # who has a signed URL is not who signed it: there, all that may be signed must be
    presigned = "authorization" not in request.headers
    subresources = _subresources(
        request.query, (_EVERY,) if presigned else (_EVERY, frozenset(_ALWAYS))
    )
    for date, amz_lines, resource, part in product(dates, amz, resources, subresources):
        yield octets(f"{request.method}\n{md5}\n{kind}\n{date}\n{amz_lines}{resource}{part}")


def headers_from_query(request: Request) -> dict[str, str]:
    """The headers that clients move into the query string when they presign."""
    if "authorization" in request.headers:
        return {}
    params = {ascii_text.lower(name): value for name, value in request.parameters.items()}
    moved = {n: v for n, v in params.items() if n.startswith("x-amz-") or n in _MOVED}
    # as a header would have brought them: their bytes as Latin-1
    return {n: v.encode("utf-8", "surrogateescape").decode("latin-1") for n, v in moved.items()}


def _amz_headers(headers: dict[str, str], *, fold: bool) -> str:
    """Write the x-amz- headers as sent, or with each run of blanks folded into one."""
    headers_in_order = sorted((n, v) for n, v in headers.items() if n.startswith("x-amz-"))
    return "".join(f"{n}:{ascii_text.fold(v) if fold else v}\n" for n, v in headers_in_order)


def _resources(request: Request, bucket: str) -> Iterator[str]:
    """Yield the canonical resource without and with the service's prefix, as sent and in the
    standard encoding; a bucket of the host goes first and is never left out."""
    path = request.path or "/"
    bases = [f"/{bucket}{path}"] if bucket else [split_prefix(path)[1], path]
    for base in bases:
        forms = (base, encode(unquote_to_bytes(octets(base)), "/"))
        for form in dict.fromkeys(forms):
            yield form
            yield from _other_slash(form, split_prefix(form)[1])


def _other_slash(form: str, bare: str) -> Iterator[str]:
    """Yield a bucket with or without its last slash: the same resource, unlike a key."""
    if bare.rstrip("/").count("/") == 1 and not bare.endswith("//"):
        yield form[:-1] if form.endswith("/") else form + "/"


def _subresources(query: str, name_sets: Sequence[frozenset[str]]) -> list[str]:
    """Write what a query has of some names, for each of the sets of names that clients know."""
    parts = [part.partition("=") for part in query.split("&") if part]
    forms: dict[str, None] = {}
    for names in name_sets:
        present = sorted(p for p in parts if _decode(p[0]) in names)
        forms[_join([(n, e, _decode(v)) for n, e, v in present])] = None
        forms[_join(present)] = None
        forms[_join([(n, "=" if v else "", v) for n, _, v in present])] = None
    return list(forms)


def write_as_signed(query: str) -> str:
    """Write a query so that in what is signed a plus stands for itself, as it was signed."""
    if "+" not in query:
        return query
    parts = query.split("&")
    signed = [_decode(part.partition("=")[0]) in _EVERY for part in parts]
    return "&".join(encode_plus(p) if each else p for p, each in zip(parts, signed, strict=True))


def _decode(value: str) -> str:
    return unquote_to_bytes(octets(value)).decode("latin-1")


def _join(parts: list[tuple[str, str, str]]) -> str:
    return "?" + "&".join(map("".join, parts)) if parts else ""
