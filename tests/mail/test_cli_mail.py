"""`eucabox mail` and `eucabox account` over a data directory, beside a real SMTP server."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from eucabox import config as configuration
from eucabox.cli import main
from eucabox.iam.accounts import Accounts
from eucabox.iam.sign_up import AccountForm, SignUps
from eucabox.iam.sign_up.attempts import Attempts
from eucabox.mail import MailQueue
from eucabox.seal import Seal
from eucabox.state import State
from tests.mail import post_office
from tests.mail.post_office import Handler

SETTINGS = """[cloud]
data_dir = {folder}
[mail]
sender = cloud@example.com
base_url = https://cloud.example.com
tls = none
port = {port}
administrator = operator@example.com
"""


@pytest.fixture
def port() -> int:
    return post_office.find_port()


@pytest.fixture
def file(tmp_path: Path, accounts: Accounts, port: int) -> Path:
    """A configuration with a mail server on this host; `accounts` filled the data directory."""
    file = tmp_path / "eucabox.conf"
    file.write_text(SETTINGS.format(folder=tmp_path, port=port) + "server = 127.0.0.1\n")
    return file


def run(file: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["-c", str(file), *words])


def ask(file: Path, name: str) -> None:
    config = configuration.load(file)
    state = State(config.cloud.data_dir / "eucabox.db")
    queue = MailQueue(state, Seal(config.cloud.data_dir / "key"))
    accounts = Accounts(config, state)
    form = AccountForm(name, "a fine long secret", "Ann Lee", f"{name}@example.org")
    SignUps(lambda: config, state, accounts, queue, Attempts()).request_account(form)
    state.close()


def test_a_test_letter_goes_to_whom_is_named_or_to_the_administrator(file: Path, port: int) -> None:
    handler = Handler()
    with post_office.serve(handler, port):
        for address in (["ann@example.org"], []):
            done = run(file, "mail", "test", *address)
            assert done.exit_code == 0, done.output
    assert handler.recipients == ["ann@example.org", "operator@example.com"]
    assert "takes the letters" in handler.letters[0].get_content()


def test_a_test_letter_that_does_not_leave_says_why(file: Path, port: int) -> None:
    done = run(file, "mail", "test", "ann@example.org")
    assert done.exit_code == 1
    assert (
        f"The letter to ann@example.org did not leave: 127.0.0.1 port {port}: Connection refused"
        in done.output
    )
    with post_office.serve(Handler(replies={"MAIL": "550 not you"}), port):
        done = run(file, "mail", "test")
    assert "the sender was refused: 550 not you" in done.output
    file.write_text(file.read_text().replace("server = 127.0.0.1", ""))
    assert "[mail] server is not set" in run(file, "mail", "test").output


def test_requests_are_decided_from_the_command_line(file: Path) -> None:
    ask(file, "ann")
    ask(file, "bob")
    ann, _ = json.loads(run(file, "account", "requests", "--json").output)
    assert (ann["user_name"], ann["state"], ann["full_name"]) == ("ann", "waiting", "Ann Lee")
    assert "password" not in ann
    assert "gets a letter" in run(file, "account", "approve", "ann").output
    assert "rejected" in run(file, "account", "reject", "bob", "--reason", "no").output
    assert "approved  ann  ann@example.org  Ann Lee" in run(file, "account", "requests").output
    again = run(file, "account", "reject", "bob")
    assert again.exit_code == 1
    assert "There are: ann." in again.output
    done = run(file, "account", "approve", "ann", "--skip-confirmation")
    assert done.output == "The account ann is active.\n"
    assert "/ann" in run(file, "user", "list").output


def test_the_queue_is_listed_without_what_is_in_the_letters(file: Path) -> None:
    ask(file, "ann")
    run(file, "account", "approve", "ann")
    shown = run(file, "mail", "queue", "--json").output
    newest, oldest = json.loads(shown)
    assert (newest["recipient"], newest["state"], newest["tries"]) == (
        "ann@example.org",
        "waiting",
        0,
    )
    assert oldest["recipient"] == "operator@example.com"
    assert newest.keys() == {
        *("mail_id", "recipient", "subject", "state", "tries", "created", "finished", "problem")
    }
    text = run(file, "mail", "queue").output
    assert "code=" not in text + shown
    assert text.count("\n") == 2


def test_the_password_is_shown_nowhere(file: Path) -> None:
    text = file.read_text().replace("tls = none", "tls = starttls")
    file.write_text(text + "login = me\npassword = hush-hush\n")
    for words in (["config", "check"], ["config", "check", "--json"]):
        done = run(file, *words)
        assert done.exit_code == 0, done.output
        assert "hush-hush" not in done.output
        assert "[not shown]" in done.output
