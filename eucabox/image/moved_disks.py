"""What a kept disk needs in another folder: its note without a path, and the file it lies over.

A note of a backup is a stranger's: no path of it is used but in the folder it must be in.
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from eucabox.errors import DiskImageRefused
from eucabox.image import formats
from eucabox.image.caged_programs import run_caged
from eucabox.image.instance_disks import Boot

PATHS = ("kernel", "ramdisk", "disk", "nvram", "seed")
CACHED = ("kernel", "ramdisk")  # the others lie in the instance's own folder
FILE = re.compile(r"[0-9a-z][0-9a-z.-]{0,210}")
MAGIC = b"QFI\xfb"
LONGEST_NAME = 1023  # of a file that a qcow2 lies over, as QEMU has it


def list_cached(note: bytes) -> list[str]:
    """Return the names in the cache that a disk needs; none of a damaged note."""
    try:
        return [str(name) for name in json.loads(note)["uses"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


def strip_folders(note: bytes) -> bytes:
    """Return a note with the names of files in place of their paths; ValueError for a bad one."""
    return _change_paths(note, lambda name, text: Path(text).name)


def add_folders(note: bytes, cache: Path, folder: Path) -> bytes:
    """Return a note of `strip_folders` for a disk in a folder, over files in a cache.

    Raises ValueError for one that is none.
    """

    def make_path(name: str, text: str) -> str:
        if not FILE.fullmatch(text):
            raise ValueError("not a note of a disk")
        return str((cache if name in CACHED else folder) / text)

    changed = _change_paths(note, make_path)
    Boot(**json.loads(changed)["boot"])  # no other members
    return changed


def _change_paths(note: bytes, change: Callable[[str, str], str]) -> bytes:
    try:
        facts = json.loads(note)
        boot = dict(facts["boot"])
        for name in PATHS:
            if boot.get(name):
                boot[name] = change(name, str(boot[name]))
        boot["partitions"] = {
            str(device): change("disk", str(file))
            for device, file in boot.get("partitions", {}).items()
        }
        uses = [str(name) for name in facts["uses"]]
    except (KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise ValueError("not a note of a disk") from problem
    return json.dumps({"uses": uses, "boot": boot}).encode()


def read_base(disk: BinaryIO) -> str:
    """Return the name of the file that a qcow2 lies over, without its folder; "" if none."""
    head = os.pread(disk.fileno(), 32, 0)
    offset, size = int.from_bytes(head[8:16], "big"), int.from_bytes(head[16:20], "big")
    if not head.startswith(MAGIC) or not offset or size > LONGEST_NAME:
        return ""
    return Path(os.pread(disk.fileno(), size, offset).decode("utf-8", "replace")).name


def lay_over(disk: Path, base: Path) -> None:
    """Have a qcow2 of a backup lie over this file, whatever it names; DiskImageRefused."""
    if not base.is_file():
        raise DiskImageRefused(name=disk.name, reason=f"its base {base.name} is not there.")
    formats.check_restored(disk, disk.name, is_overlay=True)
    form = base.suffix.removeprefix(".")
    order = ("-u", "-f", "qcow2", "-F", form, "-b", str(base), str(disk))
    run_caged("qemu-img", "rebase", *order)
