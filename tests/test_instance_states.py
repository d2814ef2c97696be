"""One module writes an instance's state, and it refuses every change that EC2 does not have."""

import ast
from itertools import product
from pathlib import Path

import pytest

import eucabox
from eucabox import instance_states, steady_clock
from eucabox.instance_states import (
    NO_REASON,
    USER_SHUTDOWN,
    InstanceState,
    TransitionNotAllowedError,
)
from eucabox.state import State
from tests.domains.rows import add_instance, row_of
from tests.test_floors import parse

ROOT = Path(eucabox.__file__).parent
CODES = {
    "pending": 0,
    "running": 16,
    "shutting-down": 32,
    "terminated": 48,
    "stopping": 64,
    "stopped": 80,
}
ALLOWED = {
    ("pending", "running"),
    ("pending", "stopping"),
    ("pending", "shutting-down"),
    ("running", "stopping"),
    ("running", "shutting-down"),
    ("stopping", "stopped"),
    ("stopping", "shutting-down"),
    ("stopped", "pending"),
    ("stopped", "running"),
    ("stopped", "shutting-down"),
    ("shutting-down", "terminated"),
}
PAIRS = sorted(product(CODES, repeat=2))
EARLIER = {"state_time": "2020-01-01T00:00:00.000Z", "state_clock": "another-boot 1.000"}


def test_the_names_and_codes_are_those_of_ec2() -> None:
    assert {str(state): state.code for state in InstanceState} == CODES


@pytest.mark.parametrize(("old", "new"), [pair for pair in PAIRS if pair in ALLOWED])
def test_an_allowed_change_writes_the_state_with_its_code_and_times(
    state: State, old: str, new: str
) -> None:
    columns = {"state": old, "state_code": CODES[old], **EARLIER}
    instance_id = add_instance(state, **columns)
    assert instance_states.change(state, instance_id, InstanceState(old), InstanceState(new))
    row = row_of(state, instance_id)
    assert (row["state"], row["state_code"]) == (new, CODES[new])
    assert row["state_time"] > EARLIER["state_time"]
    assert steady_clock.seconds_since(row["state_clock"], row["state_time"]) < 60


@pytest.mark.parametrize(("old", "new"), [pair for pair in PAIRS if pair not in ALLOWED])
def test_any_other_change_is_refused_and_writes_nothing(state: State, old: str, new: str) -> None:
    instance_id = add_instance(state, state=old, state_code=CODES[old], **EARLIER)
    before = row_of(state, instance_id)
    with pytest.raises(TransitionNotAllowedError, match=f"{instance_id} can't go from {old} to"):
        instance_states.change(state, instance_id, InstanceState(old), InstanceState(new))
    assert row_of(state, instance_id) == before


def test_a_row_that_is_in_another_state_by_now_is_not_changed(state: State) -> None:
    instance_id = add_instance(state, state="shutting-down", state_code=32)
    before = row_of(state, instance_id)
    pair = (InstanceState.PENDING, InstanceState.RUNNING)
    assert not instance_states.change(state, instance_id, *pair)
    assert row_of(state, instance_id) == before


def test_a_change_from_any_of_several_states_takes_the_one_that_the_row_has(state: State) -> None:
    end = InstanceState.SHUTTING_DOWN
    before = instance_states.states_before(end)
    assert set(before) == {"pending", "running", "stopping", "stopped"}
    stopped, ended = (add_instance(state, state=each) for each in ("stopped", "terminated"))
    assert instance_states.change_from_any(state, stopped, before, end, USER_SHUTDOWN)
    assert not instance_states.change_from_any(state, ended, before, end, USER_SHUTDOWN)
    assert row_of(state, stopped)["state"] == "shutting-down"
    assert row_of(state, ended)["state"] == "terminated"


def test_the_reason_is_set_or_cleared_or_left_as_it_is(state: State) -> None:
    instance_id = add_instance(state, state="running", state_code=16)
    steps = [
        (InstanceState.STOPPING, USER_SHUTDOWN, USER_SHUTDOWN.message),
        (InstanceState.STOPPED, None, USER_SHUTDOWN.message),
        (InstanceState.PENDING, NO_REASON, ""),
    ]
    for new, reason, message in steps:
        old = InstanceState(row_of(state, instance_id)["state"])
        assert instance_states.change(state, instance_id, old, new, reason)
        row = row_of(state, instance_id)
        assert row["state_reason_message"] == message
        assert row["state_reason_code"] == message.partition(":")[0]


def test_other_columns_are_written_with_the_state(state: State) -> None:
    instance_id = add_instance(state)
    pair = (InstanceState.PENDING, InstanceState.RUNNING)
    assert instance_states.change(state, instance_id, *pair, launch_state="booted")
    assert row_of(state, instance_id)["launch_state"] == "booted"


def test_a_new_row_begins_as_pending() -> None:
    columns = instance_states.first_columns("2026-11-30T00:00:00.000Z", "boot 1.000")
    assert columns == {
        "state": "pending",
        "state_code": 0,
        "state_time": "2026-11-30T00:00:00.000Z",
        "state_clock": "boot 1.000",
    }


def test_states_are_listed_for_sql() -> None:
    assert instance_states.sql_list(instance_states.ENDED) == "('shutting-down', 'terminated')"


def _writes_state(tree: ast.Module) -> bool:
    """Whether a module writes one of the columns that belong to an instance's state."""
    columns = {"state_code", "state_clock", "state_time", "state_reason_code"}
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in columns:
            return True
        if isinstance(node, ast.Dict) and columns & {ast.unparse(k)[1:-1] for k in node.keys if k}:
            return True
    return False


@pytest.mark.not_fast
def test_no_other_module_writes_an_instances_state() -> None:
    writers = {
        str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py") if _writes_state(parse(path))
    }
    assert writers == {"instance_states.py"}
