"""Signing in and out, and what a session is."""

import re
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import pytest

from eucabox import ids
from eucabox.console import sign_in
from eucabox.console.login_sessions import MOST_SESSIONS, hash_token
from eucabox.console.site import Console
from eucabox.console.visitor import LOGIN_COOKIE
from eucabox.iam import attempt_limits, passwords
from eucabox.iam.accounts import Accounts
from eucabox.iam.caller import Caller
from eucabox.iam.password_policies import PasswordPolicy, save_policy
from eucabox.iam.users import create_user
from eucabox.state import State
from tests.console.conftest import PASSWORD, Visit, give_password

WRONG = "No user has these names and this password."


def test_the_cookie_is_strict_and_its_secret_is_not_in_the_database(
    admin_visit: Visit, state: State
) -> None:
    token = admin_visit.cookie(LOGIN_COOKIE)
    (row,) = state.query("select * from login_sessions")
    assert row["session_hash"] == hash_token(token)
    assert token not in str(row)
    again = admin_visit.sign_in("admin")
    (header,) = [each for each in again.headers.getlist("Set-Cookie") if LOGIN_COOKIE + "=" in each]
    assert all(word in header for word in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"))
    assert "Domain" not in header


@pytest.mark.not_fast
@pytest.mark.parametrize(
    "fields",
    [
        {"user": "alice"},
        {"user": "ALICE", "account": "alice"},
        {"user": "alice", "account": "the-alias"},
        {"user": "alice", "account": "NUMBER"},
        {"user": " alice ", "account": " alice "},
    ],
)
def test_an_account_is_its_name_its_alias_or_its_number(
    visit: Visit, alice: Caller, state: State, fields: dict[str, str]
) -> None:
    state.update("accounts", {"account_id": alice.account_id}, alias="the-alias")
    named = {name: value.replace("NUMBER", alice.account_id) for name, value in fields.items()}
    assert visit.sign_in(**named).status_code == 303
    page = visit.get("/").text
    assert alice.arn in page


def test_the_administrator_needs_no_account(visit: Visit) -> None:
    assert visit.sign_in("admin").status_code == 303
    assert "administrator of this cloud" in visit.get("/").text


def test_nobody_takes_the_administrators_place_by_an_alias(
    visit: Visit, alice: Caller, state: State
) -> None:
    state.update("accounts", {"account_id": alice.account_id}, alias="admin")
    row = {"user_id": "AIDAMINE", "account_id": alice.account_id, "user_name": "admin"}
    state.insert("users", {**row, "created": ids.now()})
    assert visit.sign_in("admin").status_code == 303
    assert "administrator of this cloud" in visit.get("/").text


@pytest.mark.not_fast
@pytest.mark.parametrize(
    "fields",
    [
        {"user": "admin", "password": "wrong"},
        {"user": "admin", "password": ""},
        {"user": "nobody", "password": PASSWORD},
        {"user": "", "password": PASSWORD},
        {"user": "admin", "account": "alice", "password": PASSWORD},
        {"user": "%", "account": "%", "password": PASSWORD},
        {"user": "' or '1'='1", "password": PASSWORD},
        {"user": "bare", "password": ""},
        {"user": "bare", "password": PASSWORD},
    ],
)
def test_what_is_wrong_is_not_told(
    visit: Visit, alice: Caller, accounts: Accounts, fields: dict[str, str]
) -> None:
    accounts.create_user("bare")  # who has no password
    refused = visit.sign_in(**fields)
    assert refused.status_code == 403
    assert WRONG in refused.text
    assert visit.cookie(LOGIN_COOKIE) == ""


def test_control_characters_and_long_names_are_refused(visit: Visit) -> None:
    assert visit.sign_in("a\nb").status_code == 400
    assert visit.sign_in("a" * 200).status_code == 400
    assert visit.sign_in("admin", "p" * 5000).status_code == 403


def test_each_attempt_checks_one_password(
    visit: Visit, alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the answer takes the same time whether there is a user."""
    checks: list[str] = []

    def check(password: str, stored: str) -> bool:
        checks.append(stored[:6])
        return False

    monkeypatch.setattr(sign_in, "check_password", check)
    for user in ("alice", "nobody"):
        assert visit.sign_in(user, "wrong").status_code == 403
    assert checks == ["scrypt", ""]


def test_guessing_at_a_name_is_slowed_and_others_are_not(
    console: Console, alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in, "check_password", lambda password, _: password == PASSWORD)
    visit = Visit(console)
    for _ in range(sign_in.MOST_OF_BOTH):
        assert visit.sign_in("alice", "wrong").status_code == 403
    late = visit.sign_in("ALICE", PASSWORD)
    assert late.status_code == 429
    assert 0 < int(late.headers["Retry-After"]) <= attempt_limits.WINDOW
    assert visit.sign_in("admin").status_code == 303


def test_nobody_uses_up_the_attempts_of_another_address(
    console: Console, alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name is free text: it may hold an address and another's name."""
    monkeypatch.setattr(sign_in, "check_password", lambda password, _: password == PASSWORD)
    for account in ("192.0.2.7 alice", "192.0.2.7 "):
        for _ in range(sign_in.MOST_OF_BOTH):
            assert _sign_in_from(console, "203.0.113.9", account, "alice") is None
    assert Visit(console).sign_in("alice", account="alice").status_code == 303
    assert Visit(console).sign_in("alice").status_code == 303


def test_an_ipv6_client_has_one_address_however_many_it_has(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in, "check_password", lambda *_: False)
    for number in range(sign_in.MOST_OF_ADDRESS):
        assert _sign_in_from(console, f"2001:db8::{number:x}", "", f"user{number}") is None
    with pytest.raises(sign_in.TooManyAttemptsError):
        _sign_in_from(console, "2001:db8::ffff", "", "another")
    assert _sign_in_from(console, "2001:db8:0:1::1", "", "another") is None


@pytest.mark.not_fast
def test_an_attempt_that_was_not_made_does_not_count(
    console: Console, alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody keeps the server busy, others do not use up their attempts."""
    with monkeypatch.context() as patch:
        patch.setattr(sign_in, "_waiting", threading.BoundedSemaphore(1))
        with sign_in._waiting:
            for _ in range(sign_in.MOST_OF_BOTH + 1):
                assert Visit(console).sign_in("alice").status_code == 503
    assert Visit(console).sign_in("alice").status_code == 303


@pytest.mark.not_fast
def test_an_address_that_tries_many_names_is_slowed(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in, "check_password", lambda *_: False)
    visit = Visit(console)
    answers = [visit.sign_in(f"user{n}", "x").status_code for n in range(sign_in.MOST_OF_ADDRESS)]
    assert set(answers) == {403}
    assert visit.sign_in("another", "x").status_code == 429


def test_one_who_knows_the_password_is_never_slowed(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_in, "check_password", lambda *_: True)
    for _ in range(sign_in.MOST_OF_BOTH * 2):
        assert Visit(console).sign_in("admin").status_code == 303


def test_attempts_are_forgotten_in_time_and_the_table_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = attempt_limits.AttemptLimits()
    monkeypatch.setattr(attempt_limits, "WINDOW", 0.05)
    monkeypatch.setattr(attempt_limits, "MOST_KEYS", 10)
    assert limits.begin({"a": 1}) == 0
    assert 0 < limits.begin({"a": 1}) <= 0.05
    time.sleep(0.06)
    assert limits.begin({"a": 1}) == 0
    for number in range(100):
        limits.begin({str(number): 1})
    assert len(limits._attempts) == 10


@pytest.mark.not_fast
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/credentials", "/credentials"),
        ("/credentials?note=key-deleted", "/credentials?note=key-deleted"),
        ("//evil.example", "/"),
        ("https://evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("/%09/evil.example", "/"),
        ("/credentials\r\nSet-Cookie: a=b", "/"),
        ("javascript:alert(1)", "/"),
        ("/none", "/"),
        ("/credentials/../../x", "/"),
        ("/sign-out", "/"),
        ("credentials", "/"),
        ("", "/"),
    ],
)
def test_nobody_is_led_elsewhere(visit: Visit, path: str, expected: str) -> None:
    sent = visit.sign_in("admin", next=path)
    assert (sent.status_code, sent.location) == (303, expected)


def test_the_page_that_was_asked_for_comes_after_signing_in(visit: Visit) -> None:
    first = visit.get("/sessions")
    assert unquote(first.location) == "/sign-in?next=/sessions"  # older Werkzeugs quote more
    form = visit.get(first.location).text
    assert '<input type="hidden" name="next" value="/sessions">' in form


def test_signing_out_ends_the_session_at_the_server(admin_visit: Visit, state: State) -> None:
    token = admin_visit.cookie(LOGIN_COOKIE)
    left = admin_visit.post("/sign-out")
    assert left.location == "/sign-in?note=left"
    assert admin_visit.cookie(LOGIN_COOKIE) == ""
    assert state.query("select * from login_sessions") == []
    admin_visit.cookies[LOGIN_COOKIE] = token
    assert admin_visit.get("/").status_code == 303


def test_a_second_sign_in_ends_the_first_session_of_the_browser(
    admin_visit: Visit, state: State
) -> None:
    before = admin_visit.cookie(LOGIN_COOKIE)
    admin_visit.post("/sign-in", {"user": "admin", "password": PASSWORD})
    (row,) = state.query("select * from login_sessions")
    assert row["session_hash"] != hash_token(before)


@pytest.mark.parametrize(("column", "minutes"), [("last_used", 61), ("expires", 1)])
def test_a_session_ends_when_idle_and_at_its_end(
    admin_visit: Visit, state: State, column: str, minutes: int
) -> None:
    past = ids.time_text(datetime.now(UTC) - timedelta(minutes=minutes))
    state.update("login_sessions", {"user_id": _admin_id(state)}, **{column: past})
    assert admin_visit.get("/").status_code == 303


def test_a_used_session_goes_on_until_its_end(admin_visit: Visit, state: State) -> None:
    earlier = ids.time_text(datetime.now(UTC) - timedelta(minutes=30))
    state.update("login_sessions", {"user_id": _admin_id(state)}, last_used=earlier)
    assert admin_visit.get("/").status_code == 200
    (row,) = state.query("select * from login_sessions")
    assert row["last_used"] > earlier


def test_the_times_are_settings(console: Console, admin_visit: Visit, state: State) -> None:
    config = console.cloud.config
    console.cloud.config = replace(config, console=replace(config.console, idle_minutes=1))
    past = ids.time_text(datetime.now(UTC) - timedelta(seconds=90))
    state.update("login_sessions", {"user_id": _admin_id(state)}, last_used=past)
    assert admin_visit.get("/").status_code == 303


@pytest.mark.not_fast
def test_who_is_shut_out_is_told_so_with_the_right_password_alone(
    visit: Visit, alice: Caller, state: State
) -> None:
    assert visit.sign_in("alice").status_code == 303
    state.update("users", {"user_id": alice.user_id}, disabled=1)
    assert visit.get("/").status_code == 303, "the session has ended"
    assert "shut out" not in visit.sign_in("alice", "wrong wrong").text
    answer = visit.sign_in("alice")
    assert (answer.status_code, "You are shut out" in answer.text) == (403, True)
    state.update("users", {"user_id": alice.user_id}, disabled=0)
    assert visit.sign_in("alice").status_code == 303


def test_another_password_ends_all_sessions_and_so_does_none(
    console: Console, visit: Visit, alice: Caller, state: State
) -> None:
    for columns in ({}, {"password": ""}):
        give_password(state, alice)
        assert visit.sign_in("alice").status_code == 303
        time.sleep(0.002)  # the database counts milliseconds
        give_password(state, alice, **columns)
        assert visit.get("/").status_code == 303


def test_a_password_that_changes_while_the_old_one_is_checked_begins_no_session(
    visit: Visit, alice: Caller, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(password: str, stored: str) -> bool:
        is_right = passwords.check_password(password, stored)
        time.sleep(0.002)
        give_password(state, alice, password=passwords.hash_password("another of hers"))
        return is_right

    monkeypatch.setattr(sign_in, "check_password", check)
    visit.sign_in("alice")
    assert visit.get("/").location == "/sign-in"


def test_sessions_of_an_earlier_password_are_not_listed(
    console: Console, alice: Caller, state: State
) -> None:
    console.login_sessions.begin(alice.user_id, "", "")
    time.sleep(0.002)
    give_password(state, alice)
    assert console.login_sessions.list_sessions(alice.user_id) == []


def test_a_user_that_goes_takes_its_sessions_along(
    visit: Visit, alice: Caller, state: State
) -> None:
    visit.sign_in("alice")
    with state.transaction() as database:
        for table in ("access_keys", "certificates", "users"):
            database.execute(f"delete from {table} where user_id = ?", (alice.user_id,))
    assert state.query("select * from login_sessions") == []
    assert visit.get("/").status_code == 303


def test_a_due_password_comes_before_all_else(visit: Visit, alice: Caller, state: State) -> None:
    state.update("users", {"user_id": alice.user_id}, password_reset_required=1)
    visit.sign_in("alice")
    for path in ("/", "/credentials", "/sessions"):
        assert visit.get(path).location == "/password"
    assert visit.post("/credentials/archive").location == "/password"
    assert "Choose a password of your own" in visit.get("/password").text
    assert visit.post("/sign-out").status_code == 303


@pytest.mark.not_fast
def test_a_password_that_is_too_old_has_to_be_changed(
    visit: Visit, alice: Caller, accounts: Accounts, state: State
) -> None:
    """As the account's policy has it, which is not for its root."""
    bob = create_user(state, alice.account_id, "bob", "/")
    old = ids.time_text(datetime.now(UTC) - timedelta(days=11))
    for user_id in (alice.user_id, bob["user_id"]):
        give_password(state, replace(alice, user_id=user_id), password_created=old)
    policy = PasswordPolicy(max_password_age=10, hard_expiry=True)
    save_policy(state, alice.account_id, policy)
    refused = visit.sign_in("bob", account="alice")
    assert (refused.status_code, visit.cookie(LOGIN_COOKIE)) == (403, "")
    assert "older than your account allows" in refused.text
    save_policy(state, alice.account_id, replace(policy, hard_expiry=False))
    assert visit.sign_in("bob", account="alice").status_code == 303
    assert visit.get("/").location == "/password"
    assert visit.sign_in("alice").status_code == 303
    assert visit.get("/").status_code == 200


def test_the_list_of_sessions_ends_one_or_all_others(
    console: Console, admin_visit: Visit, alice: Caller
) -> None:
    others = [Visit(console, {"User-Agent": "Firefox/1 Windows"}) for _ in range(3)]
    for each in others:
        each.sign_in("admin")
    stranger = Visit(console)
    stranger.sign_in("alice")
    page = admin_visit.get("/sessions").text
    assert page.count("Firefox on Windows") == 3
    hashes = set(re.findall(r'name="session" value="([0-9a-f]{64})"', page))
    assert len(hashes) == 3
    chosen = hash_token(others[0].cookie(LOGIN_COOKIE))
    stranger.post("/sessions/end", {"session": chosen})
    assert others[0].get("/").status_code == 200, "a session of another user is not one's to end"
    admin_visit.post("/sessions/end", {"session": chosen})
    assert [each.get("/").status_code for each in others] == [303, 200, 200]
    admin_visit.post("/sessions/end", {"session": "others"})
    assert [each.get("/").status_code for each in others] == [303, 303, 303]
    assert admin_visit.get("/").status_code == 200
    assert stranger.get("/").status_code == 200


def test_a_user_has_so_many_sessions_and_the_oldest_ends(console: Console, alice: Caller) -> None:
    sessions = console.login_sessions
    tokens = [sessions.begin(alice.user_id, "", "") for _ in range(MOST_SESSIONS + 1)]
    assert len(sessions.list_sessions(alice.user_id)) == MOST_SESSIONS
    assert sessions.find(tokens[-1])


def test_what_the_browser_calls_itself_is_text(console: Console, admin_visit: Visit) -> None:
    other = Visit(console, {"User-Agent": "<script>alert(1)</script>" * 50})
    other.sign_in("admin")
    page = admin_visit.get("/sessions").text
    assert "<script>alert" not in page
    assert "Another program" in page


def _admin_id(state: State) -> str:
    row = state.one("select user_id from users where user_name = 'admin'")
    assert row
    return str(row["user_id"])


def _sign_in_from(console: Console, source: str, account: str, user: str) -> object:
    return sign_in.sign_in(console.cloud.state, console.limits, (account, user), "wrong", source)
