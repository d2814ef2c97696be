"""New passwords by mailed codes, and the administrator's first one by a code in a file."""

from dataclasses import replace

import pytest

from eucabox import errors
from eucabox.console.login_sessions import LoginSessions
from eucabox.iam import passwords
from eucabox.iam.sign_up import FirstRun
from eucabox.iam.sign_up.attempts import Attempts
from tests.iam.sign_up.conftest import Office
from tests.iam.sign_up.test_sign_ups import age, read_code

NEW = "another fine secret"


@pytest.fixture
def ann(office: Office) -> str:
    """The id of a user with an address, and with a password."""
    user = office.accounts.create_user("Ann", "ann@example.org")
    hashed = passwords.hash_password("the first secret")
    office.state.update("users", {"user_id": user.user_id}, password=hashed)
    return user.user_id


def read_password(office: Office, user_id: str) -> str:
    row = office.state.one("select password from users where user_id = ?", (user_id,))
    assert row is not None
    return str(row["password"])


def is_due(office: Office) -> bool:
    return office.first_run.is_due


def ask(office: Office, name: str = "ann") -> str:
    office.recovery.request_reset(name)
    (letter,) = office.take_letters()
    assert letter.recipient == "ann@example.org"
    return read_code(letter, "recover")


@pytest.mark.not_fast
@pytest.mark.parametrize("name", ["ann", "ANN", "ann@example.org", " Ann@Example.ORG\n"])
def test_a_code_sets_a_new_password_once(office: Office, ann: str, name: str) -> None:
    code = ask(office, name)
    assert office.recovery.set_password(code, NEW) == "Ann"
    assert passwords.check_password(NEW, read_password(office, ann))
    (letter,) = office.take_letters()
    assert letter.subject == "[eucabox] your password was changed"
    with pytest.raises(errors.CodeInvalid):
        office.recovery.set_password(code, "and again a secret")
    assert passwords.check_password(NEW, read_password(office, ann))


@pytest.mark.not_fast
def test_who_is_not_there_gets_the_same_answer_and_no_letter(office: Office, ann: str) -> None:
    office.accounts.create_user("no-address")
    odd = office.accounts.create_user("odd").account_id
    office.state.update("accounts", {"account_id": odd}, email="odd@under_score")
    for name in ("odd", "nobody", "no-address", "nobody@example.org", "\u00e4", "admin"):
        office.recovery.request_reset(name)
    assert office.take_letters() == []
    decoys = office.state.query("select user_id from codes where purpose = 'decoy'")
    assert decoys == [{"user_id": None}] * 6


def test_the_administrator_is_found_by_either_name(office: Office) -> None:
    office.accounts.set_email(office.accounts.user("admin"), "op@example.org")
    for name in ("admin", "eucalyptus", "op@example.org"):
        office.recovery.request_reset(name)
    assert [each.recipient for each in office.take_letters()] == ["op@example.org"] * 3


@pytest.mark.not_fast
def test_an_address_counts_before_a_name_that_looks_like_one(office: Office, ann: str) -> None:
    office.accounts.create_user("ann@example.org", "eve@example.org")
    ask(office, "ann@example.org")


def test_a_poor_password_leaves_the_code(office: Office, ann: str) -> None:
    code = ask(office)
    for poor in ("short", "ann@example.org", "password", "x" * 129, "tab\tin it, and so on"):
        with pytest.raises(errors.PasswordPolicyViolation):
            office.recovery.set_password(code, poor)
    office.recovery.set_password(code, NEW)


def test_a_new_password_ends_what_was_signed_in_with_the_old_one(office: Office, ann: str) -> None:
    sessions = LoginSessions(office.state, lambda: office.config.console)
    token = sessions.begin(ann, "192.0.2.1", "a browser")
    assert sessions.find(token) is not None
    office.recovery.set_password(ask(office), NEW)
    assert sessions.find(token) is None


def test_all_codes_of_a_user_end_with_a_new_password_and_with_time(
    office: Office, ann: str
) -> None:
    first, second = ask(office), ask(office)
    office.recovery.set_password(first, NEW)
    with pytest.raises(errors.CodeInvalid):
        office.recovery.set_password(second, NEW)
    office.take_letters()
    third = ask(office)
    age(office, "codes", minutes=30)
    with pytest.raises(errors.CodeInvalid):
        office.recovery.set_password(third, NEW)


def test_a_code_is_of_one_purpose_and_goes_with_its_user(office: Office, ann: str) -> None:
    code = ask(office)
    with pytest.raises(errors.CodeInvalid):
        office.sign_ups.confirm(code)
    with pytest.raises(errors.CodeInvalid):
        office.first_run.set_password(code, NEW)
    for table in ("access_keys", "certificates", "users"):
        office.state.delete(table, {"user_id": ann})
    with pytest.raises(errors.CodeInvalid):
        office.recovery.set_password(code, NEW)


def test_recovery_needs_mail_and_is_limited(office: Office, ann: str) -> None:
    for name in ("", " ", "x" * 255):
        with pytest.raises(errors.InvalidParameterValue):
            office.recovery.request_reset(name)
    for _ in range(5):
        office.recovery.request_reset("ann")
    for name in ("ann", "ANN"):
        with pytest.raises(errors.TooManyAttempts):
            office.recovery.request_reset(name)
    office.set_sign_up(requests_per_hour=2)
    for number in range(2):
        office.recovery.request_reset(f"u{number}", "192.0.2.1")
    with pytest.raises(errors.TooManyAttempts):
        office.recovery.request_reset("u3", "192.0.2.1")
    for _ in range(2):
        with pytest.raises(errors.CodeInvalid):
            office.recovery.set_password("x", NEW, "192.0.2.1")
    for try_code in (office.recovery.set_password, office.first_run.set_password):
        with pytest.raises(errors.TooManyAttempts):
            try_code("x", NEW, "192.0.2.1")
    office.set_mail(server="")
    with pytest.raises(errors.MailNotSet):
        office.recovery.request_reset("bob")


def test_no_code_is_in_the_database_or_the_log(office: Office, ann: str, lines: list[str]) -> None:
    code = ask(office)
    folder = office.config.cloud.data_dir
    content = b"".join(each.read_bytes() for each in folder.rglob("*") if each.is_file())
    assert code.encode() not in content
    assert code not in "".join(lines)


# --- the first run --------------------------------------------------------------------------------


def test_the_first_code_sets_the_administrators_password_once(office: Office) -> None:
    assert is_due(office)
    assert office.first_run.ensure_code()
    file = office.config.cloud.data_dir / "first-run-code"
    assert file.stat().st_mode & 0o777 == 0o600
    code = file.read_text()
    with pytest.raises(errors.PasswordPolicyViolation):
        office.first_run.set_password(code, "eucalyptus")
    assert office.first_run.set_password(code, NEW).admin
    assert not is_due(office)
    assert not file.exists()
    administrator = office.accounts.user("admin").user_id
    assert passwords.check_password(NEW, read_password(office, administrator))
    with pytest.raises(errors.CodeInvalid):
        office.first_run.set_password(code, "and again a secret")


def test_the_first_code_outlives_restarts_and_is_made_anew_when_lost(office: Office) -> None:
    file = office.config.cloud.data_dir / "first-run-code"
    office.first_run.ensure_code()
    first = file.read_text()
    FirstRun(office.get_config, office.state, office.accounts, Attempts()).ensure_code()
    assert file.read_text() == first
    file.write_bytes(b"\xff")
    office.first_run.ensure_code()
    assert file.read_text() != first
    with pytest.raises(errors.CodeInvalid):
        office.first_run.set_password(first, NEW)
    assert office.first_run.set_password(file.read_text(), NEW).admin


def test_a_password_set_otherwise_ends_the_first_code(office: Office) -> None:
    office.first_run.ensure_code()
    file = office.config.cloud.data_dir / "first-run-code"
    code = file.read_text()
    administrator = office.accounts.user("admin").user_id
    office.state.update("users", {"user_id": administrator}, password="set by the operator")
    with pytest.raises(errors.CodeInvalid):
        office.first_run.set_password(code, NEW)
    assert read_password(office, administrator) == "set by the operator"
    assert not office.first_run.ensure_code()
    assert not file.exists()


def test_the_limits_of_a_reload_count(office: Office) -> None:
    office.config = replace(office.config)
    office.set_sign_up(requests_per_hour=1)
    with pytest.raises(errors.CodeInvalid):
        office.first_run.set_password("x", NEW, "192.0.2.9")
    with pytest.raises(errors.TooManyAttempts):
        office.first_run.set_password("x", NEW, "192.0.2.9")
