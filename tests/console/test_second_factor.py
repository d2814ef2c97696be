"""A second factor on the console: set up, asked for, used once, removed."""

import json
import re
from urllib.parse import unquote

import pytest
from werkzeug.test import TestResponse

from eucabox import ids
from eucabox.console import half_sign_ins
from eucabox.console.pages import second_factor
from eucabox.console.site import Console
from eucabox.console.visitor import HALF_COOKIE, LOGIN_COOKIE
from eucabox.iam import login_profiles, mfa_devices, second_factors
from eucabox.iam.caller import Caller
from eucabox.iam.users import create_user
from eucabox.state import State
from tests.authenticator import Clock, set_clock
from tests.console.conftest import PASSWORD, Visit, give_password

WRONG_CODE = "not the code of now"


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return set_clock(monkeypatch)


def set_up(visit: Visit, clock: Clock, **fields: str) -> tuple[str, str]:
    """Set up a device on the page; its serial number and seed."""
    page = visit.post("/second-factor/create", {"password": PASSWORD, **fields})
    assert page.status_code == 200, page.text
    serial, seed = read_device(page)
    first, second = clock.show_pair(seed)
    form = {"serial": serial, "first": first[:3] + " " + first[3:], "second": second}
    assert visit.post("/second-factor/enable", form).location == "/second-factor?note=enabled"
    clock.step += 2
    return serial, seed


def read_device(page: TestResponse) -> tuple[str, str]:
    serial = re.search(r'name="serial" value="(arn:[^"]+)"', page.text)
    seed = re.search(r'<code id="seed">([A-Z2-7 ]+)</code>', page.text)
    assert serial
    assert seed
    return serial[1], seed[1].replace(" ", "")


def enter(visit: Visit, code: str, **fields: str) -> TestResponse:
    return visit.post("/sign-in/code", {"code": code, **fields})


def test_a_device_is_set_up_asked_for_and_removed(
    console: Console, visit: Visit, alice: Caller, clock: Clock, state: State
) -> None:
    visit.sign_in("alice")
    other = Visit(console)
    other.sign_in("alice")
    before = visit.cookie(LOGIN_COOKIE)
    page = visit.post("/second-factor/create", {"password": PASSWORD})
    assert "data:image/png;base64,iVBOR" in page.text
    serial, seed = set_up(visit, clock)
    assert serial.endswith(":mfa/root-account-mfa-device")
    assert visit.cookie(LOGIN_COOKIE) != before
    assert visit.get("/").status_code == 200
    assert other.get("/").status_code == 303, "sessions of before are over"
    listed = visit.get("/second-factor").text
    assert serial in listed
    assert seed not in listed

    visit.post("/sign-out")
    half = visit.sign_in("alice", next="/credentials")
    assert (
        unquote(half.location) == "/sign-in/code?next=/credentials"
    )  # an older Werkzeug quotes it
    assert visit.cookie(LOGIN_COOKIE) == ""
    assert visit.get("/credentials").status_code == 303, "half is not in"
    assert 'name="next" value="/credentials"' in visit.get(half.location).text
    assert WRONG_CODE in enter(visit, clock.show(seed, 5)).text
    done = enter(visit, clock.show(seed), next="/credentials")
    assert (done.status_code, done.location) == (303, "/credentials")
    assert visit.cookie(HALF_COOKIE) == ""
    assert state.one("select count(*) as n from login_sessions where mfa = 1") == {"n": 1}

    refused = visit.post("/second-factor/remove", {"serial": serial, "password": "wrong"})
    assert (refused.status_code, "The password is not right" in refused.text) == (403, True)
    visit.post("/second-factor/remove", {"serial": serial, "password": PASSWORD})
    assert state.query("select * from mfa_devices") == []
    visit.post("/sign-out")
    assert visit.sign_in("alice").location == "/"


def test_a_code_counts_once_also_in_two_browsers(
    console: Console, visit: Visit, alice: Caller, clock: Clock
) -> None:
    visit.sign_in("alice")
    _, seed = set_up(visit, clock)
    first, second = Visit(console), Visit(console)
    for each in (first, second):
        each.sign_in("alice")
    code = clock.show(seed)
    assert enter(first, code).status_code == 303
    refused = enter(second, code)
    assert (refused.status_code, WRONG_CODE in refused.text) == (403, True)
    clock.step += 1
    assert enter(second, clock.show(seed)).status_code == 303


@pytest.mark.not_fast
@pytest.mark.parametrize("code", ["", "12345", "abcdef", "\u0661" * 6, "1" * 500, "0 0"])
def test_what_is_no_code_is_refused_in_the_same_words(
    visit: Visit, alice: Caller, clock: Clock, code: str
) -> None:
    visit.sign_in("alice")
    set_up(visit, clock)
    visit.post("/sign-out")
    visit.sign_in("alice")
    refused = enter(visit, code)
    assert (refused.status_code, WRONG_CODE in refused.text) == (403, True)


@pytest.mark.not_fast
def test_a_code_without_the_password_is_nothing(
    console: Console, visit: Visit, alice: Caller, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit.sign_in("alice")
    _, seed = set_up(visit, clock)
    stranger = Visit(console)
    assert stranger.get("/sign-in/code").location == "/sign-in"
    assert enter(stranger, clock.show(seed)).location == "/sign-in?note=late"
    stranger.cookies[HALF_COOKIE] = "A" * 43
    assert enter(stranger, clock.show(seed)).location == "/sign-in?note=late"
    stranger.sign_in("alice", "wrong")
    assert stranger.cookie(HALF_COOKIE) == ""
    monkeypatch.setattr(half_sign_ins, "LIFE", 0.0)
    late = Visit(console)
    late.sign_in("alice")
    assert enter(late, clock.show(seed)).location == "/sign-in?note=late"


@pytest.mark.not_fast
def test_guessing_codes_is_slowed(
    console: Console, visit: Visit, alice: Caller, clock: Clock
) -> None:
    visit.sign_in("alice")
    _, seed = set_up(visit, clock)
    for number in range(second_factors.MOST_WRONG):
        guesser = Visit(console)
        guesser.sign_in("alice")
        assert enter(guesser, f"{number:06}").status_code == 403
    late = Visit(console)
    late.sign_in("alice")
    slowed = enter(late, clock.show(seed))
    assert (slowed.status_code, "Wait 15 minutes" in slowed.text) == (429, True)
    assert int(slowed.headers["Retry-After"]) > 0


@pytest.mark.not_fast
def test_a_password_that_changes_meanwhile_ends_the_half_sign_in(
    console: Console, visit: Visit, alice: Caller, clock: Clock, state: State
) -> None:
    visit.sign_in("alice")
    _, seed = set_up(visit, clock)
    half = Visit(console)
    half.sign_in("alice")
    give_password(state, alice, password_created=ids.now() + "x")
    enter(half, clock.show(seed))
    assert half.get("/").status_code == 303


@pytest.mark.not_fast
def test_wrong_codes_at_the_set_up_leave_its_picture(
    visit: Visit, alice: Caller, clock: Clock
) -> None:
    visit.sign_in("alice")
    page = visit.post("/second-factor/create", {"password": PASSWORD, "name": "phone"})
    serial, seed = read_device(page)
    shown = {"serial": serial, "seed": seed, "picture": "aGk="}
    again = visit.post("/second-factor/enable", {**shown, "first": "000000", "second": "000001"})
    assert again.status_code == 403
    assert "Authentication code for device is not valid" in again.text
    assert "base64,aGk=" in again.text
    assert read_device(again) == (serial, seed)
    assert visit.post("/second-factor/create", {"password": "wrong"}).status_code == 403


@pytest.mark.not_fast
def test_nobody_enables_or_removes_anothers(
    console: Console, visit: Visit, alice: Caller, clock: Clock, state: State
) -> None:
    account = console.cloud.accounts
    made = mfa_devices.create_device(state, account.seal, alice, "spare")
    bob = create_user(state, alice.account_id, "bob")
    give_password(state, account.user_of(alice.account_id, bob["user_id"]))
    visit.sign_in("alice")
    serial, _ = set_up(visit, clock)
    other = Visit(console)
    other.sign_in("bob", account="alice")
    codes = dict(zip(("first", "second"), clock.show_pair(made["seed"]), strict=True))
    spare = {"serial": made["serial_number"], **codes}
    assert other.post("/second-factor/enable", spare).status_code == 409
    removed = other.post("/second-factor/remove", {"serial": serial, "password": PASSWORD})
    assert removed.status_code == 404
    assert mfa_devices.list_enabled(state, alice.user_id)


@pytest.mark.not_fast
def test_what_a_policy_denies_is_denied_and_mfa_is_a_condition(
    console: Console, visit: Visit, alice: Caller, clock: Clock, state: State
) -> None:
    bob = create_user(state, alice.account_id, "bob")
    caller = console.cloud.accounts.user_of(alice.account_id, bob["user_id"])
    give_password(state, caller)
    statements = [
        {"Effect": "Allow", "Action": "iam:ListAccessKeys", "Resource": "*",
         "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"},
                       "NumericLessThan": {"aws:MultiFactorAuthAge": "600"}}},
        {"Effect": "Deny", "Action": "iam:DeactivateMFADevice", "Resource": "*"},
    ]  # fmt: skip
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    policy = {"owner_id": bob["user_id"], "policy_name": "own", "document": document}
    state.insert("inline_policies", policy)
    visit.sign_in("bob", account="alice")
    assert "Access keys</h2>" not in visit.get("/credentials").text
    serial, _ = set_up(visit, clock, name="phone")
    assert "Access keys</h2>" in visit.get("/credentials").text
    refused = visit.post("/second-factor/remove", {"serial": serial, "password": PASSWORD})
    assert refused.status_code == 403
    assert "with an explicit deny" in refused.text
    new = {"old": PASSWORD, "password": "another fine secret", "again": "another fine secret"}
    assert visit.post("/password", new).status_code == 303
    assert "Access keys</h2>" in visit.get("/credentials").text, "the code still counts"


@pytest.mark.not_fast
def test_guessing_the_password_here_is_slowed(
    visit: Visit, alice: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit.sign_in("alice")
    monkeypatch.setattr(login_profiles, "check_password", lambda *_: False)
    answers = [
        visit.post("/second-factor/create", {"password": str(number)}).status_code
        for number in range(second_factor.MOST_TRIES + 1)
    ]
    assert answers == [403] * second_factor.MOST_TRIES + [429]


@pytest.mark.not_fast
def test_a_device_whose_clock_is_wrong_is_set(visit: Visit, alice: Caller, clock: Clock) -> None:
    visit.sign_in("alice")
    serial, seed = set_up(visit, clock)
    clock.step += 30
    first, second = clock.show_pair(seed, late=10)
    form = {"serial": serial, "first": first, "second": second}
    assert visit.post("/second-factor/resync", form).location == "/second-factor?note=set"
    assert visit.post("/second-factor/resync", form).status_code == 403


def test_half_sign_ins_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(half_sign_ins, "MOST", 4)
    monkeypatch.setattr(half_sign_ins, "MOST_OF_A_USER", 2)
    halves = half_sign_ins.HalfSignIns()
    own = [halves.begin("ann", "") for _ in range(3)]
    assert [halves.find(each) is None for each in own] == [True, False, False]
    others = [halves.begin(f"user{number}", "") for number in range(3)]
    assert [halves.find(each) is None for each in own] == [True, True, False]
    assert all(halves.find(each) for each in others)
    halves.end(others[0])
    assert halves.find(others[0]) is None
