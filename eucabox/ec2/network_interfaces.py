"""The network interface of an instance as the API shows it; made from the instance's row."""

from collections.abc import Callable
from typing import TypedDict

from eucabox import ids
from eucabox.ec2 import default_vpc, filters
from eucabox.ec2.filters import Columns
from eucabox.ec2.listed_instance import ListedInstance


class AddressedRow(TypedDict):
    """What tells an instance's public address."""

    state: str
    public_address: int
    private_ip_address: str | None


def has_one(row: ListedInstance) -> bool:
    """Tell whether an instance has its interface, as it does until it is terminated."""
    return bool(row["mac_address"]) and row["state"] != "terminated"


def public_address(row: AddressedRow) -> str | None:
    """Return the public address of an instance, which is its private one, or None.

    A stopped or terminated instance has none, and one that was launched without.
    """
    if not row["public_address"] or row["state"] in ("stopped", "terminated"):
        return None
    return str(row["private_ip_address"]) if row["private_ip_address"] else None


def to_api(row: ListedInstance) -> dict[str, object]:
    """Return the members that DescribeInstances and DescribeNetworkInterfaces both have.

    `row` is an instance's, with its `groups`.
    """
    address, name = row["private_ip_address"], row["private_dns_name"]
    account_id, instance_id = row["account_id"], row["instance_id"]
    association = _association_to_api(row)
    return {
        "network_interface_id": default_vpc.network_interface_id(instance_id),
        "subnet_id": default_vpc.subnet_id(account_id),
        "vpc_id": default_vpc.vpc_id(account_id),
        "owner_id": account_id,
        "description": "",
        "status": "in-use",
        "mac_address": row["mac_address"],
        "private_ip_address": address,
        "private_dns_name": name or address,
        "source_dest_check": True,
        "interface_type": "interface",
        "operator": {"managed": False},
        "groups": row["groups"],
        "attachment": attachment_to_api(row),
        **association,
        "private_ip_addresses": [
            {
                "private_ip_address": address,
                "private_dns_name": name or address,
                "primary": True,
                **association,
            }
        ]
        if address
        else [],
        "ipv6_addresses": [],
    }


def attachment_to_api(row: ListedInstance) -> dict[str, object]:
    """Return how an interface is attached to its instance."""
    return {
        "attachment_id": default_vpc.attachment_id(row["instance_id"]),
        "device_index": 0,
        "network_card_index": 0,
        "status": "attached",
        "attach_time": ids.parse_time(row["launch_time"]),
        "delete_on_termination": True,
    }


def _association_to_api(row: ListedInstance) -> dict[str, dict[str, str]]:
    address = public_address(row)
    if not address:
        return {}
    owner = {"ip_owner_id": "amazon"}  # EC2's value for addresses that are not elastic
    return {"association": {"public_ip": address, "public_dns_name": address, **owner}}


def _if_present(value: Callable[[ListedInstance], object]) -> Callable[[ListedInstance], object]:
    return lambda row: value(row) if has_one(row) else None


def _read_tags(part: str) -> Callable[[ListedInstance], object]:
    return lambda row: [tag[part] for tag in row["interface_tags"]]


# DescribeInstances' filters of the interface, from an instance's row with what it `shows`.
FILTERS: Columns[ListedInstance] = {
    # What DescribeNetworkInterfaces alone shows of it.
    "network-interface.attachment.instance-id": _if_present(lambda row: row["instance_id"]),
    "network-interface.attachment.instance-owner-id": _if_present(lambda row: row["account_id"]),
    "network-interface.availability-zone": _if_present(lambda row: row["availability_zone"]),
    "network-interface.requester-id": _if_present(lambda row: row["account_id"]),
    "network-interface.requester-managed": _if_present(lambda row: False),
    "network-interface.tag-key": _if_present(_read_tags("key")),
    "network-interface.tag-value": _if_present(_read_tags("value")),
    **{
        f"network-interface.{name}": filters.read_at(f"shows.network_interfaces.{path}")
        for name, path in (
            ("addresses.association.ip-owner-id", "private_ip_addresses.association.ip_owner_id"),
            (
                "addresses.association.public-dns-name",
                "private_ip_addresses.association.public_dns_name",
            ),
            ("addresses.association.public-ip", "private_ip_addresses.association.public_ip"),
            ("addresses.primary", "private_ip_addresses.primary"),
            ("addresses.private-dns-name", "private_ip_addresses.private_dns_name"),
            ("addresses.private-ip-address", "private_ip_addresses.private_ip_address"),
            ("association.ip-owner-id", "association.ip_owner_id"),
            ("association.public-dns-name", "association.public_dns_name"),
            ("association.public-ip", "association.public_ip"),
            ("attachment.attach-time", "attachment.attach_time"),
            ("attachment.attachment-id", "attachment.attachment_id"),
            ("attachment.delete-on-termination", "attachment.delete_on_termination"),
            ("attachment.device-index", "attachment.device_index"),
            ("attachment.network-card-index", "attachment.network_card_index"),
            ("attachment.status", "attachment.status"),
            ("group-id", "groups.group_id"),
            ("group-name", "groups.group_name"),
            ("mac-address", "mac_address"),
            ("network-interface-id", "network_interface_id"),
            ("network-interface.id", "network_interface_id"),
            ("operator.managed", "operator.managed"),
            ("owner-id", "owner_id"),
            ("private-dns-name", "private_dns_name"),
            ("private-ip-address", "private_ip_address"),
            ("public-dns-name", "association.public_dns_name"),
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
        for each in ("allocation-id", "association-id", "carrier-ip", "customer-owned-ip")
    },
    **dict.fromkeys(
        f"network-interface.{each}"
        for each in (
            *("deny-all-igw-traffic", "description", "ipv4-prefixes.ipv4-prefix", "ipv6-address"),
            *("ipv6-addresses.ipv6-address", "ipv6-addresses.is-primary-ipv6", "ipv6-native"),
            *("ipv6-prefixes.ipv6-prefix", "operator.principal", "outpost-arn"),
        )
    ),
}
