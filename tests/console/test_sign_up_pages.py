"""From asking for an account to a new password: letters lead to pages, buttons do things."""

import re
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest

from eucabox.config import MailSection
from eucabox.console.site import Console
from eucabox.console.visitor import LOGIN_COOKIE
from eucabox.iam.accounts import Accounts
from eucabox.state import State
from tests.console.conftest import PASSWORD, Visit

FIELDS = {
    "user_name": "ann", "password": PASSWORD, "again": PASSWORD, "full_name": "Ann Lee",
    "email": "ann@example.org", "affiliation": "<b>Institute</b>", "description": "two\r\nlines",
}  # fmt: skip
MAIL = MailSection(
    server="localhost", sender="cloud@example.com", administrator="operator@example.com",
    base_url="http://console.localhost:8888",
)  # fmt: skip
LINK = re.compile(r"http://console\.localhost:8888(/\S*\w)")


@pytest.fixture(name="mailed")
def _mailed(console: Console) -> Console:
    """A cloud that sends mail."""
    console.cloud.config = replace(console.cloud.config, mail=MAIL)
    return console


def read_letters(console: Console) -> list[tuple[str, list[str], str]]:
    """Take the letters that wait: recipient, the paths of their links, text."""
    queue = console.cloud.mail
    letters = []
    for mail_id in queue.list_due():
        letter = queue.begin_try(mail_id)[0]
        queue.mark_sent(mail_id)
        letters.append((letter.recipient, LINK.findall(letter.body), letter.body))
    return letters


def dump(state: State) -> list[object]:
    tables = ("users", "accounts", "sign_ups", "codes", "mails", "login_sessions")
    return [state.query(f"select * from {table}") for table in tables]


def ask(console: Console, **fields: str) -> Any:
    return Visit(console).post("/sign-up", {**FIELDS, **fields})


@pytest.mark.not_fast
def test_the_whole_way(mailed: Console, state: State, accounts: Accounts) -> None:
    assert ask(mailed).location == "/sign-up/thanks"
    assert "You get a letter" in Visit(mailed).get("/sign-up/thanks").text
    ((recipient, links, _),) = read_letters(mailed)
    assert recipient == "operator@example.com"
    approve, reject = links[:2]
    assert (approve.rpartition("/")[2], reject.rpartition("/")[2]) == ("approve", "reject")

    admin = Visit(mailed)
    first = admin.get(approve)
    assert unquote(first.location) == f"/sign-in?next={approve}"
    assert admin.sign_in("admin", next=approve).location == approve
    page = admin.get(approve).text
    assert "Ann Lee" in page
    assert "<b>Institute" not in page
    assert admin.post(approve).location == "/sign-ups?note=approved"
    assert "not confirmed yet" in admin.get("/sign-ups").text

    ann = Visit(mailed)
    assert ann.sign_in("ann").status_code == 403
    ((recipient, links, _),) = read_letters(mailed)
    assert recipient == "ann@example.org"
    code = links[0].partition("code=")[2]
    assert f'value="{code}"' in ann.get(links[0]).text
    confirmed = ann.post("/confirm", {"code": code})
    assert "Your account is active" in confirmed.text
    assert ann.post("/confirm", {"code": code}).status_code == 400
    assert ann.sign_in("ann").status_code == 303
    assert ann.post("/credentials/archive").status_code == 200
    assert accounts.user("ann/ann").email == "ann@example.org"


def test_a_forgotten_password(mailed: Console, accounts: Accounts) -> None:
    accounts.create_user("bob", "bob@example.org")
    bob = Visit(mailed)
    for name in ("bob", "nobody", "BOB@example.org"):
        assert bob.post("/recover", {"name": name}).location == "/recover/sent"
    letters = read_letters(mailed)
    assert [recipient for recipient, _, _ in letters] == ["bob@example.org"] * 2
    link = letters[0][1][0]
    code = link.partition("code=")[2]
    assert "Set a new password" in bob.get(link).text
    new = {"code": code, "password": "a new long secret", "again": "a new long secret"}
    assert bob.post("/recover/set", {**new, "again": "other"}).status_code == 400
    assert (
        bob.post("/recover/set", {**new, "password": "short", "again": "short"}).status_code == 400
    )
    assert bob.post("/recover/set", new).location == "/sign-in?note=password"
    assert bob.post("/recover/set", new).status_code == 400
    assert bob.sign_in("bob", "a new long secret").status_code == 303


def test_no_visit_to_a_link_changes_anything(
    mailed: Console, state: State, admin_visit: Visit
) -> None:
    ask(mailed)
    paths = read_letters(mailed)[0][1][:2]
    assert admin_visit.post(paths[0]).status_code == 303
    paths += read_letters(mailed)[0][1]
    admin_visit.sign_in("admin")
    before = dump(state)
    for visit in (Visit(mailed), admin_visit):
        for path in paths:
            for method in ("GET", "HEAD"):
                link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
                headers = {**link, "Sec-Fetch-Dest": "document"}
                assert visit.send(method, path, headers=headers).status_code in (200, 303)
    assert dump(state) == before


@pytest.mark.not_fast
def test_a_decision_is_the_administrators(mailed: Console, visit: Visit, alice: Any) -> None:
    ask(mailed)
    approve, reject = read_letters(mailed)[0][1][:2]
    visit.sign_in("alice")
    for path in (approve, reject):
        assert visit.get(path).status_code == 403
        assert visit.post(path).status_code == 403
    assert visit.get("/sign-ups").status_code == 403
    assert "Requests</a>" not in visit.get("/").text
    assert len(mailed.cloud.sign_ups.list_all()) == 1
    assert read_letters(mailed) == []


@pytest.mark.not_fast
def test_a_rejection_tells_its_reason(mailed: Console, admin_visit: Visit) -> None:
    ask(mailed)
    reject = read_letters(mailed)[0][1][1]
    sent = admin_visit.post(reject, {"reason": "Only for members."})
    assert sent.location == "/sign-ups?note=rejected"
    ((recipient, _, body),) = read_letters(mailed)
    assert recipient == "ann@example.org"
    assert "Only for members." in body
    assert admin_visit.get(reject).status_code == 404
    assert admin_visit.post(reject).status_code == 404


@pytest.mark.not_fast
def test_without_mail_an_approval_is_enough_and_pages_say_so(
    console: Console, admin_visit: Visit
) -> None:
    assert ask(console).status_code == 303
    assert "sends no mail" in Visit(console).get("/sign-up/thanks").text
    page = admin_visit.get("/sign-ups").text
    assert "No mail goes out" in page
    path = re.search(r'"(/sign-ups/\S+/approve)"', page)
    assert path
    assert admin_visit.post(path[1]).location == "/sign-ups?note=active"
    assert Visit(console).sign_in("ann").status_code == 303
    assert "Ask its administrator" in Visit(console).get("/recover").text
    assert Visit(console).post("/recover", {"name": "ann"}).status_code == 400


@pytest.mark.not_fast
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"again": "another"}, "The two passwords differ."),
        ({"user_name": "a b"}, "letters, digits"),
        ({"user_name": "admin"}, "Choose another"),
        ({"email": "nobody"}, "Email"),
        ({"email": "a@example.org, b@example.org"}, "Email"),
        ({"password": "short", "again": "short"}, "8 to 128 characters"),
        ({"full_name": ""}, "full name"),
        ({"affiliation": "a\x00b"}, "control character"),
    ],
)
def test_a_wrong_field_is_told_and_the_others_stay(
    console: Console, fields: dict[str, str], words: str
) -> None:
    refused = ask(console, **fields)
    assert refused.status_code == 400
    assert words in refused.text
    assert PASSWORD not in refused.text
    if "full_name" not in fields:
        assert 'value="Ann Lee"' in refused.text
    assert console.cloud.sign_ups.list_all() == []


@pytest.mark.not_fast
def test_the_answer_is_the_same_for_a_name_that_is_taken(mailed: Console, alice: Any) -> None:
    taken, free = ask(mailed, user_name="alice"), ask(mailed, email="other@example.org")
    assert (taken.status_code, taken.location) == (free.status_code, free.location)
    assert len(mailed.cloud.sign_ups.list_all()) == 1


def test_a_closed_cloud_takes_no_request(console: Console, visit: Visit) -> None:
    config = console.cloud.config
    console.cloud.config = replace(config, sign_up=replace(config.sign_up, open=False, fields=""))
    assert "takes no requests" in visit.get("/sign-up").text
    assert "Ask for an account" not in visit.get("/sign-in").text
    assert ask(console).status_code == 400


def test_fields_that_are_not_asked_are_not_shown_and_not_kept(
    console: Console, visit: Visit
) -> None:
    config = console.cloud.config
    console.cloud.config = replace(config, sign_up=replace(config.sign_up, fields="telephone"))
    page = visit.get("/sign-up").text
    assert "Telephone" in page
    assert "Affiliation" not in page
    ask(console)
    (row,) = console.cloud.sign_ups.list_all()
    assert "Institute" not in row["information"]


@pytest.mark.parametrize("path", ["/confirm", "/recover/set"])
def test_a_code_of_nonsense_is_refused(console: Console, path: str) -> None:
    for code in ("", "x", "é" * 20, "a" * 5000, "' or 1=1", "<script>"):
        form = {"code": code, "password": PASSWORD, "again": PASSWORD}
        refused = Visit(console).post(path, form)
        assert refused.status_code in (400, 429)
        assert "<script>" not in refused.text.replace('<script src="/static', "")


@pytest.mark.not_fast
def test_many_requests_of_one_address_are_slowed(console: Console) -> None:
    most = console.cloud.config.sign_up.requests_per_hour
    poor = {"password": "", "again": ""}
    answers = [ask(console, user_name=f"a{n}", **poor).status_code for n in range(most)]
    assert set(answers) == {400}
    assert ask(console).status_code == 429


# --- the first password ------------------------------------------------------------------------


def test_the_first_password_needs_the_code_of_the_file_and_signs_in(
    console: Console, state: State, visit: Visit
) -> None:
    state.update("users", {"user_name": "admin"}, password="")
    first_run = console.cloud.first_run
    assert first_run.ensure_code()
    assert visit.get("/").location == "/sign-in"
    assert visit.get("/sign-in").location == "/first-run"
    page = visit.get("/first-run").text
    assert str(first_run.file) in page
    code = first_run.file.read_text().strip()
    assert code not in page
    form = {"password": PASSWORD, "again": PASSWORD}
    assert visit.post("/first-run", {**form, "code": "wrong"}).status_code == 400
    assert visit.post("/first-run", {**form, "code": code, "again": "x"}).status_code == 400
    poor = {"code": code, "password": "password", "again": "password"}
    assert visit.post("/first-run", poor).status_code == 400
    assert visit.post("/first-run", {**form, "code": code}).location == "/"
    assert visit.cookie(LOGIN_COOKIE)
    assert "administrator of this cloud" in visit.get("/").text
    assert not first_run.file.exists()
    assert Visit(console).post("/first-run", {**form, "code": code}).status_code == 400
    assert Visit(console).get("/first-run").location == "/sign-in"
