"""The checksums that a request announces in headers and trailers; sums nothing itself."""

from collections.abc import Collection, Mapping

from eucabox import ascii_text
from eucabox.errors import (
    ChecksumHeaderInvalid,
    ChecksumHeaderUnknown,
    ChecksumMissing,
    ChecksumsSeveral,
    ChecksumTrailerInvalid,
    MalformedChecksum,
    TrailerUnsupported,
)
from eucabox.s3 import values
from eucabox.store import checksums

PREFIX = "x-amz-checksum-"
NAMES = {f"{PREFIX}{name.lower()}": name for name in values.CHECKSUMS}
ALGORITHM = f"{PREFIX}algorithm"
BESIDE = frozenset({ALGORITHM, f"{PREFIX}type", f"{PREFIX}mode"})
OF_CLIENT = "x-amz-sdk-checksum-algorithm"
TRAILER = "x-amz-trailer"
LONGEST = 60  # characters of a name in a message


def is_checksum(name: str) -> bool:
    """Whether a header, by its name in lower case, brings a checksum, known or not."""
    return name.startswith(PREFIX) and name not in BESIDE


def check(headers: Mapping[str, str], declared: Collection[str], *, of_body: bool = True) -> None:
    """Refuse what could not be verified, or that nobody could take for verified.

    `declared` are the trailers that will follow the body; `of_body` is False where the checksums
    are of something else than this request's body, or it has none.
    """
    named = [each for each in headers if each.startswith(PREFIX) and each not in BESIDE]
    if named:
        _check_named(headers, named)
    if TRAILER in headers:
        _check_trailers(headers[TRAILER], declared)
    if ALGORITHM in headers:
        checksums.check_name(ascii_text.upper(headers[ALGORITHM]))
    if OF_CLIENT in headers:
        checksums.check_name(ascii_text.upper(headers[OF_CLIENT]))
        if of_body:
            _check_client(headers[OF_CLIENT], {NAMES[each] for each in (*named, *declared)})


def stated(headers: Mapping[str, str]) -> dict[str, str]:
    """Return {"CRC32": base64} of checked headers, or of trailers."""
    return {NAMES[name]: value for name, value in headers.items() if name in NAMES}


def of_trailers(trailers: Mapping[str, str]) -> dict[str, str]:
    """Return the same of trailers that have come; raises ChecksumTrailerInvalid."""
    for name, value in trailers.items():
        try:
            checksums.decode(NAMES[name], value)
        except MalformedChecksum as fault:
            raise ChecksumTrailerInvalid(name=name, reason=fault.detail) from None
    return stated(trailers)


def _check_named(headers: Mapping[str, str], named: Collection[str]) -> None:
    for name in named:
        if name not in NAMES:
            known = ", ".join(sorted(NAMES))
            raise ChecksumHeaderUnknown(name=name[:LONGEST], known=known)
    if len(named) > 1:
        raise ChecksumsSeveral
    for name in named:
        if not headers[name]:
            raise ChecksumHeaderInvalid(name=name, reason="It is empty.")


def _check_trailers(said: str, declared: Collection[str]) -> None:
    names = ascii_text.split_list(ascii_text.lower(said))
    unknown = [name for name in names if name not in NAMES]
    if unknown or not names:
        named = unknown[0][:LONGEST] if unknown else "empty"
        reason = f"It is {named}. Use one of {', '.join(sorted(NAMES))}."
        raise TrailerUnsupported(reason=reason)
    if set(names) != set(declared):
        reason = "Only a body in aws-chunked coding whose x-amz-content-sha256 ends with -TRAILER"
        raise TrailerUnsupported(reason=f"{reason} has trailers.")


def _check_client(said: str, brought: Collection[str]) -> None:
    algorithm = ascii_text.upper(said)
    if not brought:
        raise ChecksumMissing
    if algorithm not in brought:
        reason = f"The checksum sent is {', '.join(sorted(brought))}."
        raise ChecksumHeaderInvalid(name=OF_CLIENT, reason=reason)
