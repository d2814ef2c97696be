"""Upload policies: what an account allows to be uploaded in its name; uploads and signs nothing."""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from eucabox import ascii_text, ids
from eucabox.errors import (
    Fault,
    InvalidParameterValue,
    InvalidPolicyDocument,
    PolicyFailed,
    PolicyNotSigned,
)

LONGEST = 65536  # bytes of base64; a form has less
MOST_BRACKETS = 500
RANGE = "content-length-range"
LONGEST_SHOWN = 200  # characters of a condition in a message
NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?", re.ASCII)
IGNORED = "x-ignore-"
BLANKS = ascii_text.BLANKS.encode()


@dataclass(frozen=True)
class PostCondition:
    """`kind` is eq or starts-with, `field` in lower case, `said` how the policy wrote it."""

    kind: str
    field: str
    value: str
    said: str

    def is_met(self, fields: Mapping[str, str]) -> bool:
        """Whether the fields, by their names in lower case, are as the condition wants them."""
        found = fields.get(self.field)
        if found is None:
            return False
        if self.kind == "eq":
            return found == self.value
        if self.field == "content-type" and "," in found:  # S3 takes it for a list
            return all(ascii_text.strip(each).startswith(self.value) for each in found.split(","))
        return found.startswith(self.value)


@dataclass(frozen=True)
class PostPolicy:
    """What may be uploaded: until when, under which conditions, how many bytes (least, most)."""

    expires: datetime
    conditions: tuple[PostCondition, ...]
    sizes: tuple[int, int] | None

    def check(self, fields: Mapping[str, str], now: datetime) -> None:
        """Raise PolicyFailed for fields, by names in lower case, that it does not allow."""
        if self.expires <= now:
            raise PolicyFailed(reason="Policy expired.")
        for condition in self.conditions:
            if not condition.is_met(fields):
                raise PolicyFailed(reason=f"Policy Condition failed: {condition.said}")

    def check_covered(self, names: Iterable[str]) -> None:
        """Raise PolicyFailed for a field that no condition speaks of."""
        known = {each.field for each in self.conditions}
        extra = [name for name in names if name not in known and not name.startswith(IGNORED)]
        if extra:
            raise PolicyFailed(reason=f"Extra input fields: {', '.join(extra)[:LONGEST_SHOWN]}")


def parse(encoded: bytes) -> PostPolicy:
    """Read a policy from the base64 of its JSON. Raises InvalidPolicyDocument."""
    if len(encoded) > LONGEST:
        raise InvalidPolicyDocument(reason=f"It has more than {LONGEST} bytes.")
    try:
        text = base64.b64decode(encoded.translate(None, BLANKS), validate=True)
        if text.count(b"[") + text.count(b"{") > MOST_BRACKETS:
            raise ValueError("deeper than any parser should have to go")
        said = json.loads(text)
    except (binascii.Error, ValueError):
        raise InvalidPolicyDocument(reason="Invalid JSON.") from None
    if not isinstance(said, dict):
        raise InvalidPolicyDocument(reason="Invalid JSON: it must be an object.")
    for name in said:
        if name not in ("expiration", "conditions"):
            raise InvalidPolicyDocument(reason=f"Unexpected: '{name[:LONGEST_SHOWN]}'")
    for name in ("expiration", "conditions"):
        if name not in said:
            raise InvalidPolicyDocument(reason=f"Policy missing {name}.")
    if not isinstance(said["conditions"], list):
        raise InvalidPolicyDocument(reason="Invalid 'conditions' value: must be a List.")
    read_conditions = [_condition(each) for each in said["conditions"]]
    sizes = [each for each in read_conditions if isinstance(each, tuple)]
    return PostPolicy(
        expires=_moment(said["expiration"]),
        conditions=tuple(each for each in read_conditions if isinstance(each, PostCondition)),
        sizes=(max(low for low, _ in sizes), min(high for _, high in sizes)) if sizes else None,
    )


def check(policy: bytes, signature: str, secret: str, fields: Mapping[str, str]) -> None:
    """Raise a Fault of EC2 unless the policy is signed with the secret and allows these fields.

    `policy` is JSON or its base64, whose HMAC-SHA1 the signature is, in base64. What it says of
    the size is of a form's file, and here is none.
    """
    text = policy if not policy.lstrip(BLANKS).startswith(b"{") else base64.b64encode(policy)
    text = text.translate(None, BLANKS)
    if not is_signed(text, signature, secret):
        raise PolicyNotSigned()
    now = datetime.now(UTC)
    try:
        found = parse(text)
        if found.expires > now:
            return found.check(fields, now)
    except Fault as fault:
        known = f"Known fields are {', '.join(fields)}."
        reason = f"{fault.message} {known}"
        raise InvalidParameterValue(parameter="UploadPolicy", value="...", reason=reason) from None
    reason = f"It expired before {ids.time_text(now)}, which is now. Sign a new one."
    value = f"expiration {ids.time_text(found.expires)}"
    raise InvalidParameterValue(parameter="UploadPolicy", value=value, reason=reason)


def is_signed(encoded: bytes, signature: str, secret: str) -> bool:
    """Whether a signature is the base64 of the HMAC-SHA1 of a policy's base64."""
    right = base64.b64encode(hmac.digest(secret.encode(), encoded, hashlib.sha1))
    return hmac.compare_digest(right, ascii_text.strip(signature).encode("utf-8", "replace"))


def _moment(said: Any) -> datetime:
    try:
        if not MOMENT.fullmatch(said):
            raise ValueError(said)
        found = datetime.fromisoformat(said)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        shown = str(said)[:LONGEST_SHOWN]
        reason = f"Invalid 'expiration' value: '{shown}'. Write it as 2026-01-31T12:00:00.000Z."
        raise InvalidPolicyDocument(reason=reason) from None


def _condition(said: Any) -> PostCondition | tuple[int, int]:
    """Read a condition in either of its two forms, or a range of sizes."""
    shown = json.dumps(said)[:LONGEST_SHOWN]
    if isinstance(said, dict):
        if len(said) != 1:
            reason = "Invalid Simple-Condition: Simple-Conditions must have exactly one property"
            raise InvalidPolicyDocument(reason=f"{reason} specified, not {shown}.")
        ((name, value),) = said.items()
        text = _value(value, shown)
        shown = json.dumps(["eq", f"${name}", text])[:LONGEST_SHOWN]
        return PostCondition("eq", ascii_text.lower(name), text, shown)
    if not isinstance(said, list) or not said or not isinstance(said[0], str):
        raise InvalidPolicyDocument(reason=f"Invalid Condition: {shown}")
    kind = ascii_text.lower(said[0])
    if kind == RANGE:
        return _sizes(said, shown)
    if kind not in ("eq", "starts-with"):
        raise InvalidPolicyDocument(reason=f"Invalid Condition: unknown operation in {shown}")
    if len(said) != 3 or not isinstance(said[1], str) or not said[1].startswith("$"):
        reason = f'Invalid Condition: write ["{kind}", "$FIELD", "VALUE"], not {shown}'
        raise InvalidPolicyDocument(reason=reason)
    return PostCondition(kind, ascii_text.lower(said[1][1:]), _value(said[2], shown), shown)


def _value(said: Any, shown: str) -> str:
    if isinstance(said, str):
        return said
    if isinstance(said, int) and not isinstance(said, bool):
        return str(said)
    raise InvalidPolicyDocument(reason=f"Invalid Condition: its value must be text in {shown}")


def _sizes(said: list[Any], shown: str) -> tuple[int, int]:
    numbers = [int(str(each)) for each in said[1:] if NUMBER.fullmatch(str(each))]
    if len(said) != 3 or len(numbers) != 2:
        reason = f'Invalid Condition: write ["{RANGE}", LEAST, MOST] in bytes, not {shown}'
        raise InvalidPolicyDocument(reason=reason)
    return numbers[0], numbers[1]
