"""The verbs behind the pages of sign-up, over a whole cloud that mails to a real SMTP server."""

import dataclasses
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eucabox import errors
from eucabox.actions import ACTIONS, Call, load, perform
from eucabox.cloud import Cloud
from eucabox.config import CloudSection, Config, MailSection, NodeSection
from eucabox.iam.caller import Caller
from eucabox.mail import sender
from tests.mail import post_office
from tests.mail.post_office import Handler, wait_until

PASSWORD, NEW = "a fine long secret", "another fine secret"
FORM: dict[str, Any] = {
    "user_name": "ann",
    "password": PASSWORD,
    "full_name": "Ann L\u00e9e",
    "email": "ann@example.org",
    "description": "two\nlines",
}


class Post:
    """A cloud, the server that takes its letters, and its callers."""

    def __init__(self, cloud: Cloud, handler: Handler) -> None:
        self.cloud = cloud
        self.handler = handler
        self.admin = cloud.accounts.ensure_administrator()

    def ask(self, name: str, caller: Caller | None = None, **params: Any) -> Any:
        service = "bootstrap" if caller else "console"
        call = Call(self.cloud, caller, "request-1", source="192.0.2.7")
        return perform(service, name, call, params)

    def read(self, count: int) -> str:
        """Return the text of the letter that is the count-th."""
        wait_until(lambda: len(self.handler.letters) >= count)
        return str(self.handler.letters[count - 1].get_content())


@pytest.fixture
def post(tmp_path: Path, first_start: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Post]:
    shutil.copytree(first_start, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(sender, "LOOK", 0.02)
    handler = Handler()
    with post_office.serve(handler) as port:
        mail = MailSection(
            server="127.0.0.1", port=port, tls="none", sender="cloud@example.com",
            administrator="op@example.com", base_url="https://cloud.example.com",
        )  # fmt: skip
        folder = CloudSection(data_dir=tmp_path)
        cloud = Cloud(Config(cloud=folder, mail=mail, node=NodeSection(virt_type="qemu")))
        cloud._mail_sender.start()
        try:
            yield Post(cloud, handler)
        finally:
            cloud.close()


def find_code(letter: str) -> str:
    (code,) = re.findall(r"\?code=([\w-]+)", letter)
    return str(code)


@pytest.mark.not_fast
def test_from_sign_up_to_a_new_password(post: Post, lines: list[str]) -> None:
    assert post.ask("GetSignUpForm") == {
        "open": True,
        "fields": ["telephone", "project_leader", "affiliation", "description"],
        "domains": [],
        "sends_mail": True,
        "first_run": True,
    }
    assert post.ask("RequestAccount", **FORM) == {}
    letter = post.read(1)
    (sign_up,) = post.ask("ListSignUps", post.admin)["sign_ups"]
    assert sign_up["full_name"] == FORM["full_name"]
    assert f"/sign-ups/{sign_up['sign_up_id']}/approve" in letter
    answer = post.ask("ApproveSignUp", post.admin, sign_up_id=sign_up["sign_up_id"])
    assert answer == {"state": "approved"}
    code = find_code(post.read(2))
    confirmed = post.ask("ConfirmAccount", code=code)
    assert confirmed["account_name"] == "ann"
    assert confirmed["account_id"] == post.cloud.accounts.user("ann").account_id
    assert post.ask("RequestPasswordReset", name_or_email="ann") == {}
    reset_code = find_code(post.read(3))
    assert post.ask("ResetPassword", code=reset_code, password=NEW) == {"account_name": "ann"}
    assert "new password" in post.read(4)
    with pytest.raises(errors.CodeInvalid):
        post.ask("ResetPassword", code=reset_code, password=NEW)
    text = "\n".join(lines)
    assert "action=ResetPassword" in text
    for secret in (PASSWORD, NEW, code, reset_code):
        assert secret not in text


@pytest.mark.not_fast
def test_a_rejection_says_why(post: Post) -> None:
    post.ask("RequestAccount", **FORM)
    post.ask("RejectSignUp", post.admin, sign_up_id="ann", reason="Not this year: \u00fc.")
    assert "Not this year: \u00fc." in post.read(2)
    assert post.ask("ListSignUps", post.admin) == {"sign_ups": []}


def test_the_first_password(post: Post, tmp_path: Path) -> None:
    post.cloud.first_run.ensure_code()
    code = (tmp_path / "first-run-code").read_text().strip()
    assert post.ask("SetFirstPassword", code=code, password=NEW) == {
        "account_name": "eucalyptus",
        "user_name": "admin",
    }
    assert post.ask("GetSignUpForm")["first_run"] is False


@pytest.mark.not_fast
def test_only_the_administrator_decides(post: Post) -> None:
    post.ask("RequestAccount", **FORM)
    eve = post.cloud.accounts.create_user("eve")
    for name, params in (
        ("ListSignUps", {}),
        ("ApproveSignUp", {"sign_up_id": "ann"}),
        ("RejectSignUp", {"sign_up_id": "ann"}),
    ):
        for caller in (eve, dataclasses.replace(eve, admin=False)):
            with pytest.raises(errors.AccessDenied):
                post.ask(name, caller, **params)
        with pytest.raises(errors.MissingAuthenticationToken):
            perform("bootstrap", name, Call(post.cloud, None, "request-1"), dict(params))
    assert len(post.cloud.sign_ups.list_all()) == 1


def test_no_wire_knows_the_service_of_the_console() -> None:
    from eucabox.wire import query

    load()
    names = {name for service, name in ACTIONS if service == "console"}
    assert names >= {
        *("GetSignUpForm", "RequestAccount", "ConfirmAccount", "RequestPasswordReset"),
        *("ResetPassword", "SetFirstPassword"),
    }
    assert "console" not in query.SERVICES
    assert "console" not in query.PATHS.values()


HOSTILE: list[Any] = [
    None, "", " ", "\n", "\x00", "\ud800", "\u00e4\u6f22", "a" * 100_000, 0, True, [], {}, ["x"],
    object(),
]  # fmt: skip


@pytest.mark.not_fast
@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value)[:12])
def test_bad_values_are_faults_and_nothing_else(post: Post, value: Any) -> None:
    post.cloud.config = dataclasses.replace(
        post.cloud.config,
        sign_up=dataclasses.replace(post.cloud.config.sign_up, requests_per_hour=10_000),
    )
    verbs: dict[str, dict[str, Any]] = {
        "RequestAccount": {**FORM, "telephone": "", "project_leader": "", "affiliation": ""},
        "ConfirmAccount": {"code": "x"},
        "RequestPasswordReset": {"name_or_email": "x"},
        "ResetPassword": {"code": "x", "password": NEW},
        "SetFirstPassword": {"code": "x", "password": NEW},
    }
    for name, good in verbs.items():
        for member in good:
            try:
                post.ask(name, **{**good, member: value})
            except errors.Fault as fault:
                assert len(fault.message) < 1000
                assert PASSWORD not in fault.message
    assert post.cloud.accounts.users() == [post.admin]


def test_status_says_while_letters_wait(post: Post) -> None:
    wrong = dataclasses.replace(post.cloud.config.mail, port=post_office.find_port())
    post.cloud.config = dataclasses.replace(post.cloud.config, mail=wrong)
    post.ask("RequestAccount", **FORM)
    wait_until(lambda: post.cloud.list_problems() != [])
    refused = f"127.0.0.1 port {wrong.port}: Connection refused"
    assert post.cloud.list_problems() == [f"mail: letters wait: {refused}"]


def test_a_wrong_mail_server_keeps_a_cloud_from_starting(tmp_path: Path) -> None:
    config = Config(cloud=CloudSection(data_dir=tmp_path), mail=MailSection(server="x"))
    with pytest.raises(errors.ConfigError, match=r"\[mail\] sender: must be set"):
        Cloud(config)
