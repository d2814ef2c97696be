"""The thread that sends the letters of the queue; decides about no letter's text."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from eucabox import logs
from eucabox.config import Config
from eucabox.errors import Fault, NoSuchMail
from eucabox.mail.letter import make_message
from eucabox.mail.queue import MailQueue, hide_codes, pause_after

if TYPE_CHECKING:
    from eucabox.mail.smtp import DeliveryError, SmtpClient

log = logging.getLogger("eucabox.mail")
# Seconds between two looks at the queue. Nobody wakes the thread: how long a request takes must
# not depend on whether there was anybody to write to.
LOOK = 1.0
TIDY = 3600.0  # seconds between two looks for what is old
AFTER_FAULT = 60.0
STOP_WAIT = 2.0


class MailSender:
    """Sends what waits, each letter at least once, until the server takes it or it is too old.

    `get_config` is called for each look, so that a reload counts at once. `note` is told what is
    wrong with the server, or "". `tidy` is called now and then.
    """

    def __init__(
        self,
        get_config: Callable[[], Config],
        queue: MailQueue,
        note: Callable[[str], None],
        tidy: Callable[[], None] = lambda: None,
    ) -> None:
        self._get_config = get_config
        self._queue = queue
        self._note = note
        self._tidy = tidy
        self._client: SmtpClient | None = None  # once there is a letter
        self._problem = ""
        self._failures = 0  # of the server, one after the other
        self._resume = 0.0  # monotonic: not before this is the server tried again
        self._tidy_due = 0.0
        self._mail = get_config().mail
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mail", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop the thread; a letter on its way waits for the next start."""
        self._stopping.set()
        if self._thread.is_alive():
            if self._client is not None:
                self._client.close()
            self._thread.join(STOP_WAIT)

    def _run(self) -> None:
        pause = LOOK
        while not self._stopping.wait(pause):
            try:
                self.look()
                pause = LOOK
            except Exception:  # the loop must survive what one letter, or a full disk, brings
                if self._stopping.is_set():
                    return
                log.exception("the letters wait")
                pause = AFTER_FAULT

    def look(self) -> None:
        """Send what is due, and tidy up if that is due."""
        now = time.monotonic()
        if now >= self._tidy_due:
            self._tidy_due = now + TIDY
            self._give_up_old()
            self._queue.drop_finished()
            self._tidy()
        mail, self._mail = self._mail, self._get_config().mail
        is_hurried = self._queue.take_hurry()
        if is_hurried or mail != self._mail or not self._mail.server:  # it may be right now
            self._set_problem("")
        if self._mail.server and now >= self._resume:
            self._send_due()

    def _send_due(self) -> None:
        for mail_id in self._queue.list_due():
            if self._stopping.is_set() or not self._send(mail_id):
                return

    def _send(self, mail_id: str) -> bool:
        """Try one letter; tell whether the server may take another."""
        from eucabox.mail.smtp import DeliveryError, SmtpClient  # many clouds write no letters

        mail = self._get_config().mail
        try:
            letter, created = self._queue.begin_try(mail_id)
            message = make_message(letter, mail_id, created, mail.sender)
        except NoSuchMail:  # the operator dropped it
            return True
        except (Fault, ValueError) as unreadable:  # such as one sealed with another key
            failure = DeliveryError(str(unreadable), is_final=True, is_of_server=False)
            self._handle_failure(mail_id, failure, failure.reason)
            return True
        self._client = self._client or SmtpClient()
        if self._stopping.is_set():
            return False
        try:
            self._client.deliver(mail, message, letter.recipient)
        except DeliveryError as refusal:
            if self._stopping.is_set():
                return False
            self._handle_failure(mail_id, refusal, hide_codes(refusal.reason, letter.body))
            return not refusal.is_of_server
        self._queue.mark_sent(mail_id)
        logs.say(log, action="SendMail", mail=mail_id, outcome="ok")
        self._set_problem("")
        return True

    def _handle_failure(self, mail_id: str, failure: "DeliveryError", problem: str) -> None:
        if failure.is_final:
            self._queue.mark_failed(mail_id, problem)
        else:
            self._queue.note_problem(mail_id, problem)
        outcome = "given up" if failure.is_final else "waits"
        log.warning("role=cloud letter %s: %s: %s", mail_id, outcome, problem)
        if failure.is_of_server:
            self._failures += 1
            self._resume = time.monotonic() + pause_after(self._failures)
            self._set_problem(problem)
            self._give_up_old()

    def _give_up_old(self) -> None:
        hours = self._get_config().mail.retry_hours
        for mail_id in self._queue.give_up_old(hours, self._problem):
            log.error("role=cloud letter %s: given up after %s hours", mail_id, hours)

    def _set_problem(self, problem: str) -> None:
        if not problem:
            self._failures, self._resume = 0, 0.0
        if problem != self._problem:
            self._problem = problem
            self._note(f"letters wait: {problem}" if problem else "")
