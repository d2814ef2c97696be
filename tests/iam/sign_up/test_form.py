"""What a form may hold: bounds before any work, one line where one line is, one address."""

from collections.abc import Callable

import pytest

from eucabox.config import SignUpSection
from eucabox.errors import (
    BadMailAddress,
    InvalidParameterValue,
    PasswordPolicyViolation,
    TooManyAttempts,
)
from eucabox.iam.sign_up import AccountForm
from eucabox.iam.sign_up import attempts as attempts_module
from eucabox.iam.sign_up.attempts import Attempts
from eucabox.iam.sign_up.form import check_form

Form = Callable[..., AccountForm]


@pytest.mark.parametrize("name", ["a", "Ann", "ann@example.org", "a-b.c_d@e", "1", "x" * 63])
def test_good_user_names(fill_in: Form, name: str) -> None:
    assert check_form(fill_in(user_name=name), SignUpSection()).user_name == name


@pytest.mark.parametrize(
    "name",
    ["", "-a", ".a", "a b", "a\n", "\u00e4", "a/b", "x" * 64, "admin", "Eucalyptus", "root",
     "123456789012", "a\x00"],
)  # fmt: skip
def test_bad_user_names(fill_in: Form, name: str) -> None:
    with pytest.raises(InvalidParameterValue, match="parameter UserName"):
        check_form(fill_in(user_name=name), SignUpSection())


@pytest.mark.parametrize(
    ("fields", "member"),
    [
        ({"full_name": ""}, "FullName"),
        ({"full_name": "  "}, "FullName"),
        ({"full_name": "Ann\nBcc: eve@example.com"}, "FullName"),
        ({"full_name": "x" * 129}, "FullName"),
        ({"telephone": "1\r\n2"}, "Telephone"),
        ({"affiliation": "\x1b[31m"}, "Affiliation"),
        ({"project_leader": "\ud800"}, "ProjectLeader"),
        ({"description": "x" * 1001}, "Description"),
        ({"description": "\x00"}, "Description"),
    ],
)
def test_bad_fields_are_named(fill_in: Form, fields: dict[str, str], member: str) -> None:
    with pytest.raises(InvalidParameterValue, match=f"parameter {member}") as caught:
        check_form(fill_in(**fields), SignUpSection())
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("address", ["", "ann", "a@x, b@y", "a@x\nTo: b@y", "<a@x>"])
def test_an_address_is_exactly_one(fill_in: Form, address: str) -> None:
    with pytest.raises(BadMailAddress):
        check_form(fill_in(email=address), SignUpSection())


def test_only_the_addresses_of_some_domains(fill_in: Form) -> None:
    settings = SignUpSection(domains="Example.org, example.net")
    assert check_form(fill_in(email="a@EXAMPLE.org"), settings).email == "a@example.org"
    for address in ("a@example.com", "a@sub.example.org", "a@notexample.org"):
        with pytest.raises(InvalidParameterValue, match=r"those of example\.org, example\.net"):
            check_form(fill_in(email=address), settings)


def test_a_field_that_is_not_asked_is_not_kept(fill_in: Form) -> None:
    form = fill_in(telephone="1", affiliation="2", description="3")
    checked = check_form(form, SignUpSection(fields="affiliation"))
    assert checked.information() == '{"full_name": "Ann Lee", "affiliation": "2"}'
    assert check_form(form, SignUpSection(fields="")).information() == '{"full_name": "Ann Lee"}'


@pytest.mark.parametrize("password", ["short", "Ann Lee", "ANN@example.org", "iloveyou", "x" * 129])
def test_poor_passwords(fill_in: Form, password: str) -> None:
    with pytest.raises(PasswordPolicyViolation):
        check_form(fill_in(password=password), SignUpSection())


# --- attempts -------------------------------------------------------------------------------------


def test_tries_count_for_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    attempts = Attempts()
    for _ in range(3):
        attempts.count("code", "a", 3)
    for clock[0] in (1.0, 3599.0):
        with pytest.raises(TooManyAttempts):
            attempts.count("code", "a", 3)
    attempts.count("code", "b", 3)
    attempts.count("recover", "a", 3)
    clock[0] = 3600.0
    attempts.count("code", "a", 3)


def test_what_is_known_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts_module, "MOST_KNOWN", 10)
    attempts = Attempts()
    for number in range(1000):
        attempts.count("code", str(number), 1)
    assert len(attempts._counts) == 10
    with pytest.raises(TooManyAttempts):
        attempts.count("code", "999", 1)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::2:3", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("odd", "odd", True),
        ("", "", False),
    ],
)
def test_which_addresses_are_one_client(one: str, other: str, same: bool) -> None:
    attempts = Attempts()
    attempts.count_source("code", one, 1)
    if not same:
        attempts.count_source("code", other, 1)
        return
    with pytest.raises(TooManyAttempts):
        attempts.count_source("code", other, 1)
