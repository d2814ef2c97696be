"""`eucabox policy`: managed policies of an account, and the policies that users, groups and roles
have; beside a running eucabox or without one."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from eucabox.cli import CommandContext
from eucabox.cli.opened_accounts import AS_JSON, open_account
from eucabox.cli.recording import record_as
from eucabox.errors import InvalidParameterCombination, InvalidParameterValue, NoSuchEntity
from eucabox.iam import attached_policies, inline_policies, managed_policies, policy_versions
from eucabox.iam.accounts import ADMINISTRATOR
from eucabox.iam.aws_policies import ManagedPolicy
from eucabox.iam.policy_owners import OwnerKind, PolicyOwner, find_owner
from eucabox.state import State

KINDS: tuple[OwnerKind, ...] = ("user", "group", "role")
account_option = click.option(
    "--account", default=ADMINISTRATOR[0], show_default=True, help="The account: name, alias or id."
)
document_file = click.Path(exists=True, dir_okay=False, path_type=Path)


def read_document(file: Path) -> str:
    """Return the text of a document; raises InvalidParameterValue where it is none."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        reason = "It is no text in UTF-8."
        raise InvalidParameterValue(parameter="FILE", value=str(file), reason=reason) from None


def print_json(value: object) -> None:
    """Print what an API would answer, with times as text."""
    click.echo(json.dumps(value, indent=1, default=datetime.isoformat))


@click.group()
def policy() -> None:
    """Make, list and attach the policies that tell who may do what."""


@policy.command("create")
@click.argument("name")
@click.argument("file", type=document_file)
@account_option
@click.option("--path", default="/", show_default=True, help="The path in its ARN.")
@click.option("--description", default="", help="What it is for.")
@click.pass_obj
@record_as("CreatePolicy")
def create_policy(
    settings: CommandContext, name: str, file: Path, account: str, path: str, description: str
) -> None:
    """Make a managed policy of the document in FILE."""
    document = read_document(file)
    state, account_id = open_account(settings.config, account)
    made = managed_policies.create_policy(state, account_id, name, document, path, description)
    click.echo(made.arn)


@policy.command("update")
@click.argument("name")
@click.argument("file", type=document_file)
@account_option
@click.pass_obj
@record_as("CreatePolicyVersion")
def update_policy(settings: CommandContext, name: str, file: Path, account: str) -> None:
    """Put another version of a managed policy in force; the oldest goes where there are five."""
    document = read_document(file)
    state, account_id = open_account(settings.config, account)
    found = managed_policies.get_own_policy(state, account_id, _find(state, account_id, name).arn)
    with state.transaction():
        versions = policy_versions.list_versions(state, found)
        unused = [row for row in versions if row["version_id"] != found.default_version_id]
        if len(versions) >= policy_versions.MOST_VERSIONS:
            policy_versions.delete_version(state, found, unused[-1]["version_id"])
        row = policy_versions.create_version(state, found, document, is_default=True)
    click.echo(f"{found.arn}: {row['version_id']}")


@policy.command("list")
@account_option
@AS_JSON
@click.pass_obj
def list_policies(settings: CommandContext, account: str, as_json: bool) -> None:
    """List the managed policies of an account and those of AWS."""
    state, account_id = open_account(settings.config, account)
    attached = attached_policies.count_attachments(state, account_id)
    bounding = attached_policies.count_boundaries(state, account_id)
    policies = [
        managed_policies.to_api(each, attached[each.arn], bounding[each.arn])
        for each in managed_policies.list_policies(state, account_id)
    ]
    if as_json:
        print_json(policies)
        return
    for each in policies:
        count = each["attachment_count"]
        click.echo(f"{each['arn']}  {each['default_version_id']}  attached to {count}")


@policy.command("show")
@click.argument("name")
@account_option
@AS_JSON
@click.pass_obj
def show_policy(settings: CommandContext, name: str, account: str, as_json: bool) -> None:
    """Print the document of a managed policy, given by its name or ARN."""
    state, account_id = open_account(settings.config, account)
    found = _find(state, account_id, name)
    document = managed_policies.read_default_document(state, found.arn)
    if not as_json:
        click.echo(document)
        return
    holders = attached_policies.list_holders(state, account_id, found.arn)
    members = {
        "policy_name": found.policy_name,
        "arn": found.arn,
        "description": found.description,
        "default_version_id": found.default_version_id,
        "document": json.loads(document),
        "attached_to": [each.arn for each in holders],
    }
    print_json(members)


@policy.command("delete")
@click.argument("name")
@account_option
@click.pass_obj
@record_as("DeletePolicy")
def delete_policy(settings: CommandContext, name: str, account: str) -> None:
    """Delete a managed policy that is attached nowhere, with all its versions."""
    state, account_id = open_account(settings.config, account)
    found = managed_policies.get_own_policy(state, account_id, _find(state, account_id, name).arn)
    with state.transaction():
        for row in policy_versions.list_versions(state, found):
            if row["version_id"] != found.default_version_id:
                policy_versions.delete_version(state, found, row["version_id"])
        managed_policies.delete_policy(state, found)


def owner_options(command: Any) -> Any:
    """Add the options that name one user, group or role, and its account."""
    for kind in reversed(KINDS):
        command = click.option(f"--{kind}", default="", help=f"The {kind}.")(command)
    return account_option(command)


@policy.command("attach")
@click.argument("name")
@owner_options
@click.pass_obj
@record_as("Attach*Policy")
def attach_policy(settings: CommandContext, /, name: str, account: str, **owners: str) -> None:
    """Attach a managed policy, given by its name or ARN."""
    state, account_id = open_account(settings.config, account)
    owner = _find_owner(state, account_id, owners)
    attached_policies.attach_policy(state, owner, _find(state, account_id, name).arn)


@policy.command("detach")
@click.argument("name")
@owner_options
@click.pass_obj
@record_as("Detach*Policy")
def detach_policy(settings: CommandContext, /, name: str, account: str, **owners: str) -> None:
    """Detach a managed policy, given by its name or ARN."""
    state, account_id = open_account(settings.config, account)
    owner = _find_owner(state, account_id, owners)
    attached_policies.detach_policy(state, owner, _find(state, account_id, name).arn)


@policy.command("put")
@click.argument("name")
@click.argument("file", type=document_file)
@owner_options
@click.pass_obj
@record_as("Put*Policy")
def put_policy(
    settings: CommandContext, /, name: str, file: Path, account: str, **owners: str
) -> None:
    """Give a user, group or role the document in FILE as a policy of its own."""
    document = read_document(file)
    state, account_id = open_account(settings.config, account)
    owner = _find_owner(state, account_id, owners)
    inline_policies.put_inline_policy(state, owner, name, document)


@policy.command("remove")
@click.argument("name")
@owner_options
@click.pass_obj
@record_as("Delete*Policy")
def remove_policy(settings: CommandContext, /, name: str, account: str, **owners: str) -> None:
    """Take a policy of its own from a user, group or role."""
    state, account_id = open_account(settings.config, account)
    inline_policies.delete_inline_policy(state, _find_owner(state, account_id, owners), name)


def _find(state: State, account_id: str, name: str) -> ManagedPolicy:
    """Return the managed policy of a name, the account's own before one of AWS, or of an ARN."""
    if name.startswith("arn:"):
        return managed_policies.get_policy(state, account_id, name)
    policies = managed_policies.list_policies(state, account_id)
    named = [each for each in policies if each.policy_name.lower() == name.lower()]
    if not named:
        raise NoSuchEntity(reason=f"Policy {name} was not found; `eucabox policy list` has all.")
    return min(named, key=lambda each: each.is_of_aws)


def _find_owner(state: State, account_id: str, owners: dict[str, str]) -> PolicyOwner:
    named = [(kind, owners[kind]) for kind in KINDS if owners[kind]]
    if len(named) != 1:
        reason = "Give one of --user, --group and --role."
        raise InvalidParameterCombination(reason=reason)
    ((kind, name),) = named
    return find_owner(state, account_id, kind, name)
