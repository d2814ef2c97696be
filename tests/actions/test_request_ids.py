"""The request that made an instance, or asks something of it, is kept for the node's log lines."""

import pytest

from eucabox.logs import parse
from tests.actions.ec2.test_stop_start import keep_disks, row, runs
from tests.actions.stand_ins import World


def test_a_launch_keeps_its_request_and_names_its_instances(world: World, lines: list[str]) -> None:
    made = world.run(min_count=2, max_count=2)["instances"]
    of = [each["instance_id"] for each in made]
    assert {row(world, each)["request_id"] for each in of} == {"request"}
    members = parse(lines[-1])
    assert (members["instances"], members["request_id"]) == (",".join(of), "request")


@pytest.mark.parametrize(
    ("now", "action", "column"),
    [
        ("running", "TerminateInstances", "wanted_request_id"),
        ("running", "RebootInstances", "wanted_request_id"),
        ("running", "StopInstances", "wanted_request_id"),
        ("stopped", "StartInstances", "request_id"),
    ],
)
def test_what_is_asked_of_an_instance_keeps_its_request(
    world: World, now: str, action: str, column: str, lines: list[str]
) -> None:
    keep_disks(world)
    instance_id = runs(world)
    world.set_state(instance_id, now)
    world.state.update("instances", {"instance_id": instance_id}, request_id="earlier")
    world.do(action, instance_ids=[instance_id])
    assert row(world, instance_id)[column] == "request"
    assert parse(lines[-1])["instances"] == instance_id


@pytest.mark.parametrize("hostile", [3, {"a": 1}, "i-1", [[1], None]])
def test_ids_of_any_kind_are_logged_without_a_fault_of_our_own(
    world: World, hostile: object, lines: list[str]
) -> None:
    from eucabox.errors import Fault

    with pytest.raises(Fault):
        world.do("DescribeInstances", instance_ids=hostile)
    assert parse(lines[-1])["outcome"] != "InternalError"
