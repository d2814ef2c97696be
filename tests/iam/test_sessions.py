"""Temporary credentials: what they give, and what ends them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eucabox import ids
from eucabox.ec2 import instance_profiles
from eucabox.errors import ConcurrentModification, TooManySessions
from eucabox.iam import sessions
from eucabox.iam.accounts import Accounts
from eucabox.iam.caller import Caller, Session
from eucabox.iam.rows import RoleRow
from eucabox.state import State
from tests.rows import add_instance, add_profile


@pytest.fixture
def role(accounts: Accounts) -> RoleRow:
    """A role of ann's account."""
    row = {
        "role_id": ids.role_id(),
        "account_id": accounts.create_user("ann").account_id,
        "role_name": "reader",
        "path": "/apps/",
        "trust_policy": "{}",
        "created": ids.now(),
    }
    accounts._state.insert("roles", row)
    found = accounts._state.select_one(RoleRow, "select * from roles")
    assert found is not None
    return found


def session_of(accounts: Accounts, access_key_id: str) -> Session:
    found = accounts.credential(access_key_id)
    assert found is not None
    assert found.caller.session is not None
    return found.caller.session


def test_a_users_session_is_the_user_with_another_key(accounts: Accounts) -> None:
    ann = accounts.create_user("ann")
    made = accounts.sessions.create_user_session(ann, 900)
    assert made.access_key_id.startswith("ASIA")
    assert len(made.access_key_id) == 20
    found = accounts.credential(made.access_key_id)
    assert found is not None
    assert (found.secret, found.active) == (made.secret, True)
    assert (found.caller.arn, found.caller.is_root) == (ann.arn, True)
    assert found.caller.access_key_id == made.access_key_id
    left = made.expires - datetime.now(UTC)
    assert timedelta(seconds=890) < left <= timedelta(seconds=900)


def test_the_administrators_session_is_the_administrator(accounts: Accounts) -> None:
    made = accounts.sessions.create_user_session(accounts.user("admin"), 900)
    found = accounts.credential(made.access_key_id)
    assert found is not None
    assert found.caller.admin


def test_a_roles_session_has_the_role_and_no_user(accounts: Accounts, role: RoleRow) -> None:
    made = accounts.sessions.create_role_session(
        role, "tuesday", 900, policies=["{}"], tags={"team": "b"}, transitive_tags=["team"]
    )
    found = accounts.credential(made.access_key_id)
    assert found is not None
    caller, account = found.caller, role["account_id"]
    assert caller.arn == f"arn:aws:sts::{account}:assumed-role/reader/tuesday"
    assert caller.unique_id == f"{role['role_id']}:tuesday"
    assert (caller.user_id, caller.is_root, caller.admin) == ("", False, False)
    session = session_of(accounts, made.access_key_id)
    assert session.role is not None
    assert session.role.role_arn == f"arn:aws:iam::{account}:role/apps/reader"
    assert (session.policies, session.transitive_tags) == (("{}",), ("team",))


def test_a_roles_own_tags_are_the_sessions_unless_it_has_others(
    accounts: Accounts, role: RoleRow, state: State
) -> None:
    for key, value in (("team", "a"), ("floor", "2")):
        tag = {"resource_id": role["role_id"], "key": key, "value": value}
        accounts._state.insert("iam_tags", tag)
    made = accounts.sessions.create_role_session(role, "tuesday", 900, tags={"team": "b"})
    session = session_of(accounts, made.access_key_id)
    assert session.tags == {"team": "b", "floor": "2"}
    assert session.policies is None


def test_only_the_token_itself_is_the_sessions(accounts: Accounts) -> None:
    made = accounts.sessions.create_user_session(accounts.user("admin"), 900)
    session = session_of(accounts, made.access_key_id)
    assert sessions.has_token(session, made.token)
    for wrong in ("", made.token[:-1], made.token + "x", "\udce4"):
        assert not sessions.has_token(session, wrong)


def test_neither_secret_nor_token_is_on_the_disk(accounts: Accounts, tmp_path: Path) -> None:
    made = accounts.sessions.create_user_session(accounts.user("admin"), 900)
    assert made.secret not in repr(made)
    assert made.token not in repr(made)
    for file in tmp_path.glob("eucabox.db*"):
        content = file.read_bytes()
        assert made.secret.encode() not in content, file
        assert made.token.encode() not in content, file
    assert made.secret in accounts.secrets()  # which reports leave out


def test_a_session_is_over_at_its_end_and_then_forgotten(accounts: Accounts) -> None:
    made = accounts.sessions.create_user_session(accounts.user("admin"), 900)
    session = session_of(accounts, made.access_key_id)
    end = ids.parse_time(session.expires)
    assert not sessions.is_over(session, end - timedelta(milliseconds=1))
    assert sessions.is_over(session, end)
    past = {"expires": ids.time_text(datetime.now(UTC) - timedelta(hours=1))}
    accounts._state.update("sessions", {"access_key_id": made.access_key_id}, **past)
    assert accounts.sessions.purge() == 0
    assert sessions.is_over(session_of(accounts, made.access_key_id), datetime.now(UTC))
    past = {"expires": ids.time_text(datetime.now(UTC) - timedelta(hours=25))}
    accounts._state.update("sessions", {"access_key_id": made.access_key_id}, **past)
    assert accounts.sessions.purge() == 1
    assert accounts.credential(made.access_key_id) is None


def _make_both(accounts: Accounts, role: RoleRow) -> tuple[Caller, str, str]:
    ann = accounts.user("ann")
    own = accounts.sessions.create_user_session(ann, 900).access_key_id
    assumed = accounts.sessions.create_role_session(role, "x", 900).access_key_id
    assert accounts.credential(own)
    assert accounts.credential(assumed)
    return ann, own, assumed


def test_a_session_ends_with_its_role(accounts: Accounts, role: RoleRow) -> None:
    _, own, assumed = _make_both(accounts, role)
    accounts._state.delete("roles", {"role_id": role["role_id"]})
    assert accounts.credential(assumed) is None
    assert accounts.credential(own)


def test_a_session_ends_with_its_user(accounts: Accounts, role: RoleRow) -> None:
    ann, own, assumed = _make_both(accounts, role)
    for table in ("access_keys", "certificates", "users"):
        accounts._state.delete(table, {"user_id": ann.user_id})
    assert accounts.credential(own) is None
    assert accounts.credential(assumed)


def test_a_session_ends_with_its_instance(accounts: Accounts, role: RoleRow) -> None:
    _, own, assumed = _make_both(accounts, role)
    state = accounts._state
    instance_id = add_instance(state, account_id=role["account_id"])
    add_profile(state, role["account_id"], role_row=role)
    profile = instance_profiles.get_profile(state, role["account_id"], {"name": "app"})
    instance_profiles.associate(state, instance_id, profile)
    make = accounts.sessions.create_role_session
    of_instance = make(role, instance_id, 900, instance_id=instance_id).access_key_id
    assert accounts.credential(of_instance)
    assert accounts.sessions.revoke_instance("") == 0
    assert accounts.sessions.revoke_instance("i-2") == 0
    assert accounts.sessions.revoke_instance(instance_id) == 1
    assert accounts.credential(of_instance) is None
    assert accounts.credential(own)
    assert accounts.credential(assumed)


def test_a_key_that_is_stopped_ends_no_session(accounts: Accounts, role: RoleRow) -> None:
    ann, own, _ = _make_both(accounts, role)
    accounts._state.update("access_keys", {"user_id": ann.user_id}, status="Inactive")
    assert accounts.credential(own)


def test_an_account_has_a_limit_of_sessions(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MOST_SESSIONS", 2)
    ann, admin = accounts.create_user("ann"), accounts.user("admin")
    first = accounts.sessions.create_user_session(ann, 900)
    accounts.sessions.create_user_session(ann, 900)
    with pytest.raises(TooManySessions):
        accounts.sessions.create_user_session(ann, 900)
    accounts.sessions.create_user_session(admin, 900)
    past = {"expires": ids.time_text(datetime.now(UTC) - timedelta(seconds=1))}
    accounts._state.update("sessions", {"access_key_id": first.access_key_id}, **past)
    accounts.sessions.create_user_session(ann, 900)


def test_a_role_is_known_by_its_accounts_number_and_name(accounts: Accounts, role: RoleRow) -> None:
    for account in (role["account_id"], "ann"):
        assert accounts.knows_role(account, "reader")
        assert not accounts.knows_role(account, "writer")
    assert not accounts.knows_role("000000000000", "reader")


def test_neither_a_user_nor_a_role_takes_all_sessions_of_its_account(
    accounts: Accounts, role: RoleRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MOST_OF_ONE", 1)
    admin, made = accounts.user("admin"), accounts.sessions
    made.create_user_session(admin, 900)
    with pytest.raises(TooManySessions, match="This user has 1 temp"):
        made.create_user_session(admin, 900)
    made.create_role_session(role, "tuesday", 900)
    with pytest.raises(TooManySessions, match="This role has 1 temp"):
        made.create_role_session(role, "tuesday", 900)
    monkeypatch.setattr(sessions, "MOST_SESSIONS", 1)
    made.create_role_session(role, "i-1", 900, instance_id="i-1")


def test_what_was_deleted_meanwhile_gets_no_session(accounts: Accounts, role: RoleRow) -> None:
    ann = accounts.user("admin")
    with pytest.raises(ConcurrentModification):
        accounts.sessions.create_user_session(replace(ann, user_id="AIDAGONE"), 900)
    with pytest.raises(ConcurrentModification):
        accounts.sessions.create_role_session({**role, "role_id": "AROAGONE"}, "tuesday", 900)
    with pytest.raises(ConcurrentModification):
        accounts._state.update("access_keys", {"user_id": ann.user_id}, user_id="AIDAGONE")


def test_a_user_deleted_meanwhile_has_no_session(accounts: Accounts) -> None:
    ann = accounts.create_user("ann")
    own = accounts.sessions.create_user_session(ann, 900).access_key_id
    assert accounts.sessions.load_credential(own, lambda user_id: None) is None
