"""Whether a policy is public by S3's definition."""

import ipaddress

from eucabox.iam.policy.conditions import Condition
from eucabox.iam.policy.statements import Policy

# keys whose fixed values restrict a statement to known callers
PINS = frozenset(
    {
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceip",
        "aws:sourceorgid",
        "aws:sourceowner",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
        "aws:username",
        "s3:dataaccesspointaccount",
        "s3:dataaccesspointarn",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
    }
)
POSITIVE = ("StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike")
BROADEST = {4: 8, 6: 32}  # the shortest prefixes of networks that are not the public


def is_public(policy: Policy) -> bool:
    """True if a statement allows something to everybody without a condition on who that is."""
    return any(
        each.allows and each.principals.anyone and not any(map(_is_fixed, each.conditions))
        for each in policy.statements
    )


def _is_fixed(condition: Condition) -> bool:
    if condition.key not in PINS or condition.if_exists or condition.set_of == "ForAllValues":
        return False
    if condition.operator == "IpAddress":
        return all(_is_narrow(each) for each in condition.values)
    wildcards = any(mark in value for value in condition.values for mark in ("*", "?", "${"))
    return condition.operator in POSITIVE and not wildcards


def _is_narrow(network: str) -> bool:
    read = ipaddress.ip_network(network, strict=False)
    return read.prefixlen >= BROADEST[read.version]
