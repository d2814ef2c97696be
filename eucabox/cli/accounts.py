"""`eucabox account create|list|delete`: accounts with their roots, beside requests for them."""

import click

from eucabox.cli import CommandContext
from eucabox.cli.bucket import find_buckets
from eucabox.cli.opened_accounts import AS_JSON, open_all, pick, show
from eucabox.cli.recording import record_as
from eucabox.cli.sign_up import account
from eucabox.iam import account_records
from eucabox.iam.accounts import ADMINISTRATOR

__all__ = ["account"]


@account.command("create")
@click.argument("name")
@click.option("--email", default="", help="The address that access lists may name it by.")
@AS_JSON
@click.pass_obj
@record_as("CreateAccount")
def create_account(settings: CommandContext, name: str, email: str, as_json: bool) -> None:
    """Make an account whose root has its name, an access key and a certificate."""
    root = open_all(settings.config).accounts.create_user(name, email)
    show([{"account_name": name, "account_id": root.account_id}], as_json=as_json)


@account.command("list")
@AS_JSON
@click.pass_obj
def list_accounts(settings: CommandContext, as_json: bool) -> None:
    """List all accounts."""
    rows = account_records.list_accounts(open_all(settings.config).state)
    names = ("account_name", "account_id", "alias", "email", "created")
    show(pick(rows, *names), as_json=as_json)


@account.command("delete")
@click.argument("name")
@click.option("--recursive", is_flag=True, help="With its users, groups, roles and policies.")
@click.pass_obj
@record_as("DeleteAccount")
def delete_account(settings: CommandContext, name: str, recursive: bool) -> None:
    """Delete an account that has no instances, images and buckets."""
    owners = {row["owner_id"] for row in find_buckets(settings.config)}
    state = open_all(settings.config).state
    row = account_records.find_account(state, name)
    if row["account_name"] == ADMINISTRATOR[0]:
        raise click.ClickException("The account of the cloud's administrator can't be deleted.")
    if row["account_id"] in owners:
        raise click.ClickException(f"{name} has buckets: delete them first.")
    with state.transaction():
        account_records.check_deletable(state, row["account_id"], recursive=recursive)
        account_records.erase_account(state, row["account_id"])
