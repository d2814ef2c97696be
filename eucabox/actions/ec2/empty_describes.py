"""The lists of what a single node has none of, from the table of absences; always empty."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from eucabox.actions import Call, Result, action
from eucabox.errors import AbsentNotFound

FILTERED = ("filters", "max_results", "next_token")


@dataclass(frozen=True)
class EmptyList:
    """A Describe operation that lists nothing.

    `members` are the lists of its answer; `codes` says with which code an id or a name is refused
    that is asked for, by the member it comes in; `dropped` are members that change nothing.
    """

    operation: str
    members: tuple[str, ...]
    noun: str = ""
    codes: dict[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = FILTERED


EMPTY = (
    EmptyList(
        "DescribeNatGateways",
        ("nat_gateways",),
        "NAT gateway",
        {"nat_gateway_ids": "NatGatewayNotFound"},
        ("filter", "max_results", "next_token"),
    ),
    EmptyList(
        "DescribeEgressOnlyInternetGateways",
        ("egress_only_internet_gateways",),
        "egress-only internet gateway",
        {"egress_only_internet_gateway_ids": "InvalidEgressOnlyInternetGatewayId.NotFound"},
    ),
    EmptyList(
        "DescribeCarrierGateways",
        ("carrier_gateways",),
        "carrier gateway",
        {"carrier_gateway_ids": "InvalidCarrierGatewayID.NotFound"},
    ),
    EmptyList(
        "DescribeVpcEndpoints",
        ("vpc_endpoints",),
        "VPC endpoint",
        {"vpc_endpoint_ids": "InvalidVpcEndpointId.NotFound"},
    ),
    EmptyList(
        "DescribeVpcEndpointServices",
        ("service_names", "service_details"),
        "service",
        {"service_names": "InvalidServiceName"},
    ),
    EmptyList(
        "DescribeVpcPeeringConnections",
        ("vpc_peering_connections",),
        "VPC peering connection",
        {"vpc_peering_connection_ids": "InvalidVpcPeeringConnectionID.NotFound"},
    ),
    EmptyList(
        "DescribeVpnGateways",
        ("vpn_gateways",),
        "VPN gateway",
        {"vpn_gateway_ids": "InvalidVpnGatewayID.NotFound"},
        ("filters",),
    ),
    EmptyList(
        "DescribeVpnConnections",
        ("vpn_connections",),
        "VPN connection",
        {"vpn_connection_ids": "InvalidVpnConnectionID.NotFound"},
        ("filters",),
    ),
    EmptyList(
        "DescribeCustomerGateways",
        ("customer_gateways",),
        "customer gateway",
        {"customer_gateway_ids": "InvalidCustomerGatewayID.NotFound"},
        ("filters",),
    ),
    EmptyList(
        "DescribeTransitGateways",
        ("transit_gateways",),
        "transit gateway",
        {"transit_gateway_ids": "InvalidTransitGatewayID.NotFound"},
    ),
    EmptyList(
        "DescribeTransitGatewayVpcAttachments",
        ("transit_gateway_vpc_attachments",),
        "transit gateway attachment",
        {"transit_gateway_attachment_ids": "InvalidTransitGatewayAttachmentID.NotFound"},
    ),
    EmptyList(
        "DescribeManagedPrefixLists",
        ("prefix_lists",),
        "prefix list",
        {"prefix_list_ids": "InvalidPrefixListID.NotFound"},
    ),
    EmptyList(
        "DescribePrefixLists",
        ("prefix_lists",),
        "prefix list",
        {"prefix_list_ids": "InvalidPrefixListID.NotFound"},
    ),
    EmptyList(
        "DescribeFlowLogs",
        ("flow_logs",),
        "flow log",
        {"flow_log_ids": "InvalidFlowLogId.NotFound"},
        ("filter", "max_results", "next_token"),
    ),
    EmptyList("DescribeClassicLinkInstances", ("instances",), dropped=("instance_ids", *FILTERED)),
    EmptyList("DescribeVpcClassicLink", ("vpcs",), dropped=("vpc_ids", "filters")),
    EmptyList(
        "DescribeVpcClassicLinkDnsSupport",
        ("vpcs",),
        dropped=("vpc_ids", "max_results", "next_token"),
    ),
    EmptyList(
        "DescribeSecurityGroupReferences",
        ("security_group_reference_set",),
        dropped=("group_id",),
    ),
    EmptyList(
        "DescribeStaleSecurityGroups",
        ("stale_security_group_set",),
        dropped=("vpc_id", "max_results", "next_token"),
    ),
    EmptyList(
        "DescribeAddressesAttribute",
        ("addresses",),
        "elastic address",
        {"allocation_ids": "InvalidAllocationID.NotFound"},
        ("attribute", "max_results", "next_token"),
    ),
    EmptyList(
        "DescribeMovingAddresses",
        ("moving_address_statuses",),
        "elastic address",
        {"public_ips": "InvalidAddress.NotFound"},
    ),
    EmptyList(
        "DescribeSpotInstanceRequests",
        ("spot_instance_requests",),
        "spot instance request",
        {"spot_instance_request_ids": "InvalidSpotInstanceRequestID.NotFound"},
    ),
    EmptyList(
        "DescribeSpotFleetRequests",
        ("spot_fleet_request_configs",),
        "spot fleet request",
        {"spot_fleet_request_ids": "InvalidSpotFleetRequestId.NotFound"},
        ("max_results", "next_token"),
    ),
    EmptyList(
        "DescribeSpotPriceHistory",
        ("spot_price_history",),
        dropped=(
            *FILTERED,
            *("availability_zone", "end_time", "instance_types"),
            *("product_descriptions", "start_time"),
        ),
    ),
    EmptyList(
        "DescribeReservedInstances",
        ("reserved_instances",),
        "reserved instance",
        {"reserved_instances_ids": "InvalidReservedInstancesId"},
        ("filters", "offering_class", "offering_type"),
    ),
    EmptyList(
        "DescribeReservedInstancesOfferings",
        ("reserved_instances_offerings",),
        "offering of reserved instances",
        {"reserved_instances_offering_ids": "InvalidReservedInstancesOfferingId"},
        (
            *FILTERED,
            *("availability_zone", "include_marketplace", "instance_tenancy", "instance_type"),
            *("max_duration", "max_instance_count", "min_duration", "offering_class"),
            *("offering_type", "product_description"),
        ),
    ),
    EmptyList(
        "DescribeReservedInstancesListings",
        ("reserved_instances_listings",),
        "listing of reserved instances",
        {"reserved_instances_listing_id": "InvalidReservedInstancesListingId"},
        ("filters", "reserved_instances_id"),
    ),
    EmptyList(
        "DescribeReservedInstancesModifications",
        ("reserved_instances_modifications",),
        "modification of reserved instances",
        {"reserved_instances_modification_ids": "InvalidReservedInstancesModificationId"},
        ("filters", "next_token"),
    ),
    EmptyList(
        "DescribeCapacityReservations",
        ("capacity_reservations",),
        "capacity reservation",
        {"capacity_reservation_ids": "InvalidCapacityReservationId.NotFound"},
    ),
    EmptyList(
        "DescribeHosts",
        ("hosts",),
        "dedicated host",
        {"host_ids": "InvalidHostID.NotFound"},
        ("filter", "max_results", "next_token"),
    ),
    EmptyList(
        "DescribeHostReservations",
        ("host_reservation_set",),
        "host reservation",
        {"host_reservation_id_set": "InvalidHostReservationId"},
        ("filter", "max_results", "next_token"),
    ),
    EmptyList(
        "DescribeFleets",
        ("fleets",),
        "fleet",
        {"fleet_ids": "InvalidFleetId.NotFound"},
    ),
    EmptyList(
        "DescribeLaunchTemplates",
        ("launch_templates",),
        "launch template",
        {
            "launch_template_ids": "InvalidLaunchTemplateId.NotFound",
            "launch_template_names": "InvalidLaunchTemplateName.NotFoundException",
        },
    ),
    EmptyList(
        "DescribeLaunchTemplateVersions",
        ("launch_template_versions",),
        "launch template",
        {
            "launch_template_id": "InvalidLaunchTemplateId.NotFound",
            "launch_template_name": "InvalidLaunchTemplateName.NotFoundException",
        },
        (*FILTERED, "max_version", "min_version", "versions"),
    ),
    EmptyList(
        "DescribePlacementGroups",
        ("placement_groups",),
        "placement group",
        {
            "group_ids": "InvalidPlacementGroup.Unknown",
            "group_names": "InvalidPlacementGroup.Unknown",
        },
        ("filters",),
    ),
    EmptyList(
        "DescribeInstanceCreditSpecifications",
        ("instance_credit_specifications",),
        dropped=("instance_ids", *FILTERED),
    ),
    EmptyList(
        "DescribeInstanceEventWindows",
        ("instance_event_windows",),
        "event window",
        {"instance_event_window_ids": "InvalidInstanceEventWindowId.NotFound"},
    ),
    EmptyList(
        "DescribeElasticGpus",
        ("elastic_gpu_set",),
        "elastic GPU",
        {"elastic_gpu_ids": "InvalidElasticGpuID.NotFound"},
    ),
    EmptyList(
        "DescribeConversionTasks",
        ("conversion_tasks",),
        "conversion task",
        {"conversion_task_ids": "InvalidConversionTaskId"},
        (),
    ),
    EmptyList(
        "DescribeExportTasks",
        ("export_tasks",),
        "export task",
        {"export_task_ids": "InvalidExportTaskID.NotFound"},
        ("filters",),
    ),
    EmptyList(
        "DescribeImportImageTasks",
        ("import_image_tasks",),
        "import task",
        {"import_task_ids": "InvalidConversionTaskId"},
    ),
    EmptyList(
        "DescribeExportImageTasks",
        ("export_image_tasks",),
        "export task",
        {"export_image_task_ids": "InvalidExportTaskID.NotFound"},
    ),
    EmptyList(
        "DescribeStoreImageTasks",
        ("store_image_task_results",),
        dropped=("image_ids", *FILTERED),
    ),
)


def _make_action(empty_list: EmptyList) -> Callable[..., Result]:
    """Return the action of an empty list; its members are those that name things."""

    def describe(call: Call, **members: Any) -> Result:
        for member, code in empty_list.codes.items():
            value = members.get(member) or ()
            for name in [value] if isinstance(value, str) else value:
                raise AbsentNotFound(code, noun=empty_list.noun, id=name[:60])
        return {member: [] for member in empty_list.members}

    hints: dict[str, Any] = {
        name: Sequence[str] if name.endswith(("s", "_set")) else str for name in empty_list.codes
    }
    describe.__annotations__ = hints
    describe.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter("call", inspect.Parameter.POSITIONAL_ONLY),
            *(
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=())
                for name in hints
            ),
        ]
    )
    return describe


for _each in EMPTY:
    action(name=_each.operation, ignored=_each.dropped)(_make_action(_each))
