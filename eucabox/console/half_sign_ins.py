"""Who gave the right password and still owes a code: kept in memory, for minutes; no HTTP."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from eucabox.console.login_sessions import hash_token, is_token, make_token

LIFE = 5 * 60.0  # seconds
MOST, MOST_OF_A_USER = 2000, 5  # the oldest goes


@dataclass(frozen=True)
class HalfSignIn:
    """A user whose password was right, and the time of that password, as the database has it."""

    user_id: str
    password_created: str
    until: float


class HalfSignIns:
    """The sign-ins that wait for a code, under a hash of what the browser holds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, HalfSignIn] = OrderedDict()

    def begin(self, user_id: str, password_created: str) -> str:
        """Remember a user; return the secret for the browser."""
        token, now = make_token(), time.monotonic()
        with self._lock:
            self._drop_late(now)
            own = [key for key, each in self._waiting.items() if each.user_id == user_id]
            for key in own[: max(0, len(own) + 1 - MOST_OF_A_USER)]:
                del self._waiting[key]
            while len(self._waiting) >= MOST:
                self._waiting.popitem(last=False)
            self._waiting[hash_token(token)] = HalfSignIn(user_id, password_created, now + LIFE)
        return token

    def find(self, token: str) -> HalfSignIn | None:
        """Return what waits under a secret, None for nothing."""
        if not is_token(token):
            return None
        with self._lock:
            self._drop_late(time.monotonic())
            return self._waiting.get(hash_token(token))

    def end(self, token: str) -> None:
        """Forget what waits under a secret."""
        with self._lock:
            self._waiting.pop(hash_token(token), None)

    def _drop_late(self, now: float) -> None:
        while self._waiting and next(iter(self._waiting.values())).until <= now:
            self._waiting.popitem(last=False)
