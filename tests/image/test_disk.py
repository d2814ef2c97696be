import os
import struct
from pathlib import Path

import pytest

from eucabox.image import disk, sparse
from eucabox.run import run
from tests.image.disks import MIB, check, ext, look, raw


def entries(path: Path) -> list[tuple[int, int, int]]:
    """Return (type, first byte, bytes) of the four partitions."""
    with path.open("rb") as file:
        table = file.read(512)
    assert table[510:] == b"\x55\xaa"
    found = []
    for index in range(4):
        kind, start, count = struct.unpack_from("<4xB3xII", table, 446 + 16 * index)
        found.append((kind, start * 512, count * 512))
    return found


def composed(folder: Path, disk_mb: int, swap_mb: int, root: Path) -> tuple[Path, disk.Layout]:
    plan = disk.layout(root.stat().st_size, disk_mb, swap_mb)
    with (folder / "disk.raw").open("w+b") as file:
        disk.compose(root, file, plan)
    return folder / "disk.raw", plan


@pytest.mark.not_fast
def test_root_ephemeral_and_swap_are_three_partitions(tmp_path: Path) -> None:
    root = ext(tmp_path / "root", "write /etc/hostname name")
    path, plan = composed(tmp_path, 100, 16, root)
    assert plan.size == path.stat().st_size == 101 * MIB
    assert entries(path) == [
        (0x83, MIB, 8 * MIB), (0x83, 9 * MIB, 76 * MIB), (0x82, 85 * MIB, 16 * MIB), (0, 0, 0),
    ]  # fmt: skip
    with path.open("rb") as file:
        assert os.pread(file.fileno(), 8 * MIB, MIB) == root.read_bytes()
        assert os.pread(file.fileno(), 10, 85 * MIB + 4086) == b"SWAPSPACE2"
    check(path, 9 * MIB)
    assert "ephemeral0" in look(path, 9 * MIB, "stats -h")
    assert sparse.disk_bytes(path) < 16 * MIB


def test_without_room_swap_stays_the_third(tmp_path: Path) -> None:
    path, _ = composed(tmp_path, 20, 8, ext(tmp_path / "root"))
    assert [kind for kind, _, _ in entries(path)] == [0x83, 0, 0x82, 0]


def test_without_swap_there_is_no_third(tmp_path: Path) -> None:
    path, _ = composed(tmp_path, 100, 0, ext(tmp_path / "root"))
    assert [kind for kind, _, _ in entries(path)] == [0x83, 0x83, 0, 0]


@pytest.mark.parametrize("size", [1, 511, 513, MIB - 1, MIB, 7 * MIB + 5])
def test_a_root_of_any_size_has_its_place(tmp_path: Path, size: int) -> None:
    (tmp_path / "root").write_bytes(b"r" * size)
    path, plan = composed(tmp_path, 8, 0, tmp_path / "root")
    assert entries(path)[0] == (0x83, MIB, -(-size // 512) * 512)
    assert plan.size == 9 * MIB


def test_a_root_as_large_as_the_disk_fits() -> None:
    assert disk.bytes_needed(1024 * MIB, 0) == 1024 * MIB
    plan = disk.layout(1024 * MIB, 1024, 0)
    assert plan.ephemeral[1] == 0
    assert plan.root == (MIB, 1024 * MIB)


def test_an_overlay_takes_writes_and_leaves_its_base(tmp_path: Path) -> None:
    base = tmp_path / "base.raw"
    base.write_bytes(b"b" * MIB)
    target = tmp_path / "disk.qcow2"
    disk.overlay(base, "raw", target, 2 * MIB)
    disk.write(target, [(10, b"hello"), (MIB - 2, b"across")])
    content = raw(target, tmp_path / "out").read_bytes()
    assert content[:20] == b"b" * 10 + b"hello" + b"b" * 5
    assert content[MIB - 4 : MIB + 6] == b"bbacross" + bytes(2)
    assert len(content) == 2 * MIB
    assert base.read_bytes() == b"b" * MIB
    assert {path.name for path in tmp_path.iterdir()} == {"base.raw", "disk.qcow2", "out"}


@pytest.mark.not_fast
def test_convert_keeps_the_content_alone(tmp_path: Path) -> None:
    disk.overlay(Path("/dev/null"), "raw", tmp_path / "a.qcow2", MIB)
    run("qemu-img", "rebase", "-u", "-b", "", str(tmp_path / "a.qcow2"))
    disk.write(tmp_path / "a.qcow2", [(5, b"data")])
    run("qemu-img", "snapshot", "-c", "before", str(tmp_path / "a.qcow2"))
    disk.convert(tmp_path / "a.qcow2", "qcow2", tmp_path / "b.qcow2")
    assert b"before" not in run("qemu-img", "info", str(tmp_path / "b.qcow2"))
    assert raw(tmp_path / "b.qcow2", tmp_path / "out").read_bytes()[5:9] == b"data"
