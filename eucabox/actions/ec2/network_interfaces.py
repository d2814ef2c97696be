"""Network interfaces: each instance has one until it is terminated; read-only."""

from collections.abc import Sequence

from eucabox.actions import Call, Result, action
from eucabox.ec2 import default_vpc, instances
from eucabox.ec2.filters import Columns, Filter, page, select, select_ids
from eucabox.ec2.listed_instance import ListedInstance
from eucabox.errors import InvalidParameterValue, NetworkInterfaceNotFound

KEY = "network_interface_id"
FILTERS: Columns[Result] = {
    "network-interface-id": KEY,
    "addresses.primary": "private_ip_addresses.primary",
    "addresses.private-ip-address": "private_ip_addresses.private_ip_address",
    "addresses.private-ip-addresses": "private_ip_addresses.private_ip_address",
    "addresses.association.owner-id": "private_ip_addresses.association.ip_owner_id",
    "addresses.association.public-ip": "private_ip_addresses.association.public_ip",
    "association.ip-owner-id": "association.ip_owner_id",
    "association.public-dns-name": "association.public_dns_name",
    "association.public-ip": "association.public_ip",
    "attachment.attach-time": "attachment.attach_time",
    "attachment.attach.time": "attachment.attach_time",
    "attachment.attachment-id": "attachment.attachment_id",
    "attachment.delete-on-termination": "attachment.delete_on_termination",
    "attachment.device-index": "attachment.device_index",
    "attachment.instance-id": "attachment.instance_id",
    "attachment.instance-owner-id": "attachment.instance_owner_id",
    "attachment.status": "attachment.status",
    "availability-zone": "availability_zone",
    "availability-zone-id": "availability_zone_id",
    "group-id": "groups.group_id",
    "group-name": "groups.group_name",
    "interface-type": "interface_type",
    "mac-address": "mac_address",
    "operator.managed": "operator.managed",
    "owner-id": "owner_id",
    "private-dns-name": "private_dns_name",
    "private-ip-address": "private_ip_address",
    "requester-id": "requester_id",
    "requester-managed": "requester_managed",
    "source-dest-check": "source_dest_check",
    "status": "status",
    "subnet-id": "subnet_id",
    "vpc-id": "vpc_id",
    **dict.fromkeys(
        (
            *("association.allocation-id", "association.association-id"),
            *("description", "ipv6-addresses.ipv6-address", "operator.principal"),
        )
    ),
}


@action()
def describe_network_interfaces(
    call: Call,
    *,
    network_interface_ids: Sequence[str] = (),
    filters: Sequence[Filter] = (),
    max_results: int | None = None,
    next_token: str | None = None,
) -> Result:
    """List the interfaces of the account's instances."""
    rows = select_ids(_list_interfaces(call), KEY, network_interface_ids, NetworkInterfaceNotFound)
    rows = select(rows, filters, FILTERS)
    page_rows, token = page(rows, lambda each: str(each[KEY]), max_results, next_token)
    for row in page_rows:
        row["tag_set"] = row.pop("tags")
    return {"network_interfaces": page_rows, "next_token": token}


@action()
def describe_network_interface_attribute(
    call: Call, *, network_interface_id: str, attribute: str
) -> Result:
    """Return one attribute of an interface."""
    (row,) = select_ids(
        _list_interfaces(call), KEY, [network_interface_id], NetworkInterfaceNotFound
    )
    attributes: dict[str, Result] = {
        "description": {"description": {"value": row["description"]}},
        "groupSet": {"groups": row["groups"]},
        "sourceDestCheck": {"source_dest_check": {"value": row["source_dest_check"]}},
        "attachment": {"attachment": row["attachment"]},
    }
    if attribute not in attributes:
        reason = f"The attributes are: {', '.join(attributes)}."
        raise InvalidParameterValue(parameter="Attribute", value=attribute[:60], reason=reason)
    return {KEY: network_interface_id, **attributes[attribute]}


def _list_interfaces(call: Call) -> list[dict[str, object]]:
    state = call.cloud.state
    rows = [
        row for row in instances.list_for(state, call.user, ()) if default_vpc.has_interface(row)
    ]
    return [_to_api(call, row) for row in instances.attach_tags_and_groups(state, rows)]


def _to_api(call: Call, row: ListedInstance) -> dict[str, object]:
    interface = default_vpc.interface_to_api(row)
    return {
        **interface,
        "attachment": {
            **default_vpc.attachment_to_api(row),
            "instance_id": row["instance_id"],
            "instance_owner_id": row["account_id"],
        },
        "availability_zone": row["availability_zone"],
        "availability_zone_id": default_vpc.zone_id(call.cloud.config.cloud.region),
        "requester_id": row["account_id"],
        "requester_managed": False,
        "tags": row["interface_tags"],
    }
