"""Rules are written in either of EC2's forms, each once, all of a request or none."""

from typing import Any

import pytest

from eucabox import errors
from eucabox.actions import perform
from tests.actions.stand_ins import ALICE, BOB, World

SSH: dict[str, Any] = {
    "ip_protocol": "tcp",
    "from_port": 22,
    "to_port": 22,
    "ip_ranges": [{"cidr_ip": "10.1.2.3/8", "description": "home"}],
}
IN, OUT = "AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress"
NOT_IN, NOT_OUT = "RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress"


@pytest.fixture
def group_id(world: World) -> str:
    made = world.do("CreateSecurityGroup", group_name="web", description="d")
    return str(made["group_id"])


def permissions(world: World, member: str = "ip_permissions") -> list[dict[str, Any]]:
    answer = world.do("DescribeSecurityGroups", group_names=["web"])
    return list(answer["security_groups"][0][member])


def test_peers_of_the_same_ports_are_one_permission(world: World, group_id: str) -> None:
    answer = world.do(IN, group_id=group_id, ip_permissions=[SSH])
    (rule,) = answer["security_group_rules"]
    assert rule["cidr_ipv4"] == "10.0.0.0/8"
    assert rule["group_owner_id"] == ALICE.account_id
    world.do(
        IN, group_name="web", ip_permissions=[{**SSH, "ip_ranges": [{"cidr_ip": "1.2.3.4/32"}]}]
    )
    wide = {**SSH, "ip_ranges": [], "ipv6_ranges": [{"cidr_ipv6": "2001:DB8::1/32"}]}
    world.do(IN, group_id=group_id, ip_permissions=[wide])
    (permission,) = permissions(world)
    assert permission["from_port"] == permission["to_port"] == 22
    assert permission["ip_ranges"] == [
        {"cidr_ip": "10.0.0.0/8", "description": "home"},
        {"cidr_ip": "1.2.3.4/32"},
    ]
    assert permission["ipv6_ranges"] == [{"cidr_ipv6": "2001:db8::/32"}]


def test_the_older_form_names_one_rule(world: World, group_id: str) -> None:
    rule = {"ip_protocol": "udp", "from_port": 53, "to_port": 54, "cidr_ip": "0.0.0.0/0"}
    world.do(IN, group_name="web", **rule)
    world.do(IN, group_name="web", source_security_group_name="default")
    found = [each["ip_protocol"] for each in permissions(world)]
    assert found == ["udp", "-1"]
    world.do(NOT_IN, group_name="web", **rule)
    world.do(NOT_IN, group_name="web", source_security_group_name="default")
    assert permissions(world) == []


@pytest.mark.not_fast
@pytest.mark.parametrize(
    ("rule", "shown"),
    [
        ({"ip_protocol": "icmp"}, ("icmp", -1, -1)),
        ({"ip_protocol": "1", "from_port": 8, "to_port": 0}, ("icmp", 8, 0)),
        ({"ip_protocol": "-1", "from_port": 1, "to_port": 2}, ("-1", None, None)),
        ({"ip_protocol": "all"}, ("-1", None, None)),
        ({"ip_protocol": "50"}, ("50", None, None)),
        ({"ip_protocol": "TCP", "from_port": 0, "to_port": 65535}, ("tcp", 0, 65535)),
        ({"ip_protocol": "006", "from_port": 1, "to_port": 1}, ("tcp", 1, 1)),
    ],
)
def test_protocols_are_shown_by_name(
    world: World, group_id: str, rule: dict[str, Any], shown: tuple[Any, ...]
) -> None:
    world.do(IN, group_id=group_id, ip_permissions=[{**rule, "ip_ranges": SSH["ip_ranges"]}])
    (found,) = permissions(world)
    assert (found["ip_protocol"], found.get("from_port"), found.get("to_port")) == shown


BAD: list[tuple[dict[str, Any], type[errors.Fault]]] = [
    ({}, errors.MissingParameter),
    ({"ip_permissions": [SSH], "cidr_ip": "0.0.0.0/0"}, errors.InvalidParameterCombination),
    ({"ip_permissions": [SSH, SSH]}, errors.PermissionExists),
    ({"ip_permissions": [{**SSH, "ip_protocol": "smtp"}]}, errors.InvalidParameterValue),
    ({"ip_permissions": [{**SSH, "ip_protocol": "256"}]}, errors.InvalidParameterValue),
    ({"ip_permissions": [{**SSH, "ip_protocol": "\u0661"}]}, errors.InvalidParameterValue),
    ({"ip_permissions": [{"ip_ranges": SSH["ip_ranges"]}]}, errors.MissingParameter),
    ({"ip_permissions": [{**SSH, "ip_ranges": []}]}, errors.MissingParameter),
    ({"ip_permissions": [{**SSH, "from_port": 23}]}, errors.PermissionMalformed),
    ({"ip_permissions": [{**SSH, "to_port": 65536}]}, errors.PermissionMalformed),
    ({"ip_permissions": [{**SSH, "from_port": -1}]}, errors.PermissionMalformed),
    ({"ip_protocol": "tcp", "cidr_ip": "0.0.0.0/0"}, errors.PermissionMalformed),
    ({"ip_permissions": [{**SSH, "prefix_list_ids": [{"prefix_list_id": "pl-1"}]}]}, errors.Fault),
    *(
        ({"ip_permissions": [{**SSH, "ip_ranges": [{"cidr_ip": cidr}]}]}, errors.Fault)
        for cidr in (
            "",
            "10.0.0.1",
            "10.0.0.0/33",
            "::/0",
            "everywhere",
            "10.0.0.0/8/8",
            "1/\u0664",
        )
    ),
    (
        {"ip_permissions": [{**SSH, "user_id_group_pairs": [{"group_name": "none"}]}]},
        errors.GroupNotFound,
    ),
    (
        {"ip_permissions": [{**SSH, "user_id_group_pairs": [{"group_name": "x", "user_id": "9"}]}]},
        errors.GroupNotFound,
    ),
    ({"ip_permissions": [{**SSH, "user_id_group_pairs": [{}]}]}, errors.MissingParameter),
]


@pytest.mark.not_fast
@pytest.mark.parametrize(("params", "fault"), BAD)
def test_a_bad_rule_changes_nothing(
    world: World, group_id: str, params: dict[str, Any], fault: type[errors.Fault]
) -> None:
    before = world.state.query("select * from security_group_rules where group_id = ?", [group_id])
    with pytest.raises(fault):
        world.do(IN, group_id=group_id, **params)
    after = world.state.query("select * from security_group_rules where group_id = ?", [group_id])
    assert after == before


def test_a_rule_exists_once_whatever_its_description(world: World, group_id: str) -> None:
    world.do(IN, group_id=group_id, ip_permissions=[SSH])
    again = {**SSH, "ip_ranges": [{"cidr_ip": "10.0.0.0/8", "description": "office"}]}
    other = {**SSH, "from_port": 1}
    with pytest.raises(errors.PermissionExists) as caught:
        world.do(IN, group_id=group_id, ip_permissions=[other, again])
    assert caught.value.code == "InvalidPermission.Duplicate"
    assert len(permissions(world)) == 1


def test_the_default_egress_rule_can_go(world: World, group_id: str) -> None:
    everything = {"ip_protocol": "-1", "ip_ranges": [{"cidr_ip": "0.0.0.0/0"}]}
    six = {"ip_protocol": "-1", "ipv6_ranges": [{"cidr_ipv6": "::/0"}]}
    with pytest.raises(errors.PermissionNotFound):
        world.do(NOT_OUT, group_id=group_id, ip_permissions=[six])
    answer = world.do(NOT_OUT, group_id=group_id, ip_permissions=[everything])
    assert answer["revoked_security_group_rules"][0]["cidr_ipv4"] == "0.0.0.0/0"
    assert permissions(world, "ip_permissions_egress") == []
    world.do(OUT, group_id=group_id, ip_permissions=[SSH])
    assert len(permissions(world, "ip_permissions_egress")) == 1
    assert permissions(world) == []


def test_rules_are_listed_and_revoked_by_id(world: World, group_id: str) -> None:
    made = world.do(IN, group_id=group_id, ip_permissions=[SSH])["security_group_rules"][0]
    rule_id = made["security_group_rule_id"]
    only = [{"name": "group-id", "values": [group_id]}]
    rules = world.do("DescribeSecurityGroupRules", filters=only)["security_group_rules"]
    assert sorted(rule["is_egress"] for rule in rules) == [False, True]
    found = world.do("DescribeSecurityGroupRules", security_group_rule_ids=[rule_id])
    assert found["security_group_rules"] == [made]
    world.do(NOT_IN, group_id=group_id, security_group_rule_ids=[rule_id])
    with pytest.raises(errors.GroupRuleNotFound):
        world.do(NOT_IN, group_id=group_id, security_group_rule_ids=[rule_id])


def of_bob(**pair: str) -> dict[str, Any]:
    pairs = [{"user_id": BOB.account_id, **pair}]
    return {**SSH, "ip_ranges": [], "user_id_group_pairs": pairs}


def test_a_group_of_another_account_is_a_source_by_its_owner(world: World, group_id: str) -> None:
    world.do("CreateSecurityGroup", BOB, group_name="app", description="d")
    world.do(IN, group_id=group_id, ip_permissions=[of_bob(group_name="app")])
    (found,) = permissions(world)
    assert found["user_id_group_pairs"] == [
        {"user_id": BOB.account_id, "group_id": None, "group_name": "app"}
    ]
    with pytest.raises(errors.PermissionExists):
        world.do(IN, group_id=group_id, ip_permissions=[of_bob(group_name="app")])
    with pytest.raises(errors.GroupNotFound):
        world.do(IN, BOB, group_id=group_id, ip_permissions=[SSH])
    world.do(NOT_IN, group_id=group_id, ip_permissions=[of_bob(group_name="app")])
    assert permissions(world) == []


@pytest.mark.parametrize("kind", ["group_name", "group_id"])
def test_a_rule_tells_nothing_of_a_strangers_group(world: World, group_id: str, kind: str) -> None:
    made = world.do("CreateSecurityGroup", BOB, group_name="app", description="d")["group_id"]
    there, lost = ("app", "lost") if kind == "group_name" else (made, "sg-" + "0" * 17)
    answers = []
    for name in (there, lost):
        world.do(IN, group_id=group_id, ip_permissions=[of_bob(**{kind: name})])
        (found,) = permissions(world)
        rules = world.do("DescribeSecurityGroupRules")["security_group_rules"]
        (rule,) = [each for each in rules if is_ingress_of(each, group_id)]
        told = f"{found['user_id_group_pairs']} {rule}"
        told = told.replace(rule["security_group_rule_id"], "RULE")
        answers.append(told.replace(name, "NAME"))
        world.do(NOT_IN, group_id=group_id, ip_permissions=[of_bob(**{kind: name})])
    assert answers[0] == answers[1]


@pytest.mark.parametrize("pair", [{"group_name": "app"}, {"group_id": "sg-" + "0" * 17}])
def test_a_rule_tells_not_whether_there_is_an_account(
    world: World, group_id: str, pair: dict[str, str]
) -> None:
    nobody = {**of_bob(), "user_id_group_pairs": [{"user_id": "999999999999", **pair}]}
    answers = [
        repr(world.do(IN, group_id=group_id, ip_permissions=[rule]).keys())
        for rule in (of_bob(**pair), nobody)
    ]
    assert answers[0] == answers[1]
    (found,) = permissions(world)
    assert [each["user_id"] for each in found["user_id_group_pairs"]] == sorted(
        ["999999999999", BOB.account_id]
    )


def is_ingress_of(rule: dict[str, Any], group_id: str) -> bool:
    return bool(rule["group_id"] == group_id and not rule["is_egress"])


@pytest.mark.parametrize("kind", ["group_name", "group_id"])
def test_a_strangers_rule_does_not_keep_a_group(world: World, group_id: str, kind: str) -> None:
    made = world.do("CreateSecurityGroup", BOB, group_name="app", description="d")["group_id"]
    pair = {"group_name": "app"} if kind == "group_name" else {"group_id": made}
    world.do(IN, group_id=group_id, ip_permissions=[of_bob(**pair)])
    before = permissions(world)
    world.do("DeleteSecurityGroup", BOB, group_id=made)
    assert permissions(world) == before
    world.do(NOT_IN, group_id=group_id, ip_permissions=[of_bob(**pair)])
    assert permissions(world) == []


def test_a_rule_of_the_own_account_keeps_a_group(world: World, group_id: str) -> None:
    made = world.do("CreateSecurityGroup", group_name="app", description="d")["group_id"]
    rule = {**SSH, "ip_ranges": [], "user_id_group_pairs": [{"group_id": made}]}
    world.do(IN, group_id=group_id, ip_permissions=[rule])
    with pytest.raises(errors.GroupInUse, match=group_id):
        world.do("DeleteSecurityGroup", group_id=made)


def test_the_older_single_rule_names_the_owner_of_its_source(world: World, group_id: str) -> None:
    source = {"source_security_group_name": "app", "source_security_group_owner_id": "9"}
    with pytest.raises(errors.GroupNotFound):
        world.do(IN, group_id=group_id, **source)
    source["source_security_group_owner_id"] = BOB.account_id
    world.do(IN, group_id=group_id, **source)
    (found,) = permissions(world)
    assert found["user_id_group_pairs"][0]["user_id"] == BOB.account_id


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        ({"ip_ranges": [{"cidr_ip": "::/0"}]}, "CidrIp is invalid. It is an IPv6 network"),
        ({"ipv6_ranges": [{"cidr_ipv6": "0.0.0.0/0"}]}, "CidrIpv6 is invalid. It is an IPv4"),
        ({"ip_ranges": [{"cidr_ip": "10.0.0.0"}]}, "CidrIp is invalid. Give a network with"),
    ],
)
def test_a_network_of_the_other_kind_is_told_where_to_go(
    world: World, group_id: str, ranges: dict[str, Any], words: str
) -> None:
    rule = {"ip_protocol": "tcp", "from_port": 1, "to_port": 1, **ranges}
    with pytest.raises(errors.InvalidParameterValue, match=words):
        world.do(IN, group_id=group_id, ip_permissions=[rule])


def test_all_types_of_icmp_have_all_codes(world: World, group_id: str) -> None:
    icmp = {"ip_protocol": "icmp", "ip_ranges": [{"cidr_ip": "10.0.0.0/8"}]}
    for ports in ({"from_port": -1, "to_port": 0}, {"from_port": -1, "to_port": 255}):
        with pytest.raises(errors.PermissionMalformed, match="all ICMP codes"):
            world.do(IN, group_id=group_id, ip_permissions=[{**icmp, **ports}])
    for ports in ({"from_port": -1, "to_port": -1}, {"from_port": 8, "to_port": -1}, {}):
        world.do(IN, group_id=group_id, ip_permissions=[{**icmp, **ports}])
        world.do(NOT_IN, group_id=group_id, ip_permissions=[{**icmp, **ports}])


def test_a_rules_description_is_ascii(world: World, group_id: str) -> None:
    odd = {**SSH, "ip_ranges": [{"cidr_ip": "10.0.0.0/8", "description": "caf\u00e9"}]}
    with pytest.raises(errors.InvalidParameterValue, match="beyond ASCII"):
        world.do(IN, group_id=group_id, ip_permissions=[odd])
    plain = {**SSH, "ip_ranges": [{"cidr_ip": "10.0.0.0/8"}]}
    world.do(IN, group_id=group_id, ip_permissions=[plain])
    world.do(NOT_IN, group_id=group_id, ip_permissions=[odd])  # as a rule from before is shown
    assert permissions(world) == []


@pytest.mark.parametrize(
    ("version", "cidr", "ranges"),
    [
        ("2015-10-01", "0.0.0.0/0", 0),
        ("2016-11-15", "0.0.0.0/0", 1),
        ("2015-10-01", "10.0.0.0/8", 1),
    ],
)
def test_a_source_group_does_not_open_a_port_to_everyone(
    world: World, group_id: str, version: str, cidr: str, ranges: int
) -> None:
    rule = {
        **SSH,
        "ip_ranges": [{"cidr_ip": cidr}],
        "user_id_group_pairs": [{"group_name": "default", "user_id": ALICE.account_id}],
    }
    params: dict[str, Any] = {"group_id": group_id, "ip_permissions": [rule]}
    perform("ec2", IN, world.call(ALICE, version), params)
    (found,) = permissions(world)
    assert len(found["user_id_group_pairs"]) == 1
    assert len(found["ip_ranges"]) == ranges
    perform("ec2", NOT_IN, world.call(ALICE, version), params)
    assert permissions(world) == []


def test_each_change_wakes_the_node(world: World, group_id: str) -> None:
    before = world.node.woken
    world.do(IN, group_id=group_id, ip_permissions=[SSH])
    assert world.node.woken == before + 1
    world.do(NOT_IN, group_id=group_id, ip_permissions=[SSH])
    assert world.node.woken == before + 2
