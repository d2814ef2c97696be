"""What one thing may be, given what concurrent clients were told of it; asks no server.

Every write has the moment it was sent and, if it was acknowledged, the moment of the answer. A
value may be there unless an acknowledged write was sent after the value's own write had ended.
"""

import math
import threading
from dataclasses import dataclass, field

UNKNOWN = math.inf
NOTHING = ""  # the value of what is not there


@dataclass
class Write:
    """One write: it ended when it was acknowledged, never where nobody knows."""

    value: str
    began: float
    ended: float = UNKNOWN
    sums: str = ""  # the ETag that an acknowledged one was answered

    @property
    def acknowledged(self) -> bool:
        return self.ended != UNKNOWN


@dataclass
class Register:
    """One thing that clients write; begins as nothing."""

    writes: list[Write] = field(default_factory=lambda: [Write(NOTHING, -UNKNOWN, -UNKNOWN)])
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def begin(self, value: str, now: float) -> Write:
        made = Write(value, now)
        with self.lock:
            self.writes.append(made)
        return made

    def forget(self, write: Write) -> None:
        """The write was refused: it never was."""
        with self.lock:
            self.writes.remove(write)

    def find(self, value: str) -> list[Write]:
        with self.lock:
            return [each for each in self.writes if each.value == value]

    def later(self, than: float, before: float = UNKNOWN) -> bool:
        """Whether an acknowledged write was sent after a moment and ended before another."""
        with self.lock:
            return any(
                each.acknowledged and each.began > than and each.ended < before
                for each in self.writes
            )

    def allows(self, value: str, began: float, ended: float) -> bool:
        """Whether a read between two moments may have seen a value."""
        return any(
            each.began <= ended and not self.later(each.ended, began) for each in self.find(value)
        )

    def allows_beside(self, value: str, own: str, writes: list[Write]) -> bool:
        """Whether this may be kept beside an object: what one of its writes brought, or a change
        after or beside it. Two clients may complete one upload: the second answer is no write."""
        changes = self.find(value)
        return any(
            (value == own and not self.later(write.ended))
            or any(
                each.ended >= write.began and not self.later(max(each.ended, write.ended))
                for each in changes
            )
            for write in writes
        )

    def settle(self, value: str, now: float) -> None:
        """Nobody writes any more and this was found: from here on it is the only truth."""
        with self.lock:
            left = [each for each in self.writes if each.value == value][-1:]
            sums = left[0].sums if left else ""
            self.writes = [Write(value, now, now, sums)]
