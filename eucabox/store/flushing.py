"""When what was written must be on the disk: before the answer, or when the system likes.

Where many wait for the same folder, one flush serves all who asked before it began.
"""

import os
import threading
from dataclasses import dataclass

COMMIT, RELAXED = "commit", "relaxed"


@dataclass
class _Turns:
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
        self._news = threading.Condition()
        self._turns: dict[tuple[int, int], _Turns] = {}

    def file(self, descriptor: int) -> None:
        """Return when a file's content and attributes are safe."""
        if not self.relaxed:
            os.fdatasync(descriptor)

    def folder(self, descriptor: int) -> None:
        """Return when a folder's entries, as they are now, are safe."""
        if self.relaxed:
            return
        status = os.fstat(descriptor)
        where = status.st_dev, status.st_ino
        with self._news:
            turns = self._turns.setdefault(where, _Turns())
            turns.users += 1
            wanted = turns.begun + 1  # the one under way may have missed our change
            try:
                while turns.ended < wanted:
                    if turns.working:
                        self._news.wait()
                    else:
                        self._work(turns, descriptor)
            finally:
                turns.users -= 1
                if not turns.users:
                    del self._turns[where]

    def _work(self, turns: _Turns, descriptor: int) -> None:
        turns.working = True
        turns.begun += 1
        self._news.release()
        try:
            os.fsync(descriptor)
        except BaseException:
            self._news.acquire()
            turns.working = False
            self._news.notify_all()  # the others try for themselves, and are told the same
            raise
        self._news.acquire()
        turns.working = False
        turns.ended = turns.begun
        self._news.notify_all()
