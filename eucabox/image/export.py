"""A disk that leaves this cloud: one qcow2 that rests on no other file; never asks for whom."""

import re
import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from eucabox.errors import ExportFailed, ProgramFailed
from eucabox.image import disk, formats, grub, sparse
from eucabox.image.caged_programs import Watch, run_caged
from eucabox.image.disk_space import LEFT
from eucabox.image.grub import KernelFiles

DISK, KERNEL, RAMDISK = "disk.qcow2", "vmlinuz", "initrd"
RAW = "disk.raw"
SUPERBLOCK, UUID = 1024, 104
ROOT_WORD = re.compile(r"(?<!\S)root=/dev/\S+")
Boots = Literal["bios", "uefi", "kernel", "nothing"]


@dataclass(frozen=True)
class ExportSource:
    """What is exported: a file that nobody writes, and what it boots with.

    `is_root` tells that it is one root file system without a partition table.
    """

    file: Path
    format: str
    is_root: bool = False
    uefi: bool = False
    boots_with: KernelFiles | None = None


@dataclass(frozen=True)
class ExportedDisk:
    """What became of it: how the disk boots, and the command line of a kernel beside it."""

    boots: Boots
    cmdline: str = ""


def measure(source: ExportSource) -> int:
    """Return about how many bytes an export writes; raises ExportFailed."""
    order = ("measure", "--output=json", "-f", source.format, "-O", "qcow2", str(source.file))
    output = _run(*order)
    required = re.search(rb'"required": (\d+)', output)
    if required is None:
        raise ExportFailed(reason="qemu-img does not say how large its disk is")
    size = int(required[1])
    if not source.is_root and source.boots_with is None:
        return size
    return 2 * size + sum(each.stat().st_size for each in _list_files(source.boots_with))


def write(
    source: ExportSource,
    folder: Path,
    watch: Watch = lambda: None,
    check_space: Callable[[int], None] = lambda size: None,
) -> ExportedDisk:
    """Write DISK, and where it can't boot by itself KERNEL and RAMDISK, into an empty folder.

    `watch` may raise to give up; `check_space` gets the bytes that it will take, and may raise.
    Raises ExportFailed.
    """
    check_space(measure(source) + LEFT)
    target = folder / DISK
    if source.boots_with is None and not source.is_root:
        _convert(source.file, source.format, target, watch)
        return ExportedDisk("uefi" if source.uefi else "bios")
    raw = folder / RAW
    _make_raw(source, raw, watch)
    made = _make_bootable(source, raw, folder)
    _convert(raw, "raw", target, watch)
    raw.unlink()
    return made


def _make_raw(source: ExportSource, raw: Path, watch: Watch) -> None:
    """Write a raw disk with a partition table, also of a root that has none."""
    if not source.is_root:
        _run("convert", "-f", source.format, "-O", "raw", str(source.file), str(raw), watch=watch)
        return
    root = source.file
    if source.format != "raw":
        root = raw.with_suffix(".root")
        _run("convert", "-f", source.format, "-O", "raw", str(source.file), str(root), watch=watch)
    size = root.stat().st_size
    whole = disk.layout(size, 0, 0)
    with raw.open("x+b") as file:
        disk.compose(root, file, replace(whole, ephemeral=(0, 0), swap=(0, 0)))
    if root != source.file:
        root.unlink()


def _make_bootable(source: ExportSource, raw: Path, folder: Path) -> ExportedDisk:
    files = source.boots_with
    if files is None:
        return ExportedDisk("nothing")
    files = replace(files, cmdline=_name_root(raw, files))
    if grub.is_available() and grub.has_space(raw):
        try:
            grub.install(raw, files, folder)
        except ProgramFailed as problem:
            raise ExportFailed(reason=problem.message) from None
        return ExportedDisk("bios")
    for file, name in ((files.kernel, KERNEL), (files.ramdisk, RAMDISK)):
        if file:
            with file.open("rb") as content, (folder / name).open("xb") as target:
                sparse.copy(content, target, 0)
    return ExportedDisk("kernel", files.cmdline)


def _name_root(raw: Path, files: KernelFiles) -> str:
    """Return a command line that finds the root whatever the disk is called elsewhere.

    Only a ramdisk can look for a UUID; a kernel alone has to be told the device.
    """
    with raw.open("rb") as file:
        table = file.read(disk.SECTOR)
        (first,) = struct.unpack_from("<I", table, grub.FIRST_ENTRY + 8)
        file.seek(first * disk.SECTOR)
        head = file.read(2 * SUPERBLOCK)
    if files.ramdisk is None or not formats.has_ext(head):
        return ROOT_WORD.sub("root=/dev/vda1", files.cmdline)
    name = uuid.UUID(bytes=head[SUPERBLOCK + UUID : SUPERBLOCK + UUID + 16])
    return ROOT_WORD.sub(f"root=UUID={name}", files.cmdline)


def _convert(source: Path, form: str, target: Path, watch: Watch) -> None:
    try:
        disk.convert(source, form, target, watch=watch)
    except ProgramFailed as problem:
        raise ExportFailed(reason=problem.message) from None


def _run(*order: str, watch: Watch = lambda: None) -> bytes:
    try:
        return run_caged("qemu-img", *order, seconds=disk.LONGEST, watch=watch)
    except ProgramFailed as problem:
        raise ExportFailed(reason=problem.message) from None


def _list_files(files: KernelFiles | None) -> list[Path]:
    return [each for each in (files.kernel, files.ramdisk) if each] if files else []
