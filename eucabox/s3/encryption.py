"""What a request says of server-side encryption: read, judged, and told back; encrypts nothing."""

import base64
import binascii
import hashlib
import hmac
import ipaddress
import json
from collections.abc import Mapping
from typing import Any, Protocol, TypedDict

from eucabox.errors import (
    AccessDenied,
    EncryptionArgument,
    EncryptionUnfit,
    S3NotImplemented,
)
from eucabox.s3.access import RequestContext
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
    """The members of every verb that reads or writes an object with a key of the caller's."""

    sse_customer_algorithm: str
    sse_customer_key: str
    sse_customer_key_md5: str


class SourceKey(TypedDict, total=False):
    """The same for the source of a copy."""

    copy_source_sse_customer_algorithm: str
    copy_source_sse_customer_key: str
    copy_source_sse_customer_key_md5: str


class Encryption(CustomerKey, total=False):
    """The members of a verb that begins an object."""

    server_side_encryption: str
    ssekms_key_id: str
    ssekms_encryption_context: str
    bucket_key_enabled: bool


class EncryptionKeys(Protocol):
    """A store that has keys, or says in a fault that it has none."""

    @property
    def keys(self) -> Keyring:
        """Its keys."""


def for_new_object(
    asking: RequestContext, members: Mapping[str, Any], bucket: Bucket, store: EncryptionKeys
) -> EncryptionKeySpec | None:
    """Return how a new object is to be encrypted: as the request says, or the bucket's setting;
    None if neither says anything."""
    if SETTING not in bucket.settings and not members.keys() & Encryption.__annotations__.keys():
        return None
    secret, method = customer_key(asking, members), members.get("server_side_encryption", "")
    _check_method(method, members, secret)
    if secret is not None:
        _check_blocked(SSE_C, bucket)
        return EncryptionKeySpec(SSE_C, secret)
    default = _default(bucket)
    if not (method or default.get("sse_algorithm")):
        return None
    if (method or default["sse_algorithm"]) == AES256:
        return store.keys.sse_s3()
    _check_signed(asking)
    key_id = members.get("ssekms_key_id", "") if method else default.get("kms_master_key_id", "")
    context = _context(members.get("ssekms_encryption_context", ""))
    bucket_key = members.get("bucket_key_enabled", default.get("bucket_key_enabled", False))
    return store.keys.sse_kms(key_id, context, bool(bucket_key))


def bucket_default(bucket: Bucket, store: EncryptionKeys) -> EncryptionKeySpec | None:
    """Return how an object is encrypted that eucabox itself writes into a bucket."""
    default = _default(bucket)
    if default.get("sse_algorithm") == KMS:
        return store.keys.sse_kms(
            default.get("kms_master_key_id", ""), "", default["bucket_key_enabled"]
        )
    return store.keys.sse_s3() if default.get("sse_algorithm") else None


def customer_key(
    asking: RequestContext, members: Mapping[str, Any], prefix: str = ""
) -> bytes | None:
    """Return the caller's own key, 32 bytes; None if the request has none of its headers."""
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
    secret = _decoded(key)
    if len(secret) != KEY_BYTES:
        reason = "The secret key was invalid for the specified algorithm: send 32 bytes in base64."
        raise EncryptionArgument(reason=reason)
    digest = hashlib.md5(secret, usedforsecurity=False).digest()
    if not hmac.compare_digest(_decoded(md5), digest):
        reason = "The calculated MD5 hash of the key did not match the hash that was provided."
        raise EncryptionArgument(reason=reason)
    _check_secure(asking)
    return secret


def source_customer_key(asking: RequestContext, members: Mapping[str, Any]) -> bytes | None:
    """Return the caller's key of the source of a copy."""
    return customer_key(asking, members, SOURCE)


def check_reading(
    asking: RequestContext,
    sealed: EncryptionInfo | None,
    members: Mapping[str, Any],
    prefix: str = "",
) -> bytes | None:
    """Return the key to unlock an object with, None if it needs none of the caller's; a Fault
    unless the request has what this object needs and nothing that it does not."""
    secret = customer_key(asking, members, prefix)
    if sealed is None or sealed.kind != SSE_C:
        if secret is not None:
            raise EncryptionUnfit(reason=INAPPLICABLE)
        if sealed is not None and sealed.kind == KMS:
            _check_signed(asking)
    elif secret is None:
        raise EncryptionUnfit(reason=ENCRYPTED)
    return secret


def check_part(
    asking: RequestContext,
    upload: Upload,
    members: Mapping[str, Any],
    store: EncryptionKeys,
    *,
    needed: bool = True,
) -> bytes | None:
    """Return the caller's key for a part of an upload; a Fault if it is not the upload's."""
    secret = customer_key(asking, members)
    sealing = upload.sealing
    if sealing is None or sealing["kind"] != SSE_C:
        if secret is not None:
            raise EncryptionUnfit(reason=INAPPLICABLE)
    elif secret is not None or needed:
        store.keys.from_record(sealing, secret)
    return secret


def reject_on_read(method: str) -> None:
    """Raise InvalidArgument where a request that reads asks for an encryption."""
    if method:
        reason = (
            "x-amz-server-side-encryption header is not supported for this operation. Leave it"
            " out: what is encrypted is decrypted without being asked for it."
        )
        raise EncryptionArgument(reason=reason)


def differs(old: EncryptionInfo | None, new: EncryptionKeySpec | None) -> bool:
    """Whether an object would be encrypted otherwise than it is; a caller's key may be another."""
    if old is None or new is None:
        return (old is None) != (new is None)
    if SSE_C in (old.kind, new.kind):
        return True
    return (old.kind, old.name, old.bucket_key) != (new.kind, new.name, new.bucket_key)


def to_api(
    found: EncryptionInfo | EncryptionKeySpec | None,
    members: Mapping[str, Any],
    store: EncryptionKeys,
) -> dict[str, Any]:
    """Return how an object is encrypted in the members of an answer."""
    if found is None:
        return {}
    return _shown(found.kind, found.name, found.bucket_key, members, store)


def upload_to_api(
    upload: Upload, members: Mapping[str, Any], store: EncryptionKeys
) -> dict[str, Any]:
    """The same of an upload in progress."""
    if upload.sealing is None:
        return {}
    kind, name = upload.sealing["kind"], upload.sealing["name"]
    return _shown(kind, name, upload.sealing["bucket_key"], members, store)


def _shown(
    kind: str, name: str, bucket_key: bool, members: Mapping[str, Any], store: EncryptionKeys
) -> dict[str, Any]:
    if kind == SSE_C:
        md5 = members.get("sse_customer_key_md5")
        return {"sse_customer_algorithm": AES256, "sse_customer_key_md5": md5} if md5 else {}
    found: dict[str, Any] = {"server_side_encryption": kind}
    if kind == KMS:
        found["ssekms_key_id"] = store.keys.arn(name)
        context = members.get("ssekms_encryption_context")
        told = {"bucket_key_enabled": bucket_key or None, "ssekms_encryption_context": context}
        found.update({member: value for member, value in told.items() if value})
    return found


def _check_method(method: str, members: Mapping[str, Any], secret: bytes | None) -> None:
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


def _check_signed(asking: RequestContext) -> None:
    if asking.caller is None:
        reason = (
            "Requests specifying Server Side Encryption with AWS KMS managed keys have to be"
            " signed: such an object is for nobody without an account."
        )
        raise EncryptionArgument(reason=reason)


def _check_secure(asking: RequestContext) -> None:
    """A key that crosses a network in the clear is no secret; this machine is no network."""
    source = asking.context.get("source_ip", "")
    if asking.context.get("https", "") and asking.context.get("secure") != "true":
        if not _is_local(source):
            raise EncryptionUnfit(reason=f"{WITH_KEYS} be made over a secure connection.")


def _is_local(source: str) -> bool:
    try:
        return not source or ipaddress.ip_address(source).is_loopback
    except ValueError:
        return False


def _check_blocked(kind: str, bucket: Bucket) -> None:
    blocked = _rule(bucket).get("blocked_encryption_types") or {}
    if kind in (blocked.get("encryption_type") or []):
        reason = f"The bucket {bucket.name} blocks the encryption {kind}."
        raise AccessDenied(reason=reason)


def _rule(bucket: Bucket) -> dict[str, Any]:
    rules = (bucket.settings.get(SETTING) or {}).get("rules") or [{}]
    return dict(rules[0])


def _default(bucket: Bucket) -> dict[str, Any]:
    rule = _rule(bucket)
    default = rule.get("apply_server_side_encryption_by_default") or {}
    return {**default, "bucket_key_enabled": rule.get("bucket_key_enabled", False)}


def _context(text: str) -> str:
    """Return an encryption context in one form; InvalidArgument if it is no JSON of texts."""
    if not text:
        return ""
    try:
        found = json.loads(_decoded(text))
        plain = isinstance(found, dict) and all(isinstance(each, str) for each in found.values())
    except (ValueError, RecursionError):
        plain = False
    if not plain or len(text) > LONGEST_CONTEXT:
        reason = (
            "The header x-amz-server-side-encryption-context must be the base64 of a JSON object"
            f" of texts, of {LONGEST_CONTEXT} characters at most."
        )
        raise EncryptionArgument(reason=reason)
    return json.dumps(found, sort_keys=True, separators=(",", ":"))


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
