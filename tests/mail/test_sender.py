"""The thread that sends: it retries, gives up with a reason, and blocks nobody."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from eucabox.config import Config, MailSection
from eucabox.mail import Letter, MailQueue, MailSender, queue, sender
from eucabox.seal import Seal
from eucabox.state import State
from tests.mail import post_office
from tests.mail.post_office import Handler, wait_until

LINK = "https://c.example.com/confirm?code=abcdefghijklmnopqrstuvwxyz012345"


class Desk:
    """A queue, its sender, and what the sender notes of the server."""

    def __init__(self, config: Config, state: State) -> None:
        self.port = post_office.find_port()
        self.refused = f"127.0.0.1 port {self.port}: Connection refused"
        mail = MailSection(
            server="127.0.0.1", port=self.port, tls="none", sender="c@example.com", timeout=5
        )
        self.config = replace(config, mail=mail)
        self.queue = MailQueue(state, Seal(config.cloud.data_dir / "key"))
        self.notes: list[str] = []
        self.sender = MailSender(lambda: self.config, self.queue, self.notes.append)

    def post(self, recipient: str = "ann@example.com") -> str:
        return self.queue.post(Letter(recipient, "hello", f"{LINK}\n"))

    def states(self) -> list[tuple[str, int, str]]:
        """State, tries and problem of each letter, the oldest first."""
        rows = reversed(self.queue.list_all())
        return [(row["state"], row["tries"], row["problem"]) for row in rows]

    def set_mail(self, **keys: object) -> None:
        self.config = replace(self.config, mail=replace(self.config.mail, **keys))  # type: ignore[arg-type]


@pytest.fixture
def desk(config: Config, state: State, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(sender, "LOOK", 0.02)
    monkeypatch.setattr(queue, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(queue, "LONGEST_PAUSE", 0.2)
    made = Desk(config, state)
    yield made
    made.sender.close()


@pytest.mark.not_fast
def test_a_server_that_is_down_and_comes_up_gets_every_letter_once(desk: Desk) -> None:
    handler = Handler()
    desk.post("ann@example.com")
    desk.post("bob@example.com")
    desk.sender.start()
    wait_until(lambda: sum(tries for _, tries, _ in desk.states()) >= 3)
    assert desk.notes == [f"letters wait: {desk.refused}"]
    with post_office.serve(handler, desk.port):
        wait_until(lambda: {state for state, *_ in desk.states()} == {"sent"})
        time.sleep(0.3)
    assert sorted(handler.recipients) == ["ann@example.com", "bob@example.com"]
    assert desk.notes[-1] == ""


@pytest.mark.not_fast
def test_a_refused_recipient_is_given_up_and_the_others_get_theirs(desk: Desk) -> None:
    handler = Handler(replies={"ann@example.com": f"550 no: {LINK}", "bob@example.com": "450 no"})
    for name in ("ann", "bob", "carl"):
        desk.post(f"{name}@example.com")
    with post_office.serve(handler, desk.port):
        desk.sender.look()
        assert desk.states() == [
            ("failed", 1, "550 no: https://c.example.com/confirm?code=[code]"),
            ("waiting", 1, "450 no"),
            ("sent", 1, ""),
        ]
        del handler.replies["bob@example.com"]
        time.sleep(0.1)
        desk.sender.look()
    assert handler.recipients == ["carl@example.com", "bob@example.com"]
    assert desk.notes == []


def test_a_letter_that_no_server_ever_takes_is_given_up_with_the_reason(
    desk: Desk, lines: list[str]
) -> None:
    desk.set_mail(retry_hours=0)
    desk.post()
    desk.sender.look()  # tidies up first, and finds it too old
    assert desk.states() == [("failed", 0, "it was never tried")]
    desk.post()
    desk.sender.look()
    assert desk.states()[1] == ("failed", 1, desk.refused)
    assert any("given up after 0 hours" in line for line in lines)


def test_no_letter_leaves_without_a_server_and_a_reload_counts_at_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "FIRST_PAUSE", 3600.0)
    monkeypatch.setattr(queue, "LONGEST_PAUSE", 3600.0)
    desk.set_mail(server="")
    desk.post()
    desk.sender.look()
    assert desk.states() == [("waiting", 0, "")]
    desk.set_mail(server="127.0.0.1")
    desk.sender.look()
    assert desk.states() == [("waiting", 1, desk.refused)]
    second = desk.post()
    desk.sender.look()
    assert desk.states()[1] == ("waiting", 0, ""), "the server is tried again after a pause"
    with post_office.serve(Handler(), desk.port):
        desk.set_mail(timeout=6)
        desk.sender.look()
    assert desk.queue.list_due() == []
    assert {row["mail_id"]: row["state"] for row in desk.queue.list_all()}[second] == "sent"


def test_nothing_secret_is_logged(desk: Desk, lines: list[str]) -> None:
    handler = Handler(replies={"DATA": f"554 {LINK}"})
    with post_office.serve(handler, desk.port):
        desk.post()
        desk.sender.look()
        del handler.replies["DATA"]
        desk.post()
        desk.sender.look()
    assert [state for state, *_ in desk.states()] == ["failed", "sent"]
    assert len(lines) == 2
    assert all("abcdefghij" not in line for line in lines)


def test_the_thread_outlives_an_error(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "AFTER_FAULT", 0.02)
    failures = iter([OSError("disk"), ValueError("odd")])
    list_due = desk.queue.list_due

    def fail_twice() -> list[str]:
        for failure in failures:
            raise failure
        return list_due()

    monkeypatch.setattr(desk.queue, "list_due", fail_twice)
    desk.post()
    with post_office.serve(Handler(), desk.port):
        desk.sender.start()
        wait_until(lambda: desk.states() == [("sent", 1, "")])


def test_a_letter_that_cannot_be_read_is_given_up_and_holds_no_other_up(
    desk: Desk, state: State
) -> None:
    odd, cut = desk.post("ann@example.com"), desk.post("bob@example.com")
    desk.post("carl@example.com")
    state.update("mails", {"mail_id": odd}, subject="two\nlines")
    state.update("mails", {"mail_id": cut}, body=b"sealed with another key, of another cloud")
    handler = Handler()
    with post_office.serve(handler, desk.port):
        desk.sender.look()
    assert [state for state, *_ in desk.states()] == ["failed", "failed", "sent"]
    assert handler.recipients == ["carl@example.com"]
    assert desk.notes == []


def test_it_stops_at_once_while_a_server_is_silent(desk: Desk) -> None:
    desk.set_mail(timeout=60)
    with socket.create_server(("127.0.0.1", desk.port)):
        desk.post()
        desk.sender.start()
        wait_until(lambda: desk.states()[0][1] == 1)
        began = time.monotonic()
        desk.sender.close()
        assert time.monotonic() - began < 1.5
    assert not any(thread.name == "mail" for thread in threading.enumerate())
    assert desk.states() == [("waiting", 1, "")]


def test_an_operator_who_retries_ends_the_pause_of_a_server(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "FIRST_PAUSE", 600.0)
    monkeypatch.setattr(queue, "LONGEST_PAUSE", 600.0)
    handler = Handler()
    dropped, kept = desk.post("ann@example.com"), desk.post("bob@example.com")
    desk.sender.look()
    with post_office.serve(handler, desk.port):
        desk.sender.look()
        assert handler.recipients == []
        desk.queue.drop(dropped)
        desk.queue.retry(kept)
        desk.sender.look()
    assert handler.recipients == ["bob@example.com"]
    assert desk.notes[-1] == ""
