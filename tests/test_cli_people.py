"""The commands about users, keys, groups, certificates and accounts, on a real data directory."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from eucabox.cli import main
from eucabox.config import Config
from eucabox.iam import mfa_codes, mfa_devices
from eucabox.iam.accounts import Accounts
from eucabox.iam.passwords import check_password
from eucabox.iam.users import find_user
from eucabox.state import State


class Commands:
    """Runs commands with one configuration file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def run(self, *argv: str, status: int = 0, given: str = "") -> str:
        command = ["-c", str(self.file), *argv]
        done = CliRunner().invoke(main, command, input=given)
        assert done.exit_code == status, done.output
        return done.output

    def read(self, *argv: str) -> Any:
        return json.loads(self.run(*argv, "--json"))


@pytest.fixture
def eucabox(accounts: Accounts, config: Config, tmp_path: Path) -> Commands:
    file = tmp_path / "eucabox.conf"
    file.write_text(f"[cloud]\ndata_dir = {tmp_path}\n")
    config.bucket_root.mkdir()
    made = Commands(file)
    made.run("account", "create", "red", "--email", "red@example.com")
    return made


def read_password(state: State, eucabox: Commands) -> str:
    (account_id,) = (
        row["account_id"] for row in eucabox.read("account", "list") if row["account_name"] == "red"
    )
    return find_user(state, account_id, "ann")["password"]


def test_a_user_of_an_account_gets_a_key_that_signs(eucabox: Commands, accounts: Accounts) -> None:
    made = eucabox.run("user", "create", "red/ann", "--path", "/staff/")
    assert ":user/staff/ann\n" in made
    assert f"eucabox --config {eucabox.file} key create red/ann" in made
    key = eucabox.read("key", "create", "red/ann")
    credential = accounts.credential(key["access_key_id"])
    assert credential is not None
    assert (credential.secret, credential.caller.account_name) == (key["secret"], "red")
    eucabox.run("key", "deactivate", "red/ann", key["access_key_id"])
    assert eucabox.read("key", "list", "red/ann")[0]["status"] == "Inactive"
    eucabox.run("key", "activate", "red/ann", key["access_key_id"])
    assert key["secret"] not in eucabox.run("key", "list", "red/ann")
    conflict = eucabox.run("user", "delete", "red/ann", status=1)
    assert "must delete access keys first" in conflict
    eucabox.run("key", "delete", "red/ann", key["access_key_id"])
    eucabox.run("user", "delete", "red/ann")
    assert "ann" not in eucabox.run("user", "list")


def test_a_user_goes_with_all_that_it_has_where_that_is_asked_for(eucabox: Commands) -> None:
    eucabox.run("user", "create", "red/ann")
    eucabox.run("key", "create", "red/ann")
    eucabox.run("user", "password", "red/ann", "--code")
    eucabox.run("user", "delete", "red/ann", "--recursive")
    root = eucabox.run("user", "delete", "red", "--recursive", status=1)
    assert root.startswith("eucabox: red is the root of its account, which `eucabox account delete")
    assert eucabox.run("user", "delete", "red/ann", status=1).startswith("eucabox: ")


def test_a_user_is_shut_out_and_let_in_again(eucabox: Commands, accounts: Accounts) -> None:
    eucabox.run("user", "create", "red/ann")
    key_id = eucabox.read("key", "create", "red/ann")["access_key_id"]

    def is_active() -> bool:
        credential = accounts.credential(key_id)
        return credential is not None and credential.active

    assert is_active()
    eucabox.run("user", "disable", "red/ann")
    assert not is_active()
    assert eucabox.read("key", "list", "red/ann")[0]["status"] == "Active"
    eucabox.run("user", "enable", "red/ann")
    assert is_active()
    assert "never shut out" in eucabox.run("user", "disable", "red", status=1)


def test_lost_mfa_devices_are_taken_away(
    eucabox: Commands, accounts: Accounts, state: State
) -> None:
    eucabox.run("user", "create", "red/ann")
    caller = accounts.user("red/ann")
    user = find_user(state, caller.account_id, "ann")
    made = mfa_devices.create_device(state, accounts.seal, caller, "phone")
    step = mfa_codes.read_step()
    codes = [mfa_codes.show_code(made["seed"], each) for each in (step - 1, step)]
    accounts.second_factors.enable(user, made["serial_number"], *codes)
    assert accounts.second_factors.has_any(caller.user_id)
    assert eucabox.run("user", "mfa-reset", "red/ann") == "red/ann: 1 MFA device deleted\n"
    assert not accounts.second_factors.has_any(caller.user_id)


def test_a_password_is_asked_for_read_or_made(eucabox: Commands, state: State) -> None:
    eucabox.run("user", "create", "red/ann")
    eucabox.run("user", "password", "red/ann", "--stdin", given="correct horse\r\n")
    assert check_password("correct horse", read_password(state, eucabox))
    asked = eucabox.run("user", "password", "red/ann", given="battery staple\nbattery staple\n")
    assert "battery" not in asked
    assert check_password("battery staple", read_password(state, eucabox))
    code = eucabox.run("user", "password", "red/ann", "--code").strip()
    assert check_password(code, read_password(state, eucabox))
    poor = eucabox.run("user", "password", "red/ann", "--stdin", status=1, given="password\n")
    assert "Choose another" in poor


def test_groups_have_members(eucabox: Commands) -> None:
    eucabox.run("user", "create", "red/ann")
    assert ":group/staff\n" in eucabox.run("group", "create", "red/staff")
    eucabox.run("group", "add", "red/staff", "ann")
    (group,) = eucabox.read("group", "list")
    assert (group["name"], group["members"]) == ("red/staff", ["ann"])
    assert "red/staff" in eucabox.run("group", "list", "red")
    assert "remove users from group" in eucabox.run("group", "delete", "red/staff", status=1)
    eucabox.run("group", "remove", "red/staff", "ann")
    eucabox.run("group", "delete", "red/staff")
    assert eucabox.run("group", "list") == ""
    assert "ACCOUNT/NAME" in eucabox.run("group", "create", "staff", status=2)


@pytest.mark.not_fast
def test_certificates_are_made_uploaded_and_stopped(
    eucabox: Commands, tmp_path: Path, accounts: Accounts
) -> None:
    eucabox.run("user", "create", "red/ann")
    made = eucabox.read("cert", "create", "red/ann")
    assert "PRIVATE KEY" in made["private_key"]
    eucabox.run("cert", "deactivate", "red/ann", made["certificate_id"])
    assert eucabox.read("cert", "list", "red/ann")[0]["status"] == "Inactive"
    eucabox.run("cert", "activate", "red/ann", made["certificate_id"])
    eucabox.run("cert", "delete", "red/ann", made["certificate_id"])
    file = tmp_path / "ann.pem"
    file.write_text(made["certificate"])
    uploaded = eucabox.run("cert", "upload", "red/ann", str(file)).strip()
    assert eucabox.read("cert", "list", "red/ann")[0]["certificate_id"] == uploaded
    both = eucabox.run("cert", "create", "red/ann")
    assert both.startswith("-----BEGIN CERTIFICATE-----")
    assert both.endswith("-----END RSA PRIVATE KEY-----\n")


def test_accounts_come_and_go(eucabox: Commands, accounts: Accounts) -> None:
    assert [row["account_name"] for row in eucabox.read("account", "list")] == ["eucalyptus", "red"]
    assert "exists already" in eucabox.run("account", "create", "red", status=1)
    eucabox.run("user", "create", "red/ann")
    assert "must delete users first" in eucabox.run("account", "delete", "red", status=1)
    eucabox.run("account", "delete", "red", "--recursive")
    assert "can't be deleted" in eucabox.run("account", "delete", "eucalyptus", status=1)
    assert [row["account_name"] for row in eucabox.read("account", "list")] == ["eucalyptus"]


def test_the_user_with_an_account_of_its_own_is_meant_first(eucabox: Commands) -> None:
    eucabox.run("user", "create", "zoe")
    eucabox.run("user", "create", "red/zoe")
    eucabox.run("key", "create", "zoe")
    assert eucabox.run("key", "list", "red/zoe") == ""
    assert len(eucabox.read("key", "list", "zoe/zoe")) == 2
