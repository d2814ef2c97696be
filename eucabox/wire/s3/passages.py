"""A request on the straight road, what became of it, and what is counted and logged of it."""

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from eucabox import logs
from eucabox.events.request_counts import REQUESTS
from eucabox.store.types import Bucket
from eucabox.wire import failures
from eucabox.wire.request import Answer, Request
from eucabox.wire.s3 import errors
from eucabox.wire.s3.habits import Habit, KnownClient

log = logging.getLogger("eucabox.api")


class Passage(NamedTuple):
    """A request on its way, verified and permitted; `headers` are those that vary."""

    started: float
    request_id: str
    operation: str
    client: KnownClient
    habit: Habit
    bucket: Bucket
    path: str
    key: str
    headers: dict[str, str]
    body: bytes

    def build_request(self) -> Request:
        """Return it as the general road has it."""
        sent = self.path, self.headers, self.body
        return self.habit.build_request(self.client, self.request_id, *sent)


class Served(NamedTuple):
    """A request of `length` bytes and its answer, with the `request` where that has no `lines`:
    None before the `rest` was done, or where the body must come first."""

    passage: Passage
    length: int
    answer: Answer | None
    outcome: str = "ok"
    request: Request | None = None
    rest: Callable[[], Answer] | None = None

    @property
    def lacks_body(self) -> bool:
        """Whether the body was waited for, and nothing done."""
        return self.answer is None and self.rest is None

    def complete(self) -> "Served":
        """Do the rest, after which there is an answer."""
        if self.rest is None:
            return self
        try:
            with logs.about(request_id=self.passage.request_id):
                return Served(self.passage, self.length, self.rest())
        except Exception as problem:
            return refuse(self.passage, self.length, problem)

    @property
    def is_change(self) -> bool:
        """Whether the operation changes objects."""
        return self.passage.habit.method in ("PUT", "DELETE")

    def fail(self, problem: Exception) -> "Served":
        """Return what was changed and could not be flushed; what was read or refused stays as it
        is. Call it where the problem was caught."""
        assert self.answer is not None
        is_changed = self.is_change and self.answer.status < 300
        return refuse(self.passage, self.length, problem) if is_changed else self

    def record(self) -> None:
        """Count and log it, when its answer may leave."""
        passage, answer = self.passage, self.answer
        assert answer is not None
        seconds = time.perf_counter() - passage.started
        REQUESTS.count("s3", passage.operation, self.outcome, seconds)
        line = f"role=walrus request_id={passage.request_id} {passage.habit.facts}"
        outcome = f"outcome={self.outcome} ms={seconds * 1000:.1f} status={answer.status}"
        logs.say_line(log, f"{line} {outcome}")


def refuse(passage: Passage, length: int, problem: Exception) -> Served:
    """Return what failed with its error's answer. Call it where the problem was caught."""
    request = passage.build_request()
    with logs.about(request_id=passage.request_id):
        answer, outcome = failures.word(problem, errors.refuse, request, "s3")
    return Served(passage, length, answer, outcome, request)
