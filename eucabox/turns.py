"""One small request after the other: threads that share an interpreter do more in turns.

Each system call lets go of the interpreter, and whoever waits takes it away; a dozen changes of
threads for one small request cost more than the request. A turn is a courtesy and no lock: who
waited long enough goes on without it, so a slow disk or a long answer holds nobody up.
"""

import contextlib
import threading
from collections.abc import Iterator

PATIENCE = 0.002  # seconds
_turn = threading.Lock()


@contextlib.contextmanager
def taken() -> Iterator[None]:
    """Have the turn for the block, or go on without it after a while."""
    held = _turn.acquire(timeout=PATIENCE)
    try:
        yield
    finally:
        if held:
            _turn.release()
