"""The checksums that a request announces in headers and trailers; computes none."""

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
NOT_CHECKSUMS = frozenset({ALGORITHM, f"{PREFIX}type", f"{PREFIX}mode"})
SDK_ALGORITHM = "x-amz-sdk-checksum-algorithm"
TRAILER = "x-amz-trailer"
LONGEST = 60  # characters of a name in a message


def is_checksum(name: str) -> bool:
    """Whether a header, by its name in lower case, brings a checksum, known or not."""
    return name.startswith(PREFIX) and name not in NOT_CHECKSUMS


def check(headers: Mapping[str, str], declared: Collection[str], *, of_body: bool = True) -> None:
    """Refuse checksums that can't be verified or are incomplete.

    `declared` are the trailers that will follow the body; `of_body` is False where the checksums
    are of something else than this request's body, or it has none.
    """
    names = [name for name in headers if name.startswith(PREFIX) and name not in NOT_CHECKSUMS]
    if names:
        _check_names(headers, names)
    if TRAILER in headers:
        _check_trailers(headers[TRAILER], declared)
    if ALGORITHM in headers:
        checksums.check_name(ascii_text.upper(headers[ALGORITHM]))
    if SDK_ALGORITHM in headers:
        checksums.check_name(ascii_text.upper(headers[SDK_ALGORITHM]))
        if of_body:
            _check_client(headers[SDK_ALGORITHM], {NAMES[each] for each in (*names, *declared)})


def read_checksums(headers: Mapping[str, str]) -> dict[str, str]:
    """Return {"CRC32": base64} of checked headers, or of trailers."""
    return {NAMES[name]: value for name, value in headers.items() if name in NAMES}


def read_trailers(trailers: Mapping[str, str]) -> dict[str, str]:
    """Return the same of trailers that have come; raises ChecksumTrailerInvalid."""
    for name, value in trailers.items():
        try:
            checksums.decode(NAMES[name], value)
        except MalformedChecksum as fault:
            raise ChecksumTrailerInvalid(name=name, reason=fault.detail) from None
    return read_checksums(trailers)


def _check_names(headers: Mapping[str, str], names: Collection[str]) -> None:
    for name in names:
        if name not in NAMES:
            known = ", ".join(sorted(NAMES))
            raise ChecksumHeaderUnknown(name=name[:LONGEST], known=known)
    if len(names) > 1:
        raise ChecksumsSeveral
    for name in names:
        if not headers[name]:
            raise ChecksumHeaderInvalid(name=name, reason="It is empty.")


def _check_trailers(value: str, declared: Collection[str]) -> None:
    names = ascii_text.split_list(ascii_text.lower(value))
    unknown = [name for name in names if name not in NAMES]
    if unknown or not names:
        problem = unknown[0][:LONGEST] if unknown else "empty"
        reason = f"It is {problem}. Use one of {', '.join(sorted(NAMES))}."
        raise TrailerUnsupported(reason=reason)
    if set(names) != set(declared):
        reason = "Only a body in aws-chunked coding whose x-amz-content-sha256 ends with -TRAILER"
        raise TrailerUnsupported(reason=f"{reason} has trailers.")


def _check_client(value: str, brought: Collection[str]) -> None:
    algorithm = ascii_text.upper(value)
    if not brought:
        raise ChecksumMissing
    if algorithm not in brought:
        reason = f"The checksum sent is {', '.join(sorted(brought))}."
        raise ChecksumHeaderInvalid(name=SDK_ALGORITHM, reason=reason)
