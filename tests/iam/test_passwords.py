import statistics
import threading
import time

import pytest

from eucabox.errors import PasswordPolicyViolation, PasswordsBusy
from eucabox.iam import passwords

pytestmark = pytest.mark.usefixtures("slow_passwords")


@pytest.mark.not_fast
def test_a_password_fits_what_was_stored_of_it_and_no_other() -> None:
    stored = passwords.hash_password("correct horse")
    assert passwords.check_password("correct horse", stored)
    assert not passwords.check_password("correct hors", stored)
    assert not passwords.check_password("", stored)


@pytest.mark.not_fast
def test_what_is_stored_names_its_costs_and_has_a_salt_of_its_own() -> None:
    first, second = (passwords.hash_password("correct horse") for _ in range(2))
    assert first.startswith("scrypt$16384$8$5$")
    assert first != second
    assert "correct" not in first


@pytest.mark.not_fast
def test_a_letter_with_an_accent_may_be_typed_either_way() -> None:
    stored = passwords.hash_password("caf\u00e9 au lait")
    assert passwords.check_password("cafe\u0301 au lait", stored)


@pytest.mark.not_fast
def test_only_the_whole_password_counts_also_beyond_the_longest() -> None:
    stored = passwords.hash_password("x" * passwords.LONGEST)
    assert passwords.check_password("x" * passwords.LONGEST, stored)
    assert not passwords.check_password("x" * (passwords.LONGEST + 1), stored)


def measure(stored: str) -> float:
    started = time.process_time()
    assert not passwords.check_password("correct horse", stored)
    return time.process_time() - started


@pytest.mark.not_fast
def test_who_has_no_password_is_refused_in_the_same_time() -> None:
    stored = passwords.hash_password("another one")
    pairs = [(measure(stored), measure("")) for _ in range(5)]
    known, unknown = (statistics.median(each) for each in zip(*pairs, strict=True))
    assert 0.5 < unknown / known < 2


@pytest.mark.not_fast
def test_passwords_are_hashed_two_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "PATIENCE", 0.05)
    busy = pytest.raises(PasswordsBusy, match="2 passwords")
    with passwords._take_turn(), passwords._take_turn(), busy:
        passwords.hash_password("correct horse")
    assert passwords.hash_password("correct horse")


@pytest.mark.not_fast
def test_many_who_wait_are_all_served() -> None:
    stored = passwords.hash_password("correct horse")
    answers: list[bool] = []

    def check() -> None:
        answers.append(passwords.check_password("correct horse", stored))

    threads = [threading.Thread(target=check) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 4


@pytest.mark.parametrize(
    "password",
    [
        "short 7",
        "x" * 129,
        "password",
        "PassWord",
        "12345678",
        "sunshine",
        "tab\there it is",
        "ann.other",
        "Ann.Other",
    ],
)
def test_a_poor_password_is_refused(password: str) -> None:
    with pytest.raises(PasswordPolicyViolation):
        passwords.check_quality(password, "ann.other")


@pytest.mark.parametrize("password", ["eight$ch", "x" * 128, "correct horse", "\u65e5\u672c" * 4])
def test_a_long_and_uncommon_password_is_taken(password: str) -> None:
    passwords.check_quality(password, "ann.other", "")


def test_more_than_the_commonest_three_thousand_are_known() -> None:
    common = passwords._read_common()
    assert len(common) > 10_000
    assert all(len(each) >= passwords.SHORTEST for each in common)
