"""What an account may have at most is refused with EC2's codes, and told."""

import dataclasses
from typing import Any

import pytest

from eucabox import errors
from tests.actions.stand_ins import BOB, World


def limit(world: World, **limits: int) -> None:
    section = dataclasses.replace(world.cloud.config.limits, **limits)
    world.cloud.config = dataclasses.replace(world.cloud.config, limits=section)


def told(world: World, name: str) -> list[str]:
    answer = world.do("DescribeAccountAttributes")["account_attributes"]
    values = {each["attribute_name"]: each["attribute_values"] for each in answer}
    return [each["attribute_value"] for each in values.get(name, [])]


@pytest.mark.parametrize(
    ("limits", "fault", "code"),
    [
        ({"instances": 3}, errors.InstanceLimitExceeded, "InstanceLimitExceeded"),
        ({"vcpus": 3}, errors.VcpuLimitExceeded, "VcpuLimitExceeded"),
    ],
)
def test_an_account_runs_so_many(
    world: World, limits: dict[str, int], fault: type[errors.Fault], code: str
) -> None:
    limit(world, **limits)
    assert len(world.run(min_count=1, max_count=9)["instances"]) == 3
    with pytest.raises(fault, match="administrator") as caught:
        world.run()
    assert caught.value.code == code
    world.run(BOB)
    (first, *_) = world.do("DescribeInstances")["reservations"][0]["instances"]
    world.set_state(first["instance_id"], "stopped")
    world.run()
    with pytest.raises(fault):
        world.do("StartInstances", instance_ids=[first["instance_id"]])


def test_an_account_has_so_many_images(world: World) -> None:
    image_id = world.image()
    world.image(state="failed")
    world.image(BOB)
    limit(world, images=1)
    instance_id = world.run(image_id=image_id)["instances"][0]["instance_id"]
    world.set_state(instance_id, "running")
    calls: tuple[tuple[str, dict[str, Any]], ...] = (
        ("RegisterImage", {"image_location": "b/k"}),
        ("CopyImage", {"source_image_id": image_id, "name": "new"}),
        ("CreateImage", {"instance_id": instance_id, "name": "new"}),
    )
    for name, params in calls:
        with pytest.raises(errors.ImageLimitExceeded) as caught:
            world.do(name, **params)
        assert caught.value.code == "ResourceLimitExceeded"
    world.do("DeregisterImage", image_id=image_id)
    world.do("RegisterImage", image_location="b/k")


def test_an_account_has_so_many_groups_and_they_so_many_rules(world: World) -> None:
    limit(world, security_groups=2, rules=2)
    group_id = world.do("CreateSecurityGroup", group_name="a", description="d")["group_id"]
    with pytest.raises(errors.SecurityGroupLimitExceeded):
        world.do("CreateSecurityGroup", group_name="b", description="d")
    rule = {"ip_protocol": "tcp", "cidr_ip": "10.0.0.0/8"}
    port = {"from_port": 22, "to_port": 22}
    world.do("AuthorizeSecurityGroupIngress", group_id=group_id, **rule, **port)
    with pytest.raises(errors.RulesLimitExceeded) as caught:
        for number in (80, 81):
            port = {"from_port": number, "to_port": number}
            world.do("AuthorizeSecurityGroupIngress", group_id=group_id, **rule, **port)
    assert caught.value.code == "RulesPerSecurityGroupLimitExceeded"


def test_account_attributes_have_the_limits(world: World) -> None:
    assert told(world, "max-instances") == ["8"]
    assert told(world, "max-vcpus") == []
    limit(world, instances=3, vcpus=5, images=7)
    assert told(world, "max-instances") == ["3"]
    assert told(world, "max-vcpus") == ["5"]
    assert told(world, "max-images") == ["7"]
    assert told(world, "max-security-groups") == ["500"]
    limit(world, instances=100)
    assert told(world, "max-instances") == ["8"], "the host has no more"


def test_no_limit_is_no_limit(world: World) -> None:
    limit(world, security_groups=0, rules=0)
    for number in range(3):
        world.do("CreateSecurityGroup", group_name=str(number), description="d")
    assert len(world.run(max_count=5)["instances"]) == 5
