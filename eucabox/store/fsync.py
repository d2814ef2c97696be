"""Flushes files and folders to the disk: before the answer, or when the operating system likes.

If several threads wait for the same folder, one fsync serves all who asked before it began.
"""

import os
import threading
from dataclasses import dataclass

from eucabox import gil_turns

COMMIT, RELAXED = "commit", "relaxed"


@dataclass
class _Queue:
    """The flushes of one folder: how many began and ended, and how many threads wait or flush."""

    begun: int = 0
    ended: int = 0
    users: int = 0
    working: bool = False


class Flush:
    """Flushes files and folders. With `relaxed` that is left to the operating system: a killed
    process loses nothing, a power loss may."""

    def __init__(self, durability: str = COMMIT) -> None:
        self.relaxed = durability == RELAXED
        self._finished = threading.Condition()
        self._queues: dict[tuple[int, int], _Queue] = {}

    def file(self, descriptor: int) -> None:
        """Flush a file's content and attributes."""
        if not self.relaxed:
            with gil_turns.yielding():
                os.fdatasync(descriptor)

    def folder(self, descriptor: int) -> None:
        """Flush a folder's entries as they are now."""
        if self.relaxed:
            return
        status = os.fstat(descriptor)
        where = status.st_dev, status.st_ino
        with gil_turns.yielding(), self._finished:
            queue = self._queues.setdefault(where, _Queue())
            queue.users += 1
            wanted = queue.begun + 1  # the flush under way may have missed our change
            try:
                while queue.ended < wanted:
                    if queue.working:
                        self._finished.wait()
                    else:
                        self._fsync(queue, descriptor)
            finally:
                queue.users -= 1
                if not queue.users:
                    del self._queues[where]

    def _fsync(self, queue: _Queue, descriptor: int) -> None:
        queue.working = True
        queue.begun += 1
        self._finished.release()
        try:
            os.fsync(descriptor)
        except BaseException:
            self._finished.acquire()
            queue.working = False
            self._finished.notify_all()  # the others try it themselves and get the same error
            raise
        self._finished.acquire()
        queue.working = False
        queue.ended = queue.begun
        self._finished.notify_all()
