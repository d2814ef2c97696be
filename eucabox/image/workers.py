"""A few threads that work off a queue and never keep the process from ending; knows no work."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")
log = logging.getLogger("eucabox.images")
STOP_WAIT = 3.0  # seconds for the work of all; what is not done is taken up at the next start


class Workers:
    """Daemon threads: an executor's are waited for without end when the process ends."""

    def __init__(self, name: str, size: int) -> None:
        self._waiting: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True)
            for number in range(1, size + 1)
        ]
        self._closed = threading.Event()
        for thread in self._threads:
            thread.start()

    def submit(self, work: Callable[P, object], *arguments: P.args, **named: P.kwargs) -> None:
        """Have work done once a thread is free; nothing happens any more after `close`."""
        self._waiting.put(lambda: work(*arguments, **named))

    def close(self, timeout: float = STOP_WAIT) -> bool:
        """Begin no other work and wait so many seconds for what is being done; False if some of
        it still is."""
        self._closed.set()
        deadline = time.monotonic() + timeout
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while (work := self._waiting.get()) is not None and not self._closed.is_set():
            try:
                work()
            except Exception:  # a thread outlives every piece of work
                log.exception("a piece of work failed")
