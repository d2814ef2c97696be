"""The credentials of an instance's role: whose they are, for how long, and what ends them."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eucabox import errors, ids, instance_states
from eucabox.actions import Call, perform
from eucabox.config import Config
from eucabox.ec2 import instance_profiles
from eucabox.iam import instance_sessions, sessions
from eucabox.iam.accounts import Accounts
from eucabox.instance_states import InstanceState
from eucabox.state import State
from tests.rows import add_instance, add_profile

HERE = "172.30.64.4"


@pytest.fixture(name="cloud")
def _cloud(config: Config, accounts: Accounts, state: State) -> Any:
    network = SimpleNamespace(owns_address=lambda ip, mac: True, api_address=None, subnet=None)
    return SimpleNamespace(config=config, state=state, accounts=accounts, network=network)


@pytest.fixture(name="account_id")
def _account_id(accounts: Accounts) -> str:
    return accounts.create_user("ann").account_id


@pytest.fixture(name="instance_id")
def _instance_id(cloud: Any, account_id: str) -> Iterator[str]:
    instance_id = add_instance(cloud.state, account_id=account_id)
    add_profile(cloud.state, account_id, "web", path="/team/", role="app")
    associate(cloud, account_id, instance_id)
    yield instance_id


def associate(cloud: Any, account_id: str, instance_id: str, name: str = "web") -> None:
    profile = instance_profiles.get_profile(cloud.state, account_id, {"name": name})
    instance_profiles.associate(cloud.state, instance_id, profile)


def ask(cloud: Any, name: str = "GetInstanceCredentials", **params: Any) -> dict[str, Any]:
    call = Call(cloud, None, "request", region="eucabox", source=params.pop("source", HERE))
    answer = perform("metadata", name, call, params)
    assert answer is not None
    return answer


def credentials(cloud: Any, **params: Any) -> dict[str, Any]:
    return ask(cloud, role_name="app", **params)


def meta_data(cloud: Any) -> dict[str, Any]:
    found: dict[str, Any] = ask(cloud, "GetMetadata")["meta-data"]
    return found


def is_valid(cloud: Any, answer: dict[str, Any]) -> bool:
    return cloud.accounts.credential(answer["access_key_id"]) is not None


def count_sessions(cloud: Any) -> int:
    return len(cloud.state.query("select 1 from sessions"))


def later(monkeypatch: pytest.MonkeyPatch, **time: float) -> None:
    """Have the clock that sessions read show another time."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "datetime":  # type: ignore[override]
            return datetime.now(tz) + timedelta(**time)

    monkeypatch.setattr(instance_sessions, "datetime", Clock)
    monkeypatch.setattr(sessions, "datetime", Clock)


def test_the_credentials_are_a_session_of_the_role_named_by_the_instance(
    cloud: Any, account_id: str, instance_id: str
) -> None:
    answer = credentials(cloud)
    assert answer["code"] == "Success"
    assert answer["type"] == "AWS-HMAC"
    assert answer["expiration"] - answer["last_updated"] == timedelta(hours=1)
    found = cloud.accounts.credential(answer["access_key_id"])
    assert found is not None
    assert found.secret == answer["secret_access_key"]
    caller = found.caller
    assert caller.arn == f"arn:aws:sts::{account_id}:assumed-role/app/{instance_id}"
    assert caller.account_id == account_id
    assert not caller.admin
    assert not caller.is_root
    assert caller.session is not None
    assert caller.session.instance_id == instance_id
    assert sessions.has_token(caller.session, answer["token"])


def test_the_same_are_given_until_the_last_part_of_their_life(
    cloud: Any, instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = credentials(cloud)
    assert credentials(cloud) == first
    restarted = Accounts(cloud.config, cloud.state)
    again = SimpleNamespace(**{**vars(cloud), "accounts": restarted})
    assert credentials(again)["token"] == first["token"]
    later(monkeypatch, minutes=39)
    assert credentials(cloud)["access_key_id"] == first["access_key_id"]
    later(monkeypatch, minutes=41)
    second = credentials(cloud)
    assert second["access_key_id"] != first["access_key_id"]
    assert is_valid(cloud, first), "to its own end"
    assert credentials(cloud)["access_key_id"] == second["access_key_id"]
    assert count_sessions(cloud) == 2


def test_two_who_ask_at_once_get_the_same(cloud: Any, instance_id: str) -> None:
    answers: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(credentials(cloud))) for _ in range(8)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len({each["access_key_id"] for each in answers}) == 1
    assert len(answers) == 8


@pytest.mark.not_fast
def test_nothing_is_made_before_it_is_asked_for(
    cloud: Any, account_id: str, instance_id: str
) -> None:
    iam = meta_data(cloud)["iam"]
    assert set(iam["security-credentials"]) == {"app"}
    info = json.loads(iam["info"])
    arn = f"arn:aws:iam::{account_id}:instance-profile/team/web"
    assert (info["Code"], info["InstanceProfileArn"]) == ("Success", arn)
    assert info["InstanceProfileId"].startswith("AIPA")
    assert count_sessions(cloud) == 0


@pytest.mark.not_fast
def test_no_secret_lies_open(cloud: Any, instance_id: str, lines: Any) -> None:
    answer = credentials(cloud)
    cloud.state.query("select 1")
    for file in Path(cloud.config.cloud.data_dir).glob("eucabox.db*"):
        content = file.read_bytes()
        assert answer["token"].encode() not in content
        assert answer["secret_access_key"].encode() not in content
    text = "\n".join(lines)
    assert instance_id in text
    assert answer["token"] not in text
    assert answer["secret_access_key"] not in text


@pytest.mark.not_fast
def test_no_other_role_is_given(cloud: Any, account_id: str, instance_id: str) -> None:
    add_profile(cloud.state, account_id, "other", role="other")
    for name in ("other", "App", "", "app/", "x" * 9999):
        with pytest.raises(errors.MetadataNotFound):
            ask(cloud, role_name=name)
    assert count_sessions(cloud) == 0


def test_nobody_else_gets_them(cloud: Any, instance_id: str) -> None:
    for source in ("172.30.64.5", "127.0.0.1", ""):
        with pytest.raises(errors.MetadataNotFound):
            credentials(cloud, source=source)
    cloud.network.owns_address = lambda ip, mac: False
    with pytest.raises(errors.MetadataNotFound):
        credentials(cloud)


@pytest.mark.not_fast
def test_the_options_of_the_launch_hold_here_too(cloud: Any, instance_id: str) -> None:
    where = {"instance_id": instance_id}
    cloud.state.update("instances", where, metadata_options='{"http_tokens": "required"}')
    for token in ({}, {"token": "x"}):
        with pytest.raises(errors.MetadataUnauthorized):
            credentials(cloud, **token)
    token = {"token": ask(cloud, "CreateToken", seconds=60)["token"]}
    assert credentials(cloud, **token)["code"] == "Success"
    cloud.state.update("instances", where, metadata_options='{"http_endpoint": "disabled"}')
    with pytest.raises(errors.MetadataForbidden):
        credentials(cloud, **token)


@pytest.mark.not_fast
def test_without_a_role_there_is_nothing(cloud: Any, account_id: str, instance_id: str) -> None:
    cloud.state.update("instance_profiles", {"account_id": account_id}, role_id=None)
    assert "iam" not in meta_data(cloud)
    with pytest.raises(errors.MetadataNotFound):
        credentials(cloud)


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Allow", "Principal": {"Service": "logging.s3.amazonaws.com"}},
        {"Effect": "Deny", "Principal": {"Service": "ec2.amazonaws.com"}},
    ],
)
def test_a_role_that_does_not_trust_ec2_says_so_and_gives_nothing(
    cloud: Any, account_id: str, statement: dict[str, Any]
) -> None:
    document = {"Version": "2012-10-17", "Statement": [{**statement, "Action": "sts:AssumeRole"}]}
    add_profile(cloud.state, account_id, "web", role="app", trust=json.dumps(document))
    associate(cloud, account_id, add_instance(cloud.state, account_id=account_id))
    assert meta_data(cloud)["iam"]["security-credentials"], "as it is for EC2"
    answer = credentials(cloud)
    assert answer["code"] == "AssumeRoleUnauthorizedAccess"
    assert "EC2 cannot assume the role app" in answer["message"]
    assert not {"token", "access_key_id", "secret_access_key"} & answer.keys()
    assert count_sessions(cloud) == 0


@pytest.mark.not_fast
def test_too_many_sessions_of_the_account_are_told(
    cloud: Any, instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MOST_SESSIONS", 0)
    answer = credentials(cloud)
    assert answer["code"] == "LimitExceeded"
    assert "token" not in answer


# --- what ends them ----------------------------------------------------------------------------


@pytest.mark.not_fast
def test_they_end_as_the_instance_begins_to_terminate(cloud: Any, instance_id: str) -> None:
    answer = credentials(cloud)
    assert is_valid(cloud, answer)
    old, new = InstanceState.RUNNING, InstanceState.SHUTTING_DOWN
    assert instance_states.change(cloud.state, instance_id, old, new)
    assert not is_valid(cloud, answer)
    assert "iam" not in meta_data(cloud), "and a guest that shuts down gets no others"
    with pytest.raises(errors.MetadataNotFound):
        credentials(cloud)
    assert cloud.state.query("select 1 from session_tokens") == []


def test_they_end_with_the_association(cloud: Any, account_id: str, instance_id: str) -> None:
    answer = credentials(cloud)
    association = instance_profiles.find_of_instance(cloud.state, instance_id)
    assert association is not None
    instance_profiles.disassociate(cloud.state, association)
    assert not is_valid(cloud, answer)
    associate(cloud, account_id, instance_id)
    assert not is_valid(cloud, answer), "for good"
    assert credentials(cloud)["access_key_id"] != answer["access_key_id"]


@pytest.mark.not_fast
def test_they_end_as_the_profile_loses_its_role_or_gets_another(
    cloud: Any, account_id: str, instance_id: str
) -> None:
    answer = credentials(cloud)
    add_profile(cloud.state, account_id, "second", role="second")
    (other,) = cloud.state.query("select role_id from roles where role_name = 'second'")
    where = {"instance_profile_name": "web"}
    for role_id in (None, other["role_id"]):
        cloud.state.update("instance_profiles", where, role_id=role_id)
        assert not is_valid(cloud, answer)
    assert ask(cloud, role_name="second")["code"] == "Success"
    with pytest.raises(errors.MetadataNotFound):
        credentials(cloud)


def test_they_end_with_the_profile_and_with_the_role(cloud: Any, instance_id: str) -> None:
    answer = credentials(cloud)
    with cloud.state.transaction():
        cloud.state.delete("instance_profiles", {"instance_profile_name": "web"})
    assert not is_valid(cloud, answer)
    cloud.state.delete("roles", {"role_name": "app"})
    assert count_sessions(cloud) == 0


def test_they_are_over_after_their_hour(
    cloud: Any, instance_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = credentials(cloud)
    found = cloud.accounts.credential(answer["access_key_id"])
    assert found is not None
    now = datetime.now(UTC)
    assert not sessions.is_over(found.caller.session, now + timedelta(minutes=59))
    assert sessions.is_over(found.caller.session, now + timedelta(minutes=61))
    assert ids.parse_time(found.caller.session.expires) <= answer["expiration"]
