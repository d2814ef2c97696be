"""Finds the user behind account, name and password, in the same time whether there is one."""

import logging
import threading

from eucabox import logs
from eucabox.errors import PasswordsBusy
from eucabox.iam.attempt_limits import AttemptLimits
from eucabox.iam.login_profiles import note_sign_in
from eucabox.iam.passwords import check_password
from eucabox.iam.rows import UserRow
from eucabox.iam.sign_up.attempts import get_network
from eucabox.state import State

log = logging.getLogger("eucabox.console")

ADMINISTRATORS = "eucalyptus"  # the account of a user that names none, and has none of its name
# Attempts in 15 minutes: at one name by one address, by one address, at one name by all.
MOST_OF_BOTH, MOST_OF_ADDRESS, MOST_OF_NAME = 8, 60, 200
MOST_WAITING = 6  # requests that wait for a password's check; the others' pages need threads too
_waiting = threading.BoundedSemaphore(MOST_WAITING)


class TooManyAttemptsError(Exception):
    """This may be guessing; `seconds` is how long it takes until the next attempt counts."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds


def sign_in(
    state: State, limits: AttemptLimits, names: tuple[str, str], password: str, source: str
) -> UserRow | None:
    """Return the user of (account, user name) whose password this is, or None.

    The account is its name, its alias or its number, or "". Raises TooManyAttemptsError,
    PasswordsBusy, UserDisabled and PasswordExpired.
    """
    keys = _name_limits(names, get_network(source))
    seconds = limits.begin(keys)
    if seconds:
        _log(names, source, "Throttling")
        raise TooManyAttemptsError(seconds)
    row = find_user(state, *names)
    try:
        is_right = check_quietly(password, row["password"] if row else "")
    except PasswordsBusy:
        limits.forgive(keys)  # nothing was tried
        raise
    if not is_right:
        _log(names, source, "AuthFailure")
        return None
    limits.forgive(keys)
    _log(names, source, "ok")
    assert row is not None
    note_sign_in(state, row)
    return row


def check_quietly(password: str, stored: str) -> bool:
    """Tell whether a password is right; raises PasswordsBusy where too many wait for that."""
    if not _waiting.acquire(blocking=False):
        raise PasswordsBusy(count=MOST_WAITING)
    try:
        return check_password(password, stored)
    finally:
        _waiting.release()


def find_user(state: State, account: str, user: str) -> UserRow | None:
    """Return the user of that name in the account of that name, alias or number; without an
    account the user whose account has its own name or, without that, the administrators'. An alias,
    which any account may choose, counts only where it is given."""
    accounts = [account] if account else [user, ADMINISTRATORS]
    for each in accounts:
        sql = """select users.* from users join accounts using (account_id)
          where lower(user_name) = lower(?)
          and (account_name = ? or account_id = ? or (alias = ? and alias <> '' and ? <> ''))
          order by account_name = ? desc"""
        row = state.select_one(UserRow, sql, (user, each, each, each, account, each))
        if row:
            return row
    return None


def _name_limits(names: tuple[str, str], network: str) -> dict[str, int]:
    """The keys have line ends between their parts, which no name has: one who names another's
    address in a name would use up that one's attempts."""
    name = "\n".join(names).lower()
    return {
        f"both\n{network}\n{name}": MOST_OF_BOTH,
        f"address\n{network}": MOST_OF_ADDRESS,
        f"name\n{name}": MOST_OF_NAME,
    }


def log_code(user_id: str, source: str, outcome: str) -> None:
    """Log what came of a code that a user with an MFA device gave after its password."""
    logs.say(log, action="SignInCode", user=user_id, source=source or "-", outcome=outcome)


def _log(names: tuple[str, str], source: str, outcome: str) -> None:
    user = "/".join(filter(None, names))[:100]
    logs.say(log, action="SignIn", user=user or "-", source=source or "-", outcome=outcome)
