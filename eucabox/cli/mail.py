"""`eucabox mail`: does the server take letters, and which of them wait."""

import json
from contextlib import closing

import click

from eucabox.cli import CommandContext
from eucabox.cli.data_owner import act_as_owner
from eucabox.cli.users import open_state
from eucabox.config import Config
from eucabox.errors import MailNotSet
from eucabox.iam.accounts import Accounts
from eucabox.mail import MailQueue, settings
from eucabox.mail.letter import parse_address
from eucabox.mail.test_letters import send_test_letter
from eucabox.seal import Seal


@click.group()
def mail() -> None:
    """Send a test letter, and look at those that wait."""


@mail.command("test")
@click.argument("address", default="")
@click.pass_obj
def send_test(context: CommandContext, address: str) -> None:
    """Send a letter to ADDRESS, or to the administrator, at once and without the queue.

    Says what the server answered; status 1 when it did not take the letter.
    """
    config = context.config
    settings.check(config)
    if not config.mail.server:
        raise MailNotSet(instead="Set it, and sender.")
    recipient = parse_address(address or config.mail.administrator or _find_address(config))
    with act_as_owner(config):  # as the service, which can't read root's files
        send_test_letter(config.mail, recipient)
    click.echo(f"{config.mail.server} has taken the letter to {recipient}.")


@mail.command("queue")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_queue(context: CommandContext, as_json: bool) -> None:
    """List the letters that wait, and those of the last 30 days, without what is in them."""
    rows = [
        {name: value for name, value in row.items() if not name.endswith("_clock")}
        for row in open_queue(context.config).list_all()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        tries = f"{row['tries']} tries"
        columns = (row["created"], row["state"], tries, row["recipient"], row["subject"])
        click.echo("  ".join(str(each) for each in (*columns, row["problem"]) if each))


def open_queue(config: Config) -> MailQueue:
    """Open the queue until the command ends, as the owner of the data; raises as open_state."""
    context = click.get_current_context()
    context.with_resource(act_as_owner(config))
    state = context.with_resource(closing(open_state(config)))
    return MailQueue(state, Seal(config.cloud.data_dir / "key"))


def _find_address(config: Config) -> str:
    with act_as_owner(config), closing(open_state(config)) as state:
        return Accounts(config, state).ensure_administrator().email
