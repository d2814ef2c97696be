"""Checksums against the check values of their definitions, and joined against computed whole."""

import base64
import hashlib
import os
import sys
from types import SimpleNamespace

import pytest

from eucabox.errors import BadDigest, InvalidChecksum, InvalidRequest, MalformedChecksum
from eucabox.store import checksums

CHECK = {
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
    return checksums.text(running.digest())


@pytest.mark.parametrize("algorithm", CHECK)
def test_check_value(algorithm: str) -> None:
    assert base64.b64decode(summed(algorithm, b"123456789")).hex() == CHECK[algorithm]


@pytest.mark.parametrize("algorithm", ["CRC32C", "CRC64NVME"])
def test_without_the_fast_libraries(algorithm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("awscrt.checksums", "crc32c"):
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


def test_the_default_is_only_what_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "awscrt.checksums", None)
    checksums.default.cache_clear()
    assert checksums.default() == ""
    fast = SimpleNamespace(crc64nvme=lambda data: 0)
    monkeypatch.setitem(sys.modules, "awscrt.checksums", fast)
    checksums.default.cache_clear()
    assert checksums.default() == "CRC64NVME"
    checksums.default.cache_clear()


def test_kinds_of_checksum() -> None:
    assert checksums.check_type("", "") == ""
    assert checksums.check_type("CRC64NVME", "") == "FULL_OBJECT"
    assert checksums.check_type("SHA1", "") == "COMPOSITE"
    assert checksums.check_type("CRC32", "FULL_OBJECT") == "FULL_OBJECT"
    wrong = [("SHA256", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE"), ("MD4", ""), ("CRC32", "X")]
    for each in wrong:
        with pytest.raises(InvalidChecksum):
            checksums.check_type(*each)
    with pytest.raises(InvalidRequest):
        checksums.check_type("", "COMPOSITE")
    with pytest.raises(InvalidChecksum):
        checksums.new("MD4")
    with pytest.raises(InvalidChecksum):
        checksums.decode("MD4", "AAAA")
