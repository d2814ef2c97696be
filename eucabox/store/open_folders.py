"""Open folders of buckets, a bounded number of them however many buckets there are; no bucket.

A descriptor is closed once nobody has it any more, so one that is in use outlives its place here.
"""

import os
import threading
import weakref
from collections import deque
from typing import Protocol

MOST_OPEN = 64  # buckets whose folders stay open


class OpenFolder(int):
    """A descriptor that is closed when the last who has it lets go of it: keep it, not a copy of
    its number."""

    def __del__(self) -> None:
        os.close(self)


class FolderOwner(Protocol):
    """Who has folders open, and marks when they are used."""

    used: bool

    def close_folders(self) -> None:
        """Have the folders open no longer."""


class OpenFolders:
    """Those who have their folders open; one that was not used lately lets go for another."""

    def __init__(self, most: int = MOST_OPEN) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._open: deque[weakref.ref[FolderOwner]] = deque()

    def add(self, opened: FolderOwner) -> None:
        """Count one more, and have another let go where there are too many."""
        with self._lock:
            self._open.append(weakref.ref(opened))
            idle = self._take_idle() if len(self._open) > self._most else None
        if idle is not None:
            idle.close_folders()

    def _take_idle(self) -> FolderOwner | None:
        """Return the first that was not used since it was looked at last."""
        for _ in range(len(self._open)):
            reference = self._open.popleft()
            owner = reference()
            if owner is None:
                return None
            if not owner.used:
                return owner
            owner.used = False
            self._open.append(reference)
        return self._open.popleft()()


OPEN_FOLDERS = OpenFolders()
