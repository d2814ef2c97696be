"""A letter, and the message that it becomes; finds no recipient and sends nothing."""

from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

from eucabox import ascii_text
from eucabox.config import MAIL_ADDRESS
from eucabox.errors import BadMailAddress

LONGEST_SHOWN = 60  # characters of an address that is none


@dataclass(frozen=True)
class Letter:
    """What is told to whom; the body is lines of text, of which none is longer than 998 bytes."""

    recipient: str
    subject: str
    body: str


def parse_address(text: str) -> str:
    """Return one e-mail address in lower case; raises BadMailAddress for none, or for two."""
    address = ascii_text.lower(ascii_text.strip(text))
    if not is_address(address):
        raise BadMailAddress(value=text[:LONGEST_SHOWN])
    return address


def is_address(text: str) -> bool:
    """Tell whether letters can go to this address."""
    return MAIL_ADDRESS.fullmatch(ascii_text.strip(text)) is not None


def make_message(letter: Letter, mail_id: str, created: datetime, sender: str) -> EmailMessage:
    """Return the message of a letter; the same letter always has the same Message-ID."""
    from email.headerregistry import Address  # with the parser of headers, for a letter that leaves
    from email.policy import SMTP

    message = EmailMessage(SMTP)
    message["From"] = Address("eucabox", addr_spec=sender)
    # by its parts, which are quoted where they need it, as one with two dots in a row
    name, _, domain = letter.recipient.rpartition("@")
    message["To"] = Address(username=name, domain=domain)
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(created)
    message["Message-ID"] = f"<{mail_id}@{domain_of(sender)}>"
    message["Auto-Submitted"] = "auto-generated"  # so that no holiday notice answers it
    message.set_content(letter.body)
    return message


def domain_of(address: str) -> str:
    """Return what stands behind the @ of an address."""
    return address.rpartition("@")[2]
