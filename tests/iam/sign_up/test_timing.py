"""Who measures how long an answer takes does not learn who has an account."""

import statistics
import time
from collections.abc import Callable

import pytest

from eucabox.iam.sign_up import AccountForm, sign_ups
from eucabox.iam.sign_up import recovery as recovery_module
from tests.iam.sign_up.conftest import Office

ROUNDS = 150
NEAR = 1.25  # a quarter more or less: the disk alone makes more difference from one to the next


def compare(one: Callable[[], None], other: Callable[[], None]) -> float:
    """Return the greater median over the smaller, of runs that take turns."""
    times: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for run, kept in zip((one, other), times, strict=True):
            began = time.perf_counter()
            run()
            kept.append(time.perf_counter() - began)
    low, high = sorted(statistics.median(each) for each in times)
    return high / low


@pytest.fixture(autouse=True)
def no_limits(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.set_sign_up(most_waiting=1000)
    monkeypatch.setattr(sign_ups, "FOR_ONE_ADDRESS", 10**6)
    monkeypatch.setattr(recovery_module, "FOR_ONE_NAME", 10**6)
    office.accounts.create_user("ann", "ann@example.org")


@pytest.mark.slow
@pytest.mark.alone
def test_asking_for_a_new_password_takes_the_same_for_nobody(office: Office) -> None:
    ratio = compare(
        lambda: office.recovery.request_reset("ann@example.org"),
        lambda: office.recovery.request_reset("bob@example.org"),
    )
    assert ratio < NEAR


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("server", ["localhost", ""])
def test_asking_for_an_account_takes_the_same_for_what_is_taken(
    office: Office, fill_in: Callable[..., AccountForm], server: str
) -> None:
    """Without what a password's hash costs, which would hide a difference."""
    office.set_mail(server=server)
    numbers = iter(range(10**6))

    def ask_anew() -> None:
        name = f"user-{next(numbers)}"
        office.sign_ups.request_account(fill_in(user_name=name, email=f"{name}@example.org"))
        office.state.delete("sign_ups", {"user_name": name})

    def ask_taken() -> None:
        office.sign_ups.request_account(fill_in(user_name="ann", email="ann@example.org"))
        office.state.delete("codes", {"purpose": "decoy"})

    ratio = compare(ask_anew, ask_taken)
    assert ratio < NEAR
