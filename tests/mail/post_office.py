"""A real SMTP server, and what it was handed: it can refuse, wait, demand TLS and a login."""

import email
import email.policy
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

LOGIN, PASSWORD = "cloud", "not for everybody"


@dataclass
class Handler:
    """Keeps the letters; `replies` has what to answer instead, by the command."""

    letters: list[EmailMessage] = field(default_factory=list)
    replies: dict[str, str] = field(default_factory=dict)
    recipients: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    logins: list[bool] = field(default_factory=list)

    async def handle_MAIL(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        envelope.mail_from = address
        return self.replies.get("MAIL", "250 OK")

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.replies.get(address, self.replies.get("RCPT", "250 OK"))

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        if "DATA" not in self.replies:
            self.letters.append(message)
            self.recipients += envelope.rcpt_tos
            transport = server.transport
            self.encrypted.append(bool(transport and transport.get_extra_info("cipher")))
            self.logins.append(bool(session.authenticated))
        return self.replies.get("DATA", "250 OK")


def find_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _authenticate(
    _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: LoginPassword
) -> AuthResult:
    good = (data.login, data.password) == (LOGIN.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=good)


@contextmanager
def serve(
    handler: Handler, port: int = 0, tls: str = "none", files: tuple[Path, Path] | None = None
) -> Iterator[int]:
    """Serve until the end of the block; gives the port. With `files` (certificate, key) and `tls`
    it demands TLS, and then the login."""
    context = None
    if files is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
    options: dict[str, Any] = {"authenticator": _authenticate, "auth_required": tls == "starttls"}
    if tls == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    port = port or find_port()
    controller = Controller(
        handler,
        hostname="127.0.0.1",
        port=port,
        ssl_context=context if tls == "implicit" else None,
        auth_require_tls=tls == "starttls",  # it does not see TLS that was there first
        **options,
    )
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def wait_until(question: Any, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)
