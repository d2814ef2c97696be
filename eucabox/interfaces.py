"""Each instance's one network interface as the API shows it; derived from the instance's row."""

from typing import Any

from eucabox import filters, ids, vpc
from eucabox.filters import Columns
from eucabox.state import Row


def has_one(row: Row) -> bool:
    """Tell whether an instance has its interface: from its launch until it is terminated."""
    return bool(row["mac_address"]) and row["state"] != "terminated"


def view(row: Row) -> dict[str, Any]:
    """Return what DescribeInstances and DescribeNetworkInterfaces both show of an interface.

    `row` is an instance's, with its `groups`.
    """
    address, name = row["private_ip_address"], row["private_dns_name"]
    account_id, instance_id = row["account_id"], row["instance_id"]
    return {
        "network_interface_id": vpc.network_interface_id(instance_id),
        "subnet_id": vpc.subnet_id(account_id),
        "vpc_id": vpc.vpc_id(account_id),
        "owner_id": account_id,
        "description": "",
        "status": "in-use",
        "mac_address": row["mac_address"],
        "private_ip_address": address,
        "private_dns_name": name,
        "source_dest_check": True,
        "interface_type": "interface",
        "groups": row["groups"],
        "attachment": {
            "attachment_id": vpc.attachment_id(instance_id),
            "device_index": 0,
            "network_card_index": 0,
            "status": "attached",
            "attach_time": ids.parse_time(row["launch_time"]),
            "delete_on_termination": True,
        },
        "private_ip_addresses": [
            {"private_ip_address": address, "private_dns_name": name, "primary": True}
        ]
        if address
        else [],
        "ipv6_addresses": [],
    }


def _shown(path: str) -> Any:
    return lambda row: filters.within(view(row), path) if has_one(row) else None


# DescribeInstances' filters of the interface, from an instance's row.
FILTERS: Columns = {
    "network-interface.attachment.attach-time": lambda row: row["launch_time"],
    "network-interface.attachment.instance-id": lambda row: row["instance_id"],
    "network-interface.attachment.instance-owner-id": lambda row: row["account_id"],
    "network-interface.availability-zone": lambda row: row["availability_zone"],
    "network-interface.operator.managed": lambda row: False,
    "network-interface.requester-id": lambda row: row["account_id"],
    "network-interface.requester-managed": lambda row: False,
    **{
        f"network-interface.{name}": _shown(path)
        for name, path in (
            ("addresses.primary", "private_ip_addresses.primary"),
            ("addresses.private-dns-name", "private_ip_addresses.private_dns_name"),
            ("addresses.private-ip-address", "private_ip_addresses.private_ip_address"),
            ("attachment.attachment-id", "attachment.attachment_id"),
            ("attachment.delete-on-termination", "attachment.delete_on_termination"),
            ("attachment.device-index", "attachment.device_index"),
            ("attachment.network-card-index", "attachment.network_card_index"),
            ("attachment.status", "attachment.status"),
            ("description", "description"),
            ("group-id", "groups.group_id"),
            ("group-name", "groups.group_name"),
            ("mac-address", "mac_address"),
            ("network-interface-id", "network_interface_id"),
            ("network-interface.id", "network_interface_id"),
            ("owner-id", "owner_id"),
            ("private-dns-name", "private_dns_name"),
            ("private-ip-address", "private_ip_address"),
            ("source-dest-check", "source_dest_check"),
            ("source-destination-check", "source_dest_check"),
            ("status", "status"),
            ("subnet-id", "subnet_id"),
            ("vpc-id", "vpc_id"),
        )
    },
    **{
        f"network-interface.{place}association.{each}": None
        for place in ("", "addresses.")
        for each in (
            *("allocation-id", "association-id", "carrier-ip", "customer-owned-ip"),
            *("ip-owner-id", "public-dns-name", "public-ip"),
        )
    },
    **dict.fromkeys(
        f"network-interface.{each}"
        for each in (
            *("deny-all-igw-traffic", "ipv4-prefixes.ipv4-prefix", "ipv6-address"),
            *("ipv6-addresses.ipv6-address", "ipv6-addresses.is-primary-ipv6", "ipv6-native"),
            *("ipv6-prefixes.ipv6-prefix", "operator.principal", "outpost-arn"),
            *("public-dns-name", "tag-key", "tag-value"),
        )
    ),
}
