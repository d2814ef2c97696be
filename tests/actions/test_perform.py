"""The one way in: who may, what is refused, what is dropped, and what is done once."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from eucabox import actions, ids, logs
from eucabox.actions import ACTIONS, Call, action, perform
from eucabox.errors import (
    AccessDenied,
    DryRunOperation,
    Fault,
    InvalidAction,
    InvalidParameterValue,
    MissingAuthenticationToken,
    MissingParameter,
    ReplayedRequest,
    UnsupportedParameter,
)
from eucabox.iam.accounts import Accounts
from eucabox.state import State
from tests.kept_events import KeptEvents

SERVICE = "test"


@dataclass(frozen=True, kw_only=True)
class Paint:
    """The members of PaintThing."""

    name: str
    coats: int = 1


@pytest.fixture(autouse=True)
def verbs() -> Iterator[list[dict[str, Any]]]:
    actions.load()
    before = dict(ACTIONS)
    done: list[dict[str, Any]] = []

    @action(SERVICE, ignored=("colour",))
    def make_thing(call: Call, *, name: str, size: int = 1) -> dict[str, Any]:
        with call.cloud.state.transaction() as database:
            database.conn.execute("insert into settings values (?, ?)", (name, str(size)))
        done.append({"name": name, "size": size})
        return {"name": name}

    @action(SERVICE)
    def paint_thing(call: Call, members: Paint) -> dict[str, Any]:
        done.append(vars(members))
        return {}

    @action(SERVICE)
    def describe_things(call: Call) -> dict[str, Any]:
        return {"things": done}

    @action(SERVICE, admin=True)
    def end_world(call: Call) -> dict[str, Any]:
        return {}

    @action(SERVICE, anonymous=True)
    def say_hello(call: Call) -> dict[str, Any]:
        return {}

    yield done
    ACTIONS.clear()
    ACTIONS.update(before)


@pytest.fixture
def call(accounts: Accounts, state: State) -> Call:
    cloud: Any = SimpleNamespace(accounts=accounts, state=state, events=KeptEvents())
    return Call(cloud, accounts.create_user("alice"), "request-1")


def test_an_action_gets_its_members(call: Call, verbs: list[dict[str, Any]]) -> None:
    assert perform(SERVICE, "MakeThing", call, {"name": "a", "size": 2}) == {"name": "a"}
    assert verbs == [{"name": "a", "size": 2}]


def test_members_are_required_refused_or_dropped(call: Call, verbs: list[dict[str, Any]]) -> None:
    with pytest.raises(MissingParameter, match="Name"):
        perform(SERVICE, "MakeThing", call, {})
    with pytest.raises(UnsupportedParameter, match="PlaceOfBirth"):
        perform(SERVICE, "MakeThing", call, {"name": "a", "place_of_birth": "x"})
    assert not verbs
    perform(SERVICE, "MakeThing", call, {"name": "a", "colour": "blue"})
    assert verbs == [{"name": "a", "size": 1}]


@pytest.mark.not_fast
def test_an_action_gets_its_members_in_a_dataclass(call: Call, verbs: list[dict[str, Any]]) -> None:
    perform(SERVICE, "PaintThing", call, {"name": "a"})
    with pytest.raises(DryRunOperation):
        perform(SERVICE, "PaintThing", replace(call), {"name": "b", "dry_run": True})
    assert verbs == [{"name": "a", "coats": 1}, {"name": "b", "coats": 1}]
    with pytest.raises(MissingParameter, match="Name"):
        perform(SERVICE, "PaintThing", call, {"coats": 2})
    with pytest.raises(InvalidParameterValue, match="Coats"):
        perform(SERVICE, "PaintThing", call, {"name": "a", "coats": "two"})
    with pytest.raises(UnsupportedParameter, match="Members"):
        perform(SERVICE, "PaintThing", call, {"name": "a", "members": "x"})


@pytest.mark.not_fast
def test_a_dry_run_does_nothing(call: Call, verbs: list[dict[str, Any]]) -> None:
    with pytest.raises(DryRunOperation):
        perform(SERVICE, "MakeThing", call, {"name": "a", "dry_run": True})
    assert not verbs
    assert not call.cloud.state.query("select * from settings where key = 'a'")
    call.dry_run = False
    perform(SERVICE, "MakeThing", call, {"name": "a", "dry_run": False})
    assert verbs


def test_actions_for_the_administrator_and_for_signed_requests_refuse_others(
    call: Call, accounts: Accounts
) -> None:
    with pytest.raises(AccessDenied):
        perform(SERVICE, "EndWorld", call, {})
    administrator = replace(call, caller=accounts.user("admin"))
    assert perform(SERVICE, "EndWorld", administrator, {}) == {}
    nobody = replace(call, caller=None)
    assert perform(SERVICE, "SayHello", nobody, {}) == {}
    with pytest.raises(MissingAuthenticationToken):
        perform(SERVICE, "DescribeThings", nobody, {})
    with pytest.raises(InvalidAction, match="Nothing"):
        perform(SERVICE, "Nothing", call, {})


def test_the_user_of_an_anonymous_call_is_refused_by_the_name_of_its_action(call: Call) -> None:
    assert call.user is call.caller
    nobody = replace(call, caller=None, action="SayHello")
    with pytest.raises(MissingAuthenticationToken, match="SayHello"):
        _ = nobody.user
    with pytest.raises(MissingAuthenticationToken, match="SayHello"):
        _ = nobody.account_id


@pytest.mark.not_fast
def test_a_replayed_query_is_done_once(
    call: Call, state: State, verbs: list[dict[str, Any]]
) -> None:
    signed = replace(call, signature="s")
    perform(SERVICE, "MakeThing", signed, {"name": "a"})
    earlier = ids.time_text(datetime.now(UTC) - timedelta(seconds=10))
    state.update("used_signatures", {"signature": "s"}, first_used=earlier)
    with pytest.raises(ReplayedRequest, match="MakeThing"):
        perform(SERVICE, "MakeThing", signed, {"name": "a"})
    assert len(verbs) == 1
    assert perform(SERVICE, "DescribeThings", signed, {}), "reading changes nothing"


def test_one_log_line_a_request(call: Call, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "eucabox.actions"):
        perform(SERVICE, "MakeThing", call, {"name": "a"})
        with pytest.raises(Fault):
            perform(SERVICE, "EndWorld", call, {})
    made, ended = (logs.Format().format(record) for record in caplog.records)
    assert "action=MakeThing" in made
    assert "outcome=ok" in made
    assert "outcome=AccessDenied" in ended
