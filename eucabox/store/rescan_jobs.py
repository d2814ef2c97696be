"""Rescans in the background of a running cloud: starts, counts and reports them; reads no
bucket."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from eucabox.errors import Fault

log = logging.getLogger("eucabox.bucket")
PENDING, RUNNING, COMPLETE, FAILED = "pending", "running", "complete", "failed"
Work = Callable[
    [str, Callable[[int], None]], int
]  # of bucket and progress; returns the number of objects


SECONDS = 5  # between two lines of the log


def log_progress(bucket: str) -> Callable[[int], None]:
    """Return a progress callback that logs every few seconds how far a rescan is."""
    last_logged = time.monotonic()

    def progress(count: int) -> None:
        nonlocal last_logged
        if time.monotonic() - last_logged >= SECONDS:
            last_logged = time.monotonic()
            log.info("reading the bucket %s: %d objects so far", bucket, count)

    return progress


@dataclass(frozen=True)
class Rescan:
    """The newest rescan of a bucket: `objects` read so far, or in all once it is complete."""

    bucket: str
    state: str = PENDING
    objects: int = 0
    message: str = ""


class Rescans:
    """Rescans one bucket after the other in a thread that ends when none is left."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._known: dict[str, Rescan] = {}
        self._thread: threading.Thread | None = None
        self._closed = False

    def begin(self, buckets: Iterable[str]) -> None:
        """Queue rescans of buckets, except for those that are queued or running."""
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
        """Stop. A bucket whose rescan is interrupted keeps the index entries made so far."""
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
            self._update(Rescan(bucket, RUNNING))
            try:
                count = self._work(bucket, lambda count: self._count(bucket, count))
                self._update(Rescan(bucket, COMPLETE, count))
                log.info("rescan of %s: %d objects", bucket, count)
            except Closed:
                self._fail(bucket, "eucabox was stopped.")
            except Fault as fault:
                self._fail(bucket, fault.message)
            except Exception:
                log.exception("rescan of %s failed", bucket)
                self._fail(bucket, "The log says why.")

    def _count(self, bucket: str, count: int) -> None:
        self._update(Rescan(bucket, RUNNING, count))
        if self._closed:
            raise Closed

    def _fail(self, bucket: str, message: str) -> None:
        self._update(replace(self._known[bucket], state=FAILED, message=message))

    def _update(self, rescan: Rescan) -> None:
        with self._lock:
            self._known[rescan.bucket] = rescan


class Closed(Exception):  # noqa: N818  # internal: no caller sees it
    """The cloud is being stopped."""
