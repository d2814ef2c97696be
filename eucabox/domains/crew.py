"""A few worker threads that do one thing at a time for each instance; knows not what they do."""

import contextvars
import logging
import queue
import threading
from collections.abc import Callable

log = logging.getLogger("eucabox.node")
Work = Callable[[], None]


class Crew:
    """Daemon threads, begun with the first work. `on_done` is called after each piece of work."""

    def __init__(self, name: str, size: int, on_done: Callable[[], None]) -> None:
        self._name = name
        self._size = size
        self._on_done = on_done
        self._waiting: queue.SimpleQueue[tuple[str, Work] | None] = queue.SimpleQueue()
        self._busy: set[str] = set()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def give(self, key: str, work: Work) -> bool:
        """Queue work for a key; False, and nothing queued, while earlier work for it is undone."""
        with self._lock:
            if key in self._busy:
                return False
            self._busy.add(key)
            if len(self._threads) < min(self._size, len(self._busy)):
                self._begin()
        context = contextvars.copy_context()  # what the work logs is about what this is about
        self._waiting.put((key, lambda: context.run(work)))
        return True

    def busy(self, key: str) -> bool:
        """Tell whether work for a key is queued or being done."""
        return key in self._busy

    def stop(self, timeout: float) -> None:
        """Let the threads end after what they do now, and wait `timeout` seconds for each."""
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(timeout)

    def _begin(self) -> None:
        name = f"{self._name}-{len(self._threads) + 1}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (job := self._waiting.get()) is not None:
            key, work = job
            try:
                work()
            except Exception:  # a worker outlives every piece of work
                log.exception("role=node %s failed for %s", self._name, key)
            with self._lock:
                self._busy.discard(key)
            self._on_done()
