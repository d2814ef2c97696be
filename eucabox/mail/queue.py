"""The letters in the database: posted, tried, finished; opens no connection."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypedDict

from eucabox import ids, steady_clock
from eucabox.errors import MailNotWaiting, MailQueueFull, NoSuchMail
from eucabox.mail.letter import Letter, parse_address
from eucabox.seal import Seal
from eucabox.state import State

TOPIC = "mails"  # what others are told of a change
WAITING, SENT, FAILED = "waiting", "sent", "failed"
MOST_WAITING = 1000
MOST_FINISHED = 1000  # that are kept to be looked at, the newest
FINISHED_KEPT = timedelta(days=30)
FIRST_PAUSE, LONGEST_PAUSE = 15.0, 1800.0  # seconds after the first try, and at most
LONGEST_ID = 60  # characters of one that is no letter's
LONG_WORD = re.compile(r"[A-Za-z0-9_-]{16,}")  # as codes are
_LISTED = """mail_id, recipient, subject, state, tries, created, created_clock, tried_clock,
  finished, problem"""


class ListedMailRow(TypedDict):
    """A letter that leaves, without its body."""

    mail_id: str
    recipient: str
    subject: str
    state: str
    tries: int
    created: str
    created_clock: str
    tried_clock: str
    finished: str
    problem: str


class MailRow(ListedMailRow):
    """A letter with its `body`, which is sealed, and None once the letter is finished."""

    body: bytes | None


class MailQueue:
    """The letters that wait, and for a while those that were sent or given up."""

    def __init__(self, state: State, seal: Seal) -> None:
        self._state = state
        self._seal = seal
        self._is_hurried = False

    def post(self, letter: Letter) -> str:
        """Put a letter into the queue, within the caller's transaction; return its id.

        Raises BadMailAddress and MailQueueFull.
        """
        recipient = parse_address(letter.recipient)
        mail_id = ids.new("mail")
        row = {
            "mail_id": mail_id,
            "recipient": recipient,
            "subject": letter.subject,
            "body": self._seal.close(letter.body.encode(), _purpose(mail_id)),
            "state": WAITING,
            "created": ids.now(),
            "created_clock": steady_clock.reading(),
        }
        with self._state.transaction():
            if self._count(WAITING) >= MOST_WAITING:
                raise MailQueueFull(count=MOST_WAITING)
            self._state.insert("mails", row)
            self._state.announce("", TOPIC)
        return mail_id

    def withdraw(self, mail_id: str) -> None:
        """Take a letter back, within the transaction that it was posted in."""
        self._state.delete("mails", {"mail_id": mail_id})

    def list_all(self) -> Sequence[ListedMailRow]:
        """Return every letter without its body, the newest first."""
        sql = f"select {_LISTED} from mails order by created desc, rowid desc"
        return self._state.select(ListedMailRow, sql)

    def retry(self, mail_id: str) -> None:
        """Have a letter that waits tried at once; raises NoSuchMail and MailNotWaiting."""
        with self._state.transaction():
            if self._find(mail_id)["state"] != WAITING:
                raise MailNotWaiting(id=mail_id)
            self._state.update("mails", {"mail_id": mail_id}, tries=0, tried_clock="")
        self._is_hurried = True

    def drop(self, mail_id: str) -> None:
        """Forget a letter, whether it waits or is finished; raises NoSuchMail."""
        with self._state.transaction():
            self._find(mail_id)
            self._state.delete("mails", {"mail_id": mail_id})

    def take_hurry(self) -> bool:
        """Tell whether the operator wants a letter tried at once, and forget it."""
        is_hurried, self._is_hurried = self._is_hurried, False
        return is_hurried

    def list_due(self) -> list[str]:
        """Return the ids of the letters whose pause is over, those with fewer tries first."""
        sql = f"select {_LISTED} from mails where state = ? order by tries, created, rowid"
        rows = self._state.select(ListedMailRow, sql, (WAITING,))
        return [row["mail_id"] for row in rows if _is_due(row)]

    def begin_try(self, mail_id: str) -> tuple[Letter, datetime]:
        """Note that a letter is tried, and return it with the time when it was posted.

        Raises NoSuchMail where it was dropped meanwhile.
        """
        with self._state.transaction():
            row = self._find(mail_id)
            assert row["body"] is not None  # only the sender's thread finishes letters
            times = {"tries": row["tries"] + 1, "tried_clock": steady_clock.reading()}
            self._state.update("mails", {"mail_id": mail_id}, **times)
        body = self._seal.open(row["body"], _purpose(mail_id)).decode()
        letter = Letter(row["recipient"], row["subject"], body)
        return letter, ids.parse_time(row["created"])

    def mark_sent(self, mail_id: str) -> None:
        """Note that the server has taken a letter, and forget what was in it."""
        self._finish(mail_id, SENT, "")

    def mark_failed(self, mail_id: str, problem: str) -> None:
        """Give a letter up, and forget what was in it."""
        self._finish(mail_id, FAILED, problem)

    def note_problem(self, mail_id: str, problem: str) -> None:
        """Note why a try failed; the letter waits for the next."""
        self._state.update("mails", {"mail_id": mail_id}, problem=problem)
        self._state.announce("", TOPIC)

    def give_up_old(self, hours: float, problem: str) -> list[str]:
        """Give up what has waited for so many hours; return the ids. `problem` is the server's."""
        sql = f"select {_LISTED} from mails where state = ?"
        rows = self._state.select(ListedMailRow, sql, (WAITING,))
        old = [row for row in rows if _age(row) >= hours * 3600]
        for row in old:
            self.mark_failed(row["mail_id"], row["problem"] or problem or "it was never tried")
        return [row["mail_id"] for row in old]

    def drop_finished(self) -> None:
        """Forget finished letters that are old, or too many."""
        earliest = ids.time_text(datetime.now(UTC) - FINISHED_KEPT)
        newest = "select mail_id from mails where state <> ? order by finished desc limit ?"
        sql = f"""delete from mails where state <> ? and
          (finished < ? or mail_id not in ({newest}))"""
        with self._state.transaction() as database:
            database.execute(sql, (WAITING, earliest, WAITING, MOST_FINISHED))

    def _find(self, mail_id: str) -> MailRow:
        row = self._state.select_one(MailRow, "select * from mails where mail_id = ?", (mail_id,))
        if row is None:
            raise NoSuchMail(id=mail_id[:LONGEST_ID])
        return row

    def _finish(self, mail_id: str, state: str, problem: str) -> None:
        columns = {"state": state, "problem": problem, "finished": ids.now(), "body": None}
        self._state.update("mails", {"mail_id": mail_id}, **columns)
        self._state.announce("", TOPIC)

    def _count(self, state: str) -> int:
        row = self._state.one("select count(*) as count from mails where state = ?", (state,))
        return int(row["count"]) if row else 0


def hide_codes(text: str, body: str) -> str:
    """Return a server's words without the codes and links of the letter, should it repeat them."""
    for word in sorted(set(LONG_WORD.findall(body)), key=len, reverse=True):
        text = text.replace(word, "[code]")
    return text


def pause_after(tries: int) -> float:
    """Return the seconds until the next try: twice as long each time, up to half an hour."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(tries - 1, 20)) if tries else 0.0


def _is_due(row: ListedMailRow) -> bool:
    if not row["tries"]:
        return True
    waited = steady_clock.seconds_since(row["tried_clock"], row["created"])
    return waited >= pause_after(row["tries"])


def _age(row: ListedMailRow) -> float:
    return steady_clock.seconds_since(row["created_clock"], row["created"])


def _purpose(mail_id: str) -> str:
    return f"mail {mail_id}"
