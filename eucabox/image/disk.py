"""Disks: composes root, ephemeral and swap into one, lays overlays; never looks inside root."""

import os
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from eucabox.image import sparse
from eucabox.image.caged_programs import Watch, run_caged

SECTOR = 512
MIB = 2**20
ROOT_OFFSET = MIB
LINUX, SWAP = 0x83, 0x82
LEAST_EPHEMERAL = 16 * MIB
PAGE = 4096
LONGEST = 3600.0  # seconds
NO_CHS = b"\xfe\xff\xff"  # "see the sector numbers", for disks of any size


@dataclass(frozen=True)
class Layout:
    """Where the partitions of a composed disk lie: (offset, size) in bytes, size 0 for none."""

    root: tuple[int, int]
    ephemeral: tuple[int, int]
    swap: tuple[int, int]
    size: int

    def sizes(self) -> dict[str, int]:
        """Return the size in bytes of each partition that exists, by its name in EC2."""
        sizes = {"sda1": self.root[1], "sda2": self.ephemeral[1], "sda3": self.swap[1]}
        return {name: size for name, size in sizes.items() if size}


def bytes_needed(root: int, swap_mb: int) -> int:
    """Return the bytes that an instance type's disk must have for a root of that many bytes."""
    return _round_up(root) + swap_mb * MIB


def layout(root: int, disk_mb: int, swap_mb: int) -> Layout:
    """Share a type's disk: sda1 the root, sda3 swap, and sda2 what is left of it.

    The partition table's own MiB is given on top, so a root as large as the disk still fits.
    """
    size = max(disk_mb * MIB, bytes_needed(root, swap_mb)) + ROOT_OFFSET
    swap = swap_mb * MIB
    begin = ROOT_OFFSET + _round_up(root)
    ephemeral = size - swap - begin
    ephemeral = ephemeral if ephemeral >= LEAST_EPHEMERAL else 0
    return Layout(
        root=(ROOT_OFFSET, -(-root // SECTOR) * SECTOR),
        ephemeral=(begin, ephemeral),
        swap=(size - swap, swap),
        size=size,
    )


def compose(root: Path, target: BinaryIO, plan: Layout) -> None:
    """Write a disk as `layout` planned it into an empty file, sparse."""
    target.truncate(plan.size)
    os.pwrite(target.fileno(), _table(plan), 0)
    with root.open("rb") as source:
        sparse.copy(source, target, plan.root[0])
    if plan.ephemeral[1]:
        _make_ephemeral(target.name, *plan.ephemeral)
    if plan.swap[1]:
        os.pwrite(target.fileno(), _swap(plan.swap[1]), plan.swap[0])
    os.fsync(target.fileno())


def compose_partition(name: str, root: Path, target: BinaryIO, size: int) -> None:
    """Write one partition of `Layout.sizes` into an empty, sparse file."""
    target.truncate(size)
    if name == "sda1":
        with root.open("rb") as source:
            sparse.copy(source, target, 0)
    elif name == "sda2":
        _make_ephemeral(target.name, 0, size)
    else:
        os.pwrite(target.fileno(), _swap(size), 0)
    os.fsync(target.fileno())


def overlay(base: Path, base_format: str, target: Path, size: int) -> None:
    """Make a qcow2 that reads from base and takes an instance's writes; size in bytes."""
    run_caged(
        "qemu-img",
        "create",
        "-q",
        *("-f", "qcow2"),
        *("-F", base_format),
        *("-b", str(base)),
        str(target),
        str(size),
    )


def write(target: Path, pieces: Sequence[tuple[int, bytes]]) -> None:
    """Write bytes at offsets of a qcow2's guest view, while nobody else has it open."""
    for offset, data in pieces:
        source = target.with_suffix(".piece")
        source.write_bytes(data)
        order = f"write -q -s {source.name} {offset} {len(data)}"
        try:
            run_caged("qemu-io", "-f", "qcow2", "-c", order, target.name, cwd=target.parent)
        finally:
            source.unlink()


def convert(
    source: Path,
    source_format: str,
    target: Path,
    most: int | None = None,
    watch: Watch = lambda: None,
) -> None:
    """Write a whole new qcow2 without source's snapshots, bitmaps or odd header parts.

    It takes `most` bytes and no more; zeros become holes. `watch` may raise to give up.
    """
    order = ("convert", "-f", source_format, "-O", "qcow2", str(source), str(target))
    largest = None if most is None else most + MIB
    run_caged("qemu-img", *order, seconds=LONGEST, largest=largest, watch=watch)


def _make_ephemeral(file: str, offset: int, size: int) -> None:
    lazy = f"offset={offset},lazy_itable_init=1,lazy_journal_init=1"
    options = ("-q", "-F", "-t", "ext3", "-L", "ephemeral0", "-E", lazy)
    run_caged("mke2fs", *options, file, f"{size // 1024}k")


def _round_up(size: int) -> int:
    return -(-size // MIB) * MIB


def _table(plan: Layout) -> bytes:
    """Write a master boot record; an empty place keeps swap the third partition."""
    disk_id = secrets.token_bytes(4)
    entries = entry(plan.root, LINUX) + entry(plan.ephemeral, LINUX) + entry(plan.swap, SWAP)
    return bytes(440) + disk_id + bytes(2) + entries + bytes(16) + b"\x55\xaa"


def entry(place: tuple[int, int], kind: int) -> bytes:
    """Return a partition's entry in the master boot record; 16 zeros for one of no size."""
    offset, size = place
    if not size:
        return bytes(16)
    start, count = offset // SECTOR, min(size // SECTOR, 2**32 - 1)
    return struct.pack("<B3sB3sII", 0, NO_CHS, kind, NO_CHS, start, count)


def _swap(size: int) -> bytes:
    """Write the first page of a swap area (Linux, include/linux/swap.h: version 1)."""
    head = bytes(1024) + struct.pack("<III16s", 1, size // PAGE - 1, 0, secrets.token_bytes(16))
    return head.ljust(PAGE - 10, b"\0") + b"SWAPSPACE2"
