"""A few worker threads that do one thing at a time for each instance; knows not what they do."""

import contextvars
import logging
import queue
import threading
import time
from collections.abc import Callable

log = logging.getLogger("eucabox.node")
Work = Callable[[], None]


class WorkerPool:
    """Daemon threads, begun with the first work. `on_done` is called after each piece of work."""

    def __init__(self, name: str, size: int, on_done: Callable[[], None]) -> None:
        self._name = name
        self._size = size
        self._on_done = on_done
        self._waiting: queue.SimpleQueue[tuple[str, Work] | None] = queue.SimpleQueue()
        self._busy: dict[str, bool] = {}  # whether it is being done, in the order of coming
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def submit(self, key: str, work: Work) -> bool:
        """Queue work for a key; False, and nothing queued, while earlier work for it is undone."""
        with self._lock:
            if key in self._busy:
                return False
            self._busy[key] = False
            if len(self._threads) < min(self._size, len(self._busy)):
                name = f"{self._name}-{len(self._threads) + 1}"
                thread = threading.Thread(target=self._work, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()
        context = contextvars.copy_context()  # what the work logs is about what this is about
        self._waiting.put((key, lambda: context.run(work)))
        return True

    def is_busy(self, key: str) -> bool:
        """Tell whether work for a key is queued or being done."""
        return key in self._busy

    def count_ahead(self, key: str) -> int | None:
        """Return how much other work is begun before that of a key, or None if its is begun."""
        with self._lock:
            if self._busy.get(key, True):
                return None
            return list(self._busy).index(key)

    def stop(self, timeout: float) -> None:
        """Let the threads end after what they do now, and wait `timeout` seconds for all."""
        deadline = time.monotonic() + timeout
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        while (job := self._waiting.get()) is not None:
            key, work = job
            self._busy[key] = True
            try:
                work()
            except Exception:  # a worker outlives every piece of work
                log.exception("role=node %s failed for %s", self._name, key)
            with self._lock:
                self._busy.pop(key, None)
            self._on_done()
