"""Letters that wait: posted with what they tell of, tried with growing pauses, forgotten."""

from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path

import pytest

from eucabox import ids, steady_clock
from eucabox.config import Config
from eucabox.errors import BadMailAddress, MailNotWaiting, MailQueueFull, NoSuchMail
from eucabox.mail import Letter, MailQueue, queue
from eucabox.mail.letter import make_message, parse_address
from eucabox.seal import Seal
from eucabox.state import State

SECRET = "https://cloud.example.com/confirm?code=abcdefghijklmnopqrstuvwxyz012345"


@pytest.fixture
def mails(config: Config, state: State) -> MailQueue:
    return MailQueue(state, Seal(config.cloud.data_dir / "key"))


def letter(recipient: str = "ann@example.com") -> Letter:
    return Letter(recipient, "hello", f"{SECRET}\n")


def rewind(state: State, mail_id: str, column: str, seconds: float) -> None:
    moment = f"{steady_clock.boot_id()} {steady_clock.uptime() - seconds:.3f}"
    state.update("mails", {"mail_id": mail_id}, **{column: moment})


@pytest.mark.parametrize(
    "address",
    [
        "", "ann", "ann@", "@example.com", "a@x, b@y", "a@x,b@y", "a@x b@y", "a@x\nBcc: b@y",
        "a@x\r\nBcc: b@y", "Ann <a@x>", '"a b"@x', "a@x;b@y", "a@[127.0.0.1]", "\u00e4@x.de",
        "a@\u00e4.de", "a" * 65 + "@x.de", "a@" + "x." * 130 + "de", "a@-x.de", "a@x..de",
        "a@x\x00", "=?utf-8?q?=0d=0abcc:_b?=@x.de",
    ],
)  # fmt: skip
def test_what_is_not_one_address_is_refused(address: str, mails: MailQueue) -> None:
    with pytest.raises(BadMailAddress):
        parse_address(address)
    with pytest.raises(BadMailAddress):
        mails.post(letter(address))


def test_an_address_is_kept_in_lower_case() -> None:
    assert parse_address(" Ann.Lee+x@Example.COM\n") == "ann.lee+x@example.com"


def test_a_header_cannot_be_written_into() -> None:
    bad = Letter("ann@example.com", "hello\r\nBcc: eve@example.com", "text")
    with pytest.raises(ValueError, match=r"linefeed|header"):
        make_message(bad, "mail-1", ids.parse_time(ids.now()), "cloud@example.com")


def test_a_letter_is_posted_with_what_it_tells_of_or_not_at_all(
    mails: MailQueue, state: State
) -> None:
    with pytest.raises(ZeroDivisionError), state.transaction():
        mails.post(letter())
        raise ZeroDivisionError
    assert mails.list_all() == []


def test_a_body_is_never_in_the_clear_and_goes_once_it_is_sent(
    mails: MailQueue, state: State, tmp_path: Path
) -> None:
    first, second = mails.post(letter()), mails.post(letter())
    code = SECRET.partition("=")[2].encode()
    assert all(code not in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    sent, _ = mails.begin_try(first)
    assert sent.body == f"{SECRET}\n"
    mails.mark_sent(first)
    mails.mark_failed(second, "550 no such user")
    rows = state.query("select state, body, problem from mails order by rowid")
    assert rows == [
        {"state": "sent", "body": None, "problem": ""},
        {"state": "failed", "body": None, "problem": "550 no such user"},
    ]


def test_a_server_that_repeats_the_link_does_not_bring_it_into_the_log() -> None:
    words = f"554 refused because of {SECRET}"
    assert queue.hide_codes(words, f"open {SECRET}\n") == (
        "554 refused because of https://cloud.example.com/confirm?code=[code]"
    )


def test_pauses_grow_up_to_half_an_hour() -> None:
    pauses = [queue.pause_after(tries) for tries in range(10)]
    assert pauses == [0, 15, 30, 60, 120, 240, 480, 960, 1800, 1800]
    assert queue.pause_after(10**6) == 1800


def test_a_letter_waits_for_its_pause_and_others_go_first(mails: MailQueue, state: State) -> None:
    first, second = mails.post(letter()), mails.post(letter())
    mails.begin_try(first)
    assert mails.list_due() == [second]
    rewind(state, first, "tried_clock", 16)
    assert mails.list_due() == [second, first]


def test_what_is_too_old_is_given_up_with_its_reason(mails: MailQueue, state: State) -> None:
    old, tried, young = (mails.post(letter()) for _ in range(3))
    mails.note_problem(tried, "450 later")
    for each in (old, tried):
        rewind(state, each, "created_clock", 3601)
    assert mails.give_up_old(1, "connection refused") == [old, tried]
    problems = {row["mail_id"]: row["problem"] for row in mails.list_all()}
    assert problems == {old: "connection refused", tried: "450 later", young: ""}
    assert mails.list_due() == [young]


def test_the_queue_is_bounded_and_forgets(
    mails: MailQueue, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "MOST_WAITING", 2)
    monkeypatch.setattr(queue, "MOST_FINISHED", 1)
    first, second = mails.post(letter()), mails.post(letter())
    with pytest.raises(MailQueueFull):
        mails.post(letter())
    mails.mark_sent(first)
    mails.mark_failed(second, "no")
    state.update("mails", {"mail_id": first}, finished="2026-01-01T00:00:00.000Z")
    third = mails.post(letter())
    mails.drop_finished()
    assert [row["mail_id"] for row in mails.list_all()] == [third, second]


@pytest.mark.parametrize("name", ["a..b", ".a", "a.", "a'b/c{d}|~=", "?=x"])
def test_each_address_that_is_taken_can_be_written_to(name: str) -> None:
    """As a browser's field takes them; each stands in a header, and adds none."""
    recipient = parse_address(f"{name}@example.org")
    letter = Letter(recipient, f"new user has signed up ({recipient})", "Hello.\n")
    message = make_message(letter, "mail-1", ids.parse_time(ids.now()), "cloud@example.com")
    read = message_from_bytes(message.as_bytes(), policy=SMTP)
    (address,) = read["To"].addresses
    assert (address.username, address.domain) == (name.lower(), "example.org")
    assert read["Subject"] == letter.subject
    assert "Bcc" not in read


def test_a_letter_is_tried_at_once_where_the_operator_wants_it(
    mails: MailQueue, state: State
) -> None:
    mail_id = mails.post(letter())
    mails.begin_try(mail_id)
    assert mails.list_due() == []
    assert not mails.take_hurry()
    mails.retry(mail_id)
    assert mails.list_due() == [mail_id]
    assert (mails.take_hurry(), mails.take_hurry()) == (True, False)
    mails.mark_sent(mail_id)
    with pytest.raises(MailNotWaiting):
        mails.retry(mail_id)


def test_a_letter_that_is_dropped_is_gone(mails: MailQueue) -> None:
    mail_id = mails.post(letter())
    mails.drop(mail_id)
    assert mails.list_all() == []
    for change in (mails.drop, mails.retry, mails.begin_try):
        with pytest.raises(NoSuchMail):
            change(mail_id)
