from pathlib import Path

import pytest

from eucabox.errors import DiskImageRefused
from eucabox.image import formats
from tests.image.disks import MIB, ext, qcow2

ENTRY = bytes([0x80, 0, 0, 0, 0x83, 0, 0, 0]) + (2048).to_bytes(4, "little") + bytes([0, 8, 0, 0])


def disk(entry: bytes = ENTRY) -> bytes:
    return bytes(446) + entry + bytes(48) + b"\x55\xaa" + bytes(2048)


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"QFI\xfb" + bytes(100), "qcow2"),
        (disk(), "disk"),
        (disk(ENTRY[:4] + b"\xee" + ENTRY[5:]), "disk"),
        (disk(bytes(16)), "data"),
        (disk(b"\x41" + ENTRY[1:]), "data"),
        (disk(ENTRY[:12] + bytes(4)), "data"),
        (b"", "data"),
        (b"ELF", "data"),
    ],
)
def test_kinds_of_content(tmp_path: Path, head: bytes, kind: str) -> None:
    (tmp_path / "file").write_bytes(head)
    assert formats.kind(tmp_path / "file") == kind


@pytest.mark.parametrize("kind", ["ext2", "ext3", "ext4"])
def test_ext_file_systems_are_no_disks_even_with_a_boot_sector(tmp_path: Path, kind: str) -> None:
    path = ext(tmp_path / "root", kind=kind)
    with path.open("r+b") as file:
        file.write(disk()[:512])
    assert formats.kind(path) == "ext"


def test_a_disk_s_facts(tmp_path: Path) -> None:
    found = formats.disk(qcow2(tmp_path / "disk.qcow2", 5 * MIB), "disk")
    assert found == formats.Disk("qcow2", 5 * MIB)
    head = (tmp_path / "disk.qcow2").read_bytes()[:64]
    assert formats.qcow2_size(head) == 5 * MIB
    (tmp_path / "raw").write_bytes(disk())
    assert formats.disk(tmp_path / "raw", "raw") == formats.Disk("raw", len(disk()))


@pytest.mark.not_fast
def test_a_disk_that_reads_other_files_is_refused(tmp_path: Path) -> None:
    backing = tmp_path / "secret"
    backing.write_bytes(bytes(MIB))
    overlay = qcow2(tmp_path / "a", MIB, "-b", str(backing), "-F", "raw")
    with pytest.raises(DiskImageRefused, match="backing file"):
        formats.disk(overlay, "a")
    outside = qcow2(tmp_path / "b", MIB, "-o", f"data_file={backing}")
    with pytest.raises(DiskImageRefused, match="another file"):
        formats.disk(outside, "b")


def test_a_backing_file_that_is_missing_is_refused_too(tmp_path: Path) -> None:
    overlay = qcow2(tmp_path / "a", MIB, "-u", "-b", "json:{}", "-F", "raw")
    with pytest.raises(DiskImageRefused):
        formats.disk(overlay, "a")


def test_a_disk_that_fits_no_instance_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DiskImageRefused, match="largest instance type"):
        formats.disk(qcow2(tmp_path / "a", formats.LARGEST + MIB), "a")


@pytest.mark.parametrize(("head", "form"), [(b"KDMV", "VMDK"), (b"vhdxfile", "VHDX")])
def test_other_formats_are_refused_with_the_remedy(tmp_path: Path, head: bytes, form: str) -> None:
    (tmp_path / "a").write_bytes(head + bytes(600))
    with pytest.raises(DiskImageRefused, match=f"{form} file. Convert it: qemu-img convert"):
        formats.disk(tmp_path / "a", "a")


def test_a_damaged_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"QFI\xfb" + b"\xff" * 600)
    with pytest.raises(DiskImageRefused, match="damaged"):
        formats.disk(tmp_path / "a", "a")
