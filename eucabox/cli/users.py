"""`eucabox user` and `eucabox credentials`: users and the folders that their clients read."""

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import click

from eucabox.cli import CommandContext
from eucabox.cli.data_owner import act_as_owner, give_to_caller
from eucabox.config import Config
from eucabox.errors import NotSetUp
from eucabox.iam import credentials_folder as folders
from eucabox.iam.accounts import Accounts
from eucabox.state import State


def open_state(config: Config) -> State:
    """Open the database of an existing data directory.

    Raises NotSetUp, and StateTooOld where eucabox was not restarted since it was upgraded.
    """
    file = config.cloud.data_dir / "eucabox.db"
    if not file.exists():
        raise NotSetUp(folder=config.cloud.data_dir)
    return State(file, migrates=False)


def open_accounts(config: Config) -> Accounts:
    """Open the accounts until the command ends, as the owner of the data; raises as open_state."""
    context = click.get_current_context()
    context.with_resource(act_as_owner(config))
    state = context.with_resource(closing(open_state(config)))
    return Accounts(config, state)


def write_credentials(
    config: Config, user: str, folder: Path, host: str = ""
) -> folders.CredentialsFolder:
    """Write a user's folder of credentials: read with the rights of the data's owner, written with
    those of the caller.

    Raises NotSetUp, StateTooOld and NoSuchUser.
    """
    place = folder.resolve()  # the owner may lack the right to reach it
    with act_as_owner(config), closing(open_state(config)) as state:
        files = folders.render(config, Accounts(config, state), user, place, host)
    return replace(files, folder=folder).write()


@click.command()
@click.option("--user", default="admin", show_default=True, help="The user, or ACCOUNT/USER.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder to write.  [default: eucabox-USER]",
)
@click.option("--host", default="", help="The name by which other machines reach this one.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
@click.pass_obj
def credentials(
    settings: CommandContext, user: str, out: Path | None, host: str, as_json: bool
) -> None:
    """Write a folder with eucarc, certificates, a euca2ools ini and an AWS profile."""
    folder = out or Path(f"eucabox-{user.replace('/', '-')}")
    written = write_credentials(settings.config, user, folder, host)
    give_to_caller(folder, written.files)
    if as_json:
        click.echo(json.dumps({**written.__dict__, "folder": str(written.folder)}))
        return
    aws = written.folder / "aws"
    click.echo(f"{written.folder}: the credentials of {user}, access key {written.access_key_id}")
    click.echo(f"  . {written.eucarc}")
    click.echo(
        f"  export AWS_CONFIG_FILE={aws}/config AWS_SHARED_CREDENTIALS_FILE={aws}/credentials"
        f" AWS_PROFILE={folders.AWS_PROFILE}"
    )


@click.group()
def user() -> None:
    """Make and list users."""


@user.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_users(settings: CommandContext, as_json: bool) -> None:
    """List every user with its account."""
    users = open_accounts(settings.config).users()
    if as_json:
        names = ("account_id", "account_name", "user_name", "admin", "is_root", "email")
        click.echo(json.dumps([{name: getattr(each, name) for name in names} for each in users]))
        return
    for each in users:
        role = "administrator" if each.admin else "root" if each.is_root else ""
        columns = (each.account_id, f"{each.account_name}/{each.user_name}", each.email, role)
        click.echo("  ".join(filter(None, columns)))
