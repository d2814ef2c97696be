"""The bounded table of events: what is written, what is kept, who is told, what is found again."""

import threading
from collections.abc import Iterator

import pytest

from eucabox.events import Event, EventFilter, EventLog, event_log, list_events
from eucabox.events.event import LONGEST_REASON, MOST_RESOURCES
from eucabox.state import State

MOMENT = "2026-11-30T12:00:00.000Z"


@pytest.fixture(name="log")
def _log(state: State, monkeypatch: pytest.MonkeyPatch) -> Iterator[EventLog]:
    monkeypatch.setattr(event_log, "BATCH_SECONDS", 0.001)
    log = EventLog(state)
    yield log
    log.close()


def event(account: str = "1", **members: object) -> Event:
    known = {"account_id": account, "user": f"{account}/root", "service": "ec2"}
    return Event(**{"time": MOMENT, "action": "RunInstances", **known, **members})  # type: ignore[arg-type]


def numbers(state: State, **wanted: str) -> list[str]:
    """The request ids of what is found, the newest first."""
    return [row["request_id"] for row in list_events(state, EventFilter(**wanted), 1000)]


def test_what_is_recorded_is_found_again_by_each_of_its_facts(log: EventLog, state: State) -> None:
    log.record(event(request_id="1", resources=["i-1", "i-2"], source="192.0.2.1"))
    log.record(event("2", request_id="2", outcome="UnauthorizedOperation", reason="No."))
    log.record(event(request_id="3", action="CreateTags", time="2026-12-01T00:00:00.000Z"))
    log.record(event("1*", request_id="4", resources=["i-10"]))
    log.close()
    assert numbers(state) == ["4", "3", "2", "1"]
    assert numbers(state, account_id="1") == ["3", "1"]
    assert numbers(state, account_id="") == []
    assert numbers(state, user="1") == numbers(state, user="1/root") == ["3", "1"]
    assert numbers(state, user="1*") == ["4"]
    assert numbers(state, user="root") == ["4", "3", "2", "1"]
    assert numbers(state, user="roo") == []
    assert numbers(state, action="createtags") == ["3"]
    assert numbers(state, resource="i-1") == ["1"]
    assert numbers(state, resource="i-2") == ["1"]
    assert numbers(state, outcome="refused") == ["2"]
    assert numbers(state, outcome="ok", since="2026-12") == ["3"]
    assert numbers(state, request_id="2") == ["2"]
    (row,) = list_events(state, EventFilter(request_id="2"), 5)
    assert (row["reason"], row["refused"], row["time"]) == ("No.", 1, MOMENT)
    assert list_events(state, EventFilter(request_id="1"), 5)[0]["source"] == "192.0.2.1"


def test_pages_go_back_and_whoever_follows_goes_on(log: EventLog, state: State) -> None:
    for number in range(5):
        log.record(event(request_id=str(number)))
    log.close()
    newest = list_events(state, EventFilter(), 2)
    older = list_events(state, EventFilter(), 2, before=newest[-1]["event_id"])
    assert [row["request_id"] for row in (*newest, *older)] == ["4", "3", "2", "1"]
    later = list_events(state, EventFilter(), 9, after=older[-1]["event_id"])
    assert [row["request_id"] for row in later] == ["2", "3", "4"]


def test_each_account_keeps_its_newest_and_refusals_push_out_only_refusals(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("MOST_KEPT", 5), ("MOST_REFUSED", 3), ("PRUNE_EVERY", 1)):
        monkeypatch.setattr(event_log, name, value)
    monkeypatch.setattr(event_log, "BATCH_SECONDS", 0.0)
    log = EventLog(state)
    log.record(event("2", request_id="other"))
    for number in range(20):
        log.record(event(request_id=f"done {number}"))
    for number in range(50):
        log.record(event(request_id=f"refused {number}", outcome="AccessDenied"))
    log.close()
    assert numbers(state, account_id="2") == ["other"]
    assert numbers(state, outcome="ok", account_id="1") == [f"done {n}" for n in range(19, 14, -1)]
    assert numbers(state, outcome="refused") == [f"refused {n}" for n in (49, 48, 47)]


def test_more_than_can_wait_is_counted_and_nobody_waits(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "MOST_WAITING", 3)
    log = EventLog(state)
    with state.transaction():  # so that the thread can't write
        for _ in range(9):
            log.record(event())
        assert log.lost >= 4, "one may have been taken out of the queue, and three wait"
    log.close()
    assert len(numbers(state)) + log.lost == 9


def test_names_and_reasons_are_one_line_and_bounded(log: EventLog, state: State) -> None:
    names = [f"i-{number}" for number in range(500)]
    log.record(event(resources=["a\nb", *names], reason="x\r\n" * 1000))
    log.close()
    (row,) = list_events(state, EventFilter(), 5)
    assert row["resources"].splitlines()[:2] == ["a b", "i-0"]
    assert len(row["resources"].splitlines()) == MOST_RESOURCES
    assert len(row["reason"]) == LONGEST_REASON
    assert row["reason"].isprintable()


@pytest.mark.not_fast
def test_who_subscribed_hears_of_topics_at_once_and_of_events_once_they_are_written(
    log: EventLog, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "BATCH_SECONDS", 0.3)
    heard: list[tuple[str, str, int]] = []
    written = threading.Event()

    def note(account_id: str, topic: str) -> None:
        heard.append((account_id, topic, len(numbers(state))))
        if topic == "events":
            written.set()

    def fail(account_id: str, topic: str) -> None:
        raise ValueError(topic)

    log.subscribe(fail)
    end = log.subscribe(note)
    log.record(event(), ["instances", "mails"])
    assert written.wait(10)
    assert heard == [("1", "instances", 0), ("", "mails", 0), ("1", "events", 1)]
    end()
    log.publish("1", "instances")
    assert len(heard) == 3


def test_what_a_transaction_announces_is_told_after_its_commit_and_never_undone(
    log: EventLog, state: State
) -> None:
    heard: list[tuple[str, str]] = []
    log.subscribe(lambda account_id, topic: heard.append((account_id, topic)))
    with state.transaction():
        state.announce("1", "images")
        state.announce("1", "images")
        assert heard == []
    assert heard == [("1", "images")]
    with pytest.raises(KeyError), state.transaction():
        state.announce("1", "instances")
        raise KeyError
    state.announce("2", "users")
    with state.transaction():
        state.insert("settings", {"key": "a", "value": "1"})
    assert heard == [("1", "images"), ("2", "users")]
