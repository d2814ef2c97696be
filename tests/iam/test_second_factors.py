"""Codes of users' devices: each counts once, and guessing is slowed at each door for itself."""

import threading

import pytest

from eucabox.errors import TooManyCodes
from eucabox.iam import attempt_limits, mfa_devices, second_factors
from eucabox.iam.accounts import Accounts
from eucabox.iam.caller import Caller
from eucabox.iam.rows import UserRow
from eucabox.iam.second_factors import CONSOLE, STS
from eucabox.iam.users import find_user_or_caller
from eucabox.state import State
from tests.authenticator import Clock, set_clock


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return set_clock(monkeypatch)


@pytest.fixture(name="ann")
def _ann(accounts: Accounts) -> Caller:
    return accounts.create_user("ann")


def read_user(state: State, user: Caller) -> UserRow:
    return find_user_or_caller(state, user, "")


def give_device(
    accounts: Accounts, state: State, user: Caller, clock: Clock, name: str = "phone", late: int = 0
) -> tuple[str, str]:
    """Give a user a device, whose clock is late by so many steps; serial number and seed."""
    made = mfa_devices.create_device(state, accounts.seal, user, name)
    codes = clock.show_pair(made["seed"], late)
    accounts.second_factors.enable(read_user(state, user), made["serial_number"], *codes)
    clock.step += 2
    return made["serial_number"], made["seed"]


def test_a_code_counts_once_and_none_before_it(
    accounts: Accounts, state: State, ann: Caller, clock: Clock
) -> None:
    assert not accounts.second_factors.has_any(ann.user_id)
    _, seed = give_device(accounts, state, ann, clock)
    spend = accounts.second_factors.spend_code
    assert accounts.second_factors.has_any(ann.user_id)
    assert spend(ann.user_id, clock.show(seed), CONSOLE)
    assert not spend(ann.user_id, clock.show(seed), CONSOLE)
    assert not spend(ann.user_id, clock.show(seed), STS)
    assert not spend(ann.user_id, clock.show(seed, 1), CONSOLE)
    clock.step += 1
    assert spend(ann.user_id, clock.show(seed), STS)
    other = accounts.create_user("bob")
    clock.step += 1
    assert not spend(other.user_id, clock.show(seed), CONSOLE)


def test_of_many_at_once_one_gets_in(
    accounts: Accounts, state: State, ann: Caller, clock: Clock
) -> None:
    _, seed = give_device(accounts, state, ann, clock)
    code, outcomes = clock.show(seed), []

    def spend() -> None:
        outcomes.append(accounts.second_factors.spend_code(ann.user_id, code, CONSOLE))

    threads = [threading.Thread(target=spend) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(outcomes) == [False] * 5 + [True]


def test_any_device_counts_and_a_wrong_clock_is_known(
    accounts: Accounts, state: State, ann: Caller, clock: Clock
) -> None:
    serial, seed = give_device(accounts, state, ann, clock)
    late_serial, late_seed = give_device(accounts, state, ann, clock, "old", late=20)
    spend = accounts.second_factors.spend_code
    assert spend(ann.user_id, clock.show(late_seed, 20), CONSOLE)
    assert not spend(ann.user_id, clock.show(late_seed), CONSOLE)
    assert not spend(ann.user_id, clock.show(seed), STS, late_serial)
    assert spend(ann.user_id, clock.show(seed), STS, serial)
    clock.step += 30
    assert not spend(ann.user_id, clock.show(late_seed), CONSOLE)
    codes = clock.show_pair(late_seed)
    accounts.second_factors.resync(read_user(state, ann), late_serial, *codes)
    clock.step += 1
    assert spend(ann.user_id, clock.show(late_seed), CONSOLE)


def test_guessing_is_slowed_at_each_door_for_itself(
    accounts: Accounts,
    state: State,
    ann: Caller,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, seed = give_device(accounts, state, ann, clock)
    spend = accounts.second_factors.spend_code
    wrong = "000000" if clock.show(seed) != "000000" else "111111"
    assert spend(ann.user_id, clock.show(seed), CONSOLE)
    for _ in range(second_factors.MOST_WRONG):
        assert not spend(ann.user_id, wrong, CONSOLE)
    clock.step += 1
    with pytest.raises(TooManyCodes, match=r"Wait 15 minutes") as caught:
        spend(ann.user_id, clock.show(seed), CONSOLE)
    assert 0 < caught.value.facts["seconds"] <= attempt_limits.WINDOW
    assert spend(ann.user_id, clock.show(seed), STS)
    monkeypatch.setattr(attempt_limits, "WINDOW", 0.0)
    clock.step += 1
    assert spend(ann.user_id, clock.show(seed), CONSOLE)


def test_seeds_are_sealed_and_left_out_of_reports(
    accounts: Accounts, state: State, ann: Caller, clock: Clock
) -> None:
    _, seed = give_device(accounts, state, ann, clock)
    (row,) = state.query("select * from mfa_devices")
    assert seed.encode() not in row["seed"]
    assert seed not in str(row)
    assert seed in accounts.secrets()
