"""Reserves blocks for an SSH key in a root file system, once, with debugfs; never mounts anything.

A composed disk gets an authorized_keys file with space for a key, and we note where its blocks and
its inode lie. A launch then writes its key over them, and the size that the file has with it, in
the overlay: no file system code runs, and it costs the same for every size of image.

A file can't end before its last block. Where a file system has blocks of 1 KiB, what is missing
up to there is filled with blank lines.
"""

import itertools
import os
import re
import struct
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from eucabox.errors import ProgramFailed
from eucabox.image import formats, inode
from eucabox.image.caged_programs import run_caged
from eucabox.image.inode import Inode

FILE = "/root/.ssh/authorized_keys"
ROOM = 4096  # bytes
LONGEST = 3072  # a 16384-bit RSA key with a comment
LINE = 1024  # bytes; dropbear reads no line beyond 4200
MOST = 65536  # bytes of keys that an image may bring along
NEEDS_RECOVERY = 0x4
OURS = 0o100600
TEXT = "latin-1"  # whatever bytes the file holds come back as they were


class NoSpaceForKeyError(Exception):
    """The file system cannot take a key; the argument says why, for the user."""


class SlotRecord(TypedDict):
    """A slot as JSON keeps it; one from before there were inodes lacks the last two."""

    runs: Sequence[Sequence[int]]
    before: str
    inode: NotRequired[dict[str, Any] | None]
    least: NotRequired[int]


@dataclass(frozen=True)
class Slot:
    """Where a key goes: (offset, length) runs on the disk in bytes, and what stands there first.

    `inode` is the file's, `least` the size that it has at least; a slot from before there were
    such facts fills its whole space.
    """

    runs: tuple[tuple[int, int], ...]
    before: str
    inode: Inode | None = None
    least: int = 0

    def to_record(self) -> SlotRecord:
        """Return the slot as JSON keeps it."""
        return {
            "runs": self.runs,
            "before": self.before,
            "inode": asdict(self.inode) if self.inode else None,
            "least": self.least,
        }

    def fill(self, public_key: str) -> list[tuple[int, bytes]]:
        """Return what to write and where, for a public key's line; "" for none."""
        line = public_key.strip()
        text = (self.before + (line and line + "\n")).encode(TEXT)
        capacity = sum(length for _, length in self.runs)
        if len(text) > capacity:
            raise NoSpaceForKeyError(
                f"the key has {len(text)} bytes and there is room for {capacity}"
            )
        size = capacity if self.inode is None else max(self.least, len(text))
        text = _fill_lines(text, size).ljust(capacity, b"\0")
        pieces, done = [], 0
        for offset, length in self.runs:
            pieces.append((offset, text[done : done + length]))
            done += length
        return pieces if self.inode is None else [*pieces, self.inode.resize(size)]


def read_slot(words: SlotRecord) -> Slot:
    """Return the slot of a record."""
    runs = tuple((start, length) for start, length in words["runs"])
    inode_words = words.get("inode")
    return Slot(
        runs, words["before"], Inode(**inode_words) if inode_words else None, words.get("least", 0)
    )


def needs_replay(root: Path) -> bool:
    """Tell whether a file system was cut off, so that a mount would first replay its journal."""
    with root.open("rb") as file:
        head = file.read(2048)
    return formats.has_ext(head) and bool(_features(head) & NEEDS_RECOVERY)


def replay_journal(root: Path) -> None:
    """Do what a mount would do, or it would undo what we write later.

    Only for a file system that begins its file: e2fsck forgets an offset here.
    """
    try:
        size = root.stat().st_size
        order = ("-p", "-E", "journal_only", str(root))
        run_caged("e2fsck", *order, seconds=600, largest=size)
    except ProgramFailed as problem:
        if problem.facts["status"] != 1:  # 1: errors were corrected
            raise


def make_slot(disk: Path, offset: int) -> Slot:
    """Put the file into the ext2, ext3 or ext4 file system at offset; raises NoSpaceForKeyError."""
    block = _block_size(disk, offset)
    place = f"{disk}?offset={offset}"
    before = _read_existing_keys(place)
    own = before.encode(TEXT)
    one = len(own) + LONGEST <= block
    size = block if one else -(-(len(own) + ROOM) // block) * block
    _put(disk, place, _fill_lines(own, size))
    blocks = _blocks(place, size // block)
    slot = Slot(_runs(blocks, block, offset), before)
    _check(disk, slot, size)
    return _shorten(disk, offset, slot, 0 if one else size - block + 1)


def _shorten(disk: Path, offset: int, slot: Slot, least: int) -> Slot:
    """Return a slot whose file ends with its text; without a key that is the image's own keys."""
    file_inode = inode.find(disk, offset, _ask(f"{disk}?offset={offset}", f"imap {FILE}"))
    if file_inode is None:
        return slot
    slot = replace(slot, inode=file_inode, least=least)
    with disk.open("r+b") as file:
        for start, content in slot.fill(""):
            os.pwrite(file.fileno(), content, start)
    return slot


def _block_size(disk: Path, offset: int) -> int:
    with disk.open("rb") as file:
        head = os.pread(file.fileno(), 2048, offset)
    if not formats.has_ext(head):
        raise NoSpaceForKeyError("its root file system is not ext2, ext3 or ext4")
    if _features(head) & NEEDS_RECOVERY:
        raise NoSpaceForKeyError("its root file system's journal could not be replayed")
    return int(1024 << struct.unpack_from("<I", head, 1024 + 24)[0])


def _features(head: bytes) -> int:
    return int(struct.unpack_from("<I", head, 1024 + 96)[0])  # s_feature_incompat


def _fill_lines(text: bytes, size: int) -> bytes:
    """Fill a file of keys up to a size with blank lines, short enough for every sshd."""
    missing = max(size - len(text), 0)
    lines = -(-missing // LINE)
    ends = [missing * number // lines for number in range(lines + 1)] if lines else []
    pairs = itertools.pairwise(ends)
    fill = (b" " * (end - start - 1) + b"\n" for start, end in pairs)
    return text + b"".join(fill)


def _read_existing_keys(place: str) -> str:
    facts = _ask(place, f"stat {FILE}")
    size = re.search(r"Size: (\d+)", facts)
    if size is None:
        return ""
    if "Type: regular" not in facts or int(size[1]) > MOST:
        raise NoSpaceForKeyError(f"its {FILE} is no file of at most {MOST} bytes")
    text = _ask(place, f"cat {FILE}").rstrip("\n")
    return text + "\n" if text else ""


def _put(disk: Path, place: str, content: bytes) -> None:
    """debugfs does not overwrite, and exits with 0 whatever happens; `_check` has the last word."""
    if "Type: directory" not in _ask(place, "stat /root"):
        raise NoSpaceForKeyError("it has no folder /root")
    with tempfile.NamedTemporaryFile() as source, tempfile.NamedTemporaryFile("w") as orders:
        source.write(content)
        source.flush()
        folder = FILE.rpartition("/")[0]
        orders.write(
            f"rm {FILE}\n"
            f"mkdir {folder}\n"
            f"write {source.name} {FILE}\n" + _fields(folder, 0o40700) + _fields(FILE, OURS)
        )
        orders.flush()
        run_caged("debugfs", "-w", "-f", orders.name, place, largest=disk.stat().st_size)


def _fields(path: str, mode: int) -> str:
    wanted = {"mode": f"0{mode:o}", "uid": "0", "gid": "0"}
    return "".join(f"set_inode_field {path} {name} {value}\n" for name, value in wanted.items())


def _blocks(place: str, count: int) -> list[int]:
    with tempfile.NamedTemporaryFile("w") as orders:
        orders.write("".join(f"bmap {FILE} {number}\n" for number in range(count)))
        orders.flush()
        output = run_caged("debugfs", "-f", orders.name, place).decode("utf-8", "replace")
    blocks = [int(line) for line in output.splitlines() if line.isdigit()]
    if len(blocks) != count or 0 in blocks:
        raise NoSpaceForKeyError(f"debugfs could not write {FILE} into it (a full disk, perhaps)")
    return blocks


def _runs(blocks: Sequence[int], block: int, offset: int) -> tuple[tuple[int, int], ...]:
    runs: list[tuple[int, int]] = []
    for number in blocks:
        start = offset + number * block
        if runs and sum(runs[-1]) == start:
            runs[-1] = (runs[-1][0], runs[-1][1] + block)
        else:
            runs.append((start, block))
    return tuple(runs)


def _check(disk: Path, slot: Slot, size: int) -> None:
    """Read the file's blocks straight from the disk: they must hold what we think they hold."""
    with disk.open("rb") as file:
        content = b"".join(os.pread(file.fileno(), length, start) for start, length in slot.runs)
    if content != _fill_lines(slot.before.encode(TEXT), size):
        raise NoSpaceForKeyError(f"what debugfs wrote to {FILE} could not be read back")


def _ask(place: str, order: str) -> str:
    return run_caged("debugfs", "-R", order, place).decode(TEXT)
