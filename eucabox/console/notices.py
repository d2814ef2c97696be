"""What a page says after a form was sent: kept a while for the next page, in memory alone."""

import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

SECONDS = 15 * 60
MOST_NOTICES, MOST_TEXT = 1000, 2000  # of all visitors; characters


@dataclass(frozen=True)
class RowOutcome:
    """What came of one thing of several, such as of one instance that was to be stopped."""

    name: str
    is_done: bool
    text: str = ""  # why not, or what there is to know


@dataclass(frozen=True)
class Notice:
    """A sentence for the visitor; `kind` is good, bad or warn."""

    text: str
    kind: str = "good"
    outcomes: tuple[RowOutcome, ...] = ()


class Notices:
    """The notices that visitors may still look at; the oldest go when there are too many."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, str, Notice]] = OrderedDict()

    def keep(self, visitor: str, notice: Notice) -> str:
        """Keep a notice for a visitor, known by the hash of the session; returns its id."""
        notice_id = secrets.token_urlsafe(9)
        with self._lock:
            self._kept[notice_id] = (time.monotonic(), visitor, notice)
            while len(self._kept) > MOST_NOTICES:
                self._kept.popitem(last=False)
        return notice_id

    def find(self, visitor: str, notice_id: str) -> Notice | None:
        """Return a visitor's notice; None where it is another's, or too old."""
        with self._lock:
            made, owner, notice = self._kept.get(notice_id, (0.0, "", None))
        is_fresh = time.monotonic() - made < SECONDS
        return notice if notice and owner == visitor and is_fresh else None
