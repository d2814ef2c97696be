"""Login profiles, ChangePassword and the account's password policy, as IAM answers."""

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from eucabox import ids
from eucabox.errors import Fault
from eucabox.iam import login_profiles, password_policies, passwords, used_passwords
from eucabox.iam.passwords import check_password, hash_password
from eucabox.iam.sign_up.codes import RECOVER, Codes
from eucabox.iam.users import find_user
from tests.actions.iam.conftest import OTHER_ROOT, ROOT, People

FIRST, SECOND = "correct horse", "battery Staple 1!"


def stored(people: People, name: str = "ann") -> str:
    return find_user(people.state, ROOT.account_id, name)["password"]


def test_a_user_gets_changes_and_loses_a_password(people: People) -> None:
    ann = people.create_manager("ann")
    made = people.do("CreateLoginProfile", user_name="ann", password=FIRST)["login_profile"]
    assert (made["user_name"], made["password_reset_required"]) == ("ann", False)
    assert people.do("GetLoginProfile", user_name="ann") == {"login_profile": made}
    assert FIRST not in stored(people)
    people.do("ChangePassword", ann, old_password=FIRST, new_password=SECOND)
    assert check_password(SECOND, stored(people))
    with pytest.raises(Fault, match="must delete login profile first"):
        people.do("DeleteUser", user_name="ann")
    people.do("DeleteLoginProfile", user_name="ann")
    assert stored(people) == ""
    people.do("DeleteUserPolicy", user_name="ann", policy_name="iam")
    people.do("DeleteUser", user_name="ann")


def test_an_administrator_has_a_user_choose_a_password(people: People) -> None:
    people.create_user("ann")
    one = {"user_name": "ann"}
    people.do("CreateLoginProfile", **one, password=FIRST, password_reset_required=True)
    assert people.do("GetLoginProfile", **one)["login_profile"]["password_reset_required"]
    people.do("UpdateLoginProfile", **one, password_reset_required=False)
    assert check_password(FIRST, stored(people))
    people.do("UpdateLoginProfile", **one, password=SECOND)
    assert check_password(SECOND, stored(people))
    assert not people.do("GetLoginProfile", **one)["login_profile"]["password_reset_required"]


def test_a_code_of_ours_has_to_be_changed(people: People) -> None:
    people.create_user("ann")
    user = find_user(people.state, ROOT.account_id, "ann")
    code = login_profiles.give_code(people.state, user)
    assert len(code) == 24
    assert check_password(code, stored(people))
    assert people.do("GetLoginProfile", user_name="ann")["login_profile"]["password_reset_required"]


def test_who_has_a_password_or_none_is_told_so(people: People) -> None:
    ann = people.create_manager("ann")
    sentence = "Login Profile for User ann cannot be found"
    for verb in ("GetLoginProfile", "UpdateLoginProfile", "DeleteLoginProfile"):
        with pytest.raises(Fault, match=sentence) as caught:
            people.do(verb, user_name="ann")
        assert caught.value.code == "NoSuchEntity"
    with pytest.raises(Fault, match=sentence):
        people.do("ChangePassword", ann, old_password=FIRST, new_password=SECOND)
    people.do("CreateLoginProfile", user_name="ann", password=FIRST)
    with pytest.raises(Fault, match="Login Profile for User ann already exists") as caught:
        people.do("CreateLoginProfile", user_name="ann", password=SECOND)
    assert caught.value.code == "EntityAlreadyExists"
    with pytest.raises(Fault, match="cannot be found"):
        people.do("UpdateLoginProfile", OTHER_ROOT, user_name="ann", password=SECOND)
    assert check_password(FIRST, stored(people))


def test_a_wrong_old_password_and_a_root_change_nothing(people: People) -> None:
    ann = people.create_manager("ann")
    people.do("CreateLoginProfile", user_name="ann", password=FIRST)
    with pytest.raises(Fault, match="The old password was incorrect") as caught:
        people.do("ChangePassword", ann, old_password=SECOND, new_password=SECOND)
    assert caught.value.code == "AccessDenied"
    with pytest.raises(Fault, match="Only IAM Users can change their own password") as caught:
        people.do("ChangePassword", old_password=FIRST, new_password=SECOND)
    assert caught.value.code == "InvalidUserType"


@pytest.mark.parametrize("password", ["password", "short", "x" * 129, "ann@example.com"])
def test_a_poor_password_is_refused(people: People, password: str) -> None:
    people.create_user("ann@example.com")
    with pytest.raises(Fault) as caught:
        people.do("CreateLoginProfile", user_name="ann@example.com", password=password)
    assert caught.value.code == "PasswordPolicyViolation"
    assert stored(people, "ann@example.com") == ""


def test_an_account_has_a_password_policy_of_its_own(people: People) -> None:
    for verb in ("GetAccountPasswordPolicy", "DeleteAccountPasswordPolicy"):
        with pytest.raises(Fault) as caught:
            people.do(verb)
        assert caught.value.code == "NoSuchEntity"
    people.do(
        "UpdateAccountPasswordPolicy",
        minimum_password_length=12, require_symbols=True, require_numbers=True,
        require_uppercase_characters=True, require_lowercase_characters=True, max_password_age=90,
    )  # fmt: skip
    assert people.do("GetAccountPasswordPolicy")["password_policy"] == {
        "minimum_password_length": 12, "require_symbols": True, "require_numbers": True,
        "require_uppercase_characters": True, "require_lowercase_characters": True,
        "allow_users_to_change_password": False, "expire_passwords": True,
        "max_password_age": 90, "hard_expiry": False,
    }  # fmt: skip
    people.create_user("ann")
    with pytest.raises(
        Fault, match="a minimum length of 12, a symbol, a number, an upper"
    ) as caught:
        people.do("CreateLoginProfile", user_name="ann", password="only lower")
    assert caught.value.code == "PasswordPolicyViolation"
    people.do("CreateLoginProfile", user_name="ann", password=SECOND)
    people.do("DeleteAccountPasswordPolicy")
    people.do("UpdateLoginProfile", user_name="ann", password="only lower")
    with pytest.raises(Fault):
        people.do("GetAccountPasswordPolicy", OTHER_ROOT)


def test_an_account_may_let_its_users_change_their_passwords(people: People) -> None:
    ann = people.create_user("ann")
    people.do("CreateLoginProfile", user_name="ann", password=FIRST)
    change = {"old_password": FIRST, "new_password": SECOND}
    with pytest.raises(Fault, match="not authorized to perform: iam:ChangePassword"):
        people.do("ChangePassword", ann, **change)
    people.do("UpdateAccountPasswordPolicy", allow_users_to_change_password=True)
    deny = {"Effect": "Deny", "Action": "iam:ChangePassword", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": deny})
    row = {"owner_id": ann.user_id, "policy_name": "no", "document": document}
    people.state.insert("inline_policies", row)
    with pytest.raises(Fault, match="explicit deny"):
        people.do("ChangePassword", ann, **change)
    people.state.delete("inline_policies", {"owner_id": ann.user_id})
    people.do("ChangePassword", ann, **change)
    assert check_password(SECOND, stored(people))
    assert people.do("GetAccountPasswordPolicy", ann)
    with pytest.raises(Fault, match="not authorized to perform: iam:ListUsers"):
        people.do("ListUsers", ann)


def test_an_update_of_the_policy_sets_all_of_it(people: People) -> None:
    people.do("UpdateAccountPasswordPolicy", require_symbols=True)
    people.do("UpdateAccountPasswordPolicy", hard_expiry=True)
    assert people.do("GetAccountPasswordPolicy")["password_policy"] == {
        "minimum_password_length": 6, "require_symbols": False, "require_numbers": False,
        "require_uppercase_characters": False, "require_lowercase_characters": False,
        "allow_users_to_change_password": False, "expire_passwords": False, "hard_expiry": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    "members",
    [
        {"minimum_password_length": 5},
        {"minimum_password_length": 129},
        {"max_password_age": 1096},
        {"password_reuse_prevention": 25},
    ],
)
def test_a_policy_that_is_none_is_refused(people: People, members: Any) -> None:
    with pytest.raises(Fault) as caught:
        people.do("UpdateAccountPasswordPolicy", **members)
    assert caught.value.code == "ValidationError"


def test_a_password_expires_as_the_policy_has_it(people: People) -> None:
    people.create_user("ann")
    people.do("CreateLoginProfile", user_name="ann", password=FIRST)
    old = ids.time_text(datetime.now(UTC) - timedelta(days=11))
    people.state.update("users", {"user_name": "ann"}, password_created=old)
    user = find_user(people.state, ROOT.account_id, "ann")
    assert not password_policies.is_expired(people.state, user)
    for days, expired in ((12, False), (10, True)):
        people.do("UpdateAccountPasswordPolicy", max_password_age=days)
        assert password_policies.is_expired(people.state, user) == expired


def test_a_password_ends_at_the_time_that_was_set_for_it(people: People) -> None:
    people.create_user("ann")
    people.do("CreateLoginProfile", user_name="ann", password=FIRST)

    def read() -> tuple[bool, str]:
        told = people.do("GetUser", user_name="ann", show_extra=True)["user"]
        user = find_user(people.state, ROOT.account_id, "ann")
        return password_policies.is_expired(people.state, user), told.get("password_expiration", "")

    assert read() == (False, "")
    people.do("UpdateUser", user_name="ann", password_expiration="2100-01-31T12:00:00Z")
    assert read() == (False, "2100-01-31T12:00:00Z")
    people.do("UpdateAccountPasswordPolicy", max_password_age=1)
    assert read()[1] < "2100", "the policy's end comes first"
    people.do("DeleteAccountPasswordPolicy")
    people.do("UpdateUser", user_name="ann", password_expiration="2020-01-31")
    assert read() == (True, "2020-01-31T00:00:00Z")
    login_profiles.note_sign_in(people.state, find_user(people.state, ROOT.account_id, "ann"))
    assert people.do("GetLoginProfile", user_name="ann")["login_profile"]["password_reset_required"]
    people.do("UpdateLoginProfile", user_name="ann", password=SECOND)
    assert read() == (False, "")


@pytest.mark.not_fast
def test_passwords_are_not_used_again_as_the_policy_has_it(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(used_passwords, "MOST_FORBIDDEN", 3)
    ann = people.create_manager("ann")

    def choose(number: int) -> None:
        people.do("UpdateLoginProfile", user_name="ann", password=f"the secret no. {number}")

    def is_refused(number: int) -> bool:
        with pytest.raises(Fault, match="password reuse prevention") as caught:
            choose(number)
        return caught.value.code == "PasswordPolicyViolation"

    people.do("CreateLoginProfile", user_name="ann", password="the secret no. 0")
    choose(0)
    people.do("UpdateAccountPasswordPolicy", password_reuse_prevention=2)
    policy = people.do("GetAccountPasswordPolicy")["password_policy"]
    assert policy["password_reuse_prevention"] == 2
    assert is_refused(0), "the one that the user has"
    choose(1)
    choose(0)  # of which nothing was kept
    assert is_refused(0)
    assert is_refused(1)
    change = {"old_password": "the secret no. 0", "new_password": "the secret no. 1"}
    with pytest.raises(Fault, match="one of the last 2 passwords"):
        people.do("ChangePassword", ann, **change)
    choose(2)
    choose(1)
    for number in range(3, 6):
        choose(number)
    rows = people.state.query("select password from used_passwords")
    assert len(rows) == 3, "and no more are kept"
    assert len({row["password"].rpartition("$")[0] for row in rows}) == 1, "under one salt"
    monkeypatch.setattr(passwords, "COST", 128)  # of a later version
    people.state.delete("used_passwords", {"password": rows[0]["password"]})
    hashed = passwords.hash_password("the secret no. 9")
    used_passwords.keep(people.state, ann.user_id, hashed)
    assert is_refused(9)
    assert is_refused(5)
    people.do("UpdateAccountPasswordPolicy")
    choose(9)


def test_a_password_that_was_replaced_meanwhile_changes_nothing(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who knows the old one does not win over the administrator who replaces it."""
    ann = people.create_manager("ann")
    people.do("CreateLoginProfile", user_name="ann", password=FIRST)
    third = "the administrator's"

    def check(password: str, stored: str) -> bool:
        is_right = check_password(password, stored)
        replaced = {"password": hash_password(third)}
        people.state.update("users", {"user_id": ann.user_id}, **replaced)
        return is_right

    monkeypatch.setattr(login_profiles, "check_password", check)
    with pytest.raises(Fault, match="The old password was incorrect"):
        people.do("ChangePassword", ann, old_password=FIRST, new_password=SECOND)
    assert check_password(third, stored(people))


def test_so_many_set_passwords_and_the_others_are_asked_to_wait(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood of them takes neither the API's threads nor the turns of those who sign in."""
    ann = people.create_manager("ann")
    people.do("CreateLoginProfile", user_name="ann", password=FIRST)
    monkeypatch.setattr(login_profiles, "_work", threading.BoundedSemaphore(1))
    with login_profiles._work:
        for verb, caller, members in (
            ("UpdateLoginProfile", ROOT, {"user_name": "ann", "password": SECOND}),
            ("ChangePassword", ann, {"old_password": FIRST, "new_password": SECOND}),
        ):
            with pytest.raises(Fault) as caught:
                people.do(verb, caller, **members)
            assert caught.value.code == "Throttling"
    people.do("ChangePassword", ann, old_password=FIRST, new_password=SECOND)


def test_a_new_password_ends_the_codes_of_letters(people: People) -> None:
    people.create_user("ann")
    user = find_user(people.state, ROOT.account_id, "ann")
    codes = Codes(people.state)
    for give in (
        lambda: people.do("CreateLoginProfile", user_name="ann", password=FIRST),
        lambda: people.do("UpdateLoginProfile", user_name="ann", password=SECOND),
        lambda: login_profiles.give_code(people.state, user),
    ):
        code = codes.make(RECOVER, timedelta(hours=1), user_id=user["user_id"])
        give()
        with pytest.raises(Fault):
            codes.find(RECOVER, code)
