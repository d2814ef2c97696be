"""`eucabox role` and `eucabox policy`."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from eucabox import ids
from eucabox.cli import main
from eucabox.iam.accounts import Accounts
from eucabox.iam.effective_policies import read_role_policies, read_user_policies
from eucabox.iam.policy_owners import find_owner
from eucabox.iam.roles import find_role
from eucabox.state import State

ALLOW = (
    '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'
)
READS = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


class Box:
    """The commands of a data directory with the administrator's account."""

    def __init__(self, accounts: Accounts, state: State, folder: Path) -> None:
        self.account_id = accounts.user("admin").account_id
        self.state = state
        self.folder = folder
        self.config = self.write("eucabox.conf", f"[cloud]\ndata_dir = {folder}\n")
        self.document = self.write("document.json", ALLOW)

    def write(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return str(self.folder / name)

    def run(self, *argv: str) -> Result:
        return CliRunner().invoke(main, ["-c", self.config, *argv])

    def do(self, *argv: str) -> str:
        done = self.run(*argv)
        assert done.exit_code == 0, done.output
        return done.output

    def ask(self, *argv: str) -> Any:
        return json.loads(self.do(*argv, "--json"))

    def refused(self, *argv: str) -> str:
        done = self.run(*argv)
        assert done.exit_code == 1
        assert done.output.count("\n") == 1
        return done.output

    def add_user(self, name: str) -> str:
        user_id = ids.user_id()
        row = {"user_id": user_id, "user_name": name, "created": ids.now()}
        self.state.insert("users", {**row, "account_id": self.account_id})
        return user_id


@pytest.fixture
def box(accounts: Accounts, state: State, tmp_path: Path) -> Box:
    return Box(accounts, state, tmp_path)


def test_a_role_for_instances_has_a_profile_of_its_name(box: Box) -> None:
    arn = f"arn:aws:iam::{box.account_id}:role/web"
    assert box.do("role", "create", "web", "--ec2", "--description", "Serves.") == f"{arn}\n"
    told = box.ask("role", "show", "web")
    assert (told["arn"], told["instance_profiles"]) == (arn, ["web"])
    assert "ec2.amazonaws.com" in told["assume_role_policy_document"]
    assert "  instance profiles: web\n" in box.do("role", "show", "web")
    assert [each["role_name"] for each in box.ask("role", "list")] == ["web"]
    assert box.do("role", "list") == f"{arn}  never used\n"
    box.do("role", "delete", "web")
    assert box.ask("role", "list") == []
    assert box.state.query("select * from instance_profiles") == []


def test_a_role_trusts_whom_a_document_names(box: Box) -> None:
    trust = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow", "Principal": {"AWS": box.account_id}, "Action": "sts:AssumeRole",
        },
    }  # fmt: skip
    file = box.write("trust.json", json.dumps(trust))
    box.do("role", "create", "own", "--trust", file)
    assert json.loads(box.ask("role", "show", "own")["assume_role_policy_document"]) == trust
    trust["Statement"]["Effect"] = "Deny"  # type: ignore[index]
    box.do("role", "trust", "own", box.write("trust.json", json.dumps(trust)))
    assert json.loads(box.ask("role", "show", "own")["assume_role_policy_document"]) == trust
    assert box.run("role", "create", "other").exit_code == 2
    assert box.run("role", "create", "other", "--ec2", "--trust", file).exit_code == 2
    assert "MISSING" not in box.refused("role", "create", "other", "--trust", box.document)


def test_a_role_with_policies_is_not_deleted_and_keeps_its_profile(box: Box) -> None:
    box.do("role", "create", "web", "--ec2")
    box.do("policy", "attach", READS, "--role", "web")
    assert "must detach all policies first" in box.refused("role", "delete", "web")
    assert box.ask("role", "show", "web")["instance_profiles"] == ["web"]


def test_a_managed_policy_is_made_attached_and_deleted(box: Box) -> None:
    user_id = box.add_user("ann")
    arn = box.do("policy", "create", "All", box.document, "--path", "/x/").strip()
    assert arn == f"arn:aws:iam::{box.account_id}:policy/x/All"
    box.do("policy", "attach", "all", "--user", "ann")
    box.do("policy", "attach", "AmazonS3ReadOnlyAccess", "--user", "ann")
    assert [name for name, _ in read_user_policies(box.state, user_id)] == [arn, READS]
    listed = {each["arn"]: each["attachment_count"] for each in box.ask("policy", "list")}
    assert (listed[arn], listed[READS]) == (1, 1)
    assert f"{arn}  v1  attached to 1\n" in box.do("policy", "list")
    assert box.do("policy", "show", arn) == f"{ALLOW}\n"
    told = box.ask("policy", "show", "All")
    assert told["attached_to"] == [f"arn:aws:iam::{box.account_id}:user/ann"]
    assert told["document"] == json.loads(ALLOW)
    assert "attached to entities" in box.refused("policy", "delete", "All")
    box.do("policy", "detach", "All", "--user", "ann")
    for number in range(2, 8):
        assert box.do("policy", "update", "All", box.document) == f"{arn}: v{number}\n"
    assert len(box.state.query("select * from policy_versions")) == 5
    box.do("policy", "delete", "All")
    assert box.state.query("select * from policy_versions") == []
    assert "nobody can change" in box.refused("policy", "delete", READS)
    assert "nobody can change" in box.refused("policy", "update", READS, box.document)


def test_an_inline_policy_is_put_and_removed(box: Box) -> None:
    box.do("role", "create", "web", "--ec2")
    role_id = find_role(box.state, box.account_id, "web")["role_id"]
    box.do("policy", "put", "p", box.document, "--role", "web")
    assert read_role_policies(box.state, role_id) == [("p", ALLOW)]
    assert box.ask("role", "show", "web")["policies"] == ["p"]
    box.do("policy", "remove", "p", "--role", "web")
    assert read_role_policies(box.state, role_id) == []


def test_commands_keep_to_the_account_that_is_named(box: Box, accounts: Accounts) -> None:
    alice = accounts.create_user("alice")
    box.do("role", "create", "web", "--ec2", "--account", "alice")
    assert box.ask("role", "list") == []
    assert len(box.ask("role", "list", "--account", alice.account_id)) == 1
    assert find_owner(box.state, alice.account_id, "role", "web").arn.split(":")[4] == (
        alice.account_id
    )
    for name in ("nobody", ""):
        assert "cannot be found" in box.refused("role", "list", "--account", name)


def test_what_is_wrong_is_one_line(box: Box) -> None:
    assert "Give one of --user" in box.refused("policy", "attach", READS)
    assert "Give one of --user" in box.refused(
        "policy", "attach", READS, "--user", "a", "--role", "b"
    )
    assert "user with name a cannot be found" in box.refused(
        "policy", "attach", READS, "--user", "a"
    )
    assert "Policy none was not found" in box.refused("policy", "show", "none")
    (box.folder / "binary").write_bytes(b"\xff\xfe\x00")
    binary = str(box.folder / "binary")
    assert "no text in UTF-8" in box.refused("policy", "create", "x", binary)
    assert box.run("policy", "create", "x", "/nowhere").exit_code == 2
