"""The keys that changed last, in memory, for those who follow a bucket."""

import secrets
import sys
from collections import deque
from itertools import islice

from eucabox.store.types import BucketChanges

MOST_CHANGES = 10_000  # of all buckets that one who follows them may be behind


class RecentChanges:
    """Which keys changed last, numbered, in memory: whoever follows a bucket need not compare it
    all, unless the process is another one by now or the follower is too far behind."""

    def __init__(self) -> None:
        self._run = secrets.token_hex(8)
        self._number = 0
        self._changes: deque[tuple[str, str]] = deque(maxlen=MOST_CHANGES)

    def note(self, bucket: str, key: str) -> None:
        """Note a change; in one thread at a time."""
        self._number += 1
        self._changes.append((sys.intern(bucket), key))

    def read(self, bucket: str, position: str, limit: int) -> BucketChanges:
        """Return at most `limit` keys that changed after a position; in one thread at a time."""
        run, _, text = position.partition("-")
        after = int(text) if text.isdecimal() and len(text) < 20 else -1
        oldest = self._number - len(self._changes) + 1
        if run != self._run or not oldest - 1 <= after <= self._number:
            return BucketChanges(f"{self._run}-{self._number}", False, [])
        keys: dict[str, None] = {}
        last = self._number
        newer = islice(self._changes, after + 1 - oldest, None)
        for number, (name, key) in enumerate(newer, after + 1):
            if name != bucket or key in keys:
                continue
            if len(keys) == limit:
                last = number - 1
                break
            keys[key] = None
        return BucketChanges(f"{self._run}-{last}", True, list(keys))
