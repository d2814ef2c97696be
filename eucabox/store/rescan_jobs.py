"""Rescans of buckets behind a running cloud: begun, counted, told; never how a bucket is read."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from eucabox.errors import Fault

log = logging.getLogger("eucabox.bucket")
PENDING, RUNNING, COMPLETE, FAILED = "pending", "running", "complete", "failed"
Work = Callable[[str, Callable[[int], None]], int]  # bucket and progress to objects found


SECONDS = 5  # between two lines of the log


def log_progress(bucket: str) -> Callable[[int], None]:
    """Return a progress that tells the log how far the reading of a bucket is, now and then."""
    last_logged = time.monotonic()

    def progress(count: int) -> None:
        nonlocal last_logged
        if time.monotonic() - last_logged >= SECONDS:
            last_logged = time.monotonic()
            log.info("reading the bucket %s: %d objects so far", bucket, count)

    return progress


@dataclass(frozen=True)
class Rescan:
    """One bucket's newest rescan: `objects` read so far, or in all once it is complete."""

    bucket: str
    state: str = PENDING
    objects: int = 0
    message: str = ""


class Rescans:
    """Rescans one bucket after the other in a thread that ends when there are none left."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._known: dict[str, Rescan] = {}
        self._thread: threading.Thread | None = None
        self._closed = False

    def begin(self, buckets: Iterable[str]) -> None:
        """Have buckets read again; one that waits or is being read is not begun twice."""
        with self._lock:
            for name in buckets:
                if self._state(name) not in (PENDING, RUNNING):
                    self._known[name] = Rescan(name)
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="rescans", daemon=True)
                self._thread.start()

    def all(self) -> list[Rescan]:
        """Return the newest rescan of every bucket that had one since the start."""
        with self._lock:
            return sorted(self._known.values(), key=lambda each: each.bucket)

    def close(self) -> None:
        """Leave the rest; the index of a bucket that was being read stays as far as it came."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread:
            thread.join()

    def _state(self, bucket: str) -> str:
        return self._known[bucket].state if bucket in self._known else ""

    def _next(self) -> str | None:
        with self._lock:
            for each in self._known.values():
                if each.state == PENDING and not self._closed:
                    return each.bucket
            self._thread = None
            return None

    def _run(self) -> None:
        while (bucket := self._next()) is not None:
            self._tell(bucket, state=RUNNING)
            try:
                count = self._work(bucket, lambda count: self._count(bucket, count))
                self._tell(bucket, state=COMPLETE, objects=count)
                log.info("rescan of %s: %d objects", bucket, count)
            except Closed:
                self._tell(bucket, state=FAILED, message="eucabox was stopped.")
            except Fault as fault:
                self._tell(bucket, state=FAILED, message=fault.message)
            except Exception:
                log.exception("rescan of %s failed", bucket)
                self._tell(bucket, state=FAILED, message="The log says why.")

    def _count(self, bucket: str, count: int) -> None:
        self._tell(bucket, objects=count)
        if self._closed:
            raise Closed

    def _tell(self, bucket: str, **changed: str | int) -> None:
        with self._lock:
            self._known[bucket] = replace(self._known[bucket], **changed)  # type: ignore[arg-type]


class Closed(Exception):  # noqa: N818  # a condition of ours that no caller meets
    """The cloud is being stopped."""
