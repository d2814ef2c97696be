"""A caller's names: of a user, of an account's root, of a role's session."""

from dataclasses import replace

from eucabox.iam.caller import Caller, Session
from eucabox.iam.policy.request import RoleSession

USER = Caller("111122223333", "ann", "c" * 64, "AIDAUSER", "eve", False, path="/team/")
ROLE = RoleSession("111122223333", "reader", "tuesday", role_id="AROAREADER")


def test_a_user_is_named_with_its_path() -> None:
    assert USER.arn == "arn:aws:iam::111122223333:user/team/eve"
    assert (USER.unique_id, USER.label) == ("AIDAUSER", "111122223333/eve")
    assert USER.principal is USER


def test_a_root_is_named_by_its_account() -> None:
    root = replace(USER, is_root=True)
    assert (root.arn, root.unique_id) == ("arn:aws:iam::111122223333:root", "111122223333")


def test_a_session_of_a_role_is_named_by_the_role_and_not_by_a_user() -> None:
    session = Session("ASIA", "", "2030-01-01T00:00:00.000Z", ROLE)
    caller = replace(USER, user_id="", user_name="", session=session)
    assert caller.arn == "arn:aws:sts::111122223333:assumed-role/reader/tuesday"
    assert caller.unique_id == "AROAREADER:tuesday"
    assert caller.label == "111122223333/reader/tuesday"
    assert caller.principal is ROLE
    assert (caller.credential_id, replace(USER, access_key_id="AKIA").credential_id) == (
        "AROAREADER", "AKIA",
    )  # fmt: skip


def test_a_user_with_a_session_stays_the_user() -> None:
    caller = replace(USER, session=Session("ASIA", "", "2030-01-01T00:00:00.000Z"))
    assert (caller.arn, caller.principal, caller.credential_id) == (USER.arn, caller, "")
