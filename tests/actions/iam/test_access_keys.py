"""CreateAccessKey and the other verbs of access keys, as IAM answers."""

from collections.abc import Callable
from typing import Any

import pytest

from eucabox import ids
from eucabox.errors import Fault
from eucabox.iam.caller import Caller
from tests.actions.iam.conftest import OTHER_ROOT, ROOT, People

UNKNOWN = "AKIA" + "A" * 16


def ids_of(answer: Any) -> list[str]:
    return sorted(each["access_key_id"] for each in answer)


def test_a_key_opens_as_its_user_until_it_is_stopped(people: People) -> None:
    ann = people.create_user("ann")
    key = people.do("CreateAccessKey", user_name="ann")["access_key"]
    assert (key["user_name"], key["status"], len(key["secret_access_key"])) == ("ann", "Active", 40)
    credential = people.accounts.credential(key["access_key_id"])
    assert credential is not None
    assert (credential.caller.user_id, credential.secret) == (ann.user_id, key["secret_access_key"])
    assert credential.active
    one = {"user_name": "ann", "access_key_id": key["access_key_id"]}
    people.do("UpdateAccessKey", **one, status="Inactive")
    credential = people.accounts.credential(key["access_key_id"])
    assert credential is not None
    assert not credential.active
    (listed,) = people.do("ListAccessKeys", user_name="ann")["access_key_metadata"]
    assert listed["status"] == "Inactive"
    assert "secret_access_key" not in listed
    people.do("DeleteAccessKey", **one)
    assert people.accounts.credential(key["access_key_id"]) is None


@pytest.mark.parametrize(
    "make_caller", [lambda people: ROOT, lambda people: people.create_manager("a")]
)
def test_without_a_name_they_are_the_callers(
    people: People, make_caller: Callable[[People], Caller]
) -> None:
    caller = make_caller(people)
    key = people.do("CreateAccessKey", caller)["access_key"]["access_key_id"]
    credential = people.accounts.credential(key)
    assert credential is not None
    assert credential.caller.user_id == caller.user_id
    assert ids_of(people.do("ListAccessKeys", caller)["access_key_metadata"]) == [key]
    people.do("UpdateAccessKey", caller, access_key_id=key, status="Inactive")
    people.do("DeleteAccessKey", caller, access_key_id=key)
    assert people.do("ListAccessKeys", caller)["access_key_metadata"] == []


def test_a_user_has_two(people: People) -> None:
    people.create_user("ann")
    made = [people.do("CreateAccessKey", user_name="ann")["access_key"] for _ in range(2)]
    with pytest.raises(Fault, match="Cannot exceed quota for AccessKeysPerUser: 2") as caught:
        people.do("CreateAccessKey", user_name="ann")
    assert caught.value.code == "LimitExceeded"
    listed = people.page_all("ListAccessKeys", "access_key_metadata", user_name="ann")
    assert ids_of(listed) == ids_of(made)


def test_another_users_key_is_not_reached(people: People) -> None:
    people.create_user("ann")
    people.create_user("bea")
    key = people.do("CreateAccessKey", user_name="ann")["access_key"]["access_key_id"]
    sentence = f"The Access Key with id {key} cannot be found"
    for caller, params in ((ROOT, {"user_name": "bea"}), (ROOT, {}), (OTHER_ROOT, {})):
        for verb, more in (("UpdateAccessKey", {"status": "Inactive"}), ("DeleteAccessKey", {})):
            with pytest.raises(Fault, match=sentence) as caught:
                people.do(verb, caller, access_key_id=key, **params, **more)
            assert caught.value.code == "NoSuchEntity"
    with pytest.raises(Fault, match=sentence):
        people.do("GetAccessKeyLastUsed", OTHER_ROOT, access_key_id=key)


@pytest.mark.parametrize(
    ("verb", "params", "code"),
    [
        ("UpdateAccessKey", {"access_key_id": UNKNOWN, "status": "Off"}, "ValidationError"),
        ("UpdateAccessKey", {"access_key_id": "short", "status": "Active"}, "ValidationError"),
        ("DeleteAccessKey", {"access_key_id": "a" * 129}, "ValidationError"),
        ("DeleteAccessKey", {"access_key_id": UNKNOWN}, "NoSuchEntity"),
        ("DeleteAccessKey", {"access_key_id": UNKNOWN, "user_name": "nobody"}, "NoSuchEntity"),
        ("GetAccessKeyLastUsed", {"access_key_id": UNKNOWN}, "NoSuchEntity"),
        ("CreateAccessKey", {"user_name": "nobody"}, "NoSuchEntity"),
        ("ListAccessKeys", {"max_items": 0}, "ValidationError"),
    ],
)
def test_what_is_wrong_is_refused(people: People, verb: str, params: Any, code: str) -> None:
    with pytest.raises(Fault) as caught:
        people.do(verb, **params)
    assert caught.value.code == code


def test_a_keys_last_use_is_told(people: People) -> None:
    key = people.do("CreateAccessKey")["access_key"]["access_key_id"]
    unused = people.do("GetAccessKeyLastUsed", access_key_id=key)
    assert unused == {
        "user_name": ROOT.user_name,
        "access_key_last_used": {"service_name": "N/A", "region": "N/A"},
    }
    moment = ids.now()
    use = {"last_used": moment, "last_used_service": "s3", "last_used_region": "here"}
    people.state.update("access_keys", {"access_key_id": key}, **use)
    assert people.do("GetAccessKeyLastUsed", access_key_id=key)["access_key_last_used"] == {
        "service_name": "s3",
        "region": "here",
        "last_used_date": ids.parse_time(moment),
    }
