"""Copies what an instance's disk holds while its guest stands still; never asks why."""

import contextlib
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from eucabox.errors import ProgramFailed, SnapshotFailed
from eucabox.image import key_injection
from eucabox.image.caged_programs import Watch, run_caged

if TYPE_CHECKING:
    from eucabox.image.instance_disks import Boot

SECTOR = 512
FIRST_ENTRY = 446
LONGEST = 3600.0  # seconds
# The guest's own process has the disk open; paused, it writes nothing and has written all.
SHARED = "-U"


def take(boot: "Boot | None", target: Path, watch: Watch = lambda: None) -> None:
    """Write the root partition's file system, or a whole disk as qcow2, into a new file.

    `watch` may raise to give up. Raises SnapshotFailed.
    """
    if boot is None or not boot.disk.exists():
        raise SnapshotFailed(reason="its disk is gone")
    try:
        if boot.kernel is None:
            order = ("-c", "-f", boot.format, "-O", "qcow2", str(boot.disk), str(target))
            run_caged("qemu-img", "convert", SHARED, *order, seconds=LONGEST, watch=watch)
            return
        _root(boot, target, watch)
    except ProgramFailed as problem:
        raise SnapshotFailed(reason=problem.message) from None
    if key_injection.needs_replay(target):
        with contextlib.suppress(ProgramFailed):  # then a mount of the copy does it
            key_injection.replay_journal(target)


def _root(boot: "Boot", target: Path, watch: Watch) -> None:
    if boot.partitions:  # then the disk is the root partition and no more
        whole = ("-f", boot.format, "-O", "raw", str(boot.disk), str(target))
        run_caged("qemu-img", "convert", SHARED, *whole, seconds=LONGEST, watch=watch)
        return
    table = target.with_suffix(".table")
    facts = ("-f", boot.format, "-O", "raw", f"bs={SECTOR}", "count=1")
    run_caged("qemu-img", "dd", SHARED, *facts, f"if={boot.disk}", f"of={table}")
    start, count = struct.unpack_from("<II", table.read_bytes(), FIRST_ENTRY + 8)
    table.unlink()
    if not count:
        raise SnapshotFailed(reason="its disk has no first partition any more")
    part = (
        f"driver=raw,offset={start * SECTOR},size={count * SECTOR},"
        f"file.driver={boot.format},file.file.driver=file,file.file.filename={boot.disk}"
    )
    order = ("--image-opts", part, "-O", "raw", str(target))
    run_caged("qemu-img", "convert", SHARED, *order, seconds=LONGEST, watch=watch)
