"""CreateUser, GetUser, ListUsers, UpdateUser, DeleteUser and a user's tags, as IAM answers."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from eucabox.errors import Fault
from eucabox.iam.caller import Credential, Session
from eucabox.iam.policy.request import RoleSession
from tests.actions.iam.conftest import OTHER_ROOT, ROOT, People

HOME = ROOT.account_id


def names(users: list[Any]) -> list[str]:
    return [each["user_name"] for each in users]


def test_a_user_is_told_as_it_was_created(people: People) -> None:
    tags = [{"key": "team", "value": "red"}]
    created = people.do("CreateUser", user_name="ann", path="/staff/", tags=tags)["user"]
    assert created["arn"] == f"arn:aws:iam::{HOME}:user/staff/ann"
    assert created["user_id"].startswith("AIDA")
    assert isinstance(created["create_date"], datetime)
    assert (created["path"], created["tags"]) == ("/staff/", tags)
    assert people.do("GetUser", user_name="ann") == {"user": created}
    assert people.do("ListUserTags", user_name="ann")["tags"] == tags


def test_names_are_unique_and_looked_up_whatever_their_case(people: People) -> None:
    people.create_user("Ann")
    with pytest.raises(Fault, match="User with name ann already exists") as caught:
        people.create_user("ann")
    assert caught.value.code == "EntityAlreadyExists"
    assert people.do("GetUser", user_name="aNN")["user"]["user_name"] == "Ann"
    people.do("DeleteUser", user_name="ann")
    with pytest.raises(Fault, match="The user with name Ann cannot be found") as caught:
        people.do("GetUser", user_name="Ann")
    assert caught.value.code == "NoSuchEntity"


def test_a_root_is_told_in_its_own_form_and_is_no_user(people: People) -> None:
    assert people.do("GetUser")["user"].keys() == {"arn", "user_id", "create_date"}
    assert people.do("GetUser")["user"]["arn"] == f"arn:aws:iam::{HOME}:root"
    assert people.do("GetUser")["user"]["user_id"] == HOME
    assert people.do("ListUsers")["users"] == []
    for verb in ("GetUser", "DeleteUser"):
        with pytest.raises(Fault, match="cannot be found"):
            people.do(verb, user_name=ROOT.user_name)
    with pytest.raises(Fault, match="already exists"):
        people.create_user(ROOT.user_name)


@pytest.mark.not_fast
def test_who_gives_no_name_is_told_of_itself(people: People) -> None:
    ann = people.create_manager("ann")
    assert people.do("GetUser", ann)["user"]["user_name"] == "ann"


def test_a_roles_session_has_to_name_a_user(people: People) -> None:
    role = RoleSession(HOME, "app", "s1")
    session = Session("ASIA", "", "", role=role)
    with pytest.raises(Fault, match="Must specify userName when calling with non-User") as caught:
        people.do("GetUser", replace(ROOT, user_id="", user_name="", session=session))
    assert caught.value.code == "ValidationError"


@pytest.mark.not_fast
def test_users_are_listed_by_name_without_case_in_pages(people: People) -> None:
    for name in ("Ad", "ac", "Ab", "aa", "_z"):
        people.create_user(name, path="/x/")
    people.create_user("elsewhere", path="/y/x/")
    assert names(people.do("ListUsers", path_prefix="/x")["users"]) == [
        "_z",
        *["aa", "Ab", "ac", "Ad"],
    ]
    assert names(people.page_all("ListUsers", "users", path_prefix="/x/")) == [
        "_z", "aa", "Ab", "ac", "Ad",
    ]  # fmt: skip
    assert names(people.do("ListUsers", path_prefix="/y/x/")["users"]) == ["elsewhere"]
    assert people.do("ListUsers", path_prefix="/z/")["users"] == []
    assert "tags" not in people.do("ListUsers")["users"][0]


def test_a_renamed_user_keeps_its_id(people: People) -> None:
    ann = people.create_user("ann")
    people.create_user("bea")
    people.do("UpdateUser", user_name="ann", new_user_name="Ann", new_path="/new/")
    told = people.do("GetUser", user_name="ann")["user"]
    assert (told["user_id"], told["user_name"], told["path"]) == (ann.user_id, "Ann", "/new/")
    for taken in ("BEA", ROOT.user_name):
        with pytest.raises(Fault, match=f"User with name {taken} already exists"):
            people.do("UpdateUser", user_name="ann", new_user_name=taken)


def test_accounts_do_not_see_each_other(people: People) -> None:
    people.create_user("ann")
    for verb in ("GetUser", "DeleteUser", "UpdateUser", "ListUserTags"):
        with pytest.raises(Fault, match="cannot be found"):
            people.do(verb, OTHER_ROOT, user_name="ann")
    assert people.do("ListUsers", OTHER_ROOT)["users"] == []
    assert people.do("CreateUser", OTHER_ROOT, user_name="ann")


def test_a_user_goes_only_when_it_has_nothing_left(people: People) -> None:
    ann = people.create_user("ann", tags=[{"key": "a", "value": ""}])
    owner = {"owner_id": ann.user_id}
    people.state.insert("inline_policies", {**owner, "policy_name": "p", "document": "{}"})
    with pytest.raises(Fault, match="Cannot delete entity, must delete policies first") as caught:
        people.do("DeleteUser", user_name="ann")
    assert caught.value.code == "DeleteConflict"
    people.state.delete("inline_policies", owner)
    people.state.insert("attached_policies", {**owner, "policy_arn": "arn:aws:iam::aws:policy/x"})
    with pytest.raises(Fault, match="must detach all policies first"):
        people.do("DeleteUser", user_name="ann")
    people.state.delete("attached_policies", owner)
    people.do("DeleteUser", user_name="ann")
    assert people.state.query("select * from iam_tags") == []


@pytest.mark.not_fast
def test_tags_change_one_by_one(people: People) -> None:
    people.create_user("ann", tags=[{"key": "Team", "value": "red"}])
    tags = [{"key": "team", "value": "blue"}, {"key": "cost", "value": "1"}]
    people.do("TagUser", user_name="ann", tags=tags)
    assert people.page_all("ListUserTags", "tags", user_name="ann") == tags[::-1]
    people.do("UntagUser", user_name="ann", tag_keys=["TEAM", "nothing"])
    assert people.do("ListUserTags", user_name="ann")["tags"] == tags[1:]


def test_a_boundary_is_a_policy_that_there_is(people: People) -> None:
    boundary = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    people.create_user("ann", permissions_boundary=boundary)
    told = people.do("GetUser", user_name="ann")["user"]["permissions_boundary"]
    assert told["permissions_boundary_arn"] == boundary
    with pytest.raises(Fault, match="does not exist or is not attachable") as caught:
        people.create_user("bea", permissions_boundary=f"arn:aws:iam::{HOME}:policy/none")
    assert caught.value.code == "NoSuchEntity"


def test_there_is_an_end_to_the_users_of_an_account(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eucabox.iam.users.MOST_USERS", 1)
    people.create_user("ann")
    with pytest.raises(Fault, match="Cannot exceed quota for UsersPerAccount: 1") as caught:
        people.create_user("bea")
    assert caught.value.code == "LimitExceeded"


@pytest.mark.not_fast
@pytest.mark.parametrize(
    "params",
    [
        {"user_name": ""},
        {"user_name": "a b"},
        {"user_name": "a" * 65},
        {"user_name": "\u00e4nn"},
        {"user_name": "ann", "path": "x"},
        {"user_name": "ann", "path": "/x"},
        {"user_name": "ann", "path": "/" + "x" * 511 + "/"},
        {"user_name": "ann", "tags": [{"key": "k" * 129, "value": ""}]},
        {"user_name": "ann", "permissions_boundary": "arn"},
    ],
)
def test_what_is_no_user_is_refused(people: People, params: Any) -> None:
    with pytest.raises(Fault) as caught:
        people.do("CreateUser", **params)
    assert caught.value.code == "ValidationError"
    assert people.do("ListUsers")["users"] == []


def find_credential(people: People, key: Any) -> Credential | None:
    return people.accounts.credential(key["access_key_id"])


def test_a_user_is_shut_out_and_let_in_again(people: People) -> None:
    ann = people.create_manager("ann")
    key = people.do("CreateAccessKey", user_name="ann")["access_key"]
    session = people.accounts.sessions.create_user_session(ann, 900)
    extra = people.do("GetUser", user_name="ann", show_extra=True)["user"]
    assert (extra["enabled"], extra["reg_status"]) == (True, "CONFIRMED")
    assert "enabled" not in people.do("GetUser", user_name="ann")["user"]
    people.do("UpdateUser", user_name="ann", enabled=False, reg_status="confirmed")
    assert not people.do("GetUser", user_name="ann", show_extra=True)["user"]["enabled"]
    credential = find_credential(people, key)
    assert credential
    assert not credential.active
    assert people.accounts.credential(session.access_key_id) is None
    (shown,) = people.do("ListAccessKeys", user_name="ann")["access_key_metadata"]
    assert shown["status"] == "Active", "it is the user who is shut out"
    people.do("UpdateUser", user_name="ann", enabled=True)
    credential = find_credential(people, key)
    assert credential
    assert credential.active
    assert people.accounts.credential(session.access_key_id) is None, "it has ended for good"
    with pytest.raises(Fault, match="cannot be found"):
        people.do("UpdateUser", user_name=ROOT.user_name, enabled=False)


@pytest.mark.not_fast
@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"reg_status": "REGISTERED"}, "CONFIRMED from the start"),
        ({"reg_status": "x"}, "enum value set"),
        ({"password_expiration": "tomorrow"}, "is no time as 2027"),
        ({"password_expiration": "0001-01-01T00:00:00+23:59"}, "is no time as 2027"),
    ],
)
def test_a_state_that_is_none_changes_nothing(people: People, members: Any, words: str) -> None:
    people.create_user("ann")
    with pytest.raises(Fault, match=words) as caught:
        people.do("UpdateUser", user_name="ann", new_user_name="eve", enabled=False, **members)
    assert caught.value.code == "ValidationError"
    assert people.do("GetUser", user_name="ann", show_extra=True)["user"]["enabled"]
