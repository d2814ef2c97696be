"""How often something may be tried, by name and by address; keeps its counts in memory alone."""

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping

WINDOW = 15 * 60.0  # seconds
MOST_KEYS = 20_000  # the one that was tried longest ago is forgotten


class AttemptLimits:
    """The attempts of the last WINDOW seconds, by what they were made at and by whom."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._attempts: OrderedDict[str, list[float]] = OrderedDict()

    def begin(self, limits: Mapping[str, int]) -> float:
        """Count an attempt under each key; return 0, or the seconds to wait where one of them had
        its number of attempts, and then count nothing."""
        now = time.monotonic()
        with self._lock:
            waits = [self._wait(key, most, now) for key, most in limits.items()]
            if any(waits):
                return max(waits)
            for key in limits:
                self._attempts.setdefault(key, []).append(now)
                self._attempts.move_to_end(key)
            while len(self._attempts) > MOST_KEYS:
                self._attempts.popitem(last=False)
        return 0.0

    def forgive(self, limits: Mapping[str, int]) -> None:
        """Take back the newest attempt under each key: it went well."""
        with self._lock:
            for key in limits:
                attempts = self._attempts.get(key)
                if attempts:
                    attempts.pop()
                if not attempts:
                    self._attempts.pop(key, None)

    def _wait(self, key: str, most: int, now: float) -> float:
        attempts = [each for each in self._attempts.get(key, ()) if each > now - WINDOW]
        if attempts:
            self._attempts[key] = attempts
        else:
            self._attempts.pop(key, None)
        return 0.0 if len(attempts) < most else attempts[-most] + WINDOW - now
