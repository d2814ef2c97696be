"""The errors of a wrong signature, EC2's and S3's; checks none."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from eucabox import errors
from eucabox.errors import Fault
from eucabox.iam.caller import Credential
from eucabox.wire.request import octets
from eucabox.wire.sign import dates

Lookup = Callable[[str], Credential | None]
_MOST_SHOWN = 4000  # characters of a string to sign that an answer repeats
_UNPRINTABLE = re.compile(r"[^\n -~]")


@dataclass(frozen=True)
class SignatureErrors:
    """The fault of each problem. `verbose` puts the string to sign into the message, for protocols
    whose errors have no elements of their own."""

    unknown_key: type[Fault]
    malformed: type[Fault]
    malformed_query: type[Fault]
    undated: type[Fault]
    skewed: type[Fault]
    expired: type[Fault]
    verbose: bool


QUERY = SignatureErrors(
    unknown_key=errors.AccessKeyRefused,
    malformed=errors.IncompleteSignature,
    malformed_query=errors.IncompleteSignature,
    undated=errors.IncompleteSignature,
    skewed=errors.RequestExpired,
    expired=errors.RequestExpired,
    verbose=True,
)
REST = SignatureErrors(
    unknown_key=errors.InvalidAccessKeyId,
    malformed=errors.AuthorizationHeaderMalformed,
    malformed_query=errors.AuthorizationQueryParametersError,
    undated=errors.SignatureRefused,
    skewed=errors.RequestTimeTooSkewed,
    expired=errors.PresignedExpired,
    verbose=False,
)


@dataclass(frozen=True)
class SignatureCheck:
    """What a check needs beside the request: the keys, the time, the errors to raise."""

    lookup: Lookup = field(repr=False)
    now: datetime
    errors: SignatureErrors

    def find_credential(self, access_key_id: str, service: str = "") -> Credential:
        """Find an active key, or raise the fault of an unknown or inactive one."""
        credential = self.lookup(access_key_id) if access_key_id.isascii() else None
        if credential and credential.active:
            return credential
        error = self.errors.unknown_key
        if error is errors.AccessKeyRefused and service in ("sts", "iam"):
            error = errors.ClientTokenRefused
        reason = "is inactive." if credential else "is not known to this cloud."
        raise error(AWSAccessKeyId=mask(access_key_id), reason=reason)

    def check_window(self, time: datetime) -> None:
        """Refuse a request signed more than 15 minutes ago, or dated as far ahead."""
        if abs(self.now - time) <= dates.WINDOW:
            return
        request_time = dates.render(time)
        raise self.errors.skewed(
            reason=f"It is dated {request_time}, this cloud's time is {dates.render(self.now)},"
            " 15 minutes are allowed. Set the client's clock.",
            RequestTime=request_time,
            ServerTime=dates.render(self.now),
            MaxAllowedSkewMilliseconds=int(dates.WINDOW.total_seconds() * 1000),
        )

    def check_expiry(self, until: datetime) -> None:
        """Refuse a presigned request past its own time."""
        if self.now <= until:
            return
        raise self.errors.expired(
            reason=f"It was valid until {dates.render(until)}, this cloud's time is"
            f" {dates.render(self.now)}.",
            Expires=dates.render(until),
            ServerTime=dates.render(self.now),
        )

    def mismatch(
        self, access_key_id: str, provided: str, to_sign: bytes, canonical: bytes = b""
    ) -> Fault:
        """The fault of a wrong signature, with the strings that should have been signed."""
        facts = {
            "StringToSign": _printable(to_sign),
            "StringToSignBytes": to_sign[:_MOST_SHOWN].hex(" "),
        }
        if canonical:
            facts["CanonicalRequest"] = _printable(canonical)
            facts["CanonicalRequestBytes"] = canonical[:_MOST_SHOWN].hex(" ")
        return errors.SignatureDoesNotMatch(
            detail=_detail(facts) if self.errors.verbose else "",
            AWSAccessKeyId=mask(access_key_id),
            SignatureProvided=mask(provided),
            **facts,
        )


def refuse_token(token: str) -> None:
    """Refuse a session token: this cloud's access keys are permanent and have none."""
    if token:
        raise errors.InvalidToken()


def _detail(facts: dict[str, str]) -> str:
    names = {"CanonicalRequest": "canonical request", "StringToSign": "string to sign"}
    sentences = [f"\n\nThe {names[n]} should have been\n'{facts[n]}'" for n in names if n in facts]
    return "".join(sentences)


def mask(text: str) -> str:
    """A client's text as an answer may repeat it: printable ASCII, not too long."""
    return _printable(octets(text[:_MOST_SHOWN]))


def _printable(raw: bytes) -> str:
    text = raw[:_MOST_SHOWN].decode("latin-1")
    text = _UNPRINTABLE.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
    return text if len(raw) <= _MOST_SHOWN else text + "..."
