"""`eucabox group`: groups of users, and their members."""

import click

from eucabox.cli import CommandContext
from eucabox.cli.opened_accounts import AS_JSON, OpenedAccounts, open_all, show
from eucabox.cli.recording import record_as
from eucabox.iam import account_records, groups, users
from eucabox.iam.rows import GroupRow, UserRow


@click.group()
def group() -> None:
    """Make, list, fill and delete groups; a group is ACCOUNT/NAME."""


@group.command("create")
@click.argument("name")
@click.option("--path", default="/", show_default=True, help="The path in the group's ARN.")
@click.pass_obj
@record_as("CreateGroup")
def create_group(settings: CommandContext, name: str, path: str) -> None:
    """Make a group ACCOUNT/NAME without members."""
    opened = open_all(settings.config)
    account, group_name = opened.split(name)
    made = groups.create_group(opened.state, account["account_id"], group_name, path)
    click.echo(groups.get_arn(made))


@group.command("list")
@click.argument("account", default="")
@AS_JSON
@click.pass_obj
def list_groups(settings: CommandContext, account: str, as_json: bool) -> None:
    """List the groups of an ACCOUNT, or of all, with their members."""
    opened = open_all(settings.config)
    state = opened.state
    accounts = [account_records.find_account(state, account)] if account else None
    rows = [
        (each, row)
        for each in accounts or account_records.list_accounts(state)
        for row in groups.list_groups(state, each["account_id"])
    ]
    facts: list[dict[str, object]] = []
    for each, row in rows:
        members = [member["user_name"] for member in groups.list_members(state, row["group_id"])]
        facts.append(
            {
                "name": f"{each['account_name']}/{row['group_name']}",
                "arn": groups.get_arn(row),
                "members": members if as_json else ", ".join(members),
            }
        )
    show(facts, as_json=as_json)


@group.command("delete")
@click.argument("name")
@click.pass_obj
@record_as("DeleteGroup")
def delete_group(settings: CommandContext, name: str) -> None:
    """Delete a group ACCOUNT/NAME that has neither members nor policies."""
    opened = open_all(settings.config)
    account, group_name = opened.split(name)
    row = groups.find_group(opened.state, account["account_id"], group_name)
    groups.delete_group(opened.state, row)


@group.command("add")
@click.argument("name")
@click.argument("user_name")
@click.pass_obj
@record_as("AddUserToGroup")
def add_member(settings: CommandContext, name: str, user_name: str) -> None:
    """Make a user of the same account a member of the group ACCOUNT/NAME."""
    opened = open_all(settings.config)
    groups.add_member(opened.state, *_find(opened, name, user_name))


@group.command("remove")
@click.argument("name")
@click.argument("user_name")
@click.pass_obj
@record_as("RemoveUserFromGroup")
def remove_member(settings: CommandContext, name: str, user_name: str) -> None:
    """End a user's membership of the group ACCOUNT/NAME."""
    opened = open_all(settings.config)
    groups.remove_member(opened.state, *_find(opened, name, user_name))


def _find(opened: OpenedAccounts, name: str, user_name: str) -> tuple[GroupRow, UserRow]:
    account, group_name = opened.split(name)
    account_id = account["account_id"]
    row = groups.find_group(opened.state, account_id, group_name)
    return row, users.find_user(opened.state, account_id, user_name.rpartition("/")[2])
