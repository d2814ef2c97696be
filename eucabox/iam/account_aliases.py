"""The alias of an account, by which people name it when they sign in; resolves none."""

import re

from eucabox.errors import EntityAlreadyExists, NoSuchEntity, ValidationError
from eucabox.iam.constraints import check_length
from eucabox.state import State

ALIAS = re.compile(r"[a-z0-9](?:[a-z0-9]|-(?!-)){1,61}[a-z0-9]")
NUMBER = re.compile(r"[0-9]{12}")


def create_alias(state: State, account_id: str, alias: str) -> None:
    """Give an account an alias, in place of the one it has.

    Raises ValidationError, and EntityAlreadyExists where another account has it as its alias or
    its name.
    """
    check_length("accountAlias", alias, 63, 3)
    if not ALIAS.fullmatch(alias) or NUMBER.fullmatch(alias):
        reason = (
            "The specified value for accountAlias is invalid. It must contain only digits,"
            " lowercase letters, and hyphens (-), but cannot begin or end with a hyphen, hold two"
            " in a row, or be the number of an account."
        )
        raise ValidationError(reason=reason)
    with state.transaction():
        sql = "select 1 from accounts where ? in (alias, account_name) and account_id <> ?"
        if state.one(sql, (alias, account_id)):
            raise EntityAlreadyExists(reason=f"The account alias {alias} already exists.")
        state.update("accounts", {"account_id": account_id}, alias=alias)


def delete_alias(state: State, account_id: str, alias: str) -> None:
    """Take an account's alias away; raises NoSuchEntity where it has another or none,
    and ValidationError."""
    check_length("accountAlias", alias, 63, 3)
    if alias not in list_aliases(state, account_id):
        raise NoSuchEntity(reason=f"The account alias {alias} cannot be found.")
    state.update("accounts", {"account_id": account_id}, alias="")


def list_aliases(state: State, account_id: str) -> list[str]:
    """Return the alias of an account, in a list as the API has it."""
    rows = state.query("select alias from accounts where account_id = ?", (account_id,))
    return [row["alias"] for row in rows if row["alias"]]
