"""The default VPC that each account seems to have, and instances' interfaces in it; its ids are
derived, nothing is stored."""

import hashlib
import ipaddress
from functools import lru_cache
from typing import TypedDict

from eucabox import ids
from eucabox.ec2.listed_instance import ListedInstance
from eucabox.errors import Fault

EVERYWHERE = "0.0.0.0/0"


class AddressedRow(TypedDict):
    """What tells an instance's public address."""

    state: str
    public_address: int
    private_ip_address: str | None


def vpc_id(account_id: str) -> str:
    """Return the id of an account's default VPC."""
    return part_id("vpc", account_id)


def subnet_id(account_id: str) -> str:
    """Return the id of an account's default subnet."""
    return part_id("subnet", account_id)


def zone_id(region: str) -> str:
    """Return the id of the region's one zone."""
    return f"{region}-az1"


@lru_cache(maxsize=4096)
def part_id(prefix: str, account_id: str) -> str:
    """Return the id of a resource of which the account has one, by the id's prefix."""
    digits = hashlib.sha256(f"{prefix} of {account_id}".encode()).hexdigest()[:17]
    return f"{prefix}-{digits}"


def cidr_block(network: object) -> str:
    """Return the instances' network, or 0.0.0.0/0 if only the site's own DHCP knows it."""
    try:
        return str(getattr(network, "subnet", EVERYWHERE))
    except Fault:
        return EVERYWHERE


def addresses(network: object) -> int:
    """Return how many addresses the instances' network has."""
    return ipaddress.ip_network(cidr_block(network)).num_addresses


# --- the one network interface of an instance, made from the instance's row --------------------


def network_interface_id(instance_id: str) -> str:
    """Return the id of an instance's one network interface: the instance's digits."""
    return f"eni-{instance_id.removeprefix('i-')}"


def has_interface(row: ListedInstance) -> bool:
    """Tell whether an instance has its interface, as it does until it is terminated."""
    return bool(row["mac_address"]) and row["state"] != "terminated"


def public_address(row: AddressedRow) -> str | None:
    """Return the public address of an instance, which is its private one, or None.

    A stopped or terminated instance has none, and one that was launched without.
    """
    if not row["public_address"] or row["state"] in ("stopped", "terminated"):
        return None
    return str(row["private_ip_address"]) if row["private_ip_address"] else None


def interface_to_api(row: ListedInstance) -> dict[str, object]:
    """Return the members that DescribeInstances and DescribeNetworkInterfaces both have.

    `row` is an instance's, with its `groups`.
    """
    address, name = row["private_ip_address"], row["private_dns_name"]
    account_id, instance_id = row["account_id"], row["instance_id"]
    public = public_address(row)
    association = {
        "public_ip": public,
        "public_dns_name": public,
        "ip_owner_id": "amazon",  # EC2's value for addresses that are not elastic
    }
    shown_association = {"association": association} if public else {}
    return {
        "network_interface_id": network_interface_id(instance_id),
        "subnet_id": subnet_id(account_id),
        "vpc_id": vpc_id(account_id),
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
        **shown_association,
        "private_ip_addresses": [
            {
                "private_ip_address": address,
                "private_dns_name": name or address,
                "primary": True,
                **shown_association,
            }
        ]
        if address
        else [],
        "ipv6_addresses": [],
    }


def attachment_to_api(row: ListedInstance) -> dict[str, object]:
    """Return how an interface is attached to its instance."""
    return {
        "attachment_id": f"eni-attach-{row['instance_id'].removeprefix('i-')}",
        "device_index": 0,
        "network_card_index": 0,
        "status": "attached",
        "attach_time": ids.parse_time(row["launch_time"]),
        "delete_on_termination": True,
    }
