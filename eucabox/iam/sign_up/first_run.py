"""The administrator's first password: by a code in a file that the operator alone can read."""

import contextlib
from collections.abc import Callable

from eucabox.atomic_files import write_atomic
from eucabox.config import Config
from eucabox.errors import CodeInvalid
from eucabox.iam import passwords
from eucabox.iam.accounts import Accounts
from eucabox.iam.caller import Caller
from eucabox.iam.sign_up.attempts import Attempts
from eucabox.iam.sign_up.codes import FIRST_RUN, Codes
from eucabox.iam.sign_up.password_changes import store_password
from eucabox.state import State

FILE = "first-run-code"  # in the data directory


class FirstRun:
    """The code of a cloud whose administrator has no password yet."""

    def __init__(
        self,
        get_config: Callable[[], Config],
        state: State,
        accounts: Accounts,
        attempts: Attempts,
    ) -> None:
        self._get_config = get_config
        self._state = state
        self._accounts = accounts
        self._attempts = attempts
        self._codes = Codes(state)
        self.file = get_config().cloud.data_dir / FILE

    @property
    def is_due(self) -> bool:
        """Whether the administrator has no password yet, so that there is a first run to do."""
        sql = "select password from users where user_id = ?"
        row = self._state.one(sql, (self._administrator.user_id,))
        return row is not None and not row["password"]

    def ensure_code(self) -> bool:
        """See that the file has a code that counts; tell whether there is one.

        Once the administrator has a password, the code and the file are gone.
        """
        if not self.is_due:
            self._forget()
            return False
        if not self._counts():
            with self._state.transaction():
                self._codes.forget(FIRST_RUN, self._administrator.user_id)
                code = self._codes.make(FIRST_RUN, None, user_id=self._administrator.user_id)
                write_atomic(self.file, f"{code}\n".encode(), 0o600)
        return True

    def set_password(self, code: str, password: str, source: str = "") -> Caller:
        """Spend the code, and give the administrator the first password; return him.

        Raises CodeInvalid, TooManyAttempts or PasswordPolicyViolation; the last leaves the code.
        """
        most = self._get_config().sign_up.requests_per_hour
        self._attempts.count_source("code", source, most)
        self._codes.find(FIRST_RUN, code.strip())
        administrator = self._administrator
        passwords.check_quality(password, administrator.user_name, administrator.account_name)
        hashed = passwords.hash_password(password)
        with self._state.transaction():
            self._codes.spend(FIRST_RUN, code.strip())
            if not self.is_due:
                raise CodeInvalid()
            store_password(self._state, administrator.user_id, hashed)
        self._forget()
        return administrator

    @property
    def _administrator(self) -> Caller:
        return self._accounts.ensure_administrator()

    def _counts(self) -> bool:
        try:
            self._codes.find(FIRST_RUN, self.file.read_text("ascii").strip())
        except (OSError, ValueError, CodeInvalid):
            return False
        return True

    def _forget(self) -> None:
        self._codes.forget(FIRST_RUN, self._administrator.user_id)
        with contextlib.suppress(FileNotFoundError):
            self.file.unlink()
