"""A letter that only shows whether the server takes letters: sent at once, without the queue."""

from datetime import UTC, datetime

from eucabox import ids
from eucabox.config import MailSection
from eucabox.errors import MailNotTaken
from eucabox.mail.letter import Letter, make_message

SUBJECT = "[eucabox] test"
BODY = "This is a test: the mail server takes the letters of this cloud.\n"


def send_test_letter(mail: MailSection, recipient: str) -> None:
    """Hand a test letter to the server; raises MailNotTaken with what that answered."""
    from eucabox.mail.smtp import DeliveryError, SmtpClient

    letter = Letter(recipient, SUBJECT, BODY)
    message = make_message(letter, ids.new("mail"), datetime.now(UTC), mail.sender)
    try:
        SmtpClient().deliver(mail, message, recipient)
    except DeliveryError as failure:
        raise MailNotTaken(recipient=recipient, reason=failure.reason) from None
