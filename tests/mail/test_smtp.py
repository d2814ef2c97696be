"""One letter over a real connection: TLS and logins, refusals, and servers that take their time."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from eucabox.config import MailSection
from eucabox.mail import Letter
from eucabox.mail.letter import make_message
from eucabox.mail.smtp import DeliveryError, SmtpClient
from tests.mail import post_office
from tests.mail.conftest import write_certificate
from tests.mail.post_office import Handler

LINK = "https://cloud.example.com/confirm?code=" + "x" * 80
LETTER = Letter("ann@example.com", "A subject with \u00e4", f"Gr\u00fc\u00dfe!\n\n{LINK}\n")
MAIL = MailSection(server="localhost", sender="cloud@example.com", tls="none", timeout=10)
Files = tuple[Path, Path]


def deliver(port: int, **keys: object) -> None:
    mail = replace(MAIL, port=port, **keys)  # type: ignore[arg-type]
    message = make_message(LETTER, "mail-1", datetime.now(UTC), mail.sender)
    SmtpClient().deliver(mail, message, LETTER.recipient)


def fail(port: int, **keys: object) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        deliver(port, **keys)
    return caught.value


@contextmanager
def answer(*lines: bytes, pause: float = 0.0) -> Iterator[int]:
    """A server that says so to each connection, byte for byte with a pause between."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def talk() -> None:
        while not done.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    for line in lines:
                        for byte in line:
                            connection.sendall(bytes([byte]))
                            done.wait(pause)
                    done.wait(30)
                except OSError:
                    continue

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        done.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_a_letter_arrives_as_it_was_written() -> None:
    handler = Handler()
    with post_office.serve(handler) as port:
        deliver(port)
    (letter,) = handler.letters
    assert letter.get_content().replace("\r\n", "\n") == LETTER.body
    assert (letter["Subject"], letter["To"]) == (LETTER.subject, LETTER.recipient)
    assert (letter["From"], letter["Message-ID"]) == (
        "eucabox <cloud@example.com>",
        "<mail-1@example.com>",
    )
    assert handler.recipients == [LETTER.recipient]


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_letter_goes_over_tls_after_a_login(tls: str, certificate: Files) -> None:
    handler = Handler()
    with post_office.serve(handler, tls=tls, files=certificate) as port:
        login = {"login": post_office.LOGIN, "password": post_office.PASSWORD}
        deliver(port, tls=tls, ca_file=str(certificate[0]), **login)
    assert (handler.encrypted, handler.logins) == ([True], [True])


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_certificate_that_is_not_trusted_or_not_for_the_name_gets_nothing(
    tls: str, certificate: Files, tmp_path: Path
) -> None:
    login = {"login": post_office.LOGIN, "password": post_office.PASSWORD}
    handler = Handler()
    with post_office.serve(handler, tls=tls, files=certificate) as port:
        failure = fail(port, tls=tls, **login)
    assert f"the certificate of localhost port {port} is refused: self-signed" in failure.reason
    other = write_certificate(tmp_path, "mx.example.org")
    with post_office.serve(handler, tls=tls, files=other) as port:
        failure = fail(port, tls=tls, ca_file=str(other[0]), **login)
    assert "is refused: Hostname mismatch" in failure.reason
    assert handler.letters == []
    assert failure.is_of_server
    assert not failure.is_final


def test_a_server_without_starttls_gets_nothing() -> None:
    handler = Handler()
    with post_office.serve(handler) as port:
        failure = fail(port, tls="starttls")
    assert failure.reason.endswith(": STARTTLS extension not supported by server.")
    assert handler.letters == []


@pytest.mark.not_fast
def test_a_wrong_login_is_the_servers_trouble_and_shows_no_password(certificate: Files) -> None:
    with post_office.serve(Handler(), tls="implicit", files=certificate) as port:
        keys = {"tls": "implicit", "ca_file": str(certificate[0]), "login": "cloud"}
        failure = fail(port, password="hush-hush", **keys)
        assert "the login was refused: 535" in failure.reason
        assert "hush-hush" not in failure.reason
        failure = fail(port, password="h\u00fcsh", **keys)
        assert failure.reason == "login and password must be ASCII, and password_file UTF-8"
        failure = fail(port, password_file="/no/such/file", **keys)
        assert failure.reason == "/no/such/file: No such file or directory"


@pytest.mark.parametrize(
    ("replies", "reason", "is_final", "is_of_server"),
    [
        ({"MAIL": "550 not you"}, "the sender was refused: 550 not you", False, True),
        ({"RCPT": "550 no such user"}, "550 no such user", True, False),
        ({"RCPT": "450 box is full"}, "450 box is full", False, False),
        ({"DATA": "554 looks like spam"}, "554 looks like spam", True, False),
        ({"DATA": "451 try later"}, "451 try later", False, False),
    ],
)
def test_refusals_are_told_apart(
    replies: dict[str, str], reason: str, is_final: bool, is_of_server: bool
) -> None:
    with post_office.serve(Handler(replies=replies)) as port:
        failure = fail(port)
    assert (failure.reason, failure.is_final, failure.is_of_server) == (
        reason,
        is_final,
        is_of_server,
    )


def test_a_servers_words_are_one_bounded_line_without_control_characters() -> None:
    with answer(b"554-bad\x1b[31m\r\n554 " + b"x" * 400 + b"\xff\r\n") as port:
        failure = fail(port)
    assert failure.reason.startswith("554 bad?[31m xxx")
    assert len(failure.reason) == 300
    assert failure.reason.isprintable()


@pytest.mark.not_fast
def test_nobody_there() -> None:
    port = post_office.find_port()
    assert fail(port).reason == f"localhost port {port}: Connection refused"
    assert fail(25, server="no-such-host.invalid").is_of_server


@pytest.mark.not_fast
@pytest.mark.parametrize(
    ("lines", "pause", "keys"),
    [
        ((), 0.0, {}),  # takes the connection and says nothing
        ((b"220 " + b"x" * 4000,), 0.05, {}),  # drips
        ((b"220 hello\r\n", b"250 " + b"x" * 4000), 0.05, {}),
        ((b"220 hello\r\n", b"250-x\r\n" * 4000), 0.0, {}),  # never comes to an end
        ((b"\x16\x03\x03\x40\x00" + b"\x02" * 4000,), 0.05, {"tls": "implicit"}),
        (
            (b"220 hello\r\n250-x\r\n250 STARTTLS\r\n220 go\r\n\x16\x03\x03\x40\x00" + b"2" * 999,),
            0.02,
            {"tls": "starttls"},
        ),
    ],
)
def test_a_slow_server_is_cut_off_in_time(
    lines: tuple[bytes, ...], pause: float, keys: dict[str, object]
) -> None:
    with answer(*lines, pause=pause) as port:
        began = time.monotonic()
        failure = fail(port, timeout=1, **keys)
        took = time.monotonic() - began
    assert failure.reason == "the server did not take it within 1 s"
    assert failure.is_of_server
    assert took < 5


@pytest.mark.not_fast
def test_a_letter_that_is_on_its_way_can_be_cut_off() -> None:
    client = SmtpClient()
    message = make_message(LETTER, "mail-1", datetime.now(UTC), MAIL.sender)
    began = time.monotonic()
    with answer(b"220 ") as port:
        timer = threading.Timer(0.3, client.close)
        timer.start()
        for _ in range(2):
            with pytest.raises(DeliveryError):
                client.deliver(replace(MAIL, port=port), message, LETTER.recipient)
        timer.join()
    assert time.monotonic() - began < 5
