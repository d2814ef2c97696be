"""The thread that carries out every bucket's lifecycle rules once a day; knows no rule itself."""

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING

from eucabox import logs
from eucabox.atomic_files import write_atomic
from eucabox.config import Config
from eucabox.errors import NoSuchBucket
from eucabox.s3.lifecycle import rules
from eucabox.s3.lifecycle.sweep import Sweep

if TYPE_CHECKING:
    from eucabox.bucket import Store

log = logging.getLogger("eucabox.lifecycle")
LOOK = 60  # seconds between two looks at the clock: it may be changed, and a laptop may sleep


class Lifecycle:
    """Sweeps all buckets after each midnight UTC, and at the start if the last midnight was missed.

    A sweep does only what is due, so one that was interrupted is simply done again.
    """

    def __init__(self, config: Config, store: "Store") -> None:
        self._store = store
        self._day = config.buckets.lifecycle_day_seconds
        self._file = config.cloud.data_dir / "lifecycle"  # holds the last midnight that was done
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="lifecycle", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop the thread after the object it works on."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _loop(self) -> None:
        done = self._done()
        while not self._stopping.is_set():
            now = int(time.time())
            midnight = now - now % self._day
            if midnight != done:
                self._sweep(now)
                if self._stopping.is_set():
                    return
                done = midnight
                with contextlib.suppress(OSError):  # then the next start sweeps again
                    write_atomic(self._file, str(done).encode())
            self._stopping.wait(min(LOOK, self._day - time.time() % self._day))

    def _done(self) -> int:
        try:
            return int(self._file.read_text())
        except (OSError, ValueError):
            return 0

    def _sweep(self, now: int) -> None:
        try:
            self.sweep(now)
        except Exception:  # the loop must survive every error of one day
            log.exception("the lifecycle of the buckets stopped")

    def sweep(self, now: int) -> None:
        """Carry out what is due at `now` (s since 1970) in every bucket."""
        for bucket in self._store.buckets():
            if self._stopping.is_set():
                return
            if not rules.rules_for(bucket).rules:
                continue
            work = Sweep(self._store, bucket, now, self._day, self._stopping.is_set)
            try:
                work.run()
            except NoSuchBucket:
                continue  # deleted meanwhile
            except Exception:
                log.exception("the lifecycle of the bucket %s stopped", bucket.name)
            logs.say(log, action="Lifecycle", bucket=bucket.name, **work.counts)
