"""Checksums of bodies: all that S3 has, computed or combined from those of parts; reads no file."""

import base64
import binascii
import hashlib
import importlib
import zlib
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache, partial
from typing import Protocol

import xxhash

from eucabox.errors import (
    BadDigest,
    ChecksumTypeUnfit,
    ChecksumUnknown,
    InvalidRequest,
    MalformedChecksum,
)
from eucabox.store.types import COMPOSITE, FULL_OBJECT

Buffer = bytes | memoryview
Update = Callable[[Buffer, int], int]


class Hash(Protocol):
    """A running checksum, as hashlib has them."""

    def update(self, data: Buffer, /) -> None:
        """Add bytes."""

    def digest(self) -> bytes:
        """Return the checksum of the bytes so far."""


# name -> reversed polynomial and width in bits
POLYNOMIALS = {
    "CRC32": (0xEDB88320, 32),
    "CRC32C": (0x82F63B78, 32),
    "CRC64NVME": (0x9A6C9329AC4BC9B5, 64),
}
SIZES = {
    "CRC32": 4,
    "CRC32C": 4,
    "CRC64NVME": 8,
    "MD5": 16,
    "SHA1": 20,
    "SHA256": 32,
    "SHA512": 64,
    "XXHASH64": 8,
    "XXHASH3": 8,
    "XXHASH128": 16,
}
DEFAULT = "CRC64NVME"  # if a request names no algorithm
HASHES: dict[str, Callable[[], Hash]] = {
    "MD5": partial(hashlib.md5, usedforsecurity=False),
    "SHA1": partial(hashlib.sha1, usedforsecurity=False),
    "SHA256": hashlib.sha256,
    "SHA512": hashlib.sha512,
    "XXHASH64": xxhash.xxh64,
    "XXHASH3": xxhash.xxh3_64,
    "XXHASH128": xxhash.xxh3_128,
}
# (module, function), the fastest first; without any of them crcmod is used
BACKENDS = {
    "CRC32C": (("awscrt.checksums", "crc32c"), ("crc32c", "crc32c")),
    "CRC64NVME": (("eucabox.store._crc64", "crc64nvme"), ("awscrt.checksums", "crc64nvme")),
}


class _Crc:
    def __init__(self, algorithm: str) -> None:
        self._update = _updater(algorithm)
        self._size = SIZES[algorithm]
        self._value = 0

    def update(self, data: Buffer, /) -> None:
        self._value = self._update(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


def new(algorithm: str) -> Hash:
    """Return a running checksum; ChecksumUnknown if S3 has none of that name."""
    if algorithm in POLYNOMIALS:
        return _Crc(algorithm)
    check_name(algorithm)
    return HASHES[algorithm]()


def check_name(algorithm: str) -> None:
    """Raise ChecksumUnknown if S3 has no checksum of that name."""
    if algorithm not in SIZES:
        raise ChecksumUnknown(algorithm=algorithm[:60], known=", ".join(sorted(SIZES)))


@cache
def _updater(algorithm: str) -> Update:
    if algorithm == "CRC32":
        return zlib.crc32
    for module, function in BACKENDS[algorithm]:
        try:
            update: Update = getattr(importlib.import_module(module), function)
        except (ImportError, AttributeError):
            continue
        return update
    return _crcmod_updater(algorithm)


def _crcmod_updater(algorithm: str) -> Update:
    crcmod = importlib.import_module("crcmod")
    reverse, width = POLYNOMIALS[algorithm]
    polynomial = int(f"{reverse:0{width}b}"[::-1], 2) | 1 << width
    update: Update = crcmod.mkCrcFun(polynomial, initCrc=0, rev=True, xorOut=(1 << width) - 1)
    return update


def encode(digest: bytes) -> str:
    """Return a checksum in base64, as S3 shows it."""
    return base64.b64encode(digest).decode()


def decode(algorithm: str, stated: str) -> bytes:
    """Return the bytes of a base64 checksum; MalformedChecksum unless it is one of that
    algorithm."""
    check_name(algorithm)
    try:
        value = base64.b64decode(stated, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedChecksum(algorithm=algorithm, reason="not base64") from None
    if len(value) != SIZES[algorithm]:
        reason = f"{len(value)} bytes where {SIZES[algorithm]} are needed"
        raise MalformedChecksum(algorithm=algorithm, reason=reason)
    return value


def compare(algorithm: str, computed: str, stated: str) -> None:
    """Raise BadDigest unless two base64 checksums are equal."""
    if decode(algorithm, stated) != base64.b64decode(computed):
        raise BadDigest(algorithm=algorithm, found=computed, stated=stated)


def compare_composite(algorithm: str, computed: str, stated: str) -> None:
    """Raise BadDigest unless two checksums of checksums are equal, with or without -N."""
    if stated not in {computed, computed.rpartition("-")[0]}:
        raise BadDigest(algorithm=algorithm, found=computed, stated=stated)


def check_type(algorithm: str, kind: str) -> str:
    """Return the type of a multipart upload's checksum, S3's default if none is named."""
    if not algorithm and kind:
        reason = "The x-amz-checksum-type header can only be used with the"
        reason += " x-amz-checksum-algorithm header."
        raise InvalidRequest(reason=reason)
    if not algorithm:
        return ""
    check_name(algorithm)
    kind = kind or (FULL_OBJECT if algorithm == "CRC64NVME" else COMPOSITE)
    possible = algorithm in POLYNOMIALS if kind == FULL_OBJECT else algorithm != "CRC64NVME"
    if kind not in {FULL_OBJECT, COMPOSITE} or not possible:
        raise ChecksumTypeUnfit(kind=kind[:60], algorithm=algorithm.lower())
    return kind


def join(algorithm: str, kind: str, parts: Sequence[tuple[int, str]]) -> str:
    """Return the checksum of an object from (size, base64 checksum) of each of its parts."""
    digests = [(size, base64.b64decode(value)) for size, value in parts]
    if kind == COMPOSITE:
        checksum = new(algorithm)
        checksum.update(b"".join(value for _, value in digests))
        return f"{encode(checksum.digest())}-{len(parts)}"
    return encode(_join_crcs(algorithm, digests))


def _join_crcs(algorithm: str, digests: Iterable[tuple[int, bytes]]) -> bytes:
    reverse, width = POLYNOMIALS[algorithm]
    value = 0
    for size, digest in digests:
        shift = _power(size * 8, reverse, width)
        value = _multiply(shift, value, reverse, width) ^ int.from_bytes(digest, "big")
    return value.to_bytes(width // 8, "big")


# A reflected CRC followed by n zero bits is the CRC times x^n modulo the polynomial; bit
# width-1 of a number stands for x^0. Then crc(a + b) = crc(a) * x^bits(b) + crc(b).


def _multiply(left: int, right: int, reverse: int, width: int) -> int:
    product, mask = 0, 1 << (width - 1)
    while mask:
        if left & mask:
            product ^= right
        right = right >> 1 ^ (reverse if right & 1 else 0)
        mask >>= 1
    return product


@lru_cache(64)
def _power(bits: int, reverse: int, width: int) -> int:
    result, square = 1 << (width - 1), 1 << (width - 2)
    while bits:
        if bits & 1:
            result = _multiply(square, result, reverse, width)
        square = _multiply(square, square, reverse, width)
        bits >>= 1
    return result
