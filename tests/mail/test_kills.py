"""A process that is killed at the worst moments loses no letter, and sends none of what was not."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from eucabox.config import CloudSection, Config, MailSection
from eucabox.mail import Letter, MailQueue, MailSender
from eucabox.mail.smtp import SmtpClient
from eucabox.seal import Seal
from eucabox.state import State
from tests.mail import post_office
from tests.mail.post_office import Handler

LETTER = Letter("ann@example.com", "hello", "text\n")


def open_queue(folder: Path) -> tuple[State, MailQueue]:
    state = State(folder / "eucabox.db")
    return state, MailQueue(state, Seal(folder / "key"))


def make_sender(folder: Path, port: int, queue: MailQueue) -> MailSender:
    mail = MailSection(server="127.0.0.1", port=port, tls="none", sender="c@example.com")
    config = Config(cloud=CloudSection(data_dir=folder), mail=mail)
    return MailSender(lambda: config, queue, lambda _: None)


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_before_the_commit(folder: Path, _port: int) -> None:
    state, queue = open_queue(folder)
    with state.transaction():
        queue.post(LETTER)
        state.insert("settings", {"key": "what it tells of", "value": ""})
        kill_self()


def die_after_the_commit(folder: Path, _port: int) -> None:
    state, queue = open_queue(folder)
    with state.transaction():
        queue.post(LETTER)
        state.insert("settings", {"key": "what it tells of", "value": ""})
    kill_self()


def die_before_it_is_sent(folder: Path, port: int) -> None:
    _, queue = open_queue(folder)
    queue.post(LETTER)
    SmtpClient.deliver = lambda *_: kill_self()  # type: ignore[method-assign]
    make_sender(folder, port, queue).look()


def die_after_it_was_sent(folder: Path, port: int) -> None:
    _, queue = open_queue(folder)
    queue.post(LETTER)
    MailQueue.mark_sent = lambda *_: kill_self()  # type: ignore[method-assign]
    make_sender(folder, port, queue).look()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("die", "arrives"),
    [
        (die_before_the_commit, 0),
        (die_after_the_commit, 1),
        (die_before_it_is_sent, 1),
        (die_after_it_was_sent, 2),
    ],
)
def test_a_killed_process_loses_no_letter(
    tmp_path: Path, die: Callable[[Path, int], None], arrives: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eucabox.mail.queue.FIRST_PAUSE", 0.01)
    handler, context = Handler(), multiprocessing.get_context("spawn")
    with post_office.serve(handler) as port:
        child = context.Process(target=die, args=(tmp_path, port))
        child.start()
        child.join(30)
        assert child.exitcode == -signal.SIGKILL
        time.sleep(0.05)
        state, queue = open_queue(tmp_path)
        told = state.query("select 1 from settings")
        assert len(queue.list_all()) == (0 if die is die_before_the_commit else 1)
        assert bool(told) == (die is die_after_the_commit)
        for _ in range(3):
            make_sender(tmp_path, port, queue).look()
            time.sleep(0.05)
        state.close()
    assert len(handler.letters) == arrives
    assert len({letter["Message-ID"] for letter in handler.letters}) <= 1
