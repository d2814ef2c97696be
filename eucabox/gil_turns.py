"""One small request after the other: threads that share an interpreter do more in turns.

Each system call lets go of the interpreter, and whoever waits takes it away; a dozen changes of
threads for one small request cost more than the request. A turn is a courtesy and no lock: who
waited long enough goes on without it, so a slow disk or a long answer holds nobody up.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator

PATIENCE = 0.02  # seconds


class _ThreadTurn(threading.local):
    has_turn = False
    on_yield: Callable[[], None] | None = None


_turn = threading.Lock()
_mine = _ThreadTurn()


@contextlib.contextmanager
def holding() -> Iterator[None]:
    """Have the turn for the block, or go on without it after a while."""
    acquire()
    try:
        yield
    finally:
        release()


@contextlib.contextmanager
def yielding() -> Iterator[None]:
    """Let others have the turn, if this thread has it, while the block waits for the disk."""
    had = _mine.has_turn
    yield_leadership()
    try:
        yield
    finally:
        if had:
            acquire()


def acquire() -> None:
    """Have the turn until `give`, or go on without it after a while."""
    if not _mine.has_turn:
        _mine.has_turn = _turn.acquire(timeout=PATIENCE)


def release() -> None:
    """Let others have the turn, if this thread has it."""
    if _mine.has_turn:
        _mine.has_turn = False
        _turn.release()


def yield_leadership() -> None:
    """Let others have the turn, and whatever else waits for this thread: what it does now
    takes its time."""
    release()
    if _mine.on_yield is not None:
        _mine.on_yield()


def on_yield(callback: Callable[[], None] | None) -> None:
    """Have `leave` tell that this thread is not to be waited for."""
    _mine.on_yield = callback
