"""Security groups: each account has its own, the default among them."""

from typing import Any

import pytest

from eucabox import errors
from eucabox.ec2 import default_vpc
from tests.actions.stand_ins import ADMIN, ALICE, BOB, World


def names(answer: dict[str, Any]) -> list[str]:
    return sorted(each["group_name"] for each in answer["security_groups"])


def make(world: World, name: str = "web", **params: Any) -> str:
    made = world.do("CreateSecurityGroup", group_name=name, description="for tests", **params)
    return str(made["group_id"])


def test_the_default_group_is_there_without_being_made(world: World) -> None:
    (group,) = world.do("DescribeSecurityGroups")["security_groups"]
    assert group["group_name"] == "default"
    assert group["owner_id"] == ALICE.account_id
    assert group["vpc_id"] == default_vpc.vpc_id(ALICE.account_id)
    (inside,) = group["ip_permissions"]
    assert inside["user_id_group_pairs"][0]["group_id"] == group["group_id"]
    (outside,) = group["ip_permissions_egress"]
    assert outside["ip_ranges"] == [{"cidr_ip": "0.0.0.0/0"}]
    assert len(world.do("DescribeSecurityGroups")["security_groups"]) == 1


def test_a_new_group_lets_everything_out_and_nothing_in(world: World) -> None:
    tagged = [{"resource_type": "security-group", "tags": [{"key": "a", "value": "b"}]}]
    group_id = make(world, vpc_id=default_vpc.vpc_id(ALICE.account_id), tag_specifications=tagged)
    (group,) = world.do("DescribeSecurityGroups", group_ids=[group_id])["security_groups"]
    assert group["ip_permissions"] == []
    assert group["ip_permissions_egress"][0]["ip_protocol"] == "-1"
    assert group["tags"] == [{"key": "a", "value": "b"}]


def test_groups_are_found_by_name_id_and_filter(world: World) -> None:
    group_id = make(world)
    make(world, "db")
    make_for_bob = world.do("CreateSecurityGroup", BOB, group_name="web", description="d")
    describe = "DescribeSecurityGroups"
    assert names(world.do(describe)) == ["db", "default", "web"]
    assert names(world.do(describe, group_names=["web"])) == ["web"]
    assert names(world.do(describe, group_names=[group_id])) == ["web"]
    assert names(world.do(describe, filters=[{"name": "group-name", "values": ["d*"]}])) == [
        "db",
        "default",
    ]
    out = [{"name": "egress.ip-permission.cidr", "values": ["0.0.0.0/0"]}]
    assert len(names(world.do(describe, filters=out))) == 3
    with pytest.raises(errors.GroupNotFound):
        world.do(describe, group_ids=[make_for_bob["group_id"]])
    with pytest.raises(errors.GroupIdMalformed):
        world.do(describe, group_ids=["web"])


@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({"group_name": ""}, errors.InvalidParameterValue),
        ({"group_name": "x" * 256}, errors.InvalidParameterValue),
        ({"group_name": "a\x07"}, errors.InvalidParameterValue),
        ({"group_name": "sg-1"}, errors.InvalidParameterValue),
        ({"group_name": "default"}, errors.GroupReserved),
        ({"group_name": "db"}, errors.GroupExists),
        ({"description": "x" * 256}, errors.InvalidParameterValue),
        ({"vpc_id": "vpc-12345678"}, errors.VpcNotFound),
    ],
)
def test_a_bad_group_is_not_made(
    world: World, params: dict[str, str], fault: type[errors.Fault]
) -> None:
    make(world, "db")
    with pytest.raises(fault):
        world.do("CreateSecurityGroup", **{"group_name": "web", "description": "d", **params})
    assert names(world.do("DescribeSecurityGroups")) == ["db", "default"]


def test_a_group_in_use_stays(world: World) -> None:
    group_id = make(world)
    instance_id = world.run(security_groups=["web"])["instances"][0]["instance_id"]
    with pytest.raises(errors.GroupInUse, match=instance_id) as caught:
        world.do("DeleteSecurityGroup", group_id=group_id)
    assert caught.value.code == "DependencyViolation"
    world.set_state(instance_id, "terminated")
    assert world.do("DeleteSecurityGroup", group_name="web")["return"]
    with pytest.raises(errors.GroupNotFound):
        world.do("DeleteSecurityGroup", group_id=group_id)
    (instance,) = world.do("DescribeInstances")["reservations"][0]["instances"]
    assert instance["security_groups"] == []


def test_a_group_that_another_refers_to_stays(world: World) -> None:
    web, db = make(world), make(world, "db")
    rule = {
        "ip_protocol": "tcp",
        "from_port": 1,
        "to_port": 2,
        "user_id_group_pairs": [{"group_id": web}],
    }
    world.do("AuthorizeSecurityGroupIngress", group_id=db, ip_permissions=[rule])
    with pytest.raises(errors.GroupInUse, match=db):
        world.do("DeleteSecurityGroup", group_id=web)
    world.do("DeleteSecurityGroup", group_id=db)
    world.do("DeleteSecurityGroup", group_id=web)


def test_the_default_group_stays(world: World) -> None:
    with pytest.raises(errors.GroupNotDeletable) as caught:
        world.do("DeleteSecurityGroup", group_name="default")
    assert caught.value.code == "CannotDelete"
    with pytest.raises(errors.MissingParameter):
        world.do("DeleteSecurityGroup")


@pytest.mark.parametrize("member", ["group_name", "description"])
def test_names_and_descriptions_are_ascii(world: World, member: str) -> None:
    params = {"group_name": "web", "description": "d", member: "caf\u00e9"}
    with pytest.raises(errors.InvalidParameterValue, match="sets beyond ASCII are not supported"):
        world.do("CreateSecurityGroup", **params)


def test_the_administrator_lists_every_accounts_groups_by_verbose(world: World) -> None:
    for caller in (ALICE, BOB):
        world.do("CreateSecurityGroup", caller, group_name="web", description="d")
    for params in ({"group_names": ["verbose"]}, {"group_ids": ["verbose"]}):
        found = world.do("DescribeSecurityGroups", ADMIN, **params)["security_groups"]
        owners = {each["owner_id"] for each in found if each["group_name"] == "web"}
        assert owners == {ALICE.account_id, BOB.account_id}
        mine = world.do("DescribeSecurityGroups", **params)["security_groups"]
        assert {each["owner_id"] for each in mine} == {ALICE.account_id}
    world.do("CreateSecurityGroup", ADMIN, group_name="verbose", description="d")
    named = world.do("DescribeSecurityGroups", ADMIN, group_names=["verbose"])["security_groups"]
    assert [each["group_name"] for each in named] == ["verbose"]
