"""What a loss of power leaves of a disk, made from the log of its writes and flushes.

The model is that of a disk with a cache of its own and sectors of 4 KiB. What was written before
the last flush that the disk took is there. Of every later write it has, as the seed decides, all,
nothing, or some of the sectors, each one old or new; in any order, as a cache is emptied in any
order. The file system's own journal is under these rules too: it is the real one of the kernel.
"""

import os
import random
import subprocess
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.power.fuse import FLUSH, RECORD, WRITE

SECTOR = 4096
SHARES = (0.0, 0.0, 0.2, 0.5, 0.8, 1.0)  # of the unflushed writes that a cut may keep
TORN = 0.3  # the share of those that are kept in part only


@dataclass(frozen=True)
class Record:
    """A write, or a flush, at a moment of CLOCK_MONOTONIC; where the bytes are in the log."""

    kind: bytes
    moment: float
    offset: int
    length: int
    place: int


@dataclass(frozen=True)
class Log:
    """The records of a disk in their order."""

    file: Path
    records: list[Record]

    @classmethod
    def read(cls, file: Path) -> "Log":
        """Read a log; what its writer was cut off in is no record yet."""
        return cls(file, list(_read(file)))

    def fullest(self, first: int, last: int) -> list[int]:
        """Return the numbers of the flushes, from one record to another, for which writes wait."""
        kinds = [each.kind for each in self.records]
        flushes = (number for number in range(first + 2, last) if kinds[number] == FLUSH)
        return [each for each in flushes if kinds[each - 2 : each] == [WRITE, WRITE]]

    def count_before(self, moment: float) -> int:
        """Return the number of records before a moment."""
        return bisect_right([each.moment for each in self.records], moment)


def _read(file: Path) -> Iterator[Record]:
    size = file.stat().st_size
    with file.open("rb") as opened:
        while len(head := opened.read(RECORD.size)) == RECORD.size:
            kind, nanoseconds, offset, length = RECORD.unpack(head)
            place = opened.tell()
            if place + length > size:
                return
            yield Record(kind, nanoseconds / 1e9, offset, length, place)
            opened.seek(length, os.SEEK_CUR)


class Replay:
    """Goes once through a log, and makes the disk of each cut from what was flushed by then."""

    def __init__(self, log: Log, empty: Path, folder: Path) -> None:
        """`empty` is the disk before the first record."""
        self._log = log
        self._bytes = log.file.open("rb")
        self._flushed = folder / "flushed"
        copy(empty, self._flushed)
        self._image = os.open(self._flushed, os.O_RDWR)
        self._next = 0  # the first record that is not in `flushed`

    def close(self) -> None:
        self._bytes.close()
        os.close(self._image)
        self._flushed.unlink()

    def cut(self, number: int, chance: random.Random, target: Path) -> dict[str, int]:
        """Make the disk as it may be after the first `number` records; cuts come in order. Return
        how many unflushed writes it keeps, loses and tears."""
        self._flush(number)
        copy(self._flushed, target)
        share = chance.choice(SHARES)
        counts = {"kept": 0, "lost": 0, "torn": 0}
        descriptor = os.open(target, os.O_RDWR)
        try:
            for record in self._log.records[self._next : number]:
                counts[self._maybe(record, share, chance, descriptor)] += 1
        finally:
            os.close(descriptor)
        return counts

    def _flush(self, number: int) -> None:
        """Bring `flushed` up to the last flush among the first records."""
        records = self._log.records
        last = number
        while last > self._next and records[last - 1].kind != FLUSH:
            last -= 1
        for record in records[self._next : last]:
            if record.kind == WRITE:
                os.pwrite(self._image, self._content(record), record.offset)
        self._next = last

    def _content(self, record: Record) -> bytes:
        self._bytes.seek(record.place)
        return self._bytes.read(record.length)

    def _maybe(self, record: Record, share: float, chance: random.Random, image: int) -> str:
        fate = chance.random()
        if fate >= share:
            return "lost"
        content = self._content(record)
        if share == 1 or fate >= share * TORN or record.length <= SECTOR:
            os.pwrite(image, content, record.offset)
            return "kept"
        for start in range(0, record.length, SECTOR):
            if chance.random() < 0.5:
                os.pwrite(image, content[start : start + SECTOR], record.offset + start)
        return "torn"


def copy(source: Path, target: Path) -> None:
    """Copy a disk without filling its holes, into a file that no mount has ever seen."""
    target.unlink(missing_ok=True)
    argv = ["cp", "--sparse=auto", "--reflink=auto", str(source), str(target)]
    subprocess.run(argv, check=True, timeout=60)
