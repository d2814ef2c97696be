"""`eucabox account`: who asks for an account, and the operator's decision; the service may run."""

import json
from contextlib import closing

import click

from eucabox.cli import CommandContext
from eucabox.cli.data_owner import act_as_owner
from eucabox.cli.recording import record_as
from eucabox.cli.users import open_state
from eucabox.config import Config
from eucabox.iam.accounts import Accounts
from eucabox.iam.sign_up import SignUps
from eucabox.iam.sign_up.attempts import Attempts
from eucabox.iam.sign_up.sign_ups import ACTIVE, to_api
from eucabox.mail import MailQueue
from eucabox.seal import Seal


@click.group()
def account() -> None:
    """Decide about requests for accounts."""


@account.command("requests")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_requests(context: CommandContext, as_json: bool) -> None:
    """List who asks for an account, and who is approved but has not confirmed the address."""
    requests = [to_api(row) for row in open_sign_ups(context.config).list_all()]
    if as_json:
        click.echo(json.dumps(requests, indent=1))
        return
    for each in requests:
        names = ("created", "state", "user_name", "email", "full_name")
        click.echo("  ".join(str(each[name]) for name in names))


@account.command("approve")
@click.argument("name")
@click.option("--skip-confirmation", is_flag=True, help="Make the account active at once.")
@click.pass_obj
@record_as("ApproveSignUp", "bootstrap")
def approve_request(context: CommandContext, name: str, skip_confirmation: bool) -> None:
    """Approve the request of a user NAME.

    The person is mailed a link that makes the account active; where no mail leaves, it is active
    at once.
    """
    sign_ups = open_sign_ups(context.config)
    if sign_ups.approve(name, skip_confirmation=skip_confirmation) == ACTIVE:
        click.echo(f"The account {name} is active.")
    else:
        click.echo(f"{name} gets a letter with a link that makes the account active.")


@account.command("reject")
@click.argument("name")
@click.option("--reason", default="", help="What the person is told in the letter.")
@click.pass_obj
@record_as("RejectSignUp", "bootstrap")
def reject_request(context: CommandContext, name: str, reason: str) -> None:
    """Reject the request of a user NAME; the name is free again."""
    open_sign_ups(context.config).reject(name, reason)
    click.echo(f"The request of {name} is rejected.")


def open_sign_ups(config: Config) -> SignUps:
    """Open the requests until the command ends, as the owner of the data; raises as open_state."""
    context = click.get_current_context()
    context.with_resource(act_as_owner(config))
    state = context.with_resource(closing(open_state(config)))
    queue = MailQueue(state, Seal(config.cloud.data_dir / "key"))
    return SignUps(lambda: config, state, Accounts(config, state), queue, Attempts())
