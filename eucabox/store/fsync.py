"""When what was written must be on the disk: before the answer, or when the system likes.

Where many wait for the same folder, one flush serves all who asked before it began.
"""

import os
import threading
from dataclasses import dataclass

from eucabox import gil_turns

COMMIT, RELAXED = "commit", "relaxed"


@dataclass
class _Queue:
    """The flushes of one folder: how many began and ended, and how many wait or work."""

    begun: int = 0
    ended: int = 0
    users: int = 0
    working: bool = False


class Flush:
    """Brings files and folders to the disk; `relaxed` leaves it to the operating system, which
    keeps all through a kill of the process and not through a loss of power."""

    def __init__(self, durability: str = COMMIT) -> None:
        self.relaxed = durability == RELAXED
        self._finished = threading.Condition()
        self._queues: dict[tuple[int, int], _Queue] = {}

    def file(self, descriptor: int) -> None:
        """Return when a file's content and attributes are safe."""
        if not self.relaxed:
            with gil_turns.yielding():
                os.fdatasync(descriptor)

    def folder(self, descriptor: int) -> None:
        """Return when a folder's entries, as they are now, are safe."""
        if self.relaxed:
            return
        status = os.fstat(descriptor)
        where = status.st_dev, status.st_ino
        with gil_turns.yielding(), self._finished:
            queue = self._queues.setdefault(where, _Queue())
            queue.users += 1
            wanted = queue.begun + 1  # the one under way may have missed our change
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
            self._finished.notify_all()  # the others try for themselves, and are told the same
            raise
        self._finished.acquire()
        queue.working = False
        queue.ended = queue.begun
        self._finished.notify_all()
