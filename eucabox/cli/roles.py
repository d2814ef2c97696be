"""`eucabox role`: the roles of an account and their instance profiles; beside a running eucabox or
without one."""

import json
from pathlib import Path

import click

from eucabox.cli import CommandContext
from eucabox.cli.opened_accounts import AS_JSON, open_account
from eucabox.cli.policies import account_option, document_file, print_json, read_document
from eucabox.cli.recording import record_as
from eucabox.iam import instance_profiles, roles
from eucabox.iam.attached_policies import list_attached_arns
from eucabox.iam.inline_policies import list_inline_policies
from eucabox.iam.trust_policies import write_trust_policy

EC2 = {
    "Effect": "Allow",
    "Principal": {"Service": "ec2.amazonaws.com"},
    "Action": "sts:AssumeRole",
}
EC2_TRUST = json.dumps({"Version": "2012-10-17", "Statement": [EC2]})


@click.group()
def role() -> None:
    """Make and list roles, which users and instances assume."""


@role.command("create")
@click.argument("name")
@account_option
@click.option("--trust", type=document_file, help="The document that tells who may assume it.")
@click.option("--ec2", is_flag=True, help="Let instances assume it, with a profile of its name.")
@click.option("--path", default="/", show_default=True, help="The path in its ARN.")
@click.option("--description", default="", help="What it is for.")
@click.pass_obj
@record_as("CreateRole")
def create_role(
    settings: CommandContext,
    name: str,
    account: str,
    trust: Path | None,
    ec2: bool,
    path: str,
    description: str,
) -> None:
    """Make a role; give either --trust or --ec2."""
    if (trust is None) != ec2:
        raise click.UsageError("Give either --trust FILE or --ec2.")
    document = read_document(trust) if trust else EC2_TRUST
    state, account_id = open_account(settings.config, account)
    with state.transaction():
        made = roles.create_role(state, account_id, name, document, path, description)
        if ec2:
            profile = instance_profiles.create_instance_profile(state, account_id, name, path)
            instance_profiles.add_role(state, profile, made)
    click.echo(roles.get_arn(made))


@role.command("list")
@account_option
@AS_JSON
@click.pass_obj
def list_roles(settings: CommandContext, account: str, as_json: bool) -> None:
    """List the roles of an account."""
    state, account_id = open_account(settings.config, account)
    rows = roles.list_roles(state, account_id)
    if as_json:
        print_json([roles.to_full_api(state, row) for row in rows])
        return
    for row in rows:
        used = f"last used {row['last_used']}" if row["last_used"] else "never used"
        click.echo(f"{roles.get_arn(row)}  {used}")


@role.command("show")
@click.argument("name")
@account_option
@AS_JSON
@click.pass_obj
def show_role(settings: CommandContext, name: str, account: str, as_json: bool) -> None:
    """Print who may assume a role, its policies and its instance profiles."""
    state, account_id = open_account(settings.config, account)
    row = roles.find_role(state, account_id, name)
    inline = [each["policy_name"] for each in list_inline_policies(state, row["role_id"])]
    attached = list_attached_arns(state, row["role_id"])
    profiles = [
        each["instance_profile_name"]
        for each in instance_profiles.list_profiles_of_role(state, row)
    ]
    if as_json:
        lists = {"policies": inline, "attached_policies": attached, "instance_profiles": profiles}
        print_json({**roles.to_full_api(state, row), **lists})
        return
    click.echo(roles.get_arn(row))
    click.echo(f"  trusts: {write_trust_policy(state, row['trust_policy'])}")
    for label, names in (
        ("policies", inline),
        ("attached", attached),
        ("instance profiles", profiles),
    ):
        click.echo(f"  {label}: {', '.join(names) or 'none'}")


@role.command("trust")
@click.argument("name")
@click.argument("file", type=document_file)
@account_option
@click.pass_obj
@record_as("UpdateAssumeRolePolicy")
def change_trust(settings: CommandContext, name: str, file: Path, account: str) -> None:
    """Let those assume a role whom the document in FILE names, and nobody else."""
    document = read_document(file)
    state, account_id = open_account(settings.config, account)
    roles.change_trust_policy(state, roles.find_role(state, account_id, name), document)


@role.command("delete")
@click.argument("name")
@account_option
@click.pass_obj
@record_as("DeleteRole")
def delete_role(settings: CommandContext, name: str, account: str) -> None:
    """Delete a role that has no policies, with an instance profile of its name; its sessions
    end."""
    state, account_id = open_account(settings.config, account)
    with state.transaction():
        row = roles.find_role(state, account_id, name)
        for profile in instance_profiles.list_profiles_of_role(state, row):
            if profile["instance_profile_name"].lower() == row["role_name"].lower():
                instance_profiles.remove_role(state, profile, row)
                instance_profiles.delete_instance_profile(state, profile)
        roles.delete_role(state, row)
