from pathlib import Path

import pytest

from eucabox.errors import DiskImageRefused
from eucabox.image import import_file
from eucabox.image.cache import Cache, CacheEntry
from eucabox.run import run
from tests.image.disks import MIB, ext, qcow2


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", lambda: 2**30, set)


def settle(cache: Cache, path: Path, image_type: str = "machine") -> CacheEntry:
    with cache.partial() as file:
        file.write(path.read_bytes())
        file.flush()
        return import_file.add_to_cache(cache, Path(file.name), "digest", path.name, image_type)


def test_a_root_is_kept_as_it_is(cache: Cache, tmp_path: Path) -> None:
    root = ext(tmp_path / "root")
    entry = settle(cache, root)
    assert (entry.format, entry.facts["kind"], entry.facts["size"]) == ("raw", "ext", 8 * MIB)
    assert entry.path.read_bytes() == root.read_bytes()
    assert entry.path.stat().st_mode & 0o777 == 0o444


def test_a_qcow2_is_written_anew(cache: Cache, tmp_path: Path) -> None:
    disk = qcow2(tmp_path / "disk.qcow2", 3 * MIB)
    run("qemu-img", "snapshot", "-c", "before", str(disk))
    entry = settle(cache, disk)
    assert (entry.format, entry.facts["kind"], entry.facts["size"]) == ("qcow2", "disk", 3 * MIB)
    assert b"before" not in run("qemu-img", "info", str(entry.path))


def test_a_hostile_qcow2_never_enters(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret" * 1000)
    disk = qcow2(tmp_path / "disk", MIB, "-b", str(tmp_path / "secret"), "-F", "raw")
    with pytest.raises(DiskImageRefused, match="backing file"):
        settle(cache, disk)
    assert list(cache.folder.iterdir()) == []


def test_a_ramdisk_may_look_like_anything_but_a_qcow2(cache: Cache, tmp_path: Path) -> None:
    entry = settle(cache, ext(tmp_path / "initrd"), "ramdisk")
    assert (entry.format, entry.facts["kind"]) == ("raw", "ext")
    with pytest.raises(DiskImageRefused, match="a qcow2 disk and no ramdisk"):
        settle(cache, qcow2(tmp_path / "other"), "ramdisk")


@pytest.mark.parametrize("first", ["machine", "ramdisk"])
def test_an_entry_is_the_same_whatever_image_its_bytes_came_for_first(
    cache: Cache, tmp_path: Path, first: str
) -> None:
    disk = tmp_path / "disk"
    row = bytes([0x80, 0, 0, 0, 0x83, 0, 0, 0]) + (1).to_bytes(4, "little") * 2
    disk.write_bytes(bytes(446) + row + bytes(48) + b"\x55\xaa" + bytes(4096))
    settle(cache, disk, first)
    found = settle(cache, disk, {"machine": "ramdisk", "ramdisk": "machine"}[first])
    assert (found.format, found.facts["kind"]) == ("raw", "disk")


@pytest.mark.parametrize(
    "content",
    [
        bytes(0x202) + b"HdrS" + bytes(64),
        b"\x7fELF",
        b"\x1f\x8b\x08",
        b"MZ" + bytes(0x36) + b"ARM\x64" + bytes(8),
        b"MZ\0\0zimg" + bytes(64),
    ],
)
def test_a_kernel_is_one_that_a_machine_can_boot(
    cache: Cache, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "vmlinuz").write_bytes(content)
    assert settle(cache, tmp_path / "vmlinuz", "kernel").facts["size"] == len(content)


@pytest.mark.parametrize("content", [b"x", bytes(1024), b"#!/bin/sh", b"QFI\xfb" + bytes(1024)])
def test_what_is_no_kernel_is_refused(cache: Cache, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "vmlinuz").write_bytes(content)
    with pytest.raises(DiskImageRefused, match="no kernel"):
        settle(cache, tmp_path / "vmlinuz", "kernel")
    assert list(cache.folder.iterdir()) == []


@pytest.mark.parametrize("image_type", ["machine", "kernel"])
def test_nothing_is_no_image(cache: Cache, tmp_path: Path, image_type: str) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(DiskImageRefused, match="0 bytes"):
        settle(cache, tmp_path / "empty", image_type)
