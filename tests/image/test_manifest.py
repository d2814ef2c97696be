import pytest

from eucabox.errors import InvalidManifest
from eucabox.image import bundle_crypto, manifest
from tests.image.vectors import CLOUD_CERTIFICATE, CLOUD_KEY, DATA, USER, USER_CERTIFICATE, USER_KEY

ROOT = (DATA / "root.img.manifest.xml").read_bytes()
KERNEL = (DATA / "vmlinuz.manifest.xml").read_bytes()


def refusal(raw: bytes) -> str:
    with pytest.raises(InvalidManifest) as refused:
        manifest.parse(raw, "bucket/x.manifest.xml")
    assert refused.value.message.isascii()
    return refused.value.message


def test_reads_what_euca2ools_wrote() -> None:
    found = manifest.parse(ROOT)
    assert (found.name, found.user, found.image_type) == ("root.img", USER, "machine")
    assert (found.architecture, found.kernel_id) == ("x86_64", "eki-12345678")
    assert found.ramdisk_id == "eri-12345678"
    assert found.block_device_mapping == {"ami": "sda1", "root": "/dev/sda1"}
    assert (found.size, found.bundled_size) == (8192, 2688)
    assert [part.name for part in found.parts] == [f"root.img.part.0{i}" for i in range(3)]


def test_verifies_what_euca2ools_signed() -> None:
    found = manifest.parse(ROOT)
    assert manifest.verify(found, [CLOUD_CERTIFICATE, USER_CERTIFICATE]) == USER_CERTIFICATE


def test_a_stranger_s_signature_is_refused() -> None:
    with pytest.raises(InvalidManifest, match="no active certificate"):
        manifest.verify(manifest.parse(ROOT), [CLOUD_CERTIFICATE])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<size>8192<", b"<size>8193<"),
        (b"x86_64", b"i386"),
        (b"root.img.part.01<", b"root.img.part.07<"),
    ],
)
def test_any_change_of_the_signed_bytes_shows(old: bytes, new: bytes) -> None:
    with pytest.raises(InvalidManifest, match="changed after signing"):
        manifest.verify(manifest.parse(ROOT.replace(old, new)), [USER_CERTIFICATE])


@pytest.mark.parametrize("word", [b"UNSIGNED", b""])
def test_an_unsigned_manifest_is_refused(word: bytes) -> None:
    start = ROOT.index(b"<signature>") + len("<signature>")
    raw = ROOT[:start] + word + b"</signature></manifest>"
    with pytest.raises(InvalidManifest, match="not signed"):
        manifest.verify(manifest.parse(raw), [USER_CERTIFICATE])


@pytest.mark.not_fast
def test_the_cloud_s_key_opens_the_bundle_and_no_other() -> None:
    found = manifest.parse(ROOT)
    secrets = manifest.open_key(found, bundle_crypto.private_key(CLOUD_KEY))
    assert [len(each) for each in secrets] == [16, 16]
    with pytest.raises(InvalidManifest, match="not encrypted for this cloud"):
        manifest.open_key(found, bundle_crypto.private_key(USER_KEY))


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, "kernel"),
        ({b"<type>kernel": b"<type>machine"}, "kernel"),
        ({b"<type>kernel</type>": b"", b"kernel_id": b"ramdisk_id"}, "ramdisk"),
        ({b"<type>kernel": b"<type>ramdisk"}, "ramdisk"),
        ({b"<kernel_id>true": b"<kernel_id>YES", b"<type>kernel</type>": b""}, "kernel"),
        ({b"<type>kernel</type>": b"", b"<kernel_id>true</kernel_id>": b""}, "kernel"),
        ({b"<type>kernel": b"<type>machine", b"<kernel_id>true": b"<kernel_id>eki-1"}, "machine"),
    ],
)
def test_the_type_is_told_by_three_signs_in_turn(changes: dict[bytes, bytes], kind: str) -> None:
    raw = KERNEL
    for old, new in changes.items():
        assert old in raw
        raw = raw.replace(old, new)
    assert manifest.parse(raw, "bucket/vmlinuz.manifest.xml").image_type == kind


def test_entities_are_never_expanded() -> None:
    levels = b"".join(b'<!ENTITY l%d "%s">' % (i + 1, b"&l%d;" % i * 10) for i in range(9))
    bomb = b'<!DOCTYPE m [<!ENTITY l0 "ha">' + levels + b"]><manifest>&l9;</manifest>"
    assert "document type declaration" in refusal(bomb)
    outside = b'<!DOCTYPE m [<!ENTITY x SYSTEM "file:///etc/passwd">]><manifest>&x;</manifest>'
    assert "document type declaration" in refusal(outside)
    assert "document type declaration" in refusal(bomb.decode().encode("utf-16"))


def test_size_and_depth_are_limited() -> None:
    assert "larger than" in refusal(b"<manifest>" + b" " * manifest.MAXIMUM)
    assert "deeper" in refusal(b"<manifest>" + b"<a>" * 100_000)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "other/part", "/etc/passwd", "..", ".", "", "a\u0085b"]
)
def test_a_part_lies_beside_its_manifest(name: str) -> None:
    changed = ROOT.replace(b"root.img.part.01", name.encode("ascii", "xmlcharrefreplace"))
    assert "its name has no slash" in refusal(changed)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"<manifest>", b"<manifesto>", "not well-formed"),
        (b"manifest>", b"bundle>", "root element"),
        (b"<size>8192", b"<size>8k", "not a number of bytes"),
        (b"<size>8192", b"<size>-1", "not a number of bytes"),
        (b'count="3"', b'count="4"', "says '4' parts and lists 3"),
        (b'index="1"', b'index="7"', "lists no part 1"),
        (b"<filename>root.img.part.01</filename>", b"", "lacks a filename"),
        (b"part.01", b"part.00", "one name"),
        (b'<digest algorithm="SHA1">', b'<digest algorithm="MD5">', "not SHA1"),
        (b"AES-128-CBC", b"AES-256-CBC", "not for AES-128-CBC"),
        (b"<image>", b"<image></image><image>", "2 elements image"),
        (b"<machine_configuration>", b"<machine_configuratio>", "not well-formed"),
    ],
)
def test_a_damaged_manifest_says_what_is_wrong(old: bytes, new: bytes, reason: str) -> None:
    assert old in ROOT
    assert reason in refusal(ROOT.replace(old, new))


def test_a_manifest_of_nothing_is_refused() -> None:
    assert "not well-formed" in refusal(b"")
    assert "no element machine_configuration" in refusal(b"<manifest/>")


def test_the_signature_covers_exactly_what_is_read() -> None:
    hidden = b"<other>" + ROOT[ROOT.index(b"<image>") : ROOT.index(b"<signature>")] + b"</other>"
    wrapped = ROOT.replace(b"<image>", hidden + b"<image>", 1).replace(b"8192", b"9999")
    wrapped = wrapped.replace(hidden.replace(b"8192", b"9999"), hidden)
    with pytest.raises(InvalidManifest, match="changed after signing"):
        manifest.verify(manifest.parse(wrapped), [USER_CERTIFICATE])


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        (b"x86_64", b"x" * 129, "architecture"),
        (b"eki-12345678", b"e" * 2**20, "kernel_id"),
        (b"<virtual>ami", b"<virtual>" + b"a" * 129, "virtual"),
        (b"<mapping>", b"<mapping/>" * 100 + b"<mapping>", "64 devices"),
    ],
)
def test_words_without_end_are_refused(old: bytes, new: bytes, word: str) -> None:
    assert word in refusal(ROOT.replace(old, new, 1))
