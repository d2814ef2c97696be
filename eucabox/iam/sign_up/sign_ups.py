"""Requests for accounts: stored, decided by the administrator, confirmed by the person."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from eucabox import ids
from eucabox.config import Config
from eucabox.errors import NoSuchSignUp, SignUpClosed, SignUpsFull
from eucabox.iam import passwords
from eucabox.iam.accounts import Accounts
from eucabox.iam.caller import Caller
from eucabox.iam.rows import SignUpRow
from eucabox.iam.sign_up.attempts import Attempts
from eucabox.iam.sign_up.codes import CONFIRM, DECOY, Codes
from eucabox.iam.sign_up.form import AccountForm, check_form, check_text
from eucabox.iam.sign_up.letters import Letters
from eucabox.iam.sign_up.password_changes import store_password
from eucabox.mail import Letter, MailQueue
from eucabox.mail.letter import is_address
from eucabox.state import State

log = logging.getLogger("eucabox.sign_up")
WAITING, APPROVED, ACTIVE = "waiting", "approved", "active"
FOR_ONE_ADDRESS = 5  # requests with one e-mail address in an hour
AT_ONCE = timedelta(seconds=1)


class SignUps:
    """The requests that wait for the administrator, or for their confirmation."""

    def __init__(
        self,
        get_config: Callable[[], Config],
        state: State,
        accounts: Accounts,
        mail: MailQueue,
        attempts: Attempts,
    ) -> None:
        self._get_config = get_config
        self._state = state
        self._accounts = accounts
        self._mail = mail
        self._attempts = attempts
        self._codes = Codes(state)

    @property
    def sends_mail(self) -> bool:
        """Whether letters leave; if not, an approval makes the account active at once."""
        return bool(self._get_config().mail.server)

    def request_account(self, form: AccountForm, source: str = "") -> None:
        """Store a request and tell the administrator; where its name or address is taken, tell
        the address instead, and answer the same.

        Raises SignUpClosed, SignUpsFull, TooManyAttempts, and what `check_form` does.
        """
        settings = self._get_config().sign_up
        if not settings.open:
            raise SignUpClosed(instead="Ask its administrator.")
        self._attempts.count_source("sign-up", source, settings.requests_per_hour)
        checked = check_form(form, settings)
        self._attempts.count("sign-up", checked.email, FOR_ONE_ADDRESS)
        self._check_number()  # before the work that hashing is
        hashed = passwords.hash_password(checked.password)
        with self._state.transaction():
            self.drop_expired()
            self._check_number()
            refusal = self._find_conflict(checked)
            if refusal is None:
                self._store(checked, hashed)
            else:
                self._codes.make(DECOY, AT_ONCE)  # so that both write
                self._post(refusal)

    def list_all(self) -> list[SignUpRow]:
        """Return the requests that wait for the administrator or for their confirmation, the
        oldest first."""
        sql = "select * from sign_ups where expires > ? order by created, rowid"
        return self._state.select(SignUpRow, sql, (ids.now(),))

    def get(self, name: str) -> SignUpRow:
        """Return a request by its id or by its user name; raises NoSuchSignUp."""
        for row in self.list_all():
            if name == row["sign_up_id"] or name.lower() == row["user_name"].lower():
                return row
        raise NoSuchSignUp(name=name[:63], known=self._name_known())

    def approve(self, name: str, *, skip_confirmation: bool = False) -> str:
        """Approve a request, named by its id or user name; return its state from then on.

        `approved`: the person got a letter with a link to confirm the address; once more for one
        that is approved already. `active`: there is an account now, because no letters leave or
        the confirmation is to be skipped. Raises NoSuchSignUp, UserExists or EmailTaken.
        """
        with self._state.transaction():
            row = self.get(name)
            if self.sends_mail and not skip_confirmation:
                self._ask_to_confirm(row)
                return APPROVED
            self._activate(row)
            self._post(self._letters.tell_activation(row))
        return ACTIVE

    def reject(self, name: str, reason: str = "") -> None:
        """Drop a request, and tell the person why. Raises NoSuchSignUp or InvalidParameterValue."""
        text = check_text("Reason", reason)
        with self._state.transaction():
            row = self.get(name)
            self._state.delete("sign_ups", {"sign_up_id": row["sign_up_id"]})
            self._post(self._letters.tell_rejection(row, text))

    def confirm(self, code: str, source: str = "") -> Caller:
        """Make the account of an approved person, with its root; return the root.

        Raises CodeInvalid, TooManyAttempts, UserExists or EmailTaken; but for the first two the
        code stays as it is.
        """
        most = self._get_config().sign_up.requests_per_hour
        self._attempts.count_source("code", source, most)
        with self._state.transaction():
            sign_up_id = self._codes.spend(CONFIRM, code)["sign_up_id"]
            return self._activate(self.get(sign_up_id or ""))

    def drop_expired(self) -> None:
        """Forget requests and codes that are too old."""
        with self._state.transaction() as database:
            database.execute("delete from sign_ups where expires <= ?", (ids.now(),))
            self._codes.drop_expired()

    @property
    def _letters(self) -> Letters:
        return Letters(self._get_config())

    def _check_number(self) -> None:
        most = self._get_config().sign_up.most_waiting
        if len(self.list_all()) >= most:
            raise SignUpsFull(count=most)

    def _find_conflict(self, form: AccountForm) -> Letter | None:
        """Return what the person is told instead, if the address or the name is taken."""
        owner = self._accounts.get_by_email(form.email)
        if owner is not None:
            name = owner["account_name"]
            return self._letters.tell_of_account(form.email, name)
        waiting = self.list_all()
        if form.email in (row["email"] for row in waiting):
            return self._letters.tell_of_request(form.email)
        names = {row["user_name"].lower() for row in waiting}
        if form.user_name.lower() in names or self._has_account(form.user_name):
            return self._letters.tell_of_taken_name(form.email)
        return None

    def _has_account(self, name: str) -> bool:
        sql = "select 1 from accounts where lower(?) in (lower(account_name), lower(alias))"
        return self._state.one(sql, (name,)) is not None

    def _store(self, form: AccountForm, hashed: str) -> None:
        now = datetime.now(UTC)
        config = self._get_config()
        row = SignUpRow(
            sign_up_id=ids.new("su"),
            user_name=form.user_name,
            email=form.email,
            password=hashed,
            information=form.information(),
            state=WAITING,
            created=ids.time_text(now),
            expires=ids.time_text(now + timedelta(days=config.sign_up.request_days)),
        )
        self._state.insert("sign_ups", row)
        administrator = config.mail.administrator or self._accounts.ensure_administrator().email
        if is_address(administrator):
            self._post(self._letters.announce_sign_up(row, administrator))

    def _ask_to_confirm(self, row: SignUpRow) -> None:
        lifetime = timedelta(hours=self._get_config().sign_up.confirm_hours)
        code = self._codes.make(CONFIRM, lifetime, sign_up_id=row["sign_up_id"])
        expires = ids.time_text(datetime.now(UTC) + lifetime)
        known = {"sign_up_id": row["sign_up_id"]}
        self._state.update("sign_ups", known, state=APPROVED, expires=expires)
        self._post(self._letters.tell_approval(row, code))

    def _activate(self, row: SignUpRow) -> Caller:
        self._state.delete("sign_ups", {"sign_up_id": row["sign_up_id"]})  # the name is free now
        root = self._accounts.create_user(row["user_name"], row["email"])
        self._state.update("users", {"user_id": root.user_id}, information=row["information"])
        store_password(self._state, root.user_id, row["password"])
        return root

    def _post(self, letter: Letter) -> None:
        if self.sends_mail:
            self._mail.post(letter)

    def _name_known(self) -> str:
        names = ", ".join(row["user_name"] for row in self.list_all()[:10])
        return f"There are: {names}." if names else "None waits."


def to_api(row: SignUpRow) -> dict[str, object]:
    """Return a request as the API lists it; the password's hash is no part of it."""
    information: dict[str, object] = json.loads(row["information"])
    return {
        "sign_up_id": row["sign_up_id"],
        "user_name": row["user_name"],
        "email": row["email"],
        "state": row["state"],
        "created": row["created"],
        "expires": row["expires"],
        **information,
    }
