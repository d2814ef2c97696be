"""Access logs of buckets: collects records in files and hands these on for delivery.

Each logged bucket has a file `access/NAME.log` below the store's reserved folder: a first line with
its destination, then lines `DAY RECORD`. When it is due it becomes `NAME.MOMENT-UNIQUE.ready`, so
that after a kill -9 it is delivered under the same key. Records are written at once and never
flushed to the disk.
"""

import contextlib
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from eucabox.errors import DiskFull, Fault, NoSuchBucket, StorageFailed
from eucabox.s3 import log_delivery
from eucabox.s3.log_delivery import LogStore
from eucabox.store.types import Bucket

log = logging.getLogger("eucabox.store")
SETTING = "logging"
OPEN, READY = ".log", ".ready"
LARGEST = 32 << 20  # bytes after which a file is delivered early
AGAIN = 60.0  # seconds until a failed delivery is tried again


@dataclass
class Buffer:
    """A log file that is being written; it is due for delivery at a monotonic time."""

    file: Path
    descriptor: int
    size: int
    due: float


class AccessLog:
    """The access logs of all buckets; safe for many threads. Close it before the store."""

    def __init__(self, store: LogStore, folder: Path, region: str, seconds: Callable[[], int]):
        self._store = store
        self._folder = folder
        self._region = region
        self._seconds = seconds
        self._buffers: dict[str, Buffer] = {}
        self._retry = 0.0
        self._changed = threading.Condition(threading.RLock())
        self._delivering = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    def start(self) -> None:
        """Take over the files of an earlier process, and deliver from now on."""
        self._folder.mkdir(exist_ok=True)
        with self._changed:
            for file in self._folder.glob(f"*{OPEN}"):
                self._mark_ready(file.name.removesuffix(OPEN), file)
            self._retry = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="access logs", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Deliver everything."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread:
            self._thread.join()
            self.deliver()

    def bucket(self, name: str | None) -> Bucket | None:
        """Return a bucket if its requests are logged."""
        try:
            bucket = self._store.bucket(name) if name else None
        except NoSuchBucket:
            return None
        return bucket if bucket is not None and SETTING in bucket.settings else None

    def record(self, bucket: Bucket, line: str) -> None:
        """Write a record of a request to a logged bucket. If the disk fails, only the record is
        lost."""
        data = f"{datetime.now(UTC):%Y-%m-%d} {line}\n".encode("utf-8", "replace")
        try:
            with self._changed:
                buffer = self._buffer(bucket)
                buffer.size += os.write(buffer.descriptor, data)
                if buffer.size > LARGEST:
                    buffer.due = 0.0
                    self._changed.notify()
        except OSError as problem:
            log.warning("a record of the bucket %s is lost: %s", bucket.name, problem.strerror)

    def _buffer(self, bucket: Bucket) -> Buffer:
        buffer = self._buffers.get(bucket.name)
        if buffer is None:
            file = self._folder / f"{bucket.name}{OPEN}"
            descriptor = self._create_file(file, json.dumps(self._header(bucket)).encode() + b"\n")
            due = time.monotonic() + self._seconds()
            buffer = self._buffers[bucket.name] = Buffer(file, descriptor, 0, due)
            self._changed.notify()
        return buffer

    def _create_file(self, file: Path, head: bytes) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(file, flags, 0o640)
        try:
            os.write(descriptor, head)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _header(self, bucket: Bucket) -> dict[str, object]:
        region = bucket.location or self._region
        named = {"source": bucket.name, "account": bucket.owner, "region": region}
        return {**bucket.settings[SETTING], **named}

    def deliver(self, bucket: str = "") -> None:
        """Deliver the pending records of a bucket, or of all, now."""
        with self._changed:
            for name in [bucket] if bucket else list(self._buffers):
                self._end_file(name)
        self._deliver_ready()

    def _end_file(self, name: str) -> None:
        buffer = self._buffers.get(name)
        if buffer is None:
            return
        try:
            self._mark_ready(name, buffer.file)
        except OSError as problem:  # keep the file: a new one would overwrite its records
            log.warning("the access log of the bucket %s waits: %s", name, problem.strerror)
            buffer.due = time.monotonic() + AGAIN
            return
        del self._buffers[name]
        os.close(buffer.descriptor)

    def _mark_ready(self, name: str, file: Path) -> None:
        moment = f"{datetime.now(UTC):%Y-%m-%d-%H-%M-%S}-{secrets.token_hex(8).upper()}"
        with contextlib.suppress(FileNotFoundError):  # an operator may have removed it
            file.rename(self._folder / f"{name}.{moment}{READY}")

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                due = min((each.due for each in self._buffers.values()), default=None)
                due = min((each for each in (due, self._retry or None) if each), default=None)
                now = time.monotonic()
                if due is None or due > now:
                    self._changed.wait(None if due is None else due - now)
                    continue
                due_names = [name for name, each in self._buffers.items() if each.due <= now]
                self._retry = 0.0
                for name in due_names:
                    self._end_file(name)
            self._deliver_ready()

    def _deliver_ready(self) -> None:
        with self._delivering:
            for file in sorted(self._folder.glob(f"*{READY}")):
                try:
                    self._deliver_one(file)
                except (OSError, DiskFull, StorageFailed) as problem:
                    log.warning("the access log %s waits: %s", file.name, problem)
                    self._retry = time.monotonic() + AGAIN

    def _deliver_one(self, file: Path) -> None:
        moment = file.name.removesuffix(READY).rpartition(".")[2]
        try:
            # after a kill or a full disk the first line may be missing
            first, *lines = file.read_text("utf-8", "replace").rstrip("\n").split("\n")
            log_delivery.deliver(self._store, json.loads(first), moment, lines)
        except (DiskFull, StorageFailed):
            raise
        except (Fault, ValueError, KeyError) as problem:
            log.warning("the access log %s goes nowhere: %s", file.name, problem)
        file.unlink()
