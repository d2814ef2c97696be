"""Each command that changes the database is an event of the account that it changed."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from eucabox.cli import main
from eucabox.config import Config
from eucabox.events import EventFilter, list_events
from eucabox.events.command_events import COMMAND, OPERATOR
from eucabox.events.event_rows import EventRow
from eucabox.iam import identity_providers
from eucabox.iam.account_records import find_account
from eucabox.iam.accounts import Accounts
from eucabox.state import State
from tests.actions.people import document, statement

HOME, RED = "eucalyptus", "red"
GROUPS = ("user", "key", "group", "cert", "role", "policy", "oidc", "account", "mail")
READING = {"list", "show", "requests", "queue", "test"}
TRUST = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"},
}
# a command, and its event: action, resources and the account's name; {KEY} is what one printed
STORY: list[tuple[str, tuple[str, list[str], str]]] = [
    ("account create red", ("CreateAccount", ["red"], HOME)),
    ("user create blue", ("CreateUser", ["blue"], HOME)),
    ("user email red r@example.com", ("UpdateAccountEmail", ["red"], RED)),
    ("user create red/ann", ("CreateUser", ["ann"], RED)),
    ("user disable red/ann", ("UpdateUser", ["ann"], RED)),
    ("user enable red/ann", ("UpdateUser", ["ann"], RED)),
    ("user password red/ann --code", ("UpdateLoginProfile", ["ann"], RED)),
    ("user mfa-reset ann", ("DeactivateMFADevice", ["ann"], RED)),
    ("key create red/ann", ("CreateAccessKey", ["ann", "{KEY}"], RED)),
    ("key deactivate red/ann {KEY}", ("UpdateAccessKey", ["ann", "{KEY}"], RED)),
    ("key activate red/ann {KEY}", ("UpdateAccessKey", ["ann", "{KEY}"], RED)),
    ("key delete red/ann {KEY}", ("DeleteAccessKey", ["ann", "{KEY}"], RED)),
    ("cert create red/ann", ("CreateSigningCertificate", ["ann", "{CERT}"], RED)),
    ("cert deactivate red/ann {CERT}", ("UpdateSigningCertificate", ["ann", "{CERT}"], RED)),
    ("cert activate red/ann {CERT}", ("UpdateSigningCertificate", ["ann", "{CERT}"], RED)),
    ("cert delete red/ann {CERT}", ("DeleteSigningCertificate", ["ann", "{CERT}"], RED)),
    ("cert upload red/ann {pem}", ("UploadSigningCertificate", ["ann", "{CERT}"], RED)),
    ("group create red/dev", ("CreateGroup", ["dev"], RED)),
    ("group add red/dev ann", ("AddUserToGroup", ["dev", "ann"], RED)),
    ("group remove red/dev ann", ("RemoveUserFromGroup", ["dev", "ann"], RED)),
    ("group delete red/dev", ("DeleteGroup", ["dev"], RED)),
    ("role create r --trust {trust} --account red", ("CreateRole", ["r"], RED)),
    ("role trust r {trust} --account red", ("UpdateAssumeRolePolicy", ["r"], RED)),
    ("policy create p {policy} --account red", ("CreatePolicy", ["p"], RED)),
    ("policy update p {policy} --account red", ("CreatePolicyVersion", ["p"], RED)),
    ("policy attach p --account red --user ann", ("AttachUserPolicy", ["ann", "p"], RED)),
    ("policy detach p --account red --user ann", ("DetachUserPolicy", ["ann", "p"], RED)),
    ("policy put q {policy} --account red --role r", ("PutRolePolicy", ["q", "r"], RED)),
    ("policy remove q --account red --role r", ("DeleteRolePolicy", ["q", "r"], RED)),
    ("policy delete p --account red", ("DeletePolicy", ["p"], RED)),
    ("role delete r --account red", ("DeleteRole", ["r"], RED)),
    ("user delete red/ann --recursive", ("DeleteUser", ["ann"], RED)),
    ("account delete red --recursive", ("DeleteAccount", ["red"], HOME)),
]  # fmt: skip


@pytest.fixture(name="files")
def _files(config: Config, accounts: Accounts, tmp_path: Path, first_start: Path) -> dict[str, str]:
    texts = {
        "conf": f"[cloud]\ndata_dir = {config.cloud.data_dir}\n",
        "trust": json.dumps(TRUST),
        "policy": document(statement("s3:*")),
        "keys": json.dumps({"keys": []}),
        "pem": (first_start / "ca" / "ca.crt").read_text(),
    }
    config.bucket_root.mkdir(exist_ok=True)
    for name, text in texts.items():
        (tmp_path / f"of-{name}").write_text(text)
    return {name: str(tmp_path / f"of-{name}") for name in texts}


def run(files: dict[str, str], command: str) -> Result:
    return CliRunner().invoke(main, ["-c", files["conf"], *command.format(**files).split()])


def newest(state: State) -> EventRow:
    (row,) = list_events(state, EventFilter(), 1)
    return row


@pytest.mark.not_fast
def test_each_is_an_event_by_the_name_of_its_verb(files: dict[str, str], state: State) -> None:
    accounts: dict[str, str] = {}
    for command, (action, resources, account_name) in STORY:
        done = run(files, command)
        assert done.exit_code == 0, (command, done.output)
        row = newest(state)
        named = row["resources"].splitlines()
        for made in ("KEY", "CERT"):
            if resources[-1] == f"{{{made}}}":
                files[made] = named[-1]
        for name in (HOME, RED):
            if name not in accounts and (name == HOME or "red" in command):
                accounts[name] = find_account(state, name)["account_id"]
        assert (row["action"], named) == (action, [each.format(**files) for each in resources])
        assert row["account_id"] == accounts[account_name], command
        assert (row["user"], row["source"], row["outcome"]) == (OPERATOR, COMMAND, "ok")
    assert len(list_events(state, EventFilter(), 1000)) == len(STORY)
    assert files["KEY"].startswith("AKIA")


def test_keys_of_an_identity_provider_are_one_too(
    files: dict[str, str], state: State, accounts: Accounts
) -> None:
    account_id = accounts.create_user("ann").account_id
    identity_providers.create_provider(state, account_id, "https://id.example.com", ["app"], [])
    assert run(files, "oidc jwks https://id.example.com /dev/null").exit_code == 0
    row = newest(state)
    assert (row["action"], row["resources"]) == (
        "UpdateOpenIDConnectProviderKeys",
        "https://id.example.com",
    )
    assert row["account_id"] == accounts.ensure_administrator().account_id
    assert run(files, f"oidc jwks https://id.example.com /dev/null --account {account_id}")
    assert newest(state)["account_id"] == account_id


@pytest.mark.parametrize(
    ("command", "action", "service"),
    [
        ("account approve nobody", "ApproveSignUp", "bootstrap"),
        ("account reject nobody", "RejectSignUp", "bootstrap"),
        ("user disable nobody", "UpdateUser", "iam"),
        ("group create nobody/dev", "CreateGroup", "iam"),
    ],
)
def test_what_failed_is_an_event_with_its_reason(
    files: dict[str, str], state: State, command: str, action: str, service: str
) -> None:
    done = run(files, command)
    assert done.exit_code == 1
    row = newest(state)
    assert (row["action"], row["service"], row["refused"]) == (action, service, 1)
    assert row["reason"] in done.output


def test_no_command_that_changes_something_is_left_out() -> None:
    context, tried = click.Context(main), {command.split()[1] for command, _ in STORY}
    assert isinstance(main, click.Group)
    for name in GROUPS:
        group = main.get_command(context, name)
        assert isinstance(group, click.Group)
        for each in group.list_commands(context):
            assert each in READING | tried | {"jwks", "approve", "reject"}, f"{name} {each}"


def test_without_a_database_nothing_is_made(tmp_path: Path) -> None:
    file = tmp_path / "conf"
    file.write_text(f"[cloud]\ndata_dir = {tmp_path / 'none'}\n")
    assert run({"conf": str(file)}, "user create ann").exit_code == 1
    assert not (tmp_path / "none").exists()
