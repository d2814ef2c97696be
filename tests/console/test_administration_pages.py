"""The administrator's pages over a whole cloud: accounts, types, settings, mail, sessions, log."""

import logging
import shutil
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from eucabox.cloud import Cloud
from eucabox.config import CloudSection, Config, MailSection, NodeSection
from eucabox.console.application import create_app
from eucabox.console.site import Console
from eucabox.mail import Letter
from eucabox.operator import findings
from tests.console.conftest import PASSWORD, Visit, give_password
from tests.mail import post_office
from tests.mail.post_office import Handler

EVIL = "<script>alert(1)</script>"
PATHS = (
    "/accounts", "/accounts/alice", "/instance-types", "/settings", "/mails", "/mails/list",
    "/all-sessions", "/log", "/faults", "/faults/findings",
)  # fmt: skip
FOUND = '[{"what": "disk", "state": "FAIL", "detail": "<b>full", "fix": "make <i>room"}]'


@pytest.fixture(name="console")
def _console(
    tmp_path: Path, first_start: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Console]:
    shutil.copytree(first_start, tmp_path, dirs_exist_ok=True)
    command = (sys.executable, "-c", f"print('''{FOUND}''')")
    monkeypatch.setattr(findings, "COMMAND", command)
    log = tmp_path / "eucabox.log"
    log.write_text("")
    folder = CloudSection(data_dir=tmp_path, log_file=str(log))
    port = post_office.find_port()
    mail = MailSection(
        server="127.0.0.1", port=port, tls="none", sender="cloud@example.com", timeout=5,
        password="opensesame", administrator="op@example.com",
    )  # fmt: skip
    cloud = Cloud(Config(cloud=folder, mail=mail, node=NodeSection(virt_type="qemu")))
    try:
        give_password(cloud.state, cloud.accounts.user("eucalyptus/admin"))
        yield create_app(cloud)
    finally:
        cloud.close()


@pytest.fixture(name="alice")
def _alice(console: Console) -> Visit:
    """The root of an account of its own."""
    give_password(console.cloud.state, console.cloud.accounts.create_user("alice", "a@example.org"))
    visit = Visit(console)
    assert visit.sign_in("alice").status_code == 303
    return visit


def do(visit: Visit, path: str, **fields: str) -> str:
    sent = visit.post(path, fields)
    assert sent.status_code == 303, unescape(sent.text)
    return unescape(visit.get(sent.location).text)


@pytest.mark.not_fast
def test_these_pages_are_the_administrators_alone(alice: Visit, admin_visit: Visit) -> None:
    home = alice.get("/").text
    for path in PATHS:
        assert f'href="{path}"' not in home
        assert alice.get(path).status_code == (200 if path == "/instance-types" else 403), path
        assert admin_visit.get(path).status_code == 200, path
    before = alice.app.cloud.state.query("select * from accounts")
    for path, form in (
        ("/accounts", {"account_name": "eve"}),
        ("/accounts/alice", {"do": "limits", "instances": "9"}),
        ("/accounts/alice", {"do": "delete", "recursive": "yes"}),
        ("/instance-types", {"name": "m1.small", "cpu": "2", "memory": "64", "disk": "1"}),
        ("/mails", {"do": "test"}), ("/mails", {"do": "drop", "mail_id": "mail-1"}),
        ("/all-sessions", {"session_id": "0" * 16}), ("/faults", {}),
    ):  # fmt: skip
        assert alice.post(path, form).status_code == 403, path
    assert alice.app.cloud.state.query("select * from accounts") == before


@pytest.mark.not_fast
def test_an_account_from_its_beginning_to_its_end(console: Console, admin_visit: Visit) -> None:
    form = {"account_name": "physics", "email": "p@example.org", "password": PASSWORD}
    half = admin_visit.post("/accounts", {**form, "password": "short"})
    assert (half.status_code, "not all of it" in half.text) == (400, False)
    assert admin_visit.get("/accounts/physics").status_code == 404
    page = do(admin_visit, "/accounts", **form)
    assert "The account is created." in page
    assert "as the user <code>physics</code>" in page
    root = Visit(console)
    assert root.sign_in("physics").status_code == 303
    assert root.get("/").location == "/password", "it has to choose another one"
    page = do(admin_visit, "/accounts/physics", do="limits", instances="3", users="5", buckets="")
    assert 'name="instances" value="3"' in page
    limits = console.cloud.store.quota.own_limits
    assert [each.buckets for each in limits.values()] == [0]
    listed = unescape(admin_visit.get("/accounts?q=PHYS").text)
    assert "0 of 3" in listed
    assert ">eucalyptus<" not in listed.partition("<main")[2]
    for number in ("x", "0", "9" * 20, "-1", EVIL):
        sent = admin_visit.post("/accounts/physics", {"do": "limits", "instances": number})
        assert sent.status_code == 400
        assert EVIL not in sent.text
    do(admin_visit, "/accounts/physics", do="limits")
    assert console.cloud.store.quota.own_limits == {}
    do(admin_visit, "/accounts/physics", do="no-password")
    assert Visit(console).sign_in("physics").status_code == 403
    do(admin_visit, "/accounts/physics", do="password", password=PASSWORD)
    assert admin_visit.post("/accounts", form).status_code == 409
    assert admin_visit.post("/accounts", {"account_name": EVIL}).status_code == 400
    assert "is deleted" in do(admin_visit, "/accounts/physics", do="delete", recursive="yes")
    assert admin_visit.get("/accounts/physics").status_code == 404
    refused = admin_visit.post("/accounts/eucalyptus", {"do": "delete"})
    assert refused.status_code == 409


def test_the_sizes_of_a_type(admin_visit: Visit) -> None:
    sizes = {"name": "m1.small", "cpu": "3", "memory": "384", "disk": "4"}
    page = do(admin_visit, "/instance-types", do="change", **sizes)
    assert 'name="memory" aria-label="Memory, MiB of m1.small" type="number"' in page
    assert 'value="384"' in page
    assert 'value="384"' not in do(admin_visit, "/instance-types", do="reset", name="m1.small")
    for wrong in ({"cpu": "many"}, {"memory": "1"}, {"disk": "99999"}, {"name": EVIL}):
        sent = admin_visit.post("/instance-types", {"do": "change", **sizes, **wrong})
        assert sent.status_code == 400
        assert EVIL not in sent.text


def test_settings_show_their_sources_and_no_secret(admin_visit: Visit) -> None:
    page = admin_visit.get("/settings").text
    for section in ("[cloud]", "[mail]", "[sign_up]", "[limits]"):
        assert section in page
    assert "opensesame" not in page
    assert "[not shown]" in page
    assert "op@example.com" in page


def test_letters_are_tried_again_and_forgotten(console: Console, admin_visit: Visit) -> None:
    queue = console.cloud.mail
    mail_id = queue.post(Letter("ann@example.org", EVIL, "a secret code\n"))
    queue.begin_try(mail_id)
    queue.note_problem(mail_id, f"450 {EVIL}")
    page = admin_visit.get("/mails").text
    assert "ann@example.org" in page
    assert "<script>" not in page
    assert "a secret code" not in page
    assert queue.list_due() == []
    assert "tried again" in do(admin_visit, "/mails", do="retry", mail_id=mail_id)
    assert queue.list_due() == [mail_id]
    assert "forgotten" in do(admin_visit, "/mails", do="drop", mail_id=mail_id)
    assert admin_visit.post("/mails", {"do": "drop", "mail_id": mail_id}).status_code == 404
    assert "No letter waits" in admin_visit.get("/mails/list").text


def test_a_form_that_no_page_has_does_nothing_to_a_letter(admin_visit: Visit) -> None:
    for do in ("", "x" * 60_000, "retry\r\n"):
        refused = admin_visit.post("/mails", {"do": do, "mail_id": "1"})
        assert refused.status_code == 400
        assert not refused.location


@pytest.mark.not_fast
def test_a_test_letter_tells_what_the_server_answers(console: Console, admin_visit: Visit) -> None:
    refused = admin_visit.post("/mails", {"do": "test"})
    assert refused.status_code == 500
    assert "Connection refused" in refused.text
    handler = Handler()
    with post_office.serve(handler, console.cloud.config.mail.port):
        assert "has taken" in do(admin_visit, "/mails", do="test")
        do(admin_visit, "/mails", do="test", address="ann@example.org")
    assert handler.recipients == ["op@example.com", "ann@example.org"]
    bad = {"do": "test", "address": "a@x\r\nBcc: b@y"}
    assert admin_visit.post("/mails", bad).status_code == 400


def test_another_session_is_ended(console: Console, admin_visit: Visit, alice: Visit) -> None:
    alice.headers["User-Agent"] = EVIL
    page = admin_visit.get("/all-sessions").text
    assert "alice" in page
    (session_id,) = {
        row["session_hash"][:16]
        for row in console.cloud.state.query(
            "select session_hash from login_sessions join users using (user_id)"
            " where user_name = 'alice'"
        )
    }
    assert page.count('name="session_id"') == 1, "not one's own"
    do(admin_visit, "/all-sessions", session_id=session_id)
    assert alice.get("/").status_code == 303
    for over in (session_id, "", "%" * 16):
        assert admin_visit.post("/all-sessions", {"session_id": over}).status_code == 404
    assert admin_visit.get("/").status_code == 200


def test_the_log_is_chosen_from(console: Console, admin_visit: Visit) -> None:
    file = Path(console.cloud.config.cloud.log_file)
    file.write_text(
        "time=2026-11-23T01:00:00.000Z level=info role=cloud user=1/ann outcome=ok\n"
        'time=2026-11-23T01:00:01.000Z level=error role=node message="<script>" trace="a\\nb"\n'
    )
    page = admin_visit.get("/log").text
    assert page.count("<li>\n") == 2
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    page = admin_visit.get("/log?user=ann").text
    assert "outcome=ok" in page
    assert "role=node" not in page.partition("<main")[2]
    assert "No line fits." in admin_visit.get("/log?since=1s").text
    for wrong in ("since=yesterday", "role=king", f"since={EVIL}", "since=999999d"):
        refused = admin_visit.get(f"/log?{wrong}")
        assert refused.status_code == 400, wrong
        assert EVIL not in refused.text


@pytest.mark.not_fast
def test_faults_come_with_how_to_mend_them(
    console: Console, admin_visit: Visit, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    console.cloud.note("mail", f"letters wait: {EVIL}")
    address = '/faults/findings" data-topics="health" data-at-once'
    assert address in admin_visit.get("/faults").text, "the page does not wait for a look"
    page = admin_visit.get("/faults/findings").text
    assert "&lt;b&gt;full" in page
    assert "make &lt;i&gt;room" in page
    assert "letters wait: &lt;script" in page
    assert "data-at-once" not in page
    looked = console.cloud.findings.read(3600)[1]
    assert looked
    assert '"/faults/findings?again=yes"' in do(admin_visit, "/faults")
    admin_visit.get("/faults/findings?again=yes")
    assert console.cloud.findings.read(3600)[1] > looked
