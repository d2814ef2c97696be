"""A new password for who forgot one: by a code that is mailed to the account's address."""

from collections.abc import Callable
from datetime import timedelta
from typing import TypedDict

from eucabox import ascii_text
from eucabox.config import Config
from eucabox.errors import CodeInvalid, InvalidParameterValue, MailNotSet
from eucabox.iam import passwords
from eucabox.iam.sign_up.attempts import Attempts
from eucabox.iam.sign_up.codes import DECOY, RECOVER, Codes
from eucabox.iam.sign_up.letters import Letters
from eucabox.iam.sign_up.password_changes import store_password
from eucabox.mail import MailQueue
from eucabox.mail.letter import is_address
from eucabox.state import State

LONGEST_NAME = 254  # characters, as of an address
FOR_ONE_NAME = 5  # requests in an hour
_ROOTS = """select user_id, user_name, account_name, email from users
  join accounts using (account_id) where is_root = 1"""


class RootRow(TypedDict):
    """The root of an account, whose address is the account's."""

    user_id: str
    user_name: str
    account_name: str
    email: str


NOBODY = RootRow(user_id="", user_name="", account_name="", email="nobody@example.com")


class Recovery:
    """Sets the passwords of the accounts' roots; other users ask the root of their account."""

    def __init__(
        self,
        get_config: Callable[[], Config],
        state: State,
        mail: MailQueue,
        attempts: Attempts,
    ) -> None:
        self._get_config = get_config
        self._state = state
        self._mail = mail
        self._attempts = attempts
        self._codes = Codes(state)

    def request_reset(self, name_or_email: str, source: str = "") -> None:
        """Mail a code to the address of an account, named by address, name or user name; answer
        the same where there is none.

        Raises MailNotSet, TooManyAttempts, and InvalidParameterValue for nothing and for what is
        too long.
        """
        config = self._get_config()
        if not config.mail.server:
            raise MailNotSet(instead="Ask its administrator for a new password.")
        self._attempts.count_source("recover", source, config.sign_up.requests_per_hour)
        name = ascii_text.lower(name_or_email.strip())
        if not 1 <= len(name) <= LONGEST_NAME:
            reason = "Give the name of your account, or its e-mail address."
            raise InvalidParameterValue(parameter="NameOrEmail", value=name[:60], reason=reason)
        self._attempts.count("recover", name, FOR_ONE_NAME)
        lifetime = timedelta(minutes=config.sign_up.recover_minutes)
        with self._state.transaction():
            found = self._find_root(name)
            root, purpose = (found, RECOVER) if found else (NOBODY, DECOY)
            code = self._codes.make(purpose, lifetime, user_id=root["user_id"] or None)
            account_name, email = root["account_name"], root["email"]
            letter = Letters(config).tell_recovery(email, account_name, code, source)
            mail_id = self._mail.post(letter)
            if found is None:  # the same was done as for a person who is there
                self._mail.withdraw(mail_id)

    def set_password(self, code: str, password: str, source: str = "") -> str:
        """Spend a code, set the password, and end what is signed in; return the account's name.

        Raises CodeInvalid, TooManyAttempts or PasswordPolicyViolation; the last leaves the code.
        """
        config = self._get_config()
        self._attempts.count_source("code", source, config.sign_up.requests_per_hour)
        root = self._get_root(self._codes.find(RECOVER, code)["user_id"])
        account_name, email = root["account_name"], root["email"]
        passwords.check_quality(password, root["user_name"], account_name, email)
        hashed = passwords.hash_password(password)
        with self._state.transaction():
            self._codes.spend(RECOVER, code)
            self._codes.forget(RECOVER, root["user_id"])
            store_password(self._state, root["user_id"], hashed)
            if config.mail.server and is_address(email):
                self._mail.post(Letters(config).tell_new_password(email, account_name))
        return account_name

    def _find_root(self, name: str) -> RootRow | None:
        """Return the root that a person means, if letters reach it: by address, then by name."""
        sql = f"""{_ROOTS} and email <> '' and (email = :name or lower(account_name) = :name
          or admin = 1 and lower(user_name) = :name)
          order by email = :name desc, lower(account_name) = :name desc"""
        rows = self._state.select(RootRow, sql, {"name": name})
        return next((row for row in rows if is_address(row["email"])), None)

    def _get_root(self, user_id: str | None) -> RootRow:
        row = self._state.select_one(RootRow, f"{_ROOTS} and user_id = ?", (user_id,))
        if row is None:
            raise CodeInvalid()
        return row
