"""What commands wrote beside the process is found once, and told by its topics."""

from collections.abc import Callable

import pytest

from eucabox.events import Event, EventLog
from eucabox.events.command_events import COMMAND, CommandWatch
from eucabox.state import State

MOMENT = "2026-11-30T12:00:00.000Z"
Write = Callable[..., None]


@pytest.fixture(name="other")
def _other(state: State) -> Write:
    """Writes an event as another process does: by a connection of its own."""

    def write(account: str = "1", action: str = "CreateUser", **members: object) -> None:
        beside = State(state.path, migrates=False)
        log = EventLog(beside)
        known = {"time": MOMENT, "user": "operator", "service": "iam", "source": COMMAND}
        log.record(Event(account_id=account, action=action, **{**known, **members}))  # type: ignore[arg-type]
        log.close()
        beside.close()

    return write


def test_a_command_is_told_of_once_and_to_its_account(state: State, other: Write) -> None:
    other(action="DeleteUser")  # before anybody looked
    told: list[tuple[str, str]] = []
    watch = CommandWatch(state, lambda account_id, topic: told.append((account_id, topic)))
    watch.look()
    assert told == []
    other("1")
    other("2", "ApproveSignUp", service="bootstrap")
    watch.look()
    assert told == [
        ("1", "events"),
        ("1", "users"),
        ("2", "events"),
        ("", "sign-ups"),
        ("2", "users"),
        ("", "mails"),
    ]
    watch.look()
    assert len(told) == 6


def test_requests_and_refused_commands_are_not_its_affair(state: State, other: Write) -> None:
    told: list[str] = []
    watch = CommandWatch(state, lambda account_id, topic: told.append(topic))
    other(source="192.0.2.1")
    other(outcome="NoSuchUser")
    state.insert("settings", {"key": "a", "value": "b"})
    watch.look()
    assert told == []


def test_while_nobody_writes_it_asks_for_a_number_alone(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = CommandWatch(state, lambda account_id, topic: None)

    def refuse(*_: object) -> None:
        raise AssertionError("it asked for rows")

    monkeypatch.setattr(state, "query", refuse)
    for _ in range(10):
        watch.look()
