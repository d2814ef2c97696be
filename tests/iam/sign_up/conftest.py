"""The rules of sign-up over a real database, without a mail server and with one that takes all."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from eucabox.config import Config, MailSection
from eucabox.iam.accounts import Accounts
from eucabox.iam.sign_up import AccountForm, FirstRun, Recovery, SignUps
from eucabox.iam.sign_up.attempts import Attempts
from eucabox.mail import MailQueue
from eucabox.mail.letter import Letter
from eucabox.seal import Seal
from eucabox.state import State

MAIL = MailSection(
    server="localhost", sender="cloud@example.com", base_url="https://cloud.example.com:8888",
    administrator="operator@example.com",
)  # fmt: skip


@dataclass
class Office:
    """The parts that a cloud has, and the letters that wait in its queue."""

    config: Config
    state: State
    accounts: Accounts
    queue: MailQueue = field(init=False)
    sign_ups: SignUps = field(init=False)
    recovery: Recovery = field(init=False)
    first_run: FirstRun = field(init=False)

    def __post_init__(self) -> None:
        attempts = Attempts()
        self.queue = MailQueue(self.state, Seal(self.config.cloud.data_dir / "key"))
        config, state = self.get_config, self.state
        self.sign_ups = SignUps(config, state, self.accounts, self.queue, attempts)
        self.recovery = Recovery(config, state, self.queue, attempts)
        self.first_run = FirstRun(config, state, self.accounts, attempts)

    def get_config(self) -> Config:
        return self.config

    def set_mail(self, **keys: object) -> None:
        self.config = replace(self.config, mail=replace(self.config.mail, **keys))  # type: ignore[arg-type]

    def set_sign_up(self, **keys: object) -> None:
        section = replace(self.config.sign_up, **keys)  # type: ignore[arg-type]
        self.config = replace(self.config, sign_up=section)

    def take_letters(self) -> list[Letter]:
        """Return the letters that wait, the oldest first, and mark them sent."""
        ids = self.queue.list_due()
        letters = [self.queue.begin_try(mail_id)[0] for mail_id in ids]
        for mail_id in ids:
            self.queue.mark_sent(mail_id)
        return letters


@pytest.fixture
def office(config: Config, state: State, accounts: Accounts) -> Office:
    """A cloud that sends mail."""
    return Office(replace(config, mail=MAIL), state, accounts)


@pytest.fixture
def fill_in() -> Callable[..., AccountForm]:
    """Make a form with these fields instead of good ones."""

    def make(**fields: str) -> AccountForm:
        good = {
            "user_name": "ann",
            "password": "a fine long secret",
            "full_name": "Ann Lee",
            "email": "ann@example.org",
        }
        return AccountForm(**{**good, **fields})

    return make
