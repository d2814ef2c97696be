"""CreateGroup and the other verbs of groups, as IAM answers."""

from typing import Any

import pytest

from eucabox.errors import Fault
from tests.actions.iam.conftest import OTHER_ROOT, ROOT, People


def names(groups: list[Any]) -> list[str]:
    return [each["group_name"] for each in groups]


def test_a_group_is_told_as_it_was_created(people: People) -> None:
    group = people.do("CreateGroup", group_name="Staff", path="/a/")["group"]
    assert group["arn"] == f"arn:aws:iam::{ROOT.account_id}:group/a/Staff"
    assert group["group_id"].startswith("AGPA")
    told = people.do("GetGroup", group_name="staff")
    assert told == {"group": group, "users": [], "is_truncated": False}
    with pytest.raises(Fault, match="Group with name STAFF already exists") as caught:
        people.do("CreateGroup", group_name="STAFF")
    assert caught.value.code == "EntityAlreadyExists"
    people.do("DeleteGroup", group_name="sTaff")
    with pytest.raises(Fault, match="The group with name staff cannot be found") as caught:
        people.do("GetGroup", group_name="staff")
    assert caught.value.code == "NoSuchEntity"


def test_groups_are_listed_by_name_without_case_in_pages(people: People) -> None:
    for name in ("Ad", "ac", "Ab", "aa"):
        people.do("CreateGroup", group_name=name, path="/x/")
    people.do("CreateGroup", group_name="b", path="/y/")
    assert names(people.page_all("ListGroups", "groups", path_prefix="/x/")) == [
        "aa", "Ab", "ac", "Ad",
    ]  # fmt: skip
    assert names(people.do("ListGroups")["groups"])[-1] == "b"
    assert people.do("ListGroups", OTHER_ROOT)["groups"] == []


def test_members_come_and_go_and_follow_a_new_name(people: People) -> None:
    for name in ("Bea", "ann"):
        people.create_user(name)
    people.do("CreateGroup", group_name="staff")
    for name in ("bea", "ANN", "ann"):
        people.do("AddUserToGroup", group_name="staff", user_name=name)
    people.do("UpdateGroup", group_name="staff", new_group_name="Crew", new_path="/new/")
    members = people.page_all("GetGroup", "users", group_name="crew")
    assert [each["user_name"] for each in members] == ["ann", "Bea"]
    (group,) = people.do("ListGroupsForUser", user_name="ann")["groups"]
    assert (group["group_name"], group["path"]) == ("Crew", "/new/")
    people.do("RemoveUserFromGroup", group_name="crew", user_name="ann")
    assert people.do("ListGroupsForUser", user_name="ann")["groups"] == []
    with pytest.raises(Fault, match="User ann not in group Crew") as caught:
        people.do("RemoveUserFromGroup", group_name="crew", user_name="ann")
    assert caught.value.code == "NoSuchEntity"


def test_neither_a_group_with_members_nor_a_member_can_be_deleted(people: People) -> None:
    people.create_user("ann")
    group = people.do("CreateGroup", group_name="staff")["group"]
    people.do("AddUserToGroup", group_name="staff", user_name="ann")
    for verb, params in (
        ("DeleteGroup", {"group_name": "staff"}),
        ("DeleteUser", {"user_name": "ann"}),
    ):
        with pytest.raises(Fault, match="must remove users from group first") as caught:
            people.do(verb, **params)
        assert caught.value.code == "DeleteConflict"
    people.do("RemoveUserFromGroup", group_name="staff", user_name="ann")
    row = {"owner_id": group["group_id"], "policy_name": "p", "document": "{}"}
    people.state.insert("inline_policies", row)
    with pytest.raises(Fault, match="must delete policies first"):
        people.do("DeleteGroup", group_name="staff")


def test_there_is_an_end_to_groups(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eucabox.iam.groups.MOST_GROUPS", 2)
    monkeypatch.setattr("eucabox.iam.groups.MOST_GROUPS_OF_A_USER", 1)
    people.create_user("ann")
    for name in ("one", "two"):
        people.do("CreateGroup", group_name=name)
    with pytest.raises(Fault, match="Cannot exceed quota for GroupsPerAccount: 2") as caught:
        people.do("CreateGroup", group_name="three")
    assert caught.value.code == "LimitExceeded"
    people.do("AddUserToGroup", group_name="one", user_name="ann")
    with pytest.raises(Fault, match="Cannot exceed quota for GroupsPerUser: 1"):
        people.do("AddUserToGroup", group_name="two", user_name="ann")


def test_accounts_have_groups_of_their_own(people: People) -> None:
    people.create_user("ann")
    people.do("CreateGroup", group_name="staff")
    people.do("CreateGroup", OTHER_ROOT, group_name="staff")
    with pytest.raises(Fault, match="The user with name ann cannot be found"):
        people.do("AddUserToGroup", OTHER_ROOT, group_name="staff", user_name="ann")
    people.do("DeleteGroup", OTHER_ROOT, group_name="staff")
    assert people.do("GetGroup", group_name="staff")


def test_a_root_is_no_member(people: People) -> None:
    people.do("CreateGroup", group_name="staff")
    with pytest.raises(Fault, match="cannot be found"):
        people.do("AddUserToGroup", group_name="staff", user_name=ROOT.user_name)
