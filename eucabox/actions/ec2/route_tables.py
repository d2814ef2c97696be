"""Routes of the default VPC: its one route table and the internet gateway; read-only."""

from collections.abc import Sequence

from eucabox.actions import Call, Result, action
from eucabox.ec2 import default_vpc, tags
from eucabox.ec2.filters import Columns, Filter, page, select, select_ids
from eucabox.errors import InternetGatewayNotFound, RouteTableNotFound

TABLE_FILTERS: Columns[Result] = {
    "route-table-id": "route_table_id",
    "vpc-id": "vpc_id",
    "owner-id": "owner_id",
    "association.route-table-association-id": "associations.route_table_association_id",
    "association.route-table-id": "associations.route_table_id",
    "association.subnet-id": "associations.subnet_id",
    "association.main": "associations.main",
    "association.gateway-id": None,
    "route.destination-cidr-block": "routes.destination_cidr_block",
    "route.gateway-id": "routes.gateway_id",
    "route.origin": "routes.origin",
    "route.state": "routes.state",
    **dict.fromkeys(
        f"route.{each}"
        for each in (
            *("destination-ipv6-cidr-block", "destination-prefix-list-id", "instance-id"),
            *("egress-only-internet-gateway-id", "nat-gateway-id", "transit-gateway-id"),
            "vpc-peering-connection-id",
        )
    ),
}
GATEWAY_FILTERS: Columns[Result] = {
    "internet-gateway-id": "internet_gateway_id",
    "owner-id": "owner_id",
    "attachment.state": "attachments.state",
    "attachment.vpc-id": "attachments.vpc_id",
}


@action()
def describe_route_tables(
    call: Call,
    *,
    route_table_ids: Sequence[str] = (),
    filters: Sequence[Filter] = (),
    max_results: int | None = None,
    next_token: str | None = None,
) -> Result:
    """List the account's one route table, which is its VPC's main one."""
    rows = select_ids([_table_to_api(call)], "route_table_id", route_table_ids, RouteTableNotFound)
    rows = select(rows, filters, TABLE_FILTERS)
    page_rows, token = page(rows, lambda each: str(each["route_table_id"]), max_results, next_token)
    return {"route_tables": page_rows, "next_token": token}


@action()
def describe_internet_gateways(
    call: Call,
    *,
    internet_gateway_ids: Sequence[str] = (),
    filters: Sequence[Filter] = (),
    max_results: int | None = None,
    next_token: str | None = None,
) -> Result:
    """List the account's one internet gateway: the way out through this host."""
    key = "internet_gateway_id"
    rows = select_ids([_gateway_to_api(call)], key, internet_gateway_ids, InternetGatewayNotFound)
    rows = select(rows, filters, GATEWAY_FILTERS)
    page_rows, token = page(rows, lambda each: str(each[key]), max_results, next_token)
    return {"internet_gateways": page_rows, "next_token": token}


def _table_to_api(call: Call) -> Result:
    table_id = default_vpc.part_id("rtb", call.account_id)
    association = {
        "main": True,
        "route_table_association_id": default_vpc.part_id("rtbassoc", call.account_id),
        "route_table_id": table_id,
        "association_state": {"state": "associated"},
    }
    return {
        "route_table_id": table_id,
        "vpc_id": default_vpc.vpc_id(call.account_id),
        "owner_id": call.account_id,
        "associations": [association],
        "propagating_vgws": [],
        "routes": [
            _route_to_api(default_vpc.cidr_block(call.cloud.network), "local", "CreateRouteTable"),
            _route_to_api(
                default_vpc.EVERYWHERE, default_vpc.part_id("igw", call.account_id), "CreateRoute"
            ),
        ],
        "tags": tags.tags_of(call.cloud.state, [table_id]).get(table_id, []),
    }


def _route_to_api(cidr_block: str, gateway_id: str, origin: str) -> dict[str, str]:
    return {
        "destination_cidr_block": cidr_block,
        "gateway_id": gateway_id,
        "origin": origin,
        "state": "active",
    }


def _gateway_to_api(call: Call) -> Result:
    gateway_id = default_vpc.part_id("igw", call.account_id)
    return {
        "internet_gateway_id": gateway_id,
        "owner_id": call.account_id,
        "attachments": [{"state": "available", "vpc_id": default_vpc.vpc_id(call.account_id)}],
        "tags": tags.tags_of(call.cloud.state, [gateway_id]).get(gateway_id, []),
    }
