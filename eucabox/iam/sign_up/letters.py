"""The texts of the letters about accounts, and the pages they lead to; posts none.

What a stranger wrote stands in the administrator's letter alone, indented: nobody sends words of
his own to others through this cloud.
"""

import json

from eucabox.config import SIGN_UP_FIELDS, Config
from eucabox.iam.rows import SignUpRow
from eucabox.mail import Letter

SUBJECT = "[eucabox] "
# The pages, below base_url. A visit changes nothing; each has a button that does.
SIGN_UP_PAGE, DECISION_PAGE = "/sign-up", "/sign-ups/{sign_up_id}/{decision}"
CONFIRM_PAGE, RECOVER_PAGE = "/confirm?code={code}", "/recover?code={code}"
LABELS = {name: name.replace("_", " ").capitalize() for name in ("full_name", *SIGN_UP_FIELDS)}
IGNORE = "If this was not you, do nothing."
END = "\n\nThis letter was written by eucabox at {base_url}\n"


class Letters:
    """The letters of a cloud with this configuration."""

    def __init__(self, config: Config) -> None:
        self._base = config.base_url
        self._settings = config.sign_up

    def announce_sign_up(self, row: SignUpRow, administrator: str) -> Letter:
        """To the administrator: a person asks for an account."""
        given = {"User name": row["user_name"], "E-mail": row["email"]}
        information = json.loads(row["information"])
        given |= {LABELS[name]: text for name, text in information.items() if name in LABELS}
        lines = [_indent(label, text) for label, text in given.items()]
        approve, reject = (
            self._base + DECISION_PAGE.format(sign_up_id=row["sign_up_id"], decision=decision)
            for decision in ("approve", "reject")
        )
        body = (
            "A new user has signed up and waits for your decision.\n\n"
            f"To approve:\n{approve}\n\nTo reject:\n{reject}\n\n"
            "Each of these pages asks you to sign in, and does nothing until you press its"
            " button.\n\nThis is what the person gave. Nobody has checked it.\n\n"
        )
        subject = f"new user has signed up ({row['email']})"
        return self._write(administrator, subject, body + "\n".join(lines))

    def tell_of_account(self, email: str, account_name: str) -> Letter:
        """To a person who asks for an account and whose address has one."""
        body = (
            "Somebody asked for an account with this address, which has one already:"
            f' "{account_name}". If you forgot its password,'
            f" set a new one here:\n{self._base}{RECOVER_PAGE.partition('?')[0]}\n\n{IGNORE}"
        )
        return self._write(email, "you have an account already", body)

    def tell_of_request(self, email: str) -> Letter:
        """To a person who asks for an account twice."""
        body = (
            "Somebody asked for an account with this address. A request with it waits already, and"
            f" you will get a letter once it is decided.\n\n{IGNORE}"
        )
        return self._write(email, "your request waits already", body)

    def tell_of_taken_name(self, email: str) -> Letter:
        """To a person who asks for an account with a name that another has."""
        body = (
            "Somebody asked for an account with this address, and with a user name that another"
            f" person has. Choose one of your own here:\n{self._base}{SIGN_UP_PAGE}\n\n"
            f"{IGNORE}"
        )
        return self._write(email, "this user name is taken", body)

    def tell_approval(self, row: SignUpRow, code: str) -> Letter:
        """To an approved person, with the link that makes the account active."""
        link = self._base + CONFIRM_PAGE.format(code=code)
        body = (
            f'Your account "{row["user_name"]}" was approved. To make it active, open this page and'
            f" press its button:\n{link}\n\n"
            f"The link counts once, within {self._settings.confirm_hours} hours. {IGNORE}"
        )
        return self._write(row["email"], "your eucabox account was approved", body)

    def tell_activation(self, row: SignUpRow) -> Letter:
        """To a person whom the administrator spared the confirmation."""
        body = (
            f'Your account "{row["user_name"]}" is now active. Sign in with the password that you'
            f" chose:\n{self._base}/"
        )
        return self._write(row["email"], "your eucabox account is active", body)

    def tell_rejection(self, row: SignUpRow, reason: str) -> Letter:
        """To a person who gets no account."""
        because = f"\n\nThe administrator's reason:\n\n{reason}" if reason else ""
        body = f'Your request for the account "{row["user_name"]}" was rejected.{because}'
        return self._write(row["email"], "your eucabox account was rejected", body)

    def tell_recovery(self, email: str, account_name: str, code: str, source: str) -> Letter:
        """To a person who forgot a password, with the link that sets a new one."""
        link = self._base + RECOVER_PAGE.format(code=code)
        origin = f" from the address {source}" if source else ""
        body = (
            f'Somebody asked{origin} to set a new password for the account "{account_name}". To do'
            f" so, open this page:\n{link}\n\n"
            f"The link counts once, within {self._settings.recover_minutes} minutes. {IGNORE} Your"
            " password stays as it is."
        )
        return self._write(email, "set a new password", body)

    def tell_new_password(self, email: str, account_name: str) -> Letter:
        """To a person whose password was changed by a code."""
        body = (
            f'The account "{account_name}" has a new password, set with the code of a letter. If'
            " this was not you, tell the administrator of this cloud at once."
        )
        return self._write(email, "your password was changed", body)

    def _write(self, recipient: str, subject: str, body: str) -> Letter:
        return Letter(recipient, SUBJECT + subject, body + END.format(base_url=self._base))


def _indent(label: str, text: str) -> str:
    first, *more = text.split("\n")
    return "\n".join([f"  {label}: {first}", *(f"    {line}" for line in more)])
