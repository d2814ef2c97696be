"""Files with holes: writes zeros as holes, copies and reads only data; never interprets it."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

CHUNK = 2**20
BLOCK = 4096
ZEROS = bytes(CHUNK)


class SparseWriter:
    """Writes a stream into a new file, with blocks of zeros left out, and keeps its SHA-256."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = 0
        self.written = 0
        self._digest = hashlib.sha256()
        self._tail = b""

    def write(self, data: bytes) -> None:
        """Append bytes of any number."""
        self._digest.update(data)
        self.written += len(data)
        data = self._tail + data if self._tail else data
        whole = len(data) - len(data) % BLOCK
        self._tail = data[whole:]
        blocks = memoryview(data)[:whole]
        for start in range(0, whole, CHUNK):
            chunk = blocks[start : start + CHUNK]
            if chunk != ZEROS[: len(chunk)]:
                for begin, end in _runs(chunk):
                    _write(self.file, chunk[begin:end], self.size + begin)
            self.size += len(chunk)

    def finish(self) -> str:
        """Write what is left, give the file its size, and return the SHA-256 of all, in hex."""
        if self._tail:
            os.pwrite(self.file.fileno(), self._tail, self.size)
            self.size += len(self._tail)
            self._tail = b""
        self.file.truncate(self.size)
        os.fsync(self.file.fileno())
        return self._digest.hexdigest()


def data_runs(file: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of each run of data in a file; the bytes between are holes."""
    position = 0
    while position < size:
        try:
            start = os.lseek(file.fileno(), position, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole is left
            return
        if start >= size:
            return
        position = min(os.lseek(file.fileno(), start, os.SEEK_HOLE), size)
        yield start, position


def copy(source: BinaryIO, target: BinaryIO, offset: int) -> None:
    """Copy a file into target at offset, holes left as holes; shares extents where it can."""
    size = os.fstat(source.fileno()).st_size
    for start, end in data_runs(source, size):
        position = start
        while position < end:
            done = os.copy_file_range(
                source.fileno(), target.fileno(), end - position, position, offset + position
            )
            if not done:
                raise OSError(f"the file of {size} bytes was cut while it was copied")
            position += done


def disk_bytes(path: Path) -> int:
    """Return the bytes that a file takes on the disk."""
    return path.stat().st_blocks * 512


def _runs(chunk: memoryview) -> Iterator[tuple[int, int]]:
    begin = -1
    for start in range(0, len(chunk), BLOCK):
        block = chunk[start : start + BLOCK]
        empty = block == ZEROS[: len(block)]
        if empty and begin >= 0:
            yield begin, start
            begin = -1
        elif not empty and begin < 0:
            begin = start
    if begin >= 0:
        yield begin, len(chunk)


def _write(file: BinaryIO, data: memoryview, position: int) -> None:
    while data:
        done = os.pwrite(file.fileno(), data, position)
        data, position = data[done:], position + done
