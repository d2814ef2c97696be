"""Lets threads serve small requests one after the other, which is faster under the GIL.

Each system call releases the GIL, and a waiting thread takes it; a dozen thread switches cost more
than a small request. A turn is no lock: a thread that waited long enough goes on without it, so a
slow disk or a long response blocks no other thread.
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
def yielding() -> Iterator[None]:
    """Give the turn back, if this thread has it, while the block waits for the disk."""
    had = _mine.has_turn
    yield_leadership()
    try:
        yield
    finally:
        if had:
            acquire()


def acquire() -> None:
    """Take the turn until `release`, or go on without it after a while."""
    if not _mine.has_turn:
        _mine.has_turn = _turn.acquire(timeout=PATIENCE)


def release() -> None:
    """Give the turn back, if this thread has it."""
    if _mine.has_turn:
        _mine.has_turn = False
        _turn.release()


def yield_leadership() -> None:
    """Give up the turn and the lead before something slow (disk, client, lock)."""
    release()
    if _mine.on_yield is not None:
        _mine.on_yield()


def on_yield(callback: Callable[[], None] | None) -> None:
    """Have `yield_leadership` call this in the present thread; None: call nothing."""
    _mine.on_yield = callback
