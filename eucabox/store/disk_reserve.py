"""Disk space reserved for the index, to be released when the disk is full; holds nothing else."""

import contextlib
import os
import time
from pathlib import Path

SIZE = 4 << 20  # bytes: more than the pages of all pending changes
SHARE = 16  # at most 1/16 of the free space
SECONDS = 60  # between two attempts to allocate it again


class Reserve:
    """A file that takes up disk space until the index needs it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._tried = float("-inf")
        self._allocated = False

    def allocate(self) -> None:
        """Allocate the space, unless that is done, has just failed, or little is free."""
        if self._allocated or time.monotonic() - self._tried < SECONDS:
            return
        self._tried = time.monotonic()
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)
            status = os.statvfs(self._file.parent)
            size = min(SIZE, status.f_bavail * status.f_frsize // SHARE)
            self._allocated = size > 0 and self._take(size)

    def _take(self, size: int) -> bool:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self._file, flags, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError:
            self._file.unlink(missing_ok=True)
            return False
        finally:
            os.close(descriptor)
        return True

    def release(self) -> bool:
        """Release the space; False if none was allocated."""
        had_space, self._allocated = self._allocated, False
        self._tried = time.monotonic()
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)
        return had_space
