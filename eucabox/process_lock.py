"""One process for one data directory: a lock that dies with its holder; protects nothing else."""

import fcntl
import os
import time
from pathlib import Path

PATIENCE = 1.0  # seconds: `holder` takes the lock for a moment too
MODE = (
    0o600  # another user who may read the file could lock it, and so stop its owner from starting
)


class ProcessLock:
    """An advisory lock on a file that has the process id; only the file's owner can read it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock and write our process id into it; False if another process has it."""
        descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
        os.fchmod(descriptor, MODE)
        deadline = time.monotonic() + PATIENCE
        while not _try(descriptor):
            if time.monotonic() > deadline:
                os.close(descriptor)
                return False
            time.sleep(0.01)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor
        return True

    def holder(self) -> int | None:
        """Return the process id in the file while some process holds the lock, else None.

        Raises PermissionError where the file is another user's.
        """
        try:
            # O_NONBLOCK: a pipe in its place would hold a command of root's for ever
            descriptor = os.open(self.file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.read(descriptor, 32).strip()
            return int(text) if text.isdigit() else 0
        else:
            return None
        finally:
            os.close(descriptor)

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
