"""Checksums against the check values of their definitions, and joined against computed whole."""

import base64
import hashlib
import os
import sys

import pytest

from eucabox.errors import (
    BadDigest,
    ChecksumTypeUnfit,
    ChecksumUnknown,
    InvalidRequest,
    MalformedChecksum,
)
from eucabox.store import checksums

CHECK = {
    "MD5": hashlib.md5(b"123456789").hexdigest(),
    "SHA512": hashlib.sha512(b"123456789").hexdigest(),
    "XXHASH64": "8cb841db40e6ae83",
    "XXHASH3": "72dcb18b67a17dff",
    "XXHASH128": "33119477ede5dcd5e9716427681d5860",
    "CRC32": "cbf43926",
    "CRC32C": "e3069283",
    "CRC64NVME": "ae8b14860a799888",
    "SHA1": hashlib.sha1(b"123456789").hexdigest(),
    "SHA256": hashlib.sha256(b"123456789").hexdigest(),
}


def summed(algorithm: str, data: bytes) -> str:
    running = checksums.new(algorithm)
    running.update(data[:5])
    running.update(memoryview(data)[5:])
    return checksums.encode(running.digest())


@pytest.mark.parametrize("algorithm", CHECK)
def test_check_value(algorithm: str) -> None:
    assert base64.b64decode(summed(algorithm, b"123456789")).hex() == CHECK[algorithm]


@pytest.mark.parametrize("algorithm", ["CRC32C", "CRC64NVME"])
def test_without_the_fast_libraries(algorithm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("awscrt.checksums", "crc32c", "eucabox.store._crc64"):
        monkeypatch.setitem(sys.modules, module, None)
    checksums._updater.cache_clear()
    assert base64.b64decode(summed(algorithm, b"123456789")).hex() == CHECK[algorithm]
    checksums._updater.cache_clear()


@pytest.mark.parametrize("algorithm", checksums.POLYNOMIALS)
def test_joined_is_the_whole(algorithm: str) -> None:
    pieces = [os.urandom(size) for size in (1, 0, 4096, 77, 100_000)]
    parts = [(len(piece), summed(algorithm, piece)) for piece in pieces]
    whole = summed(algorithm, b"".join(pieces))
    assert checksums.join(algorithm, "FULL_OBJECT", parts) == whole


def test_composite_is_a_sum_of_sums() -> None:
    sums = [summed("SHA256", piece) for piece in (b"one", b"two")]
    expected = hashlib.sha256(b"".join(map(base64.b64decode, sums))).digest()
    joined = checksums.join("SHA256", "COMPOSITE", [(3, each) for each in sums])
    assert joined == base64.b64encode(expected).decode() + "-2"
    checksums.compare_composite("SHA256", joined, joined)
    checksums.compare_composite("SHA256", joined, joined.removesuffix("-2"))
    with pytest.raises(BadDigest):
        checksums.compare_composite("SHA256", joined, sums[0])


@pytest.mark.parametrize("stated", ["", "AAAA", "####", "AAAAAAAAAAA=", "\u00e4"])
def test_no_checksum_at_all(stated: str) -> None:
    with pytest.raises(MalformedChecksum):
        checksums.decode("CRC32", stated)


def test_kinds_of_checksum() -> None:
    assert checksums.check_type("", "") == ""
    assert checksums.check_type("CRC64NVME", "") == "FULL_OBJECT"
    assert checksums.check_type("SHA1", "") == "COMPOSITE"
    assert checksums.check_type("CRC32", "FULL_OBJECT") == "FULL_OBJECT"
    for algorithm in ("MD5", "SHA512", "XXHASH64", "XXHASH3", "XXHASH128"):
        assert checksums.check_type(algorithm, "") == "COMPOSITE"
        with pytest.raises(ChecksumTypeUnfit):
            checksums.check_type(algorithm, "FULL_OBJECT")
    for each in [("SHA256", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE"), ("CRC32", "X")]:
        with pytest.raises(ChecksumTypeUnfit):
            checksums.check_type(*each)
    with pytest.raises(ChecksumUnknown):
        checksums.check_type("MD4", "")
    with pytest.raises(InvalidRequest):
        checksums.check_type("", "COMPOSITE")
    with pytest.raises(ChecksumUnknown):
        checksums.new("MD4")
    with pytest.raises(ChecksumUnknown):
        checksums.decode("MD4", "AAAA")
