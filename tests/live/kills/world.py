"""What the clients of the kill loop share: buckets, keys, what may be there, what went wrong."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
)

from tests.live.kills.history import Register, Write

BUCKETS = ("plain", "other")
VERSIONED = "versioned"
KEYS = ("a", "a/b", "a/b/c", "x//y", "dir/", "deep/er/still", "p" * 300, "../up")
MARKS = ("tags", "acl")
LOST = (BotoCoreError, HTTPClientError, IncompleteReadError, OSError)
Place = tuple[str, str]


@dataclass
class Made:
    """An upload in progress: whether it is there, and its parts."""

    label: str
    place: Place
    there: Register
    parts: dict[int, Register]


@dataclass
class World:
    """Registers of objects, uploads and versions, and what the clients met."""

    objects: dict[Place, Register] = field(default_factory=dict)
    marks: dict[tuple[str, Place], Register] = field(default_factory=dict)
    uploads: dict[str, Made] = field(default_factory=dict)
    versions: dict[Place, Register] = field(default_factory=dict)  # (key, version id) -> label
    unnamed: dict[str, str] = field(default_factory=dict)  # label -> key, of versions unanswered
    kinds: dict[str, str] = field(default_factory=dict)  # label -> put, copy, upload, ...
    contents: dict[str, str] = field(default_factory=dict)  # MD5 -> label whose content it is
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    seconds: Counter[str] = field(default_factory=Counter)  # by what they went to, in hundredths
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    numbers: Any = field(default_factory=count, repr=False)

    def __post_init__(self) -> None:
        for bucket in BUCKETS:
            for key in KEYS:
                self.objects[bucket, key] = Register()
                for mark in MARKS:
                    self.marks[mark, (bucket, key)] = Register()

    def label(self, kind: str) -> str:
        made = f"{kind}{next(self.numbers)}"
        self.kinds[made] = kind
        return made

    def problem(self, text: str) -> None:
        with self.lock:
            self.problems.append(text)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Note how long the block took."""
        began = time.monotonic()
        yield
        self.seconds[what] += round(100 * (time.monotonic() - began))

    def count(self, what: str) -> None:
        with self.lock:
            self.counts[what] += 1

    def write(
        self,
        what: str,
        register: Register,
        value: str,
        ask: Callable[[], Any],
        refusals: tuple[str, ...] = (),
    ) -> Any:
        """Send one write and keep what became of it; its answer, or None."""
        begun: Write = register.begin(value, time.monotonic())
        try:
            answer = ask()
        except ClientError as refused:
            if self.refused(what, refused, refusals):
                register.forget(begun)
            return None
        except LOST:
            self.count(f"{what} unknown")
            return None
        begun.sums = str(answer.get("ETag", "")).strip('"')
        begun.ended = time.monotonic()
        self.count(what)
        return answer

    def refused(self, what: str, refused: ClientError, may: tuple[str, ...]) -> bool:
        """Whether a refusal is one that this request may meet."""
        code = refused.response["Error"]["Code"]
        if code.isdigit():  # the kill came between the head and the body of the refusal
            self.count(f"{what} unknown")
            return False
        if code in may:
            self.count(f"{what} {code}")
            return True
        self.problem(f"{what}: {refused.response['Error']} is no answer to expect")
        return False
