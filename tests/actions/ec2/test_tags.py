"""Tags are put on the caller's own resources, and taken off by key or by key and value."""

from typing import Any

import pytest

from eucabox import errors
from eucabox.ec2 import default_vpc
from tests.actions.stand_ins import ALICE, BOB, World

ALL = "0.0.0.0/0"


def tags_of(world: World, resource_id: str) -> dict[str, str]:
    only = [{"name": "resource-id", "values": [resource_id]}]
    return {tag["key"]: tag["value"] for tag in world.do("DescribeTags", filters=only)["tags"]}


def test_every_kind_of_resource_can_have_tags(world: World) -> None:
    group = world.do("CreateSecurityGroup", group_name="g", description="d")["group_id"]
    key = world.do("CreateKeyPair", key_name="k", key_type="ed25519")["key_pair_id"]
    reservation = world.run()
    instance, image = reservation["instances"][0]["instance_id"], world.image()
    resources = [group, key, instance, image, world.image(image_type="kernel")]
    world.do("CreateTags", resources=resources, tags=[{"key": "a"}, {"key": "b", "value": "1"}])
    for resource_id in resources:
        assert tags_of(world, resource_id) == {"a": "", "b": "1"}
    kinds = {tag["resource_type"] for tag in world.do("DescribeTags")["tags"]}
    assert kinds == {"security-group", "key-pair", "instance", "image"}
    assert world.do("DescribeTags", BOB)["tags"] == []


def test_tags_go_by_key_or_by_key_and_value(world: World) -> None:
    image = world.image()
    tags = [{"key": key, "value": value} for key, value in (("a", "1"), ("b", "2"), ("c", ""))]
    world.do("CreateTags", resources=[image], tags=tags)
    world.do("CreateTags", resources=[image], tags=[{"key": "a", "value": "3"}])
    world.do("DeleteTags", resources=[image], tags=[{"key": "b", "value": ""}])
    world.do("DeleteTags", resources=[image], tags=[{"key": "c", "value": ""}])
    assert tags_of(world, image) == {"a": "3", "b": "2"}
    world.do("DeleteTags", resources=[image], tags=[{"key": "b"}])
    assert tags_of(world, image) == {"a": "3"}
    world.do("DeleteTags", resources=[image])
    assert tags_of(world, image) == {}


@pytest.mark.parametrize(
    ("tags", "fault"),
    [
        ([], errors.MissingParameter),
        ([{}], errors.InvalidParameterValue),
        ([{"key": "aws:x"}], errors.InvalidParameterValue),
        ([{"key": "a"}, {"key": "a"}], errors.InvalidParameterValue),
        ([{"key": "k" * 129}], errors.InvalidParameterValue),
        ([{"key": "a", "value": "v" * 257}], errors.InvalidParameterValue),
        ([{"key": "a", "value": "\x01"}], errors.InvalidParameterValue),
        ([{"key": str(number)} for number in range(51)], errors.TagLimitExceeded),
    ],
)
def test_bad_tags_are_refused(
    world: World, tags: list[dict[str, Any]], fault: type[errors.Fault]
) -> None:
    image = world.image()
    with pytest.raises(fault):
        world.do("CreateTags", resources=[image], tags=tags)
    assert tags_of(world, image) == {}


@pytest.mark.parametrize("resource", ["vol-12345678", "", "emi-00000000", "sg-1", "i-1", "key-1"])
def test_an_unknown_resource_is_named(world: World, resource: str) -> None:
    image = world.image()
    with pytest.raises(errors.Fault):
        world.do("CreateTags", resources=[image, resource], tags=[{"key": "a"}])
    assert tags_of(world, image) == {}


def test_tags_end_with_their_resource(world: World) -> None:
    made = world.do("CreateSecurityGroup", group_name="g", description="d")["group_id"]
    world.do("CreateTags", resources=[made], tags=[{"key": "a"}])
    world.do("DeleteSecurityGroup", group_id=made)
    assert tags_of(world, made) == {}


def test_rules_carry_tags_while_they_are_there(world: World) -> None:
    group_id = world.do("CreateSecurityGroup", group_name="web", description="web")["group_id"]
    tagged = [{"resource_type": "security-group-rule", "tags": [{"key": "for", "value": "web"}]}]
    rule = {"ip_protocol": "tcp", "from_port": 80, "to_port": 80, "ip_ranges": [{"cidr_ip": ALL}]}
    (made,) = world.do(
        "AuthorizeSecurityGroupIngress",
        group_id=group_id,
        ip_permissions=[rule],
        tag_specifications=tagged,
    )["security_group_rules"]
    assert made["tags"] == [{"key": "for", "value": "web"}]
    rule_id = made["security_group_rule_id"]
    world.do("CreateTags", resources=[rule_id], tags=[{"key": "more", "value": "1"}])
    by_tag = [{"name": "tag:for", "values": ["web"]}]
    (shown,) = world.do("DescribeSecurityGroupRules", filters=by_tag)["security_group_rules"]
    assert len(shown["tags"]) == 2
    world.do("RevokeSecurityGroupIngress", group_id=group_id, security_group_rule_ids=[rule_id])
    assert world.do("DescribeTags")["tags"] == []
    of_group = [{"name": "group-id", "values": [group_id]}]
    (made,) = world.do("DescribeSecurityGroupRules", filters=of_group)["security_group_rules"]
    world.do("CreateTags", resources=[made["security_group_rule_id"]], tags=[{"key": "x"}])
    world.do("DeleteSecurityGroup", group_id=made["group_id"])
    assert world.do("DescribeTags")["tags"] == []


def test_the_parts_of_the_default_vpc_carry_tags(world: World) -> None:
    for prefix, member in (
        ("vpc", "vpcs"),
        ("subnet", "subnets"),
        ("rtb", "route_tables"),
        ("igw", "internet_gateways"),
        ("acl", "network_acls"),
        ("dopt", "dhcp_options"),
    ):
        resource_id = default_vpc.part_id(prefix, ALICE.account_id)
        world.do("CreateTags", resources=[resource_id], tags=[{"key": "Name", "value": prefix}])
        name = "Describe" + member.title().replace("_", "")
        by_name = [{"name": "tag:Name", "values": [prefix]}]
        assert len(world.do(name, filters=by_name)[member]) == 1, name
        with pytest.raises(errors.Fault, match="does not exist"):
            world.do("CreateTags", BOB, resources=[resource_id], tags=[{"key": "Name"}])
    kinds = {tag["resource_type"] for tag in world.do("DescribeTags")["tags"]}
    assert {"vpc", "subnet", "route-table", "dhcp-options"} <= kinds


def test_an_interface_carries_tags_from_its_launch(world: World) -> None:
    specifications = [
        {"resource_type": kind, "tags": [{"key": "is", "value": kind}]}
        for kind in ("instance", "network-interface", "volume")
    ]
    instance = world.run(tag_specifications=specifications)["instances"][0]
    assert instance["tags"] == [{"key": "is", "value": "instance"}]
    by_tag = [{"name": "tag:is", "values": ["network-interface"]}]
    (shown,) = world.do("DescribeNetworkInterfaces", filters=by_tag)["network_interfaces"]
    assert shown["tag_set"] == [{"key": "is", "value": "network-interface"}]
    world.set_state(instance["instance_id"], "terminated")
    with pytest.raises(errors.NetworkInterfaceNotFound):
        world.do("CreateTags", resources=[shown["network_interface_id"]], tags=[{"key": "x"}])


def test_an_image_that_one_sees_but_does_not_own_gets_no_tags_and_is_not_said_to_be_missing(
    world: World,
) -> None:
    public, private = world.image(is_public=1), world.image(is_public=0)
    for verb in ("CreateTags", "DeleteTags"):
        with pytest.raises(errors.ImageNotYours):
            world.do(verb, BOB, resources=[public], tags=[{"key": "a"}])
        with pytest.raises(errors.ImageNotFound):
            world.do(verb, BOB, resources=[private], tags=[{"key": "a"}])
