"""Whether a policy is public by S3's definition."""

import ipaddress

from eucabox.iam.policy.conditions import Condition
from eucabox.iam.policy.document import Policy, Statement

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
    return any(_is_public(each) for each in policy.statements)


def _is_public(statement: Statement) -> bool:
    if not statement.allows or not statement.principals.anyone:
        return False
    return not any(_is_fixed(each) for each in statement.conditions)


def _is_fixed(condition: Condition) -> bool:
    if condition.key not in PINS or condition.if_exists or condition.set_of == "ForAllValues":
        return False
    if condition.operator == "IpAddress":
        return all(_is_narrow(each) for each in condition.values)
    return condition.operator in POSITIVE and not any(
        _has_wildcard(each) for each in condition.values
    )


def _has_wildcard(value: str) -> bool:
    return "*" in value or "?" in value or "${" in value


def _is_narrow(network: str) -> bool:
    read = ipaddress.ip_network(network, strict=False)
    return read.prefixlen >= BROADEST[read.version]
