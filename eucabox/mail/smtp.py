"""Hands one message to the SMTP server within a limit of time; keeps no queue and logs nothing."""

import contextlib
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from email.message import EmailMessage

from eucabox.config import MailSection
from eucabox.mail.letter import domain_of
from eucabox.mail.settings import read_password

LONGEST_REASON = 300  # characters
PERMANENT = 500  # a reply of the server from here on: another try would end the same way


class DeliveryError(Exception):
    """Why a message was not taken.

    `is_final` where another try would end the same way; `is_of_server` where the server would
    take no other message either.
    """

    def __init__(self, reason: str, *, is_final: bool = False, is_of_server: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_final = is_final
        self.is_of_server = is_of_server


class SmtpClient:
    """Delivers messages, one at a time and each by a connection of its own."""

    def __init__(self) -> None:
        self._limit: _TimeLimit | None = None
        self._is_closed = False

    def deliver(self, mail: MailSection, message: EmailMessage, recipient: str) -> None:
        """Hand the message over; when this returns the server has taken it.

        Raises DeliveryError, at the latest `timeout` seconds after it is connected; to connect
        takes no longer than that for each address of the server.
        """
        self._limit = _TimeLimit(mail.timeout)
        if self._is_closed:
            self._limit.cut()
        try:
            with _explain_failure(self._limit, mail):
                server = _SmtpConnection(mail, self._limit)
                with contextlib.closing(server):
                    _send(server, mail, message, recipient)
                    with contextlib.suppress(OSError, smtplib.SMTPException):
                        server.quit()  # the message is taken already
        finally:
            self._limit.end()

    def close(self) -> None:
        """End a delivery at once, from another thread, and let no other begin."""
        self._is_closed = True
        if self._limit is not None:
            self._limit.cut()


class _TimeLimit:
    """Cuts a connection when its time is over, whatever the other thread waits for."""

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._guard: socket.socket | None = None
        self._timer = threading.Timer(seconds, self.cut)
        self._timer.daemon = True

    def watch(self, connection: socket.socket) -> None:
        # A second descriptor: TLS takes the first one over, and a shutdown ends both.
        self._guard = connection.dup()
        self._timer.start()
        if self.is_over:
            self.cut()

    def cut(self) -> None:
        self.is_over = True
        if self._guard is not None:
            with contextlib.suppress(OSError):
                self._guard.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        self._timer.cancel()
        if self._guard is not None:
            self._guard.close()


class _SmtpConnection(smtplib.SMTP):
    """A connection under a time limit, encrypted from its beginning where `tls` is implicit."""

    def __init__(self, mail: MailSection, limit: _TimeLimit) -> None:
        self.tls = ssl.create_default_context(cafile=mail.ca_file or None)
        self._is_implicit = mail.tls == "implicit"
        self._limit = limit
        own_name = domain_of(mail.sender)  # or smtplib would ask DNS for this host's
        super().__init__(mail.server, mail.port_number, own_name, timeout=mail.timeout)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection = socket.create_connection((host, port), timeout)
        connection.settimeout(2 * timeout)  # from here on it is the limit that counts
        self._limit.watch(connection)
        if self._is_implicit:
            return self.tls.wrap_socket(connection, server_hostname=host)
        return connection


def _send(
    server: _SmtpConnection, mail: MailSection, message: EmailMessage, recipient: str
) -> None:
    if mail.tls == "starttls":
        server.starttls(context=server.tls)  # raises where the server offers none
    if mail.login:
        server.login(mail.login, read_password(mail))
    server.send_message(message, mail.sender, [recipient])


@contextlib.contextmanager
def _explain_failure(limit: _TimeLimit, mail: MailSection) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as problem:  # smtplib's own are OSErrors
        if limit.is_over or isinstance(problem, TimeoutError):
            reason = f"the server did not take it within {mail.timeout} s"
            raise DeliveryError(reason) from None
        raise _to_failure(problem, f"{mail.server} port {mail.port_number}") from None


def _to_failure(problem: OSError | ValueError, server: str) -> DeliveryError:
    if isinstance(problem, smtplib.SMTPRecipientsRefused):
        ((code, text),) = problem.recipients.values()
        return _refuse(code, text)
    if isinstance(problem, smtplib.SMTPDataError):
        return _refuse(problem.smtp_code, problem.smtp_error)
    if isinstance(problem, smtplib.SMTPResponseException):
        what = {
            smtplib.SMTPAuthenticationError: "the login was refused: ",
            smtplib.SMTPSenderRefused: "the sender was refused: ",
        }.get(type(problem), "")
        return DeliveryError(what + _words(problem.smtp_code, problem.smtp_error))
    if isinstance(problem, UnicodeError):  # whose own words show a piece of the password
        return DeliveryError("login and password must be ASCII, and password_file UTF-8")
    if isinstance(problem, ssl.SSLCertVerificationError):
        reason = f"the certificate of {server} is refused: {problem.verify_message}"
        return DeliveryError(_clean(reason))
    where = (isinstance(problem, OSError) and problem.filename) or server
    words = (isinstance(problem, OSError) and problem.strerror) or str(problem)
    return DeliveryError(_clean(f"{where}: {words}"))


def _refuse(code: int, text: bytes | str) -> DeliveryError:
    return DeliveryError(_words(code, text), is_final=code >= PERMANENT, is_of_server=False)


def _words(code: int, text: bytes | str) -> str:
    reply = text.decode("ascii", "replace") if isinstance(text, bytes) else text
    return _clean(f"{code} {reply}")


def _clean(text: str) -> str:
    """Return a server's words as a line that can be logged and printed."""
    line = " ".join(text.split()).encode("ascii", "backslashreplace").decode()
    return "".join(each if each.isprintable() else "?" for each in line)[:LONGEST_REASON]
