"""The default VPC and its parts: one of each an account, and what clients read of them."""

from typing import Any

import pytest

from eucabox import errors
from eucabox.ec2 import default_vpc
from tests.actions.stand_ins import ALICE, BOB, World

PARTS = [
    ("DescribeVpcs", "vpcs", "vpc_id", "vpc"),
    ("DescribeSubnets", "subnets", "subnet_id", "subnet"),
    ("DescribeRouteTables", "route_tables", "route_table_id", "rtb"),
    ("DescribeInternetGateways", "internet_gateways", "internet_gateway_id", "igw"),
    ("DescribeNetworkAcls", "network_acls", "network_acl_id", "acl"),
    ("DescribeDhcpOptions", "dhcp_options", "dhcp_options_id", "dopt"),
]


def has(name: str, *values: str) -> list[dict[str, Any]]:
    return [{"name": name, "values": list(values)}]


def test_each_account_has_one_vpc_with_one_subnet(world: World) -> None:
    world.run()
    default = [{"name": "is-default", "values": ["true"]}]
    (network,) = world.do("DescribeVpcs", filters=default)["vpcs"]
    (subnet,) = world.do("DescribeSubnets", filters=[{"name": "vpc-id", "values": ["vpc-*"]}])[
        "subnets"
    ]
    assert subnet["vpc_id"] == network["vpc_id"] == default_vpc.vpc_id(ALICE.account_id)
    assert subnet["cidr_block"] == network["cidr_block"] == "172.30.64.0/28"
    assert subnet["available_ip_address_count"] == 10
    (instance,) = world.do("DescribeInstances")["reservations"][0]["instances"]
    assert (instance["vpc_id"], instance["subnet_id"]) == (network["vpc_id"], subnet["subnet_id"])
    with pytest.raises(errors.VpcNotFound):
        world.do("DescribeVpcs", vpc_ids=[default_vpc.vpc_id(BOB.account_id)])
    with pytest.raises(errors.SubnetNotFound):
        world.do("DescribeSubnets", subnet_ids=["subnet-1"])


@pytest.mark.parametrize(("name", "member", "key", "prefix"), PARTS)
def test_an_account_has_one_of_each_part(
    world: World, name: str, member: str, key: str, prefix: str
) -> None:
    asked = f"{key}s"
    (row,) = world.do(name)[member]
    assert row[key] == default_vpc.part_id(prefix, ALICE.account_id)
    assert world.do(name, **{asked: [row[key]]})[member] == [row]
    other = default_vpc.part_id(prefix, BOB.account_id)
    with pytest.raises(errors.Fault, match="does not exist") as caught:
        world.do(name, **{asked: [other]})
    assert caught.value.code.endswith(".NotFound")
    assert world.do(name, filters=has("owner-id", ALICE.account_id))[member] == [row]
    assert world.do(name, filters=has("owner-id", "x"), max_results=5)[member] == []
    with pytest.raises(errors.InvalidParameterValue):
        world.do(name, filters=has("colour", "x"))


def test_the_main_route_table_leads_out(world: World) -> None:
    vpc_id = default_vpc.vpc_id(ALICE.account_id)
    main = [*has("association.main", "true"), *has("vpc-id", vpc_id)]
    (table,) = world.do("DescribeRouteTables", filters=main)["route_tables"]
    gateways = [route["gateway_id"] for route in table["routes"]]
    (gateway,) = world.do("DescribeInternetGateways", filters=has("attachment.vpc-id", vpc_id))[
        "internet_gateways"
    ]
    assert gateways == ["local", gateway["internet_gateway_id"]]
    by_subnet = has("association.subnet-id", default_vpc.subnet_id(ALICE.account_id))
    assert world.do("DescribeRouteTables", filters=by_subnet)["route_tables"] == []
    (acl,) = world.do("DescribeNetworkAcls", filters=has("default", "true"))["network_acls"]
    assert acl["associations"][0]["subnet_id"] == default_vpc.subnet_id(ALICE.account_id)
    (options,) = world.do("DescribeDhcpOptions", filters=has("value", "eucabox-1.internal"))[
        "dhcp_options"
    ]
    assert options["dhcp_configurations"][0]["key"] == "domain-name"


def test_a_vpc_tells_its_attributes(world: World) -> None:
    vpc_id = default_vpc.vpc_id(ALICE.account_id)
    answer = world.do("DescribeVpcAttribute", vpc_id=vpc_id, attribute="enableDnsSupport")
    assert answer == {"vpc_id": vpc_id, "enable_dns_support": {"value": True}}
    with pytest.raises(errors.InvalidParameterValue, match="enableDnsHostnames"):
        world.do("DescribeVpcAttribute", vpc_id=vpc_id, attribute="colour")
    with pytest.raises(errors.VpcNotFound):
        world.do("DescribeVpcAttribute", vpc_id="vpc-1", attribute="enableDnsSupport")
