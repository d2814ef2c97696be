"""What the commands about users share: the accounts of the data directory, opened; no command."""

import json
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass

import click

from eucabox.cli.data_owner import act_as_owner
from eucabox.cli.users import open_state
from eucabox.config import Config
from eucabox.iam.account_records import find_account
from eucabox.iam.accounts import Accounts
from eucabox.iam.caller import Caller
from eucabox.iam.rows import UserRow
from eucabox.iam.users import find_user_or_caller
from eucabox.schema import AccountRow
from eucabox.state import State

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@dataclass(frozen=True)
class OpenedAccounts:
    """The database with its accounts."""

    state: State
    accounts: Accounts

    def find_user(self, name: str) -> tuple[Caller, UserRow]:
        """Return the user NAME or ACCOUNT/NAME, which may be a root; raises NoSuchUser."""
        caller = self.accounts.user(name)
        return caller, find_user_or_caller(self.state, caller, "")

    def split(self, name: str) -> tuple[AccountRow, str]:
        """Return the account and the rest of ACCOUNT/NAME; raises NoSuchEntity."""
        account, slash, rest = name.partition("/")
        if not slash or not rest:
            raise click.BadParameter(f"{name} is not of the form ACCOUNT/NAME.")
        return find_account(self.state, account), rest


def open_all(config: Config) -> OpenedAccounts:
    """Open the database until the command ends, as the owner of the data.

    Raises NotSetUp, and StateTooOld where eucabox was not restarted since it was upgraded.
    """
    context = click.get_current_context()
    context.with_resource(act_as_owner(config))
    state = context.with_resource(closing(open_state(config)))
    return OpenedAccounts(state, Accounts(config, state))


def open_user(config: Config, name: str) -> tuple[OpenedAccounts, UserRow]:
    """As `open_all`, with the user NAME or ACCOUNT/NAME, which may be a root; raises NoSuchUser."""
    opened = open_all(config)
    return opened, opened.find_user(name)[1]


def open_account(config: Config, name: str) -> tuple[State, str]:
    """As `open_all`, for the database with the id of an account; raises NoSuchEntity."""
    state = open_all(config).state
    return state, find_account(state, name)["account_id"]


def pick(rows: Iterable[Mapping[str, object]], *names: str) -> list[dict[str, object]]:
    """Return rows with these columns alone."""
    return [{name: row[name] for name in names} for row in rows]


def show(rows: list[dict[str, object]], *, as_json: bool) -> None:
    """Print rows, one a line, or as JSON."""
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        click.echo("  ".join(str(value) for value in row.values() if value not in ("", None)))
