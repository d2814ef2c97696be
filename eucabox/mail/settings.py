"""Which settings of [mail] fit together, and the password they name; opens no connection."""

import ipaddress
from pathlib import Path

from eucabox.config import Config, MailSection

LONGEST_PASSWORD = 1024  # bytes of its file


def check(config: Config) -> None:
    """Raise ConfigError where keys of [mail] do not fit together."""
    mail = config.mail
    if not mail.server:
        return
    if not mail.sender:
        raise config.make_error("mail", "sender", "must be set where server is")
    if not mail.base_url and not config.console.enabled:
        reason = "must be set where server is and the console is not enabled"
        raise config.make_error("mail", "base_url", reason)
    if mail.login and not (mail.password or mail.password_file):
        raise config.make_error("mail", "login", "needs password_file, or password")
    if mail.password and mail.password_file:
        raise config.make_error("mail", "password", "must be empty where password_file is set")
    if mail.login and mail.tls == "none" and not _is_here(mail.server):
        reason = "must be starttls or implicit: a login would go over the network in the clear"
        raise config.make_error("mail", "tls", reason)


def read_password(mail: MailSection) -> str:
    """Return the password at the server; raises OSError or ValueError for an unreadable file."""
    if not mail.password_file:
        return mail.password
    with Path(mail.password_file).open("rb") as file:
        return file.read(LONGEST_PASSWORD).decode().strip()


def _is_here(server: str) -> bool:
    try:
        return ipaddress.ip_address(server).is_loopback
    except ValueError:
        return server == "localhost"
