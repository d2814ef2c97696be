"""Stop, start and monitor: what rows say, who may, and what is refused."""

import dataclasses
from typing import Any

import pytest

from eucabox import errors
from tests.actions.stand_ins import ADMIN, BOB, World


def one(world: World, **params: Any) -> str:
    return str(world.run(**params)["instances"][0]["instance_id"])


def keep_disks(world: World) -> None:
    node = dataclasses.replace(world.cloud.config.node, stop_keeps_disk=True)
    world.cloud.config = dataclasses.replace(world.cloud.config, node=node)


def runs(world: World, **params: Any) -> str:
    instance_id = one(world, **params)
    world.set_state(instance_id, "running")
    return instance_id


def row(world: World, instance_id: str) -> dict[str, Any]:
    found = world.state.one("select * from instances where instance_id = ?", (instance_id,))
    assert found is not None
    return found


def test_an_instance_store_instance_cannot_be_stopped(world: World) -> None:
    instance_id = runs(world)
    with pytest.raises(errors.NotStoppable, match="stop_keeps_disk") as caught:
        world.do("StopInstances", instance_ids=[instance_id])
    assert caught.value.code == "UnsupportedOperation"
    with pytest.raises(errors.UnsupportedOperation, match="stop_keeps_disk"):
        world.run(instance_initiated_shutdown_behavior="stop")


def test_stop_and_start_are_told_at_once(world: World) -> None:
    keep_disks(world)
    instance_id = runs(world)
    woken = world.node.woken
    (change,) = world.do("StopInstances", instance_ids=[instance_id])["stopping_instances"]
    assert change["previous_state"] == {"code": 16, "name": "running"}
    assert change["current_state"] == {"code": 64, "name": "stopping"}
    assert (row(world, instance_id)["wanted"], world.node.woken) == ("stop", woken + 1)
    with pytest.raises(errors.IncorrectInstanceState):
        world.do("StartInstances", instance_ids=[instance_id])
    world.do("StopInstances", instance_ids=[instance_id], force=True)
    assert row(world, instance_id)["wanted"] == "stop-by-force"
    world.set_state(instance_id, "stopped")
    (change,) = world.do("StopInstances", instance_ids=[instance_id])["stopping_instances"]
    assert change["current_state"] == {"code": 80, "name": "stopped"}
    (shown,) = world.do("DescribeInstances")["reservations"][0]["instances"]
    assert (shown["private_ip_address"], shown["public_ip_address"]) == ("172.30.64.4", None)
    (change,) = world.do("StartInstances", instance_ids=[instance_id])["starting_instances"]
    assert change["current_state"] == {"code": 0, "name": "pending"}
    assert row(world, instance_id)["state_reason_code"] == ""
    (change,) = world.do("StartInstances", instance_ids=[instance_id])["starting_instances"]
    assert change["previous_state"] == change["current_state"]


@pytest.mark.parametrize("now", ["pending", "shutting-down", "terminated"])
def test_nothing_stops_when_one_cannot(world: World, now: str) -> None:
    keep_disks(world)
    good, bad = runs(world), one(world)
    world.set_state(bad, now)
    with pytest.raises(errors.IncorrectInstanceState):
        world.do("StopInstances", instance_ids=[good, bad])
    assert row(world, good)["state"] == "running"


def test_protection_from_stopping(world: World) -> None:
    keep_disks(world)
    instance_id = runs(world, disable_api_stop=True)
    with pytest.raises(errors.StopProtected) as caught:
        world.do("StopInstances", instance_ids=[instance_id])
    assert caught.value.code == "OperationNotPermitted"


def test_a_stopped_instance_counts_its_disk_alone(world: World) -> None:
    keep_disks(world)
    node = dataclasses.replace(world.cloud.config.node, memory_mb=128, disk_gb=2)
    world.cloud.capacity.config = dataclasses.replace(world.cloud.config, node=node)
    first = runs(world)
    world.set_state(first, "stopped")
    second = runs(world)
    with pytest.raises(errors.InsufficientCapacityToStart) as caught:
        world.do("StartInstances", instance_ids=[first])
    assert caught.value.code == "InsufficientInstanceCapacity"
    world.set_state(second, "stopped")
    with pytest.raises(errors.InsufficientInstanceCapacity):
        world.run()
    world.do("StartInstances", instance_ids=[first])


def test_another_account_can_neither_stop_nor_start_an_instance(world: World) -> None:
    keep_disks(world)
    instance_id = runs(world)
    for name in ("StopInstances", "StartInstances", "MonitorInstances"):
        with pytest.raises(errors.InstanceNotFound):
            world.do(name, BOB, instance_ids=[instance_id])
        with pytest.raises(errors.MissingParameter):
            world.do(name, instance_ids=[])
    world.do("StopInstances", ADMIN, instance_ids=[instance_id])


def test_hibernation_is_refused(world: World) -> None:
    with pytest.raises(errors.UnsupportedOperation, match="Hibernate"):
        world.do("StopInstances", instance_ids=[runs(world)], hibernate=True)


def test_monitoring_is_a_flag(world: World) -> None:
    instance_id = one(world)
    answer = world.do("MonitorInstances", instance_ids=[instance_id])
    shown = {"instance_id": instance_id, "monitoring": {"state": "enabled"}}
    assert answer["instance_monitorings"] == [shown]
    filters = [{"name": "monitoring-state", "values": ["enabled"]}]
    assert world.do("DescribeInstances", filters=filters)["reservations"]
    world.do("UnmonitorInstances", instance_ids=[instance_id])
    assert not world.do("DescribeInstances", filters=filters)["reservations"]
