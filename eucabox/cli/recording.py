"""Has commands that change the database be events, as requests of the APIs are."""

import functools
import sqlite3
from collections.abc import Callable
from contextlib import closing

from eucabox import ids
from eucabox.cli import CommandContext
from eucabox.cli.data_owner import act_as_owner
from eucabox.cli.users import open_state
from eucabox.config import Config
from eucabox.errors import Fault
from eucabox.events import Event, EventLog
from eucabox.events.command_events import COMMAND, OPERATOR
from eucabox.events.event import OK
from eucabox.iam.account_records import find_account
from eucabox.iam.accounts import Accounts

Command = Callable[..., list[str] | None]
# Arguments of commands that name what they are about, most of them as ACCOUNT/NAME.
NAMES = ("name", "user_name", "group", "role", "url", "access_key_id", "certificate_id")


def record_as(
    action: str, service: str = "iam", *, user: str = "user"
) -> Callable[[Command], Command]:
    """Record what a command did by the name of the verb that does the same, or why it did nothing.

    The event belongs to the account that the arguments name: by `account`, as ACCOUNT/NAME, or by
    the argument `user` that names a user; else to the administrator's. A * in the action stands
    for the kind of whom it is about: User, Group or Role. What a command returns are names of what
    it made.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def run(context: CommandContext, /, **arguments: object) -> None:
            config, resources = context.config, _list_resources(arguments)
            # before the command, which may delete it
            account_id = _find_account_id(config, arguments, _read(arguments, user))

            def write(outcome: str, reason: str = "") -> None:
                event = Event(
                    time=ids.now(),
                    account_id=account_id,
                    user=OPERATOR,
                    service=service,
                    action=action.replace("*", _find_kind(arguments)),
                    resources=resources,
                    outcome=outcome,
                    reason=reason,
                    request_id=ids.request_id(),
                    source=COMMAND,
                )
                _write(config, event)

            try:
                resources += command(context, **arguments) or []
            except Fault as fault:
                write(fault.code, fault.message)
                raise
            write(OK)

        return run

    return decorate


def _read(arguments: dict[str, object], name: str) -> str:
    value = arguments.get(name)
    return value if isinstance(value, str) else ""


def _find_kind(arguments: dict[str, object]) -> str:
    kinds = [each for each in ("user", "group", "role") if arguments.get(each)]
    return kinds[0].capitalize() if len(kinds) == 1 else ""


def _list_resources(arguments: dict[str, object]) -> list[str]:
    user = _read(arguments, "user")  # of an access key, or whom a policy is given to
    named = [user, *(_read(arguments, name) for name in NAMES)]
    return [each if ":" in each else each.rpartition("/")[2] for each in named if each]


def _find_account_id(config: Config, arguments: dict[str, object], user: str) -> str:
    """Return the account that the event of a command belongs to, "" where none is found."""
    name = user or _read(arguments, "name")
    account = _read(arguments, "account") or ("/" in name and name.partition("/")[0])
    try:
        with act_as_owner(config), closing(open_state(config)) as state:
            if account:
                return find_account(state, account)["account_id"]
            accounts = Accounts(config, state)
            caller = accounts.user(user) if user else accounts.ensure_administrator()
            return caller.account_id
    except Fault:  # the command itself tells of it
        return ""


def _write(config: Config, event: Event) -> None:
    try:
        with act_as_owner(config), closing(open_state(config)) as state:
            log = EventLog(state)
            log.record(event)
            log.close()
    except (Fault, sqlite3.Error):  # as when there is no database; what was done stays done
        return
