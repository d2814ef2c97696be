"""The bounded table of events: a thread writes them behind the requests; tells who subscribed."""

import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from eucabox.events.event import Event
from eucabox.events.event_topics import BOOTSTRAP, CONSOLE, EC2, INSIDE, MADE, MOST_NAMED, NAMES
from eucabox.state import State

log = logging.getLogger("eucabox.events")
TOPIC = "events"
OF_ADMINISTRATOR = frozenset({"mails", "sign-ups"})  # whoever changed them
MOST_WAITING = 10_000  # events that are not written yet; more are counted and lost
MOST_IN_BATCH = 1000
BATCH_SECONDS = 0.25  # that events wait for others, to be committed together
MOST_KEPT = 5000  # events of an account
MOST_REFUSED = 1000  # of them that were refused, which so can't flush the others
PRUNE_EVERY = 200  # events written between two looks at what is too much
Subscriber = Callable[[str, str], None]
_INSERT = """insert into events (time, account_id, user, service, action, resources, outcome,
  reason, request_id, source, refused) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_PRUNE = """delete from events where account_id = ? and refused = ? and event_id <= (
  select event_id from events where account_id = ? and refused = ?
  order by event_id desc limit 1 offset ?)"""


class EventLog:
    """What happened, the newest events of each account, and who is told of changes at once."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._waiting: queue.Queue[Event | None] = queue.Queue(MOST_WAITING)
        self._subscribers: tuple[Subscriber, ...] = ()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._unpruned: dict[str, int] = {}  # events of accounts since the last look
        self.lost = 0
        state.on_announced = self._on_announced

    def record(self, event: Event, topics: Sequence[str] = ()) -> None:
        """Have an event written soon, and tell of `topics` at once; takes microseconds.

        Call it after the commit of what is told of.
        """
        try:
            self._waiting.put_nowait(event)
        except queue.Full:
            self.lost += 1
        self._ensure_thread()
        for topic in topics:
            self.publish("" if topic in OF_ADMINISTRATOR else event.account_id, topic)

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Call `callback` with an account and a topic whenever something of the kind changed;
        return what ends that. It must not block: it runs in the thread that made the change.

        The account "" stands for what the administrator alone sees.
        """
        with self._lock:
            self._subscribers = (*self._subscribers, callback)

        def unsubscribe() -> None:
            with self._lock:
                self._subscribers = tuple(each for each in self._subscribers if each != callback)

        return unsubscribe

    def publish(self, account_id: str, topic: str) -> None:
        """Tell who subscribed that an account's things of this kind changed."""
        for callback in self._subscribers:
            try:
                callback(account_id, topic)
            except Exception:  # one that fails is no reason to undo a change
                log.exception("a subscriber failed for %s", topic)

    def count_waiting(self) -> int:
        """Return how many events are not written yet."""
        return self._waiting.qsize()

    def close(self) -> None:
        """Write what waits, and end."""
        self._closing.set()
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None

    def _on_announced(self, account_id: str, topic: str) -> None:
        if topic == TOPIC:  # such as an instance's new state, which its own transaction wrote
            self._count(account_id)
        self.publish(account_id, topic)

    def _count(self, account_id: str) -> None:
        """Count an event of an account; at the first of a process all older ones may be too
        many."""
        self._unpruned[account_id] = self._unpruned.get(account_id, PRUNE_EVERY) + 1

    def _ensure_thread(self) -> None:
        if self._thread is None:
            with self._lock:
                if self._thread is None and not self._closing.is_set():
                    self._thread = threading.Thread(
                        target=self._write_all, name="events", daemon=True
                    )
                    self._thread.start()

    def _write_all(self) -> None:
        while not self._closing.is_set() or not self._waiting.empty():
            batch = self._take_batch()
            try:
                self._write(batch)
            except sqlite3.Error as problem:  # a full disk stops no request
                log.warning("role=cloud %d events are not written: %s", len(batch), problem)
                self.lost += len(batch)
                continue
            for account_id in {each.account_id for each in batch}:
                self.publish(account_id, TOPIC)

    def _take_batch(self) -> list[Event]:
        """Wait for an event, and a moment longer for others."""
        taken = [self._waiting.get()]
        self._closing.wait(BATCH_SECONDS)
        with suppress(queue.Empty):
            while len(taken) < MOST_IN_BATCH:
                taken.append(self._waiting.get_nowait())
        return [each for each in taken if each is not None]

    def _write(self, batch: Sequence[Event]) -> None:
        if not batch:
            return
        with self._state.transaction() as database:
            database.conn.executemany(_INSERT, [each.to_columns() for each in batch])
            for each in batch:
                self._count(each.account_id)
            for account_id, count in list(self._unpruned.items()):
                if count >= PRUNE_EVERY:
                    self._prune(account_id)

    def _prune(self, account_id: str) -> None:
        self._unpruned[account_id] = 0
        with self._state.transaction() as database:
            for refused, most in ((0, MOST_KEPT), (1, MOST_REFUSED)):
                which = (account_id, refused)
                database.conn.execute(_PRUNE, (*which, *which, most))


def find_topics(service: str, action: str) -> tuple[str, ...]:
    """Return the kinds of things that a verb changes, as pages name them."""
    if service == "ec2":
        return next((topics for word, topics in EC2 if word in action), ())
    if service in ("s3", "s3control"):
        return ("buckets",)
    if service == "iam":
        return ("users",)
    if service == "console":
        return CONSOLE.get(action, ())
    return BOOTSTRAP.get(action, ())


def find_resources(params: Mapping[str, object], result: Mapping[str, object] | None) -> list[str]:
    """Return the names of what a request was about, and of what it made."""
    named = [*_read(params, NAMES), *_read_made(result or {})]
    return list(dict.fromkeys(named))[:MOST_NAMED]


def _read(members: Mapping[str, object], names: Sequence[str]) -> Iterator[str]:
    for name in names:
        value = members.get(name)
        listed = value[:MOST_NAMED] if isinstance(value, (list, tuple)) else (value,)
        yield from (each for each in listed if isinstance(each, str) and each)


def _read_made(result: Mapping[str, object]) -> Iterator[str]:
    yield from _read(result, MADE)
    for name in INSIDE:
        value = result.get(name)
        for each in value[:MOST_NAMED] if isinstance(value, (list, tuple)) else (value,):
            if isinstance(each, Mapping):
                yield from _read(each, MADE)
