"""The short form of attributes says the same as the long one, or is not used."""

import base64
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eucabox.store import attributes
from eucabox.store.types import Object, ObjectProperties, to_datetime

PLAIN = {"e": "0123456789abcdef" * 2, "s": 4096, "m": 1_764_000_000_000_001_000}


def crc(size: int) -> str:
    return base64.b64encode(bytes(range(size))).decode()


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"o": "000122223333"},
        {"t": "application/octet-stream"},
        {"t": "text/x-c"},
        {"t": "x"},
        {"o": "999999999999", "t": "text/plain", "c": {"CRC64NVME": crc(8)}, "k": "FULL_OBJECT"},
        {"c": {"CRC32": crc(4)}, "k": "FULL_OBJECT"},
        {"s": 0, "m": 0},
        {"t": "\n"},
    ],
)
def test_what_is_packed_is_unpacked_the_same(more: dict[str, Any]) -> None:
    packed = attributes.pack({**PLAIN, **more})
    if more != {"t": "\n"}:
        assert packed is not None
        assert attributes.unpack(packed) == {**PLAIN, **more}


@pytest.mark.parametrize(
    "more",
    [
        {"u": {"a": "b"}},
        {"e": "0" * 32 + "-2"},
        {"e": ""},
        {"e": "A" * 32},
        {"o": "1"},
        {"o": "12345678901x"},
        {"t": "t" * 60},
        {"t": "\u00e4"},
        {"s": 1 << 50},
        {"m": -1},
        {"c": {"SHA256": crc(32)}, "k": "FULL_OBJECT"},
        {"c": {"CRC32": crc(4)}},
        {"c": {"CRC32": crc(4), "CRC32C": crc(4)}, "k": "FULL_OBJECT"},
        {"t": "\x01"},
        {"t": ""},
    ],
)
def test_attributes_that_the_compact_form_can_not_express_are_not_packed(
    more: dict[str, Any],
) -> None:
    assert attributes.pack({**PLAIN, **more}) is None


@pytest.mark.not_fast
@settings(max_examples=100, deadline=None, database=None)
@given(
    content_type=st.text(max_size=30),
    owner=st.sampled_from(["", "111122223333", "1", "ä" * 12]),
    metadata=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=1),
)
def test_attributes_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    content_type: str,
    owner: str,
    metadata: dict[str, str],
) -> None:
    file = Path(tmp_path_factory.getbasetemp()) / "dated"
    file.write_bytes(b"content")
    os.utime(file, ns=(1_764_000_000_000_001_000,) * 2)
    status = file.stat()
    properties = ObjectProperties(content_type, metadata, owner=owner)
    made = Object("b", "k", 7, "0" * 32, to_datetime(status.st_mtime_ns), properties)
    assert attributes.decode(attributes.encode(made), "b", "k", status) == (made, True)
    os.utime(file, ns=(1_764_000_000_000_000_000,) * 2)  # as tar keeps it
    assert attributes.decode(attributes.encode(made), "b", "k", file.stat())[1]
    os.utime(file, ns=(1_764_000_001_000_001_000,) * 2)
    assert attributes.decode(attributes.encode(made), "b", "k", file.stat())[0].e_tag == ""


@pytest.mark.parametrize("raw", [b"\x01", b"\x01" * 36, b"\x01\x09" + bytes(60), b"\x01\0\xff"])
def test_damaged(raw: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="packed"):
        attributes.unpack(raw)
    with pytest.raises(ValueError, match="packed"):
        attributes.decode(raw, "b", "k", tmp_path.stat())


def test_attributes_that_only_look_usual_are_not(tmp_path: Path) -> None:
    (file := tmp_path / "file").write_bytes(b"content")
    os.utime(file, ns=(1_700_000_000_000_001_000,) * 2)
    status = file.stat()
    obj = Object("b", "k", 7, "0" * 32, to_datetime(status.st_mtime_ns), ObjectProperties())
    raw = attributes.encode(replace(obj, properties=ObjectProperties(owner="012345678901")))
    assert attributes.is_usual(raw, status)
    file.write_bytes(b"longer content")
    os.utime(file, ns=(status.st_mtime_ns,) * 2)
    longer = file.stat()
    file.write_bytes(b"CONTENT")
    os.utime(file, ns=(status.st_mtime_ns + 1000,) * 2)
    later = file.stat()
    odd = [b"", b"{", raw[:36], b"\x01\x09" + raw[2:], b"\x01\x80" + raw[2:], raw + b"\xff"]
    assert not any(attributes.is_usual(each, status) for each in odd)
    assert not any(attributes.is_usual(raw, each) for each in (longer, later))


@pytest.mark.parametrize("content_type", ["binary/octet-stream", "text/plain", "a/b"])
@pytest.mark.parametrize("algorithm", ["CRC32", "CRC64NVME", "SHA1", ""])
def test_the_quick_way_of_usual_attributes_leads_to_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content_type: str, algorithm: str
) -> None:
    (file := tmp_path / "file").write_bytes(b"content")
    os.utime(file, ns=(1_700_000_000_000_001_000,) * 2)
    sizes = {"CRC32": 4, "CRC64NVME": 8, "SHA1": 20}
    sums = {algorithm: base64.b64encode(b"1" * sizes[algorithm]).decode()} if algorithm else {}
    kind = "FULL_OBJECT" if sums else ""
    properties = ObjectProperties(
        content_type=content_type, owner="012345678901", checksums=sums, checksum_type=kind
    )
    modified = to_datetime(file.stat().st_mtime_ns)
    obj = Object("b", "k", 7, "0123456789abcdef" * 2, modified, properties)
    quick = attributes.encode(obj)
    decoded, fresh = attributes.decode(quick, "b", "k", file.stat())
    assert (decoded, fresh) == (obj, True)
    assert vars(decoded) == vars(obj)
    assert vars(decoded.properties) == vars(properties)
    for name in ("_encode_usual", "is_usual"):
        monkeypatch.setattr(attributes, name, lambda *_: None)
    assert attributes.encode(obj) == quick
    assert attributes.decode(quick, "b", "k", file.stat()) == (obj, True)
