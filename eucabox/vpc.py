"""The one VPC and subnet that each account seems to have; derived from names, stored nowhere."""

import hashlib
from functools import lru_cache


def vpc_id(account_id: str) -> str:
    """Return the id of an account's default VPC."""
    return _id("vpc", account_id)


def subnet_id(account_id: str) -> str:
    """Return the id of an account's default subnet."""
    return _id("subnet", account_id)


def interface_id(instance_id: str) -> str:
    """Return the id of an instance's one network interface."""
    return _id("eni", instance_id)


@lru_cache(maxsize=1024)
def _id(prefix: str, owner: str) -> str:
    digits = hashlib.sha256(f"{prefix} of {owner}".encode()).hexdigest()[:17]
    return f"{prefix}-{digits}"
