"""Each living instance has one network interface, the same in every list."""

from typing import Any

import pytest

from eucabox import errors
from tests.actions.stand_ins import ALICE, BOB, World


def has(name: str, *values: str) -> list[dict[str, Any]]:
    return [{"name": name, "values": list(values)}]


def listed(world: World, *filters: dict[str, Any]) -> list[Any]:
    answer = world.do("DescribeNetworkInterfaces", filters=list(filters))
    return list(answer["network_interfaces"])


def test_an_instance_has_one_interface(world: World) -> None:
    instance = world.run()["instances"][0]
    (shown,) = world.do("DescribeInstances")["reservations"][0]["instances"]
    (inner,) = shown["network_interfaces"]
    (row,) = listed(world)
    assert row["network_interface_id"] == inner["network_interface_id"]
    assert row["private_ip_address"] == shown["private_ip_address"]
    assert row["attachment"]["instance_id"] == instance["instance_id"]
    assert row["groups"] == shown["security_groups"]
    assert world.do("DescribeNetworkInterfaces", BOB) == {
        "network_interfaces": [],
        "next_token": None,
    }
    with pytest.raises(errors.NetworkInterfaceNotFound):
        world.do("DescribeNetworkInterfaces", network_interface_ids=["eni-1"])


def test_a_terminated_instance_has_none(world: World) -> None:
    instance_id = world.run()["instances"][0]["instance_id"]
    world.set_state(instance_id, "shutting-down")
    assert len(listed(world)) == 1
    world.set_state(instance_id, "terminated")
    assert listed(world) == []
    (shown,) = world.do("DescribeInstances")["reservations"][0]["instances"]
    assert shown["network_interfaces"] == []


def test_interfaces_are_found_by_group(world: World) -> None:
    """What Terraform asks before it deletes a group."""
    made = world.do("CreateSecurityGroup", group_name="web", description="web")["group_id"]
    assert listed(world, *has("group-id", made)) == []
    world.run(security_group_ids=[made])
    world.run()
    (row,) = listed(world, *has("group-id", made))
    assert row["groups"] == [{"group_id": made, "group_name": "web"}]
    by_state = [*has("attachment.status", "attached"), *has("attachment.device-index", "0")]
    assert len(listed(world, *by_state)) == 2
    assert listed(world, *has("association.allocation-id", "*")) == []
    found = world.do(
        "DescribeInstances",
        filters=has("network-interface.network-interface-id", row["network_interface_id"]),
    )["reservations"]
    assert len(found) == 1


@pytest.mark.parametrize(
    ("attribute", "member"),
    [
        ("description", "description"),
        ("groupSet", "groups"),
        ("sourceDestCheck", "source_dest_check"),
        ("attachment", "attachment"),
    ],
)
def test_an_interface_tells_one_attribute(world: World, attribute: str, member: str) -> None:
    world.run()
    (row,) = listed(world)
    params = {"network_interface_id": row["network_interface_id"]}
    answer = world.do("DescribeNetworkInterfaceAttribute", **params, attribute=attribute)
    assert set(answer) == {"network_interface_id", member}
    with pytest.raises(errors.InvalidParameterValue):
        world.do("DescribeNetworkInterfaceAttribute", **params, attribute="colour")
    assert row["owner_id"] == ALICE.account_id
