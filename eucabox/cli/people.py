"""`eucabox user create`, `email`, `delete`, `password` and others: users in accounts, and accounts
with a root."""

import sys

import click

from eucabox.cli import CommandContext
from eucabox.cli.opened_accounts import open_all
from eucabox.cli.recording import record_as
from eucabox.cli.users import user
from eucabox.iam import login_profiles, mfa_devices, user_states, users

__all__ = ["user"]


@user.command("create")
@click.argument("name")
@click.option("--email", default="", help="The address that access lists may name it by.")
@click.option("--path", default="/", help="The path in the ARN of a user of an account.")
@click.pass_obj
@record_as("CreateUser")
def create_user(settings: CommandContext, name: str, email: str, path: str) -> None:
    """Make a user with an account, an access key and a certificate of its own.

    ACCOUNT/NAME makes a user in an account that there is, without credentials and rights:
    `eucabox key create` and `eucabox user password` give it some.
    """
    opened = open_all(settings.config)
    option = f" --config {settings.file}" if settings.file else ""
    if "/" in name:
        account, user_name = opened.split(name)
        row = users.create_user(opened.state, account["account_id"], user_name, path)
        click.echo(f"{users.get_arn(row)}\n  eucabox{option} key create {name}")
        return
    made = opened.accounts.create_user(name, email)
    click.echo(f"{made.user_name}: account {made.account_id}")
    click.echo(f"  eucabox{option} credentials --user {made.user_name}")


@user.command("email")
@click.argument("name")
@click.argument("address")
@click.pass_obj
@record_as("UpdateAccountEmail", user="name")
def set_email(settings: CommandContext, name: str, address: str) -> None:
    """Give the account of a user another e-mail address; '' takes it away."""
    accounts = open_all(settings.config).accounts
    accounts.set_email(accounts.user(name), address)


@user.command("delete")
@click.argument("name")
@click.option("--recursive", is_flag=True, help="With its keys, certificates, groups and policies.")
@click.pass_obj
@record_as("DeleteUser", user="name")
def delete_user(settings: CommandContext, name: str, recursive: bool) -> None:
    """Delete a user ACCOUNT/NAME; the root of an account goes with it by `account delete`."""
    opened = open_all(settings.config)
    caller, row = opened.find_user(name)
    if caller.is_root:
        command = f"`eucabox account delete {caller.account_name}`"
        raise click.ClickException(f"{name} is the root of its account, which {command} deletes.")
    if recursive:
        users.erase_user(opened.state, row["user_id"])
    else:
        users.delete_user(opened.state, row)


@user.command("disable")
@click.argument("name")
@click.pass_obj
@record_as("UpdateUser", user="name")
def disable_user(settings: CommandContext, name: str) -> None:
    """Shut out a user ACCOUNT/NAME: its access keys and its password are refused, its sessions end.

    Nothing of it is lost, and what it owns runs on: `eucabox user enable` lets it in again.
    """
    _set_enabled(settings, name, enabled=False)


@user.command("enable")
@click.argument("name")
@click.pass_obj
@record_as("UpdateUser", user="name")
def enable_user(settings: CommandContext, name: str) -> None:
    """Let a user in again that was shut out."""
    _set_enabled(settings, name, enabled=True)


def _set_enabled(settings: CommandContext, name: str, *, enabled: bool) -> None:
    opened = open_all(settings.config)
    caller, row = opened.find_user(name)
    if caller.is_root:
        raise click.ClickException(f"{name} is the root of its account, which is never shut out.")
    user_states.change_state(opened.state, row, enabled, "", "")


@user.command("password")
@click.argument("name")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--code", "gives_code", is_flag=True, help="Print a password to be changed at once.")
@click.pass_obj
@record_as("UpdateLoginProfile", user="name")
def set_password(settings: CommandContext, name: str, from_stdin: bool, gives_code: bool) -> None:
    """Give a user, or the root of an account, a password to sign in with.

    It is asked for; `--code` makes one, which the user has to change when it signs in.
    """
    opened = open_all(settings.config)
    _, row = opened.find_user(name)
    if gives_code:
        click.echo(login_profiles.give_code(opened.state, row))
        return
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    login_profiles.set_password(opened.state, row, password, must_change=False)


@user.command("mfa-reset")
@click.argument("name")
@click.pass_obj
@record_as("DeactivateMFADevice", user="name")
def reset_mfa(settings: CommandContext, name: str) -> None:
    """Delete the MFA devices of a user, or of the root of an account, who lost them.

    The password alone signs the user in then.
    """
    opened = open_all(settings.config)
    _, row = opened.find_user(name)
    count = mfa_devices.erase_devices(opened.state, row["user_id"])
    click.echo(f"{name}: {count} MFA device{'' if count == 1 else 's'} deleted")
