"""Signed upload policies: what an account allows to be uploaded in its name; uploads nothing."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from eucabox.errors import InvalidParameterValue, PolicyNotSigned


def check(policy: bytes, signature: str, secret: str, fields: Mapping[str, str]) -> None:
    """Raise a Fault unless the policy is signed with the secret and allows these form fields.

    `policy` is JSON or its base64, whose HMAC-SHA1 the signature is, in base64.
    """
    text = policy if not policy.lstrip().startswith(b"{") else base64.b64encode(policy)
    text = b"".join(text.split())
    right = base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha1).digest())
    if not hmac.compare_digest(right, signature.strip().encode("utf-8", "replace")):
        raise PolicyNotSigned()
    try:
        said = json.loads(base64.b64decode(text, validate=True))
        expires = datetime.fromisoformat(str(said["expiration"]).replace("Z", "+00:00"))
        conditions = [_condition(each) for each in said["conditions"]]
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError):
        raise _refusal("It is JSON with an expiration and a list of conditions.") from None
    if expires.replace(tzinfo=expires.tzinfo or UTC) < datetime.now(UTC):
        raise _refusal(f"It expired at {expires.isoformat()}.")
    for kind, name, value in conditions:
        _check_one(kind, name, value, fields)


def _condition(said: Any) -> tuple[str, str, str]:
    """Return a condition as (eq or starts-with, field, value), in either of its two forms."""
    if isinstance(said, dict):
        ((name, value),) = said.items()
        return "eq", str(name), str(value)
    kind, name, value = said
    if str(kind).lower() == "content-length-range":
        return "content-length-range", "", ""
    if not str(name).startswith("$"):
        raise ValueError(name)
    return str(kind).lower(), str(name)[1:], str(value)


def _check_one(kind: str, name: str, value: str, fields: Mapping[str, str]) -> None:
    if kind == "content-length-range":
        return  # of a form's file, which is none of these
    if kind not in ("eq", "starts-with"):
        raise _refusal(f"Its condition {kind[:40]} is neither eq nor starts-with.")
    if name not in fields:
        raise _refusal(f"Its condition on {name[:40]} can't be met; known are {', '.join(fields)}.")
    met = fields[name] == value if kind == "eq" else fields[name].startswith(value)
    if not met:
        raise _refusal(f"It does not allow {name} {fields[name][:100]}: {kind} {value[:100]}.")


def _refusal(reason: str) -> InvalidParameterValue:
    return InvalidParameterValue(parameter="UploadPolicy", value="...", reason=reason)
