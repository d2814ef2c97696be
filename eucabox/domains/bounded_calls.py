"""Calls that may never return: made in threads of their own and given up in time; ends no thread.

Python can't end a thread that waits in a C library. One that is given up waits on, and while it
does no other call for the same key is begun: so there is one of them a key at most.
"""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from eucabox import gil_turns

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Overdue(Exception):  # noqa: N818 (a word for what happened, not an error of ours)
    """A call did not end in time, or an earlier one for the same key still has not."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no answer for {seconds:.0f} s")
        self.seconds = seconds


class _Call(Generic[T_co]):
    def __init__(self, work: Callable[[], T_co]) -> None:
        self.began = time.monotonic()
        self.ended = threading.Event()
        self.result: T_co
        self.problem: BaseException | None = None
        self._work = work

    def run(self) -> None:
        try:
            self.result = self._work()
        except BaseException as problem:  # raised again in the thread that waits
            self.problem = problem
        self.ended.set()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began


class Bounded:
    """Calls with a limit, and which of them did not come back yet."""

    def __init__(self) -> None:
        self._given_up: dict[str, _Call[object]] = {}
        self._lock = threading.Lock()

    def call(self, key: str, work: Callable[[], T], limit: float) -> T:
        """Return what `work` returns or raise what it raises; raise Overdue after `limit` seconds,
        or at once while an earlier call for the key that was given up has not come back."""
        stuck = self.stuck(key)
        if stuck is not None:
            raise Overdue(stuck)
        gil_turns.yield_leadership()
        call = _Call(work)
        threading.Thread(target=call.run, name=f"call {key}"[:60], daemon=True).start()
        if not call.ended.wait(limit):
            with self._lock:
                self._given_up[key] = call
            raise Overdue(limit)
        problem, call.problem = call.problem, None  # or its traceback keeps what the call held
        if problem is not None:
            try:
                raise problem
            finally:
                del problem
        return call.result

    def stuck(self, key: str) -> float | None:
        """Return for how many seconds a call that was given up has not come back, or None."""
        with self._lock:
            call = self._given_up.get(key)
            if call is not None and call.ended.is_set():
                call = None
                del self._given_up[key]
        return None if call is None else call.seconds
