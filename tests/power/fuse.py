"""A FUSE file system of one file, which is a disk: it notes each write and each flush in order.

The kernel's own loop driver makes a block device of that file, and a real file system is made on
it. Nothing of a write is kept back from the log, and the log has no opinion: which of the writes a
loss of power leaves is decided later, by `cuts`. Runs as a process of its own, because one that
waits for its own disk would wait for ever: `python -m tests.power.fuse MOUNT IMAGE LOG`.
"""

import contextlib
import ctypes
import errno
import os
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

NAME = "disk"
ROOT, DISK = 1, 2  # inode numbers
MAX_WRITE = 1 << 20
BIG_WRITES, MAX_PAGES = 1 << 5, 1 << 22  # flags of INIT
KEPT = 3600  # seconds that the kernel may believe what it was told of the file
RECORD = struct.Struct("<cQQI")  # kind, CLOCK_MONOTONIC in ns, offset, length; a write's bytes
WRITE, FLUSH = b"w", b"f"
_IN, _OUT = struct.Struct("<IIQQIIIHH"), struct.Struct("<IiQ")


class NotMounted(Exception):
    """Why this host mounts no FUSE file system."""


def _mount(folder: Path) -> int:
    try:
        device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    except OSError as problem:
        raise NotMounted(f"/dev/fuse: {problem.strerror}") from problem
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"eucabox-power", bytes(folder), b"fuse", 0, options):
        raise NotMounted(f"mounting on {folder}: {os.strerror(ctypes.get_errno())}")
    return device


@dataclass
class Disk:
    """The file's content, where the log goes, and what the kernel asks of both."""

    device: int  # the open /dev/fuse
    image: int
    log: int

    def serve(self) -> None:
        """Answer until the file system is unmounted."""
        while True:
            try:
                request = os.read(self.device, MAX_WRITE + (1 << 16))
            except InterruptedError:
                continue
            except OSError as problem:
                if problem.errno == errno.ENODEV:
                    return
                raise
            self._answer(request)

    def _answer(self, request: bytes) -> None:
        _, code, unique, node, *_ = _IN.unpack_from(request)
        if code in SILENT:
            return
        try:
            answer, status = ANSWERS[code](self, node, memoryview(request)[_IN.size :]), 0
        except KeyError:
            answer, status = b"", -errno.ENOSYS
        except OSError as problem:
            answer, status = b"", -(problem.errno or errno.EIO)
        with contextlib.suppress(FileNotFoundError):  # the request was given up
            os.write(self.device, _OUT.pack(_OUT.size + len(answer), status, unique) + answer)

    def _init(self, _: int, body: memoryview) -> bytes:
        major, minor, ahead, flags = struct.unpack_from("<IIII", body)
        flags &= BIG_WRITES | MAX_PAGES
        pages = MAX_WRITE // 4096
        told = (major, min(minor, 31), ahead, flags, 16, 12, MAX_WRITE, 1, pages, 0)
        return struct.pack("<IIIIHHIIHH", *told).ljust(64, b"\0")

    def _attributes(self, node: int) -> bytes:
        size = os.fstat(self.image).st_size if node == DISK else 0
        mode, links = (0o100600, 1) if node == DISK else (0o040700, 2)
        return struct.pack("<6Q10I", node, size, size >> 9, 0, 0, 0, 0, 0, 0, mode, links, *[0] * 5)

    def _lookup(self, _: int, body: memoryview) -> bytes:
        if bytes(body).rstrip(b"\0") != NAME.encode():
            raise FileNotFoundError(errno.ENOENT, "")
        return struct.pack("<QQQQII", DISK, 0, KEPT, KEPT, 0, 0) + self._attributes(DISK)

    def _getattr(self, node: int, _: memoryview) -> bytes:
        return struct.pack("<QII", KEPT, 0, 0) + self._attributes(node)

    def _open(self, _: int, __: memoryview) -> bytes:
        return struct.pack("<QII", 0, 0, 0)

    def _read(self, _: int, body: memoryview) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        return os.pread(self.image, size, offset)

    def _write(self, _: int, body: memoryview) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        content = body[40 : 40 + size]
        head = RECORD.pack(WRITE, time.monotonic_ns(), offset, size)
        if os.writev(self.log, [head, content]) != len(head) + size:
            raise OSError(errno.EIO, "the log is cut")
        os.pwrite(self.image, content, offset)
        return struct.pack("<II", size, 0)

    def _flush(self, _: int, __: memoryview) -> bytes:
        os.write(self.log, RECORD.pack(FLUSH, time.monotonic_ns(), 0, 0))
        return b""

    def _statfs(self, _: int, __: memoryview) -> bytes:
        return struct.pack("<5Q4I", 0, 0, 0, 0, 0, 4096, 255, 4096, 0).ljust(80, b"\0")

    def _nothing(self, _: int, __: memoryview) -> bytes:
        return b""


# By the kernel's numbers of the operations; FORGET, INTERRUPT and BATCH_FORGET get no answer.
SILENT = {2, 36, 42}
Answer = Callable[[Disk, int, memoryview], bytes]
ANSWERS: dict[int, Answer] = {
    1: Disk._lookup, 3: Disk._getattr, 4: Disk._getattr, 14: Disk._open, 15: Disk._read,
    16: Disk._write, 17: Disk._statfs, 18: Disk._nothing, 20: Disk._flush, 25: Disk._nothing,
    26: Disk._init, 27: Disk._open, 29: Disk._nothing, 38: Disk._nothing,
}  # fmt: skip


def main(folder: str, image: str, log: str) -> int:
    """Mount the disk, say so by a line, and serve until it is unmounted."""
    try:
        device = _mount(Path(folder))
    except NotMounted as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    disk = Disk(device, os.open(image, os.O_RDWR), os.open(log, flags, 0o600))
    sys.stdout.write("mounted\n")
    sys.stdout.flush()
    disk.serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
