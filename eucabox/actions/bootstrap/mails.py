"""The operator's letters: which wait, which did not leave, and whether the server takes any."""

import threading
from dataclasses import replace

from eucabox.actions import Call, Result, action
from eucabox.errors import MailNotSet, MailTestBusy
from eucabox.mail.letter import parse_address
from eucabox.mail.queue import ListedMailRow
from eucabox.mail.test_letters import send_test_letter

MOST_SHOWN = 500  # the newest
LONGEST_TEST = 10  # seconds that one waits for the server's answer
SHOWN = (
    "mail_id", "recipient", "subject", "state", "tries", "created", "finished", "problem",
)  # fmt: skip
_testing = threading.Lock()


@action(service="bootstrap", admin=True)
def list_mails(call: Call) -> Result:
    """List the newest letters without their texts, and what is set of [mail]."""
    mail, rows = call.cloud.config.mail, call.cloud.mail.list_all()
    return {
        "mails": [_to_api(row) for row in rows[:MOST_SHOWN]],
        "is_cut": len(rows) > MOST_SHOWN,
        "server": f"{mail.server} port {mail.port_number}" if mail.server else "",
        "sender": mail.sender,
        "administrator": _find_administrator(call),
    }


@action(service="bootstrap", admin=True)
def retry_mail(call: Call, *, mail_id: str) -> Result:
    """Have a letter that waits tried at once."""
    call.cloud.mail.retry(mail_id)
    return {}


@action(service="bootstrap", admin=True)
def drop_mail(call: Call, *, mail_id: str) -> Result:
    """Forget a letter; one that waits never leaves."""
    call.cloud.mail.drop(mail_id)
    return {}


@action(service="bootstrap", admin=True)
def send_test_mail(call: Call, *, address: str = "") -> Result:
    """Hand a letter to the server at once, one at a time; raises MailNotTaken with its answer."""
    mail = call.cloud.config.mail
    if not mail.server:
        raise MailNotSet(instead="Set it, and sender.")
    recipient = parse_address(address or _find_administrator(call))
    if not _testing.acquire(blocking=False):
        raise MailTestBusy()
    try:
        send_test_letter(replace(mail, timeout=min(mail.timeout, LONGEST_TEST)), recipient)
    finally:
        _testing.release()
    return {"recipient": recipient}


def _find_administrator(call: Call) -> str:
    return call.cloud.config.mail.administrator or call.user.email


def _to_api(row: ListedMailRow) -> dict[str, object]:
    return {name: value for name, value in row.items() if name in SHOWN}
