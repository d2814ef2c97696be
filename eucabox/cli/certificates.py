"""`eucabox cert`: signing certificates of users and roots."""

import json
from pathlib import Path

import click

from eucabox.cli import CommandContext
from eucabox.cli.opened_accounts import AS_JSON, open_all, open_user, pick, show
from eucabox.cli.recording import record_as
from eucabox.iam import signing_certificates


@click.group()
def cert() -> None:
    """Make, list, stop and delete signing certificates; a user is NAME or ACCOUNT/NAME."""


@cert.command("create")
@click.argument("user")
@AS_JSON
@click.pass_obj
@record_as("CreateSigningCertificate")
def create_certificate(settings: CommandContext, user: str, as_json: bool) -> list[str]:
    """Make a certificate of a user and its private key, and print both as PEM."""
    opened = open_all(settings.config)
    caller, row = opened.find_user(user)
    made, private_key = signing_certificates.issue_certificate(
        opened.state, opened.accounts.authority, opened.accounts.seal, row, caller.account_name
    )
    certificate_id, certificate = made["certificate_id"], made["certificate"]
    if as_json:
        facts = {"certificate_id": certificate_id, "certificate": certificate}
        click.echo(json.dumps({**facts, "private_key": private_key}))
    else:
        click.echo(f"{certificate}{private_key}", nl=False)
    return [certificate_id]


@cert.command("upload")
@click.argument("user")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
@record_as("UploadSigningCertificate")
def upload_certificate(settings: CommandContext, user: str, file: Path) -> list[str]:
    """Give a user a certificate, a PEM file, whose private key it keeps itself."""
    with file.open("rb") as opened_file:
        text = opened_file.read(signing_certificates.LONGEST_BODY + 1).decode("utf-8", "replace")
    opened, row = open_user(settings.config, user)
    made = signing_certificates.upload_certificate(opened.state, row, text)
    click.echo(made["certificate_id"])
    return [made["certificate_id"]]


@cert.command("list")
@click.argument("user")
@AS_JSON
@click.pass_obj
def list_certificates(settings: CommandContext, user: str, as_json: bool) -> None:
    """List a user's certificates."""
    opened, row = open_user(settings.config, user)
    rows = signing_certificates.list_certificates(opened.state, row)
    show(pick(rows, "certificate_id", "status", "created"), as_json=as_json)


@cert.command("delete")
@click.argument("user")
@click.argument("certificate_id")
@click.pass_obj
@record_as("DeleteSigningCertificate")
def delete_certificate(settings: CommandContext, user: str, certificate_id: str) -> None:
    """Delete a certificate of a user."""
    opened, row = open_user(settings.config, user)
    signing_certificates.delete_certificate(opened.state, row, certificate_id)


@cert.command("deactivate")
@click.argument("user")
@click.argument("certificate_id")
@click.pass_obj
@record_as("UpdateSigningCertificate")
def deactivate_certificate(settings: CommandContext, user: str, certificate_id: str) -> None:
    """Stop a certificate: nothing more is registered that it signed."""
    _set_status(settings, user, certificate_id, "Inactive")


@cert.command("activate")
@click.argument("user")
@click.argument("certificate_id")
@click.pass_obj
@record_as("UpdateSigningCertificate")
def activate_certificate(settings: CommandContext, user: str, certificate_id: str) -> None:
    """Let a certificate that was stopped be used again."""
    _set_status(settings, user, certificate_id, "Active")


def _set_status(settings: CommandContext, user: str, certificate_id: str, status: str) -> None:
    opened, row = open_user(settings.config, user)
    signing_certificates.set_status(opened.state, row, certificate_id, status)
