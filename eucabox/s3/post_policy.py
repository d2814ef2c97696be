"""POST policies: parses and checks what an account allows others to upload in its name."""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from eucabox import ascii_text, ids
from eucabox.errors import (
    Fault,
    InvalidParameterValue,
    InvalidPolicyDocument,
    PolicyFailed,
    PolicyNotSigned,
)

LONGEST = 65536  # bytes of base64; more than any real form has
MOST_BRACKETS = 500
RANGE = "content-length-range"
LONGEST_SHOWN = 200  # characters of a condition in a message
NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?", re.ASCII)
IGNORED = "x-ignore-"
BLANKS = ascii_text.BLANKS.encode()


@dataclass(frozen=True)
class PostCondition:
    """`kind` is eq or starts-with, `field` in lower case, `text` the condition as the policy has
    it."""

    kind: str
    field: str
    value: str
    text: str

    def is_met(self, fields: Mapping[str, str]) -> bool:
        """Whether the form fields, by names in lower case, meet the condition."""
        value = fields.get(self.field)
        if value is None:
            return False
        if self.kind == "eq":
            return value == self.value
        if self.field == "content-type" and "," in value:  # S3 reads it as a list
            return all(ascii_text.strip(each).startswith(self.value) for each in value.split(","))
        return value.startswith(self.value)


@dataclass(frozen=True)
class PostPolicy:
    """What may be uploaded: expiry, conditions, and the allowed (least, most) bytes."""

    expires: datetime
    conditions: tuple[PostCondition, ...]
    sizes: tuple[int, int] | None

    def check(self, fields: Mapping[str, str], now: datetime) -> None:
        """Raise PolicyFailed if the policy does not allow form fields, by names in lower case."""
        if self.expires <= now:
            raise PolicyFailed(reason="Policy expired.")
        for condition in self.conditions:
            if not condition.is_met(fields):
                raise PolicyFailed(reason=f"Policy Condition failed: {condition.text}")

    def check_covered(self, names: Iterable[str]) -> None:
        """Raise PolicyFailed for a form field that no condition names."""
        known = {condition.field for condition in self.conditions}
        extra = [name for name in names if name not in known and not name.startswith(IGNORED)]
        if extra:
            raise PolicyFailed(reason=f"Extra input fields: {', '.join(extra)[:LONGEST_SHOWN]}")


def parse(encoded: bytes) -> PostPolicy:
    """Parse a policy from the base64 of its JSON; raises InvalidPolicyDocument."""
    if len(encoded) > LONGEST:
        raise InvalidPolicyDocument(reason=f"It has more than {LONGEST} bytes.")
    try:
        text = base64.b64decode(encoded.translate(None, BLANKS), validate=True)
        if text.count(b"[") + text.count(b"{") > MOST_BRACKETS:
            raise ValueError("deeper than any parser should have to go")
        document = json.loads(text)
    except (binascii.Error, ValueError):
        raise InvalidPolicyDocument(reason="Invalid JSON.") from None
    if not isinstance(document, dict):
        raise InvalidPolicyDocument(reason="Invalid JSON: it must be an object.")
    for name in document:
        if name not in ("expiration", "conditions"):
            raise InvalidPolicyDocument(reason=f"Unexpected: '{name[:LONGEST_SHOWN]}'")
    for name in ("expiration", "conditions"):
        if name not in document:
            raise InvalidPolicyDocument(reason=f"Policy missing {name}.")
    if not isinstance(document["conditions"], list):
        raise InvalidPolicyDocument(reason="Invalid 'conditions' value: must be a List.")
    parsed = [_parse_condition(condition) for condition in document["conditions"]]
    sizes = [condition for condition in parsed if isinstance(condition, tuple)]
    return PostPolicy(
        expires=_parse_time(document["expiration"]),
        conditions=tuple(condition for condition in parsed if isinstance(condition, PostCondition)),
        sizes=(max(low for low, _ in sizes), min(high for _, high in sizes)) if sizes else None,
    )


def check(policy: bytes, signature: str, secret: str, fields: Mapping[str, str]) -> None:
    """Raise an EC2 Fault unless the policy is signed with the secret and allows these fields.

    `policy` is JSON or its base64; the signature is the base64 of that base64's HMAC-SHA1. A range
    of sizes is about a form's file; there is none here.
    """
    text = policy if not policy.lstrip(BLANKS).startswith(b"{") else base64.b64encode(policy)
    text = text.translate(None, BLANKS)
    if not is_signed(text, signature, secret):
        raise PolicyNotSigned()
    now = datetime.now(UTC)
    try:
        parsed = parse(text)
        if parsed.expires > now:
            return parsed.check(fields, now)
    except Fault as fault:
        known = f"Known fields are {', '.join(fields)}."
        reason = f"{fault.message} {known}"
        raise InvalidParameterValue(parameter="UploadPolicy", value="...", reason=reason) from None
    reason = f"It expired before {ids.time_text(now)}, which is now. Sign a new one."
    value = f"expiration {ids.time_text(parsed.expires)}"
    raise InvalidParameterValue(parameter="UploadPolicy", value=value, reason=reason)


def is_signed(encoded: bytes, signature: str, secret: str) -> bool:
    """Whether a signature is the base64 of the HMAC-SHA1 of a policy in base64."""
    right = base64.b64encode(hmac.digest(secret.encode(), encoded, hashlib.sha1))
    return hmac.compare_digest(right, ascii_text.strip(signature).encode("utf-8", "replace"))


def _parse_time(value: object) -> datetime:
    try:
        if not isinstance(value, str) or not MOMENT.fullmatch(value):
            raise ValueError(value)
        time = datetime.fromisoformat(value)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        text = str(value)[:LONGEST_SHOWN]
        reason = f"Invalid 'expiration' value: '{text}'. Write it as 2026-01-31T12:00:00.000Z."
        raise InvalidPolicyDocument(reason=reason) from None


def _parse_condition(condition: object) -> PostCondition | tuple[int, int]:
    """Parse a condition in either of its two forms, or a range of sizes."""
    message = json.dumps(condition)[:LONGEST_SHOWN]
    if isinstance(condition, dict):
        if len(condition) != 1:
            reason = "Invalid Simple-Condition: Simple-Conditions must have exactly one property"
            raise InvalidPolicyDocument(reason=f"{reason} specified, not {message}.")
        ((name, value),) = condition.items()
        text = _parse_value(value, message)
        message = json.dumps(["eq", f"${name}", text])[:LONGEST_SHOWN]
        return PostCondition("eq", ascii_text.lower(name), text, message)
    if not isinstance(condition, list) or not condition or not isinstance(condition[0], str):
        raise InvalidPolicyDocument(reason=f"Invalid Condition: {message}")
    kind = ascii_text.lower(condition[0])
    if kind == RANGE:
        return _parse_range(condition, message)
    if kind not in ("eq", "starts-with"):
        raise InvalidPolicyDocument(reason=f"Invalid Condition: unknown operation in {message}")
    if len(condition) != 3 or not isinstance(condition[1], str) or not condition[1].startswith("$"):
        reason = f'Invalid Condition: write ["{kind}", "$FIELD", "VALUE"], not {message}'
        raise InvalidPolicyDocument(reason=reason)
    return PostCondition(
        kind, ascii_text.lower(condition[1][1:]), _parse_value(condition[2], message), message
    )


def _parse_value(value: object, message: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise InvalidPolicyDocument(reason=f"Invalid Condition: its value must be text in {message}")


def _parse_range(condition: list[object], message: str) -> tuple[int, int]:
    numbers = [int(str(each)) for each in condition[1:] if NUMBER.fullmatch(str(each))]
    if len(condition) != 3 or len(numbers) != 2:
        reason = f'Invalid Condition: write ["{RANGE}", LEAST, MOST] in bytes, not {message}'
        raise InvalidPolicyDocument(reason=reason)
    return numbers[0], numbers[1]
