"""From a request to an account: who is told what, what counts once, what holds a name."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from eucabox import errors, ids
from eucabox.iam import passwords
from eucabox.iam.sign_up import AccountForm
from eucabox.mail.letter import Letter
from tests.iam.sign_up.conftest import Office

Form = Callable[..., AccountForm]
CODE = re.compile(r"https://cloud\.example\.com:8888/(confirm|recover)\?code=([\w-]{32})\n")


def read_code(letter: Letter, page: str) -> str:
    (found,) = CODE.findall(letter.body)
    assert found[0] == page
    return str(found[1])


def age(office: Office, table: str, **time: float) -> None:
    """Let the rows of a table expire so much earlier."""
    for row in office.state.query(f"select rowid, expires from {table}"):
        earlier = ids.time_text(ids.parse_time(row["expires"]) - timedelta(**time))
        office.state.update(table, {"rowid": row["rowid"]}, expires=earlier)


def test_from_a_request_to_an_account(office: Office, fill_in: Form) -> None:
    office.sign_ups.request_account(fill_in(telephone="123", description="two\nlines"))
    (row,) = office.sign_ups.list_all()
    (letter,) = office.take_letters()
    assert letter.recipient == "operator@example.com"
    assert letter.subject == "[eucabox] new user has signed up (ann@example.org)"
    page = f"https://cloud.example.com:8888/sign-ups/{row['sign_up_id']}"
    assert f"{page}/approve\n" in letter.body
    assert f"{page}/reject\n" in letter.body
    assert "  Telephone: 123\n  Description: two\n    lines" in letter.body
    assert office.sign_ups.approve("ANN") == "approved"
    assert len(office.accounts.users()) == 1
    (letter,) = office.take_letters()
    assert letter.recipient == "ann@example.org"
    root = office.sign_ups.confirm(read_code(letter, "confirm"))
    assert (root.account_name, root.user_name, root.is_root) == ("ann", "ann", True)
    assert office.sign_ups.list_all() == []
    stored = office.state.query("select * from users where user_name = 'ann'")[0]
    assert passwords.check_password("a fine long secret", stored["password"])
    assert json.loads(stored["information"]) == {
        "full_name": "Ann Lee",
        "telephone": "123",
        "description": "two\nlines",
    }
    account = office.accounts.get_by_email("ann@example.org")
    assert account is not None
    assert account["account_id"] == root.account_id
    keys = office.accounts.user_credentials(office.accounts.user("ann"))
    assert keys.certificate.startswith("-----BEGIN CERTIFICATE")


def test_a_code_counts_once(office: Office, fill_in: Form) -> None:
    office.sign_ups.request_account(fill_in())
    office.sign_ups.approve("ann")
    code = read_code(office.take_letters()[1], "confirm")
    for wrong in ("", code[:-1], code + "x", "\ud800", "x" * 10_000):
        with pytest.raises(errors.CodeInvalid):
            office.sign_ups.confirm(wrong)
    office.sign_ups.confirm(code)
    with pytest.raises(errors.CodeInvalid):
        office.sign_ups.confirm(code)


def test_a_code_has_nothing_that_mail_programs_cut_off(office: Office, fill_in: Form) -> None:
    office.sign_ups.request_account(fill_in())
    for _ in range(20):
        office.sign_ups.approve("ann")
    for letter in office.take_letters()[1:]:
        assert re.search(r"\?code=[0-9a-f]{32}\n", letter.body)


def test_an_approval_is_mailed_again_and_both_links_count(office: Office, fill_in: Form) -> None:
    office.sign_ups.request_account(fill_in())
    assert [office.sign_ups.approve("ann") for _ in range(2)] == ["approved"] * 2
    first, second = office.take_letters()[1:]
    office.sign_ups.confirm(read_code(first, "confirm"))
    with pytest.raises(errors.CodeInvalid):
        office.sign_ups.confirm(read_code(second, "confirm"))


def test_a_code_that_is_too_old_frees_the_name(office: Office, fill_in: Form) -> None:
    office.sign_ups.request_account(fill_in())
    office.sign_ups.approve("ann")
    code = read_code(office.take_letters()[1], "confirm")
    age(office, "codes", hours=72)
    with pytest.raises(errors.CodeInvalid):
        office.sign_ups.confirm(code)
    age(office, "sign_ups", hours=72)
    assert office.sign_ups.list_all() == []
    office.sign_ups.request_account(fill_in())
    (row,) = office.sign_ups.list_all()
    assert row["state"] == "waiting"
    assert office.state.query("select * from codes") == []


def test_without_mail_an_approval_makes_the_account_active(office: Office, fill_in: Form) -> None:
    office.set_mail(server="")
    office.sign_ups.request_account(fill_in())
    assert office.sign_ups.approve("ann") == "active"
    assert office.accounts.user("ann").email == "ann@example.org"
    assert office.state.query("select * from mails") == []


def test_a_rejection_is_mailed_with_its_reason(office: Office, fill_in: Form) -> None:
    office.sign_ups.request_account(fill_in())
    office.sign_ups.reject(office.sign_ups.get("ann")["sign_up_id"], "Not\r\nthis year.")
    letter = office.take_letters()[1]
    assert (letter.recipient, letter.subject) == (
        "ann@example.org",
        "[eucabox] your eucabox account was rejected",
    )
    assert "Not\nthis year." in letter.body
    for decide in (office.sign_ups.reject, office.sign_ups.approve):
        with pytest.raises(errors.NoSuchSignUp, match="None waits"):
            decide("ann")
    assert office.state.query("select * from sign_ups") == []


def test_the_name_is_held_while_the_request_waits(office: Office, fill_in: Form) -> None:
    office.sign_ups.request_account(fill_in(user_name="Ann"))
    with pytest.raises(errors.NameHeld):
        office.accounts.create_user("ann")
    office.sign_ups.reject("ann")
    assert office.accounts.create_user("ann").user_name == "ann"


@pytest.mark.parametrize(
    ("fields", "subject"),
    [
        ({"user_name": "BOB"}, "this user name is taken"),
        ({"user_name": "carl"}, "this user name is taken"),
        ({"email": "Bob@Example.org"}, "you have an account already"),
        ({"email": "carl@example.org"}, "your request waits already"),
    ],
)
def test_what_is_taken_is_told_to_the_address_alone(
    office: Office, fill_in: Form, fields: dict[str, str], subject: str
) -> None:
    office.accounts.create_user("bob", "bob@example.org")
    office.sign_ups.request_account(fill_in(user_name="carl", email="carl@example.org"))
    office.take_letters()
    form = fill_in(**fields)
    office.sign_ups.request_account(form)
    (letter,) = office.take_letters()
    assert (letter.recipient, letter.subject) == (form.email.lower(), f"[eucabox] {subject}")
    assert "Ann Lee" not in letter.body, "a stranger's words go to nobody but the administrator"
    assert len(office.sign_ups.list_all()) == 1


@pytest.mark.parametrize("address", ["", "a_b@c_d", "op@example.org"])
def test_without_an_address_of_the_administrators_a_request_waits_all_the_same(
    office: Office, fill_in: Form, address: str
) -> None:
    office.set_mail(administrator="")
    administrator = office.accounts.ensure_administrator().account_id
    office.state.update("accounts", {"account_id": administrator}, email=address)
    office.sign_ups.request_account(fill_in())
    assert len(office.sign_ups.list_all()) == 1
    mailed = [letter.recipient for letter in office.take_letters()]
    assert mailed == (["op@example.org"] if address.startswith("op") else [])


def test_a_request_whose_letter_finds_no_place_is_not_stored(
    office: Office, fill_in: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eucabox.mail.queue.MOST_WAITING", 0)
    with pytest.raises(errors.MailQueueFull):
        office.sign_ups.request_account(fill_in())
    assert office.state.query("select * from sign_ups") == []


@pytest.mark.not_fast
def test_an_account_that_cannot_be_made_leaves_the_code(office: Office, fill_in: Form) -> None:
    office.sign_ups.request_account(fill_in())
    office.sign_ups.approve("ann")
    code = read_code(office.take_letters()[1], "confirm")
    bob = office.accounts.create_user("bob", "ann@example.org")
    with pytest.raises(errors.EmailTaken):
        office.sign_ups.confirm(code)
    assert len(office.sign_ups.list_all()) == 1
    office.accounts.set_email(bob, "")
    office.sign_ups.confirm(code)


def test_sign_up_can_be_closed_and_is_bounded(office: Office, fill_in: Form) -> None:
    office.set_sign_up(most_waiting=2)
    for name in ("ann", "bob"):
        office.sign_ups.request_account(fill_in(user_name=name, email=f"{name}@example.org"))
    with pytest.raises(errors.SignUpsFull):
        office.sign_ups.request_account(fill_in(user_name="eve", email="eve@example.org"))
    age(office, "sign_ups", days=30)
    office.set_sign_up(open=False)
    with pytest.raises(errors.SignUpClosed):
        office.sign_ups.request_account(fill_in())
    office.set_sign_up(open=True)
    office.sign_ups.request_account(fill_in())
    assert len(office.sign_ups.list_all()) == 1


def test_requests_are_limited_by_address_and_by_e_mail(office: Office, fill_in: Form) -> None:
    office.set_sign_up(requests_per_hour=3)
    for number in range(3):
        form = fill_in(user_name=f"u{number}", email=f"u{number}@example.org")
        office.sign_ups.request_account(form, "2001:db8::1")
    with pytest.raises(errors.TooManyAttempts):
        office.sign_ups.request_account(fill_in(), "2001:db8::ffff")
    office.sign_ups.request_account(fill_in(), "2001:db8:0:1::1")
    for _ in range(4):
        office.sign_ups.request_account(fill_in())
    with pytest.raises(errors.TooManyAttempts):
        office.sign_ups.request_account(fill_in(email="ANN@example.org"))


def test_times_are_read_as_they_are_written() -> None:
    now = ids.time_text(datetime.now(UTC))
    assert ids.time_text(ids.parse_time(now)) == now


@pytest.mark.not_fast
def test_no_letter_to_others_has_words_of_a_stranger(office: Office, fill_in: Form) -> None:
    """A user name is free text too: www.evil.example is one."""
    office.accounts.create_user("bob", "bob@example.org")
    office.accounts.create_user("www.evil.example", "")
    asked = ({"email": "bob@example.org"}, {"email": "eve@example.org"})
    for fields in asked:
        form = fill_in(user_name="www.evil.example", full_name="See www.evil.example", **fields)
        office.sign_ups.request_account(form)
    for letter in office.take_letters():
        assert "evil" not in letter.subject + letter.body
