"""Server-side encryption as requests ask for it: checks members and headers; encrypts nothing."""

import base64
import binascii
import hashlib
import hmac
import ipaddress
import json
from collections.abc import Mapping
from typing import Any, NoReturn, Protocol, TypedDict

from eucabox.errors import (
    AccessDenied,
    EncryptionArgument,
    EncryptionUnfit,
    S3NotImplemented,
)
from eucabox.s3.request_context import RequestContext
from eucabox.store.keyring import ENCRYPTED, EncryptionKeySpec, Keyring
from eucabox.store.types import AES256, KMS, SSE_C, Bucket, EncryptionInfo, Upload

SETTING = "encryption"
DSSE = "aws:kms:dsse"
LONGEST_CONTEXT = 8192
KEY_BYTES = 32
SOURCE = "copy_source_"
WITH_KEYS = "Requests specifying Server Side Encryption with Customer provided keys must"
INAPPLICABLE = "The encryption parameters are not applicable to this object."


class CustomerKey(TypedDict, total=False):
    """The SSE-C members of every operation that reads or writes an object."""

    sse_customer_algorithm: str
    sse_customer_key: str
    sse_customer_key_md5: str


class SourceKey(TypedDict, total=False):
    """The SSE-C members for the source of a copy."""

    copy_source_sse_customer_algorithm: str
    copy_source_sse_customer_key: str
    copy_source_sse_customer_key_md5: str


class Encryption(CustomerKey, total=False):
    """The encryption members of an operation that makes an object."""

    server_side_encryption: str
    ssekms_key_id: str
    ssekms_encryption_context: str
    bucket_key_enabled: bool


class EncryptionKeys(Protocol):
    """A store with encryption keys; one without raises a Fault."""

    @property
    def keys(self) -> Keyring:
        """Its keys."""


def for_new_object(
    request: RequestContext, members: Encryption, bucket: Bucket, store: EncryptionKeys
) -> EncryptionKeySpec | None:
    """Return how a new object is encrypted: as the request says, else by the bucket's default; None
    if neither asks for encryption."""
    secret, method = customer_key(request, members), members.get("server_side_encryption", "")
    _check_method(method, members, secret)
    if secret is not None:
        _check_blocked(SSE_C, bucket)
        return EncryptionKeySpec(SSE_C, secret)
    default = _default_encryption(bucket)
    if not (method or default.get("sse_algorithm")):
        return None
    if (method or default["sse_algorithm"]) == AES256:
        return store.keys.sse_s3()
    _check_signed(request)
    key_id = members.get("ssekms_key_id", "") if method else default.get("kms_master_key_id", "")
    context = _parse_context(members.get("ssekms_encryption_context", ""))
    bucket_key = members.get("bucket_key_enabled", default.get("bucket_key_enabled", False))
    return store.keys.sse_kms(key_id, context, bool(bucket_key))


def bucket_default(bucket: Bucket, store: EncryptionKeys) -> EncryptionKeySpec | None:
    """Return how an object that eucabox itself writes into a bucket is encrypted."""
    default = _default_encryption(bucket)
    if default.get("sse_algorithm") == KMS:
        return store.keys.sse_kms(
            default.get("kms_master_key_id", ""), "", default["bucket_key_enabled"]
        )
    return store.keys.sse_s3() if default.get("sse_algorithm") else None


def customer_key(
    request: RequestContext, members: Mapping[str, object], prefix: str = ""
) -> bytes | None:
    """Return the caller's SSE-C key, 32 bytes; None if the request has none of its headers."""
    algorithm, key, md5 = (
        str(members.get(f"{prefix}sse_customer_{name}", ""))
        for name in ("algorithm", "key", "key_md5")
    )
    if not (algorithm or key or md5):
        return None
    if algorithm != AES256:
        raise EncryptionArgument(
            reason=f"{WITH_KEYS} provide a valid encryption algorithm: AES256."
        )
    if not key:
        raise EncryptionArgument(reason=f"{WITH_KEYS} provide an appropriate secret key.")
    if not md5:
        reason = f"{WITH_KEYS} provide the client calculated MD5 of the secret key."
        raise EncryptionArgument(reason=reason)
    secret = _decode_base64(key)
    if len(secret) != KEY_BYTES:
        reason = "The secret key was invalid for the specified algorithm: send 32 bytes in base64."
        raise EncryptionArgument(reason=reason)
    digest = hashlib.md5(secret, usedforsecurity=False).digest()
    if not hmac.compare_digest(_decode_base64(md5), digest):
        reason = "The calculated MD5 hash of the key did not match the hash that was provided."
        raise EncryptionArgument(reason=reason)
    _check_secure(request)
    return secret


def source_customer_key(request: RequestContext, members: Mapping[str, object]) -> bytes | None:
    """Return the caller's SSE-C key for the source of a copy."""
    return customer_key(request, members, SOURCE)


def check_reading(
    request: RequestContext,
    encryption: EncryptionInfo | None,
    members: Mapping[str, object],
    prefix: str = "",
) -> bytes | None:
    """Return the SSE-C key to read an object with, None if it needs none.

    Raises a Fault if the request lacks a key that the object needs, or has one that it does not
    need.
    """
    secret = customer_key(request, members, prefix)
    if encryption is None or encryption.kind != SSE_C:
        if secret is not None:
            raise EncryptionUnfit(reason=INAPPLICABLE)
        if encryption is not None and encryption.kind == KMS:
            _check_signed(request)
    elif secret is None:
        raise EncryptionUnfit(reason=ENCRYPTED)
    return secret


def check_part(
    request: RequestContext,
    upload: Upload,
    members: Mapping[str, object],
    store: EncryptionKeys,
    *,
    needed: bool = True,
) -> bytes | None:
    """Return the caller's SSE-C key for a part of an upload; a Fault if it is not the upload's
    key."""
    secret = customer_key(request, members)
    record = upload.encryption
    if record is None or record["kind"] != SSE_C:
        if secret is not None:
            raise EncryptionUnfit(reason=INAPPLICABLE)
    elif secret is not None or needed:
        store.keys.from_record(record, secret)
    return secret


def reject_on_read() -> NoReturn:
    """Raise the InvalidArgument of a request that reads an object and names an encryption."""
    reason = (
        "x-amz-server-side-encryption header is not supported for this operation. Leave it"
        " out: what is encrypted is decrypted without being asked for it."
    )
    raise EncryptionArgument(reason=reason)


def differs(old: EncryptionInfo | None, new: EncryptionKeySpec | None) -> bool:
    """Whether a copy would be encrypted otherwise than its source; with SSE-C the key may
    differ."""
    if old is None or new is None:
        return (old is None) != (new is None)
    if SSE_C in (old.kind, new.kind):
        return True
    return (old.kind, old.name, old.bucket_key) != (new.kind, new.name, new.bucket_key)


def to_api(
    encryption: EncryptionInfo | EncryptionKeySpec | None,
    members: Mapping[str, object],
    store: EncryptionKeys,
) -> dict[str, object]:
    """Return the encryption of an object as members of a response."""
    if encryption is None:
        return {}
    return _members(encryption.kind, encryption.name, encryption.bucket_key, members, store)


def upload_to_api(
    upload: Upload, members: Mapping[str, object], store: EncryptionKeys
) -> dict[str, object]:
    """Return the encryption of an upload in progress as members of a response."""
    if upload.encryption is None:
        return {}
    kind, name = upload.encryption["kind"], upload.encryption["name"]
    return _members(kind, name, upload.encryption["bucket_key"], members, store)


def _members(
    kind: str, name: str, bucket_key: bool, members: Mapping[str, object], store: EncryptionKeys
) -> dict[str, object]:
    if kind == SSE_C:
        md5 = members.get("sse_customer_key_md5")
        return {"sse_customer_algorithm": AES256, "sse_customer_key_md5": md5} if md5 else {}
    result: dict[str, object] = {"server_side_encryption": kind}
    if kind == KMS:
        result["ssekms_key_id"] = store.keys.arn(name)
        context = members.get("ssekms_encryption_context")
        optional = {"bucket_key_enabled": bucket_key or None, "ssekms_encryption_context": context}
        result.update({member: value for member, value in optional.items() if value})
    return result


def _check_method(method: str, members: Encryption, secret: bytes | None) -> None:
    if method == DSSE:
        raise S3NotImplemented(what=f"The encryption {DSSE}", hint=f"Use {KMS}.")
    if method not in ("", AES256, KMS):
        reason = f"The encryption method specified is not supported. Use {AES256} or {KMS}."
        raise EncryptionArgument(reason=reason)
    if method and secret is not None:
        reason = (
            "Server Side Encryption with Customer provided key is incompatible with the encryption"
            " method specified."
        )
        raise EncryptionArgument(reason=reason)
    if method != KMS and (members.get("ssekms_key_id") or members.get("ssekms_encryption_context")):
        reason = (
            "Server Side Encryption with AWS KMS managed key requires HTTP header"
            f" x-amz-server-side-encryption : {KMS}"
        )
        raise EncryptionArgument(reason=reason)


def _check_signed(request: RequestContext) -> None:
    if request.caller is None:
        reason = (
            "Requests specifying Server Side Encryption with AWS KMS managed keys have to be"
            " signed: such an object is for nobody without an account."
        )
        raise EncryptionArgument(reason=reason)


def _check_secure(request: RequestContext) -> None:
    """Refuse an SSE-C key that came over a network without TLS; from this machine it is
    accepted."""
    source = request.context.get("source_ip", "")
    if request.context.get("https", "") and request.context.get("secure") != "true":
        if not _is_local(source):
            raise EncryptionUnfit(reason=f"{WITH_KEYS} be made over a secure connection.")


def _is_local(source: str) -> bool:
    try:
        return not source or ipaddress.ip_address(source).is_loopback
    except ValueError:
        return False


def _check_blocked(kind: str, bucket: Bucket) -> None:
    blocked = _first_rule(bucket).get("blocked_encryption_types") or {}
    if kind in (blocked.get("encryption_type") or []):
        reason = f"The bucket {bucket.name} blocks the encryption {kind}."
        raise AccessDenied(reason=reason)


def _first_rule(bucket: Bucket) -> dict[str, Any]:
    rules = (bucket.settings.get(SETTING) or {}).get("rules") or [{}]
    return dict(rules[0])


def _default_encryption(bucket: Bucket) -> dict[str, Any]:
    rule = _first_rule(bucket)
    default = rule.get("apply_server_side_encryption_by_default") or {}
    return {**default, "bucket_key_enabled": rule.get("bucket_key_enabled", False)}


def _parse_context(text: str) -> str:
    """Return an encryption context in canonical JSON; InvalidArgument if it is no JSON object of
    texts."""
    if not text:
        return ""
    try:
        context = json.loads(_decode_base64(text))
        plain = isinstance(context, dict) and all(
            isinstance(each, str) for each in context.values()
        )
    except (ValueError, RecursionError):
        plain = False
    if not plain or len(text) > LONGEST_CONTEXT:
        reason = (
            "The header x-amz-server-side-encryption-context must be the base64 of a JSON object"
            f" of texts, of {LONGEST_CONTEXT} characters at most."
        )
        raise EncryptionArgument(reason=reason)
    return json.dumps(context, sort_keys=True, separators=(",", ":"))


def _decode_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
