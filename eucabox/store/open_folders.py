"""Limits how many buckets have open folders, however many buckets there are; knows no bucket.

A descriptor is closed when nobody holds it any more, so one in use survives.
"""

import os
import threading
import weakref
from collections import deque
from typing import Protocol

MOST_OPEN = 64  # buckets whose folders stay open


class OpenFolder(int):
    """A descriptor that closes when its last holder drops it. Keep the object, not a copy of its
    number."""

    def __del__(self) -> None:
        os.close(self)


class FolderOwner(Protocol):
    """An owner of open folders, which notes when it uses them."""

    used: bool

    def close_folders(self) -> None:
        """Drop the open folders."""


class OpenFolders:
    """The owners with open folders; when there are too many, one that was not used lately drops its
    own."""

    def __init__(self, most: int = MOST_OPEN) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._open: deque[weakref.ref[FolderOwner]] = deque()

    def add(self, opened: FolderOwner) -> None:
        """Add an owner, and make another drop its folders if there are too many."""
        with self._lock:
            self._open.append(weakref.ref(opened))
            idle = self._take_idle() if len(self._open) > self._most else None
        if idle is not None:
            idle.close_folders()

    def _take_idle(self) -> FolderOwner | None:
        """Return the first owner that was not used since this last looked at it."""
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
