"""Rules that are there are described anew, or say something else, under the same id."""

from typing import Any

import pytest

from eucabox import errors
from tests.actions.stand_ins import BOB, World

UPDATE = "UpdateSecurityGroupRuleDescriptionsIngress"
MODIFY = "ModifySecurityGroupRules"


def ssh(text: str = "", cidr: str = "10.0.0.0/8") -> dict[str, Any]:
    network = {"cidr_ip": cidr, "description": text} if text else {"cidr_ip": cidr}
    return {"ip_protocol": "tcp", "from_port": 22, "to_port": 22, "ip_ranges": [network]}


@pytest.fixture
def group_id(world: World) -> str:
    made = world.do("CreateSecurityGroup", group_name="web", description="web")
    return str(made["group_id"])


@pytest.fixture
def rule_id(world: World, group_id: str) -> str:
    made = world.do("AuthorizeSecurityGroupIngress", group_id=group_id, ip_permissions=[ssh("old")])
    return str(made["security_group_rules"][0]["security_group_rule_id"])


def shown(world: World, rule_id: str) -> dict[str, Any]:
    params = {"security_group_rule_ids": [rule_id]}
    (row,) = world.do("DescribeSecurityGroupRules", **params)["security_group_rules"]
    return dict(row)


def test_a_rule_is_described_by_what_it_says(world: World, group_id: str, rule_id: str) -> None:
    world.do(UPDATE, group_id=group_id, ip_permissions=[ssh("new")])
    assert shown(world, rule_id)["description"] == "new"
    world.do(UPDATE, group_name="web", ip_permissions=[ssh()])
    assert "description" not in shown(world, rule_id)
    with pytest.raises(errors.PermissionNotFound):
        world.do(UPDATE, group_id=group_id, ip_permissions=[ssh("x", "11.0.0.0/8")])
    with pytest.raises(errors.MissingParameter):
        world.do(UPDATE, group_id=group_id)


def test_a_rule_is_described_by_its_id(world: World, group_id: str, rule_id: str) -> None:
    named = [{"security_group_rule_id": rule_id, "description": "by id"}]
    world.do(UPDATE, group_id=group_id, security_group_rule_descriptions=named)
    assert shown(world, rule_id)["description"] == "by id"
    with pytest.raises(errors.GroupRuleNotFound):
        world.do(
            UPDATE.replace("Ingress", "Egress"),
            group_id=group_id,
            security_group_rule_descriptions=named,
        )


def test_a_rule_says_something_else(world: World, group_id: str, rule_id: str) -> None:
    members = {"ip_protocol": "udp", "from_port": 53, "to_port": 53, "cidr_ipv6": "2001:db8::/32"}
    update = [{"security_group_rule_id": rule_id, "security_group_rule": members}]
    woken = world.node.woken
    world.do(MODIFY, group_id=group_id, security_group_rules=update)
    assert world.node.woken > woken
    row = shown(world, rule_id)
    assert (row["ip_protocol"], row["from_port"], row["cidr_ipv6"]) == (
        "udp",
        53,
        members["cidr_ipv6"],
    )
    assert not {"cidr_ipv4", "description"} & set(row)
    members = {"ip_protocol": "-1", "referenced_group_id": group_id, "description": "us"}
    update = [{"security_group_rule_id": rule_id, "security_group_rule": members}]
    world.do(MODIFY, group_id=group_id, security_group_rules=update)
    assert shown(world, rule_id)["referenced_group_info"]["group_id"] == group_id
    with pytest.raises(errors.GroupNotFound):
        world.do(MODIFY, BOB, group_id=group_id, security_group_rules=update)


@pytest.mark.not_fast
@pytest.mark.parametrize(
    "members",
    [
        {"ip_protocol": "tcp", "from_port": 22, "to_port": 22, "cidr_ipv4": "10.9.0.0/16"},
        {"ip_protocol": "-1"},
        {"ip_protocol": "-1", "cidr_ipv4": "10.0.0.0/8", "cidr_ipv6": "::/0"},
        {"ip_protocol": "tcp", "cidr_ipv4": "10.0.0.0/8"},
        {"cidr_ipv4": "10.0.0.0/8"},
        {},
    ],
)
def test_what_a_rule_can_not_say(
    world: World, group_id: str, rule_id: str, members: dict[str, Any]
) -> None:
    """The first is what another rule says already."""
    other = [ssh(cidr="10.9.0.0/16")]
    world.do("AuthorizeSecurityGroupIngress", group_id=group_id, ip_permissions=other)
    before = world.state.query("select * from security_group_rules")
    update = [{"security_group_rule_id": rule_id, "security_group_rule": members}]
    with pytest.raises(errors.Fault):
        world.do(MODIFY, group_id=group_id, security_group_rules=update)
    assert world.state.query("select * from security_group_rules") == before
