"""The errors of a wrong signature, EC2's and S3's; checks none."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from eucabox import errors
from eucabox.errors import Fault
from eucabox.iam import sessions
from eucabox.iam.caller import Credential, Session
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
    wrong_token: type[Fault]
    ended: type[Fault]  # temporary credentials
    malformed: type[Fault]
    malformed_query: type[Fault]
    undated: type[Fault]
    skewed: type[Fault]
    expired: type[Fault]
    verbose: bool


QUERY = SignatureErrors(
    unknown_key=errors.AccessKeyRefused,
    wrong_token=errors.TokenRefused,
    ended=errors.SessionExpired,
    malformed=errors.IncompleteSignature,
    malformed_query=errors.IncompleteSignature,
    undated=errors.IncompleteSignature,
    skewed=errors.RequestExpired,
    expired=errors.RequestExpired,
    verbose=True,
)
IAM = replace(
    QUERY,
    unknown_key=errors.ClientTokenRefused,
    wrong_token=errors.ClientTokenInvalid,
    ended=errors.ClientTokenExpired,
)
REST = SignatureErrors(
    unknown_key=errors.InvalidAccessKeyId,
    wrong_token=errors.InvalidToken,
    ended=errors.ExpiredToken,
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

    def find_credential(self, access_key_id: str, token: str, service: str = "") -> Credential:
        """Find an active key, or raise the fault of an unknown or inactive one, of a session token
        ("" for none) that is not the key's, or of one whose time is over."""
        faults = IAM if self.errors is QUERY and service in ("sts", "iam") else self.errors
        credential = self.lookup(access_key_id) if access_key_id.isascii() else None
        if credential is None or not credential.active:
            reason = "is inactive." if credential else "is not known to this cloud."
            raise faults.unknown_key(AWSAccessKeyId=mask(access_key_id), reason=reason)
        session = credential.caller.session
        if session is not None:
            self._check_session(session, token, mask(access_key_id), faults)
        elif token:
            reason = f"The access key {mask(access_key_id)} is permanent and has none."
            raise faults.wrong_token(reason=reason)
        return credential

    def _check_session(
        self, session: Session, token: str, key: str, faults: SignatureErrors
    ) -> None:
        if not token:
            reason = "is temporary: send its session token too."
            raise faults.unknown_key(AWSAccessKeyId=key, reason=reason)
        if not sessions.has_token(session, token):
            raise faults.wrong_token(reason=f"It is not that of the access key {key}.")
        if sessions.is_over(session, self.now):
            raise faults.ended(reason=f"It was valid until {session.expires}.")

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
