"""The default VPC that each account seems to have; its ids are derived, nothing is stored."""

import hashlib
import ipaddress
from functools import lru_cache

from eucabox.errors import Fault

EVERYWHERE = "0.0.0.0/0"


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


def network_interface_id(instance_id: str) -> str:
    """Return the id of an instance's one network interface: the instance's digits."""
    return f"eni-{instance_id.removeprefix('i-')}"


def attachment_id(instance_id: str) -> str:
    """Return the id of the attachment of an instance's one network interface."""
    return f"eni-attach-{instance_id.removeprefix('i-')}"


def cidr_block(network: object) -> str:
    """Return the instances' network, or 0.0.0.0/0 if only the site's own DHCP knows it."""
    try:
        return str(getattr(network, "subnet", EVERYWHERE))
    except Fault:
        return EVERYWHERE


def addresses(network: object) -> int:
    """Return how many addresses the instances' network has."""
    return ipaddress.ip_network(cidr_block(network)).num_addresses
