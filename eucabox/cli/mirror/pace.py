"""How fast a mirror may read, how far it is, and whether it was told to end."""

import sys
import threading
import time
from dataclasses import dataclass, field

import click

LOOK = 0.5  # seconds between two lines of progress
SHORT = 0.2  # the longest sleep in one piece: a mirror ends soon after it is told to


class MirrorStoppedError(Exception):
    """The mirror was told to end."""


@dataclass
class Failure:
    """What could not be mirrored, and why."""

    key: str
    reason: str


@dataclass
class Counts:
    """What a mirror did so far."""

    seen: int = 0
    copied: int = 0
    bytes: int = 0
    deleted: int = 0
    failures: dict[str, Failure] = field(default_factory=dict)


class Pace:
    """The rate, the progress and the end of a mirror; for many threads."""

    def __init__(self, rate: int, quiet: bool) -> None:
        self.rate = rate
        self.counts = Counts()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._due = self._shown = time.monotonic()
        self._shows = not quiet and sys.stderr.isatty()

    def stop(self) -> None:
        """Have all threads end at their next step."""
        self._stopping.set()

    @property
    def is_stopping(self) -> bool:
        """Whether the mirror was told to end."""
        return self._stopping.is_set()

    def check(self) -> None:
        """Raise MirrorStoppedError if the mirror was told to end."""
        if self._stopping.is_set():
            raise MirrorStoppedError

    def wait(self, seconds: float) -> None:
        """Sleep; raises MirrorStoppedError as soon as the mirror was told to end."""
        if self._stopping.wait(max(0.0, seconds)):
            raise MirrorStoppedError

    def pass_bytes(self, count: int) -> None:
        """Wait until so many more bytes may be read; their mean over time is the rate."""
        self.check()
        if not self.rate:
            return
        with self._lock:
            self._due = max(self._due, time.monotonic()) + count / self.rate
            due = self._due
        self.wait(due - time.monotonic())

    def count(self, **numbers: int) -> None:
        """Add to the counts and show them now and then."""
        with self._lock:
            for name, number in numbers.items():
                setattr(self.counts, name, getattr(self.counts, name) + number)
            if self._shows and time.monotonic() - self._shown > LOOK:
                self._shown = time.monotonic()
                self._show()

    def fail(self, failure: Failure) -> None:
        """Note what could not be mirrored."""
        with self._lock:
            self.counts.failures[failure.key] = failure

    def forget_failure(self, key: str) -> None:
        """Note that a key is mirrored by now."""
        with self._lock:
            self.counts.failures.pop(key, None)

    def end_line(self) -> None:
        """End the line of progress, if one is shown."""
        if self._shows:
            self._show()
            click.echo(err=True)

    def _show(self) -> None:
        counts = self.counts
        line = f"{counts.seen} looked at, {counts.copied} copied, {counts.bytes / 2**20:.1f} MiB"
        failed = f", {len(counts.failures)} failed" if counts.failures else ""
        click.echo(f"\r{line}{failed}   ", nl=False, err=True)
