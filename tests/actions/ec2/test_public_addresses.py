"""An instance's address is shown as its public one too, unless it was launched without."""

from typing import Any

import pytest

from tests.actions.stand_ins import World


def launched(world: World, public: bool | None, state: str = "running") -> dict[str, Any]:
    """An instance as it is shown, launched with or without a word about its public address."""
    interfaces = (
        [] if public is None else [{"device_index": 0, "associate_public_ip_address": public}]
    )
    instance_id = world.run(network_interfaces=interfaces)["instances"][0]["instance_id"]
    world.set_state(instance_id, state)
    return described(world, instance_id)


def described(world: World, instance_id: str) -> dict[str, Any]:
    (reservation,) = world.do("DescribeInstances", instance_ids=[instance_id])["reservations"]
    return dict(reservation["instances"][0])


def interface(world: World, instance: dict[str, Any]) -> dict[str, Any]:
    (inner,) = instance["network_interfaces"]
    named = [inner["network_interface_id"]]
    (row,) = world.do("DescribeNetworkInterfaces", network_interface_ids=named)[
        "network_interfaces"
    ]
    assert row.get("association") == inner.get("association")
    return dict(row)


@pytest.mark.parametrize("public", [None, True])
def test_a_launch_has_a_public_address_by_itself_and_by_request(
    world: World, public: bool | None
) -> None:
    instance = launched(world, public)
    address = instance["private_ip_address"]
    assert (instance["public_ip_address"], instance["public_dns_name"]) == (address, address)
    row = interface(world, instance)
    association = {"public_ip": address, "public_dns_name": address, "ip_owner_id": "amazon"}
    assert row["association"] == association
    assert row["private_ip_addresses"][0]["association"] == association


def test_a_launch_without_a_public_address_shows_none(world: World) -> None:
    instance = launched(world, False)
    assert instance["private_ip_address"]
    assert (instance["public_ip_address"], instance["public_dns_name"]) == (None, "")
    row = interface(world, instance)
    assert "association" not in row
    assert "association" not in row["private_ip_addresses"][0]
    by_public = [{"name": "ip-address", "values": [instance["private_ip_address"]]}]
    assert world.do("DescribeInstances", filters=by_public)["reservations"] == []


@pytest.mark.parametrize("now", ["stopped", "terminated"])
def test_an_instance_without_a_guest_has_no_public_address(world: World, now: str) -> None:
    instance = launched(world, True, now)
    assert (instance["public_ip_address"], instance["public_dns_name"]) == (None, "")
    assert not [each for each in instance["network_interfaces"] if "association" in each]


def test_the_subnet_says_that_it_gives_public_addresses(world: World) -> None:
    (subnet,) = world.do("DescribeSubnets")["subnets"]
    assert subnet["map_public_ip_on_launch"] is True
