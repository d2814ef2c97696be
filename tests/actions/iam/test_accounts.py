"""Eucalyptus' verbs: accounts, their policies, DelegateAccount, and what is kept of a user."""

import json
from dataclasses import replace
from typing import Any

import pytest

from eucabox.errors import DelegationDenied, Fault
from eucabox.iam.caller import Session
from tests.actions.iam.conftest import CLOUD_ROOT, OTHER_ROOT, ROOT, People
from tests.actions.stand_ins import add_image


def limit(**numbers: object) -> str:
    keys = {f"{name.replace('_', ':')}": str(number) for name, number in numbers.items()}
    statement = {
        "Effect": "Limit",
        "Action": "ec2:RunInstances",
        "Resource": "*",
        "Condition": {"NumericLessThanEquals": keys},
    }
    return json.dumps({"Version": "2011-04-01", "Statement": [statement]})


def put(people: People, name: str, document: str) -> None:
    people.do(
        "PutAccountPolicy", CLOUD_ROOT, account_name="alice", policy_name=name,
        policy_document=document,
    )  # fmt: skip


def account_names(people: People) -> list[str]:
    return [each["account_name"] for each in people.do("ListAccounts", CLOUD_ROOT)["accounts"]]


def test_an_account_is_made_with_its_root(people: People) -> None:
    made = people.do("CreateAccount", CLOUD_ROOT, account_name="zoe", email="z@example.com")
    told = made["account"]
    assert (told["account_name"], len(told["account_id"])) == ("zoe", 12)
    assert account_names(people) == ["alice", "bob", "eucalyptus", "zoe"]
    assert people.accounts.user("zoe").is_root
    for taken in ("zoe", told["account_id"]):
        with pytest.raises(Fault, match=f"Account with name {taken} already exists") as caught:
            people.do("CreateAccount", CLOUD_ROOT, account_name=taken)
        assert caught.value.code == "EntityAlreadyExists"


@pytest.mark.parametrize(
    ("verb", "params"),
    [
        ("CreateAccount", {"account_name": "zoe"}),
        ("ListAccounts", {}),
        ("DeleteAccount", {"account_name": "bob"}),
        (
            "PutAccountPolicy",
            {"account_name": "alice", "policy_name": "p", "policy_document": "{}"},
        ),
        ("GetAccountPolicy", {"account_name": "alice", "policy_name": "p"}),
        ("GetLdapSyncStatus", {}),
    ],
)
def test_accounts_are_the_administrators(people: People, verb: str, params: Any) -> None:
    with pytest.raises(Fault) as caught:
        people.do(verb, ROOT, **params)
    assert caught.value.code in ("AccessDenied", "UnauthorizedOperation")
    assert account_names(people) == ["alice", "bob", "eucalyptus"]


def test_an_empty_account_goes_with_its_root(people: People) -> None:
    people.do("CreateAccount", CLOUD_ROOT, account_name="zoe")
    people.do("DeleteAccount", CLOUD_ROOT, account_name="zoe")
    assert "zoe" not in account_names(people)
    assert not people.accounts.knows_principal("zoe")


@pytest.mark.not_fast
def test_users_and_groups_go_only_where_that_is_asked_for(people: People) -> None:
    ann = people.create_user("ann", tags=[{"key": "a", "value": "b"}])
    people.do("CreateAccessKey", user_name=ann.user_name)
    people.do("CreateGroup", group_name="staff")
    people.do("AddUserToGroup", group_name="staff", user_name="ann")
    people.world.do("CreateKeyPair", ROOT, key_name="mine")
    with pytest.raises(Fault, match="Cannot delete entity, must delete users first") as caught:
        people.do("DeleteAccount", CLOUD_ROOT, account_name="alice")
    assert caught.value.code == "DeleteConflict"
    people.do("DeleteAccount", CLOUD_ROOT, account_name="alice", recursive=True)
    assert account_names(people) == ["bob", "eucalyptus"]
    for table in ("users", "groups", "key_pairs"):
        sql = f"select * from {table} where account_id = ?"
        assert people.state.query(sql, (ROOT.account_id,)) == []
    assert people.state.query("select * from iam_tags") == []


def test_what_people_store_and_run_keeps_an_account(people: People) -> None:
    remove = {"account_name": "alice", "recursive": True}
    image = add_image(people.state, ROOT)
    with pytest.raises(Fault, match="must deregister images first"):
        people.do("DeleteAccount", CLOUD_ROOT, **remove)
    instance_id = people.world.run(ROOT, image_id=image["image_id"])["instances"][0]["instance_id"]
    with pytest.raises(Fault, match="must terminate instances first"):
        people.do("DeleteAccount", CLOUD_ROOT, **remove)
    people.world.set_state(instance_id, "terminated")
    people.cloud.images.deregister(image)
    people.cloud.store.create_bucket("photos", ROOT.account_id)
    with pytest.raises(Fault, match="must delete buckets first"):
        people.do("DeleteAccount", CLOUD_ROOT, **remove)
    people.cloud.store.owners.clear()
    people.do("DeleteAccount", CLOUD_ROOT, **remove)
    assert account_names(people) == ["bob", "eucalyptus"]


def test_the_administrators_account_stays(people: People) -> None:
    with pytest.raises(Fault, match="can't be deleted") as caught:
        people.do("DeleteAccount", CLOUD_ROOT, account_name="eucalyptus", recursive=True)
    assert caught.value.code == "DeleteConflict"
    with pytest.raises(Fault, match="The account with name nobody cannot be found"):
        people.do("DeleteAccount", CLOUD_ROOT, account_name="nobody")


# --- DelegateAccount -----------------------------------------------------------------------------


def test_the_administrator_acts_as_the_root_of_an_account(people: People, lines: list[str]) -> None:
    people.do("CreateUser", CLOUD_ROOT, user_name="ann", delegate_account="alice")
    assert people.do("GetUser", user_name="ann")
    for name in ("alice", ROOT.account_id):
        told = people.do("GetUser", CLOUD_ROOT, delegate_account=name)
        assert told["user"]["user_id"] == ROOT.account_id
    people.do("CreateAccountAlias", account_alias="red")
    assert people.do("ListUsers", CLOUD_ROOT, delegate_account="red")["users"]
    assert any(f"by={CLOUD_ROOT.label}" in line for line in lines)
    with pytest.raises(Fault, match="The account with name nobody cannot be found"):
        people.do("ListUsers", CLOUD_ROOT, delegate_account="nobody")


@pytest.mark.parametrize("mfa", [False, True])
def test_a_session_becomes_no_root(people: People, mfa: bool) -> None:
    """The root of an account is asked for nothing that limits a session."""
    session = Session("ASIA", "", "2100-01-01T00:00:00Z", mfa=mfa)
    caller = replace(CLOUD_ROOT, session=session)
    with pytest.raises(DelegationDenied):
        people.do("CreateAccessKey", caller, delegate_account="alice")


def test_admin_is_the_root_of_an_account_until_a_user_is_called_so(people: People) -> None:
    made = people.do("CreateAccessKey", CLOUD_ROOT, user_name="admin", delegate_account="alice")
    (key,) = people.do("ListAccessKeys")["access_key_metadata"]
    assert key["access_key_id"] == made["access_key"]["access_key_id"]
    with pytest.raises(Fault, match="The user with name admin cannot be found"):
        people.do("DeleteUser", CLOUD_ROOT, user_name="admin", delegate_account="alice")
    with pytest.raises(Fault, match="The user with name admin cannot be found"):
        people.do("GetUser", user_name="admin")
    people.do("CreateUser", user_name="admin")
    told = people.do("GetUser", CLOUD_ROOT, user_name="admin", delegate_account="alice")
    assert told["user"]["user_name"] == "admin"


def test_nobody_else_acts_for_another_account(people: People) -> None:
    ann = people.create_manager("ann")
    for caller in (ROOT, ann, replace(ann, admin=True)):
        for account in ("bob", "eucalyptus", "nobody", OTHER_ROOT.account_id):
            with pytest.raises(Fault, match="is not authorized to act for another") as caught:
                people.do("ListUsers", caller, delegate_account=account)
            assert caught.value.code == "AccessDenied"
    assert people.do("GetUser", ann, delegate_account="alice")["user"]["user_name"] == "ann"
    with pytest.raises(Fault) as caught:
        people.do("ListUsers", CLOUD_ROOT, delegate_account=["alice"])
    assert caught.value.code == "InvalidParameterValue"


# --- policies of accounts ------------------------------------------------------------------------


def test_a_policy_limits_an_account_and_no_other(people: People) -> None:
    put(people, "two", limit(**{"ec2_quota-vminstancenumber": 2}))
    put(people, "one", limit(**{"ec2_quota-vminstancenumber": 1, "ec2_quota-volumenumber": 7}))
    people.world.run(ROOT)
    with pytest.raises(Fault) as caught:
        people.world.run(ROOT)
    assert caught.value.code == "InstanceLimitExceeded"
    people.world.run(OTHER_ROOT, min_count=2, max_count=2)
    one = {"account_name": "alice", "policy_name": "one"}
    people.do("DeleteAccountPolicy", CLOUD_ROOT, **one)
    people.world.run(ROOT)
    listed = people.do("ListAccountPolicies", CLOUD_ROOT, account_name="alice")
    assert listed["policy_names"] == ["two"]
    with pytest.raises(Fault, match="The account policy with name one cannot be found") as caught:
        people.do("GetAccountPolicy", CLOUD_ROOT, **one)
    assert caught.value.code == "NoSuchEntity"


def test_a_policy_is_returned_as_it_was_sent(people: People) -> None:
    document = limit(**{"s3_quota-bucketnumber": 3})
    put(people, "three", document)
    told = people.do("GetAccountPolicy", CLOUD_ROOT, account_name="alice", policy_name="three")
    assert told == {
        "account_name": "alice", "policy_name": "three", "policy_document": document,
    }  # fmt: skip
    assert people.cloud.applied == 1


def test_users_and_groups_can_be_limited(people: People) -> None:
    put(people, "few", limit(**{"iam_quota-usernumber": 1, "iam_quota-groupnumber": 1}))
    people.create_user("ann")
    with pytest.raises(Fault, match="Cannot exceed quota for UsersPerAccount: 1"):
        people.create_user("bea")
    people.do("CreateGroup", group_name="one")
    with pytest.raises(Fault, match="Cannot exceed quota for GroupsPerAccount: 1"):
        people.do("CreateGroup", group_name="two")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("x", "It is no JSON"),
        ("[" * 100_000, "It is no JSON"),
        ("[]", "has Version and Statement"),
        ('{"Statement": []}', "has no Statement"),
        ('{"Statement": "x"}', "has no Statement"),
        ('{"Statement": ["x"]}', "A statement has Effect"),
        ('{"Statement": {"Effect": "Allow"}}', "have the Effect Limit"),
        ('{"Statement": {"Effect": "Limit"}}', "The Condition of a limit is"),
        (limit(**{"ec2_quota-vminstancenumber": 0}), "is no whole number from 1"),
        (limit(**{"ec2_quota-vminstancenumber": "-1"}), "is no whole number from 1"),
        (limit(**{"ec2_quota-vminstancenumber": "9" * 5000}), "is no whole number from 1"),
        (
            limit(**{"s3_quota-bucketobjectnumber": 1}),
            "Nothing is limited by s3:quota-bucketobject",
        ),
        (limit(), "names no limit"),
        (limit(**{"ec2_quota-imagenumber": 1}).replace('"*"', '"arn"'), "Resource is"),
    ],
)
def test_what_limits_nothing_is_refused(people: People, document: str, words: str) -> None:
    with pytest.raises(Fault, match=words) as caught:
        put(people, "odd", document)
    assert caught.value.code == "MalformedPolicyDocument"


# --- what is kept of a user ----------------------------------------------------------------------


def test_a_users_information_is_kept_in_pairs(people: People) -> None:
    people.create_user("ann")
    for key, value in (("team", "red"), ("fullname", "Ann Other"), ("team", "blue")):
        people.do("UpdateUserInfo", user_name="ann", info_key=key, info_value=value)
    pairs = [{"key": "fullname", "value": "Ann Other"}, {"key": "team", "value": "blue"}]
    assert people.do("GetUserInfo", user_name="ann") == {"infos": pairs}
    for key, some in ((pairs[1]["key"], pairs[1:]), ("nothing", [])):
        assert people.do("GetUserInfo", user_name="ann", info_key=key) == {"infos": some}
    people.do("UpdateUserInfo", user_name="ann", info_key="fullname")
    assert people.do("GetUserInfo", user_name="ann") == {"infos": pairs[1:]}
    people.do("UpdateUserInfo", info_key="own", info_value="1")
    assert people.do("GetUserInfo") == {"infos": [{"key": "own", "value": "1"}]}


def test_there_is_an_end_to_what_is_kept(people: People) -> None:
    for number in range(50):
        people.do("UpdateUserInfo", info_key=str(number), info_value="x")
    with pytest.raises(Fault, match="InfosPerUser: 50"):
        people.do("UpdateUserInfo", info_key="51", info_value="x")
    for params in ({"info_key": ""}, {"info_key": "a", "info_value": "x" * 1025}):
        with pytest.raises(Fault) as caught:
            people.do("UpdateUserInfo", **params)
        assert caught.value.code == "ValidationError"


def test_no_users_come_from_ldap(people: People) -> None:
    told = people.do("GetLdapSyncStatus", CLOUD_ROOT)
    assert told == {"sync_enabled": False, "in_sync": False}
