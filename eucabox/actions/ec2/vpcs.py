"""The default VPC and its subnet; read-only, for clients that need one."""

from collections.abc import Sequence

from eucabox.actions import Call, Result, action
from eucabox.ec2 import default_vpc, tags
from eucabox.ec2.filters import Columns, Filter, page, select, select_ids
from eucabox.errors import InvalidParameterValue, SubnetNotFound, VpcNotFound

NOT_FOR_INSTANCES = 5  # network, gateway, two that EC2 reserves, broadcast
MOST_ADDRESSES = 2**16
HOSTNAME = "private_dns_name_options_on_launch"
VPC_FILTERS: Columns[Result] = {
    "vpc-id": "vpc_id",
    "cidr": "cidr_block",
    "cidr-block-association.association-id": "cidr_block_association_set.association_id",
    "cidr-block-association.cidr-block": "cidr_block_association_set.cidr_block",
    "cidr-block-association.state": "cidr_block_association_set.cidr_block_state.state",
    "is-default": "is_default",
    "isDefault": "is_default",
    "state": "state",
    "owner-id": "owner_id",
    "dhcp-options-id": "dhcp_options_id",
    **dict.fromkeys(
        f"ipv6-cidr-block-association.{each}"
        for each in ("association-id", "ipv6-cidr-block", "ipv6-pool", "state")
    ),
}
SUBNET_FILTERS: Columns[Result] = {
    "subnet-id": "subnet_id",
    "subnet-arn": "subnet_arn",
    "vpc-id": "vpc_id",
    "availability-zone": "availability_zone",
    "availabilityZone": "availability_zone",
    "availability-zone-id": "availability_zone_id",
    "availabilityZoneId": "availability_zone_id",
    "cidr-block": "cidr_block",
    "cidr": "cidr_block",
    "cidrBlock": "cidr_block",
    "default-for-az": "default_for_az",
    "defaultForAz": "default_for_az",
    "state": "state",
    "owner-id": "owner_id",
    "available-ip-address-count": "available_ip_address_count",
    "map-public-ip-on-launch": "map_public_ip_on_launch",
    "map-customer-owned-ip-on-launch": "map_customer_owned_ip_on_launch",
    "enable-dns64": "enable_dns64",
    "ipv6-native": "ipv6_native",
    f"{HOSTNAME.replace('_', '-')}.hostname-type": f"{HOSTNAME}.hostname_type",
    **{
        f"{HOSTNAME.replace('_', '-')}.enable-resource-name-dns-{kind}-record": (
            f"{HOSTNAME}.enable_resource_name_dns_{kind}_record"
        )
        for kind in ("a", "aaaa")
    },
    "customer-owned-ipv4-pool": None,
    "enable-lni-at-device-index": None,
    "outpost-arn": None,
    **dict.fromkeys(
        f"ipv6-cidr-block-association.{each}"
        for each in ("association-id", "ipv6-cidr-block", "state")
    ),
}
# Guests always get a host name and a name server by DHCP.
ATTRIBUTES = {
    "enableDnsSupport": ("enable_dns_support", True),
    "enableDnsHostnames": ("enable_dns_hostnames", True),
    "enableNetworkAddressUsageMetrics": ("enable_network_address_usage_metrics", False),
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
    rows = select_ids([_vpc_to_api(call)], "vpc_id", vpc_ids, VpcNotFound)
    rows = select(rows, filters, VPC_FILTERS)
    page_rows, token = page(rows, lambda each: str(each["vpc_id"]), max_results, next_token)
    return {"vpcs": page_rows, "next_token": token}


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
    rows = select_ids([_subnet_to_api(call)], "subnet_id", subnet_ids, SubnetNotFound)
    rows = select(rows, filters, SUBNET_FILTERS)
    page_rows, token = page(rows, lambda each: str(each["subnet_id"]), max_results, next_token)
    return {"subnets": page_rows, "next_token": token}


@action()
def describe_vpc_attribute(call: Call, *, vpc_id: str, attribute: str) -> Result:
    """Return one attribute of the account's VPC."""
    if vpc_id != default_vpc.vpc_id(call.account_id):
        raise VpcNotFound(id=vpc_id[:60])
    if attribute not in ATTRIBUTES:
        reason = f"The attributes are: {', '.join(ATTRIBUTES)}."
        raise InvalidParameterValue(parameter="Attribute", value=attribute[:60], reason=reason)
    member, value = ATTRIBUTES[attribute]
    return {"vpc_id": vpc_id, member: {"value": value}}


def _vpc_to_api(call: Call) -> Result:
    vpc_id, cidr = default_vpc.vpc_id(call.account_id), default_vpc.cidr_block(call.cloud.network)
    association = {
        "association_id": default_vpc.part_id("vpc-cidr-assoc", call.account_id),
        "cidr_block": cidr,
        "cidr_block_state": {"state": "associated"},
    }
    return {
        "vpc_id": vpc_id,
        "state": "available",
        "cidr_block": cidr,
        "dhcp_options_id": default_vpc.part_id("dopt", call.account_id),
        "owner_id": call.account_id,
        "instance_tenancy": "default",
        "is_default": True,
        "cidr_block_association_set": [association],
        "ipv6_cidr_block_association_set": [],
        "tags": tags.tags_of(call.cloud.state, [vpc_id]).get(vpc_id, []),
    }


def _subnet_to_api(call: Call) -> Result:
    config = call.cloud.config.cloud
    subnet_id = default_vpc.subnet_id(call.account_id)
    return {
        "subnet_id": subnet_id,
        "subnet_arn": f"arn:aws:ec2:{config.region}:{call.account_id}:subnet/{subnet_id}",
        "vpc_id": default_vpc.vpc_id(call.account_id),
        "state": "available",
        "cidr_block": default_vpc.cidr_block(call.cloud.network),
        "available_ip_address_count": _count_free_addresses(call),
        "availability_zone": config.zone,
        "availability_zone_id": default_vpc.zone_id(config.region),
        "default_for_az": True,
        "map_public_ip_on_launch": True,
        "map_customer_owned_ip_on_launch": False,
        "assign_ipv6_address_on_creation": False,
        "enable_dns64": False,
        "ipv6_native": False,
        "ipv6_cidr_block_association_set": [],
        HOSTNAME: {
            "hostname_type": "ip-name",
            "enable_resource_name_dns_a_record": False,
            "enable_resource_name_dns_aaaa_record": False,
        },
        "owner_id": call.account_id,
        "tags": tags.tags_of(call.cloud.state, [subnet_id]).get(subnet_id, []),
    }


def _count_free_addresses(call: Call) -> int:
    sql = "select count(*) as used from instances where state <> 'terminated'"
    used = call.cloud.state.query(sql)[0]["used"]
    size = min(default_vpc.addresses(call.cloud.network), MOST_ADDRESSES)
    return int(max(size - NOT_FOR_INSTANCES - used, 0))
