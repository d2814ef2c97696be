"""`eucabox key`: access keys of users and roots."""

import json

import click

from eucabox.cli import CommandContext
from eucabox.cli.opened_accounts import AS_JSON, open_user, pick, show
from eucabox.cli.recording import record_as
from eucabox.iam import access_keys


@click.group()
def key() -> None:
    """Make, list, stop and delete access keys; a user is NAME or ACCOUNT/NAME."""


@key.command("create")
@click.argument("user")
@AS_JSON
@click.pass_obj
@record_as("CreateAccessKey")
def create_key(settings: CommandContext, user: str, as_json: bool) -> list[str]:
    """Make an access key of a user; its secret is printed here alone."""
    opened, row = open_user(settings.config, user)
    made, secret = access_keys.create_access_key(opened.state, opened.accounts.seal, row)
    if as_json:
        click.echo(json.dumps({"access_key_id": made["access_key_id"], "secret": secret}))
    else:
        click.echo(f"AWS_ACCESS_KEY_ID={made['access_key_id']}\nAWS_SECRET_ACCESS_KEY={secret}")
    return [made["access_key_id"]]


@key.command("list")
@click.argument("user")
@AS_JSON
@click.pass_obj
def list_keys(settings: CommandContext, user: str, as_json: bool) -> None:
    """List a user's access keys, and when and for what each was used."""
    opened, row = open_user(settings.config, user)
    rows = access_keys.list_access_keys(opened.state, row)
    names = ("access_key_id", "status", "created", "last_used", "last_used_service")
    show(pick(rows, *names), as_json=as_json)


@key.command("delete")
@click.argument("user")
@click.argument("access_key_id")
@click.pass_obj
@record_as("DeleteAccessKey")
def delete_key(settings: CommandContext, user: str, access_key_id: str) -> None:
    """Delete an access key of a user; it signs nothing more from then on."""
    opened, row = open_user(settings.config, user)
    access_keys.delete_access_key(opened.state, row, access_key_id)


@key.command("deactivate")
@click.argument("user")
@click.argument("access_key_id")
@click.pass_obj
@record_as("UpdateAccessKey")
def deactivate_key(settings: CommandContext, user: str, access_key_id: str) -> None:
    """Stop an access key of a user."""
    _set_status(settings, user, access_key_id, "Inactive")


@key.command("activate")
@click.argument("user")
@click.argument("access_key_id")
@click.pass_obj
@record_as("UpdateAccessKey")
def activate_key(settings: CommandContext, user: str, access_key_id: str) -> None:
    """Let an access key that was stopped be used again."""
    _set_status(settings, user, access_key_id, "Active")


def _set_status(settings: CommandContext, user: str, access_key_id: str, status: str) -> None:
    opened, row = open_user(settings.config, user)
    access_keys.set_status(opened.state, row, access_key_id, status)
