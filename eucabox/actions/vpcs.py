"""The default VPC and its subnet: read-only, for clients that can't do without one."""

import ipaddress
from collections.abc import Sequence
from typing import Any

from eucabox import vpc
from eucabox.actions import Call, Result, action
from eucabox.errors import Fault, SubnetNotFound, VpcNotFound
from eucabox.filters import Filter, page, select

EVERYWHERE = "0.0.0.0/0"
NOT_FOR_INSTANCES = 5  # network, gateway, two that EC2 reserves, broadcast
MOST_ADDRESSES = 2**16
VPC_FILTERS = {
    "vpc-id": "vpc_id",
    "cidr": "cidr_block",
    "is-default": "is_default",
    "isDefault": "is_default",
    "state": "state",
    "owner-id": "owner_id",
    "dhcp-options-id": "dhcp_options_id",
}
SUBNET_FILTERS = {
    "subnet-id": "subnet_id",
    "vpc-id": "vpc_id",
    "availability-zone": "availability_zone",
    "availabilityZone": "availability_zone",
    "cidr-block": "cidr_block",
    "cidr": "cidr_block",
    "cidrBlock": "cidr_block",
    "default-for-az": "default_for_az",
    "defaultForAz": "default_for_az",
    "state": "state",
    "owner-id": "owner_id",
    "available-ip-address-count": "available_ip_address_count",
    "map-public-ip-on-launch": "map_public_ip_on_launch",
}


@action()
def describe_vpcs(
    call: Call,
    *,
    vpc_ids: Sequence[str] = (),
    filters: Sequence[Filter] = (),
    max_results: int | None = None,
    next_token: str | None = None,
) -> Result:
    """List the account's one VPC."""
    row = {
        "vpc_id": vpc.vpc_id(call.account_id),
        "state": "available",
        "cidr_block": _cidr_block(call),
        "dhcp_options_id": "default",
        "owner_id": call.account_id,
        "instance_tenancy": "default",
        "is_default": True,
        "cidr_block_association_set": [],
        "ipv6_cidr_block_association_set": [],
        "tags": [],
    }
    for vpc_id in vpc_ids:
        if vpc_id != row["vpc_id"]:
            raise VpcNotFound(id=vpc_id[:60])
    rows = select([row], filters, VPC_FILTERS)
    shown, token = page(rows, lambda each: str(each["vpc_id"]), max_results, next_token)
    return {"vpcs": shown, "next_token": token}


@action()
def describe_subnets(
    call: Call,
    *,
    subnet_ids: Sequence[str] = (),
    filters: Sequence[Filter] = (),
    max_results: int | None = None,
    next_token: str | None = None,
) -> Result:
    """List the account's one subnet."""
    row = _subnet(call)
    for subnet_id in subnet_ids:
        if subnet_id != row["subnet_id"]:
            raise SubnetNotFound(id=subnet_id[:60])
    rows = select([row], filters, SUBNET_FILTERS)
    shown, token = page(rows, lambda each: str(each["subnet_id"]), max_results, next_token)
    return {"subnets": shown, "next_token": token}


def _subnet(call: Call) -> dict[str, Any]:
    return {
        "subnet_id": vpc.subnet_id(call.account_id),
        "vpc_id": vpc.vpc_id(call.account_id),
        "state": "available",
        "cidr_block": _cidr_block(call),
        "available_ip_address_count": _free_addresses(call),
        "availability_zone": call.cloud.config.cloud.zone,
        "availability_zone_id": f"{call.cloud.config.cloud.region}-az1",
        "default_for_az": True,
        "map_public_ip_on_launch": False,
        "assign_ipv6_address_on_creation": False,
        "ipv6_cidr_block_association_set": [],
        "owner_id": call.account_id,
        "tags": [],
    }


def _cidr_block(call: Call) -> str:
    """Return the instances' network; everywhere, where the site's own DHCP knows and we don't."""
    try:
        return str(getattr(call.cloud.network, "subnet", EVERYWHERE))
    except Fault:
        return EVERYWHERE


def _free_addresses(call: Call) -> int:
    sql = "select count(*) as used from instances where state <> 'terminated'"
    used = call.cloud.state.query(sql)[0]["used"]
    size = min(ipaddress.ip_network(_cidr_block(call)).num_addresses, MOST_ADDRESSES)
    return int(max(size - NOT_FOR_INSTANCES - used, 0))
