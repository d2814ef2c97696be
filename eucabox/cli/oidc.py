"""`eucabox oidc`: identity providers whose keys are given as a file; checks no token."""

import json
from contextlib import closing
from pathlib import Path

import click

from eucabox.cli import CommandContext
from eucabox.cli.data_owner import act_as_owner
from eucabox.cli.recording import record_as
from eucabox.cli.users import open_state
from eucabox.config import Config
from eucabox.errors import NoSuchIdentityProvider
from eucabox.iam.identity_providers import list_all_providers, provider_arn, set_keys
from eucabox.iam.provider_keys import parse_keys
from eucabox.state import State

LARGEST = 256 * 1024


def _open(config: Config) -> State:
    context = click.get_current_context()
    context.with_resource(act_as_owner(config))
    return context.with_resource(closing(open_state(config)))


@click.group()
def oidc() -> None:
    """List identity providers and give them keys."""


@oidc.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_identity_providers(settings: CommandContext, as_json: bool) -> None:
    """List the identity providers of all accounts, and where their keys come from."""
    rows = list_all_providers(_open(settings.config))
    facts = [
        {"arn": provider_arn(row), "url": row["url"], "keys": "file" if row["jwks"] else "fetched"}
        for row in rows
    ]
    if as_json:
        click.echo(json.dumps(facts))
        return
    for each in facts:
        click.echo(f"{each['arn']}  {each['url']}  keys {each['keys']}")


@oidc.command("jwks")
@click.argument("url")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--account", default="", help="Only this account's provider, by its number.")
@click.pass_obj
@record_as("UpdateOpenIDConnectProviderKeys")
def set_provider_keys(settings: CommandContext, url: str, file: Path, account: str) -> None:
    """Give the providers at URL the keys in FILE, a JSON Web Key Set: no others are fetched.

    An empty FILE, such as /dev/null, has them fetched again.
    """
    with file.open("rb") as opened:
        text = opened.read(LARGEST).decode("utf-8", "replace").strip()
    if text:
        parse_keys(text, str(file))
    if not set_keys(_open(settings.config), url, text, account):
        raise NoSuchIdentityProvider(url=url)
