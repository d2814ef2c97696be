"""What an account may have at most, where that differs from [limits] of the configuration.

Eucalyptus' policies of accounts say it: statements whose effect is Limit. An account's row keeps
the smallest number that its policies set for each.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping

from eucabox.config import LimitsSection
from eucabox.errors import MalformedPolicyDocument
from eucabox.state import State

NUMBERS = range(1, 2**40)
LIMIT, OPERATOR = "Limit", "NumericLessThanEquals"
# The condition keys of Eucalyptus, and three of our own, with the key of [limits] that each sets.
KEYS = {
    "ec2:quota-vminstancenumber": "instances",
    "ec2:quota-vcpunumber": "vcpus",
    "ec2:quota-imagenumber": "images",
    "ec2:quota-securitygroupnumber": "security_groups",
    "ec2:quota-securitygrouprulenumber": "rules",
    "s3:quota-bucketnumber": "buckets",
    "s3:quota-bucketsize": "bucket_mb",
    "s3:quota-buckettotalsize": "account_mb",
    "iam:quota-usernumber": "users",
    "iam:quota-groupnumber": "groups",
}
# Of what no account has here, so that any number is kept to.
NEVER_REACHED = frozenset(
    {
        "ec2:quota-addressnumber",
        "ec2:quota-volumenumber",
        "ec2:quota-volumetotalsize",
        "ec2:quota-snapshotnumber",
    }
)
STATEMENT = frozenset({"Sid", "Effect", "Action", "Resource", "Condition"})


def parse_limits(document: str) -> dict[str, int]:
    """Return the limits that a policy of an account sets, the smallest of each.

    Raises MalformedPolicyDocument for what is no such policy, or sets what is not limited here.
    """
    try:
        policy = json.loads(document)
    except (ValueError, RecursionError):
        raise _malformed("It is no JSON.") from None
    if not isinstance(policy, Mapping) or not policy.keys() <= {"Version", "Id", "Statement"}:
        raise _malformed("It has Version and Statement, and nothing else.")
    statements = policy.get("Statement")
    statements = [statements] if isinstance(statements, Mapping) else statements
    if not isinstance(statements, list) or not statements:
        raise _malformed("It has no Statement.")
    limits: dict[str, int] = {}
    for statement in statements:
        for name, number in _parse_statement(statement):
            limits[name] = min(number, limits.get(name, number))
    return limits


def read_own(state: State, account_id: str) -> dict[str, int]:
    """Return the limits that the account's own policies set, by their names in [limits]."""
    row = state.one("select limits from accounts where account_id = ?", (account_id,))
    own: dict[str, int] = json.loads(row["limits"]) if row else {}
    return own


def read_limits(state: State, limits: LimitsSection, account_id: str) -> LimitsSection:
    """Return the limits of an account: its own, and the configuration's for the rest."""
    return _replace(limits, read_own(state, account_id))


def list_own(state: State, limits: LimitsSection) -> dict[str, LimitsSection]:
    """Return the limits of each account that has some of its own, by its id."""
    rows = state.query("select account_id, limits from accounts where limits <> '{}'")
    return {row["account_id"]: _replace(limits, json.loads(row["limits"])) for row in rows}


def save_own(state: State, account_id: str, documents: list[str]) -> None:
    """Have an account keep to what these policies say, the smallest number of each."""
    own: dict[str, int] = {}
    for each in map(parse_limits, documents):
        own |= {name: min(number, own.get(name, number)) for name, number in each.items()}
    state.update("accounts", {"account_id": account_id}, limits=json.dumps(own))


def _replace(limits: LimitsSection, own: Mapping[str, int]) -> LimitsSection:
    known = {each.name for each in dataclasses.fields(limits)}
    return dataclasses.replace(limits, **{name: own[name] for name in own.keys() & known})


def _parse_statement(statement: object) -> Iterator[tuple[str, int]]:
    if not isinstance(statement, Mapping) or not statement.keys() <= STATEMENT:
        raise _malformed("A statement has Effect, Action, Resource and Condition.")
    if statement.get("Effect") != LIMIT:
        raise _malformed("The policy of an account limits: its statements have the Effect Limit.")
    if statement.get("Resource", "*") not in ("*", ["*"]):
        raise _malformed('A limit is for all resources: its Resource is "*".')
    condition = statement.get("Condition")
    if not isinstance(condition, Mapping) or condition.keys() != {OPERATOR}:
        raise _malformed(f"The Condition of a limit is {OPERATOR}, and nothing else.")
    numbers = condition[OPERATOR]
    if not isinstance(numbers, Mapping) or not numbers:
        raise _malformed(f"{OPERATOR} names no limit.")
    for key, value in numbers.items():
        number = _parse_number(key, value)
        if key in KEYS:
            yield KEYS[key], number
        elif key not in NEVER_REACHED:
            raise _malformed(f"Nothing is limited by {key[:60]}; there are: {', '.join(KEYS)}.")


def _parse_number(key: str, value: object) -> int:
    text = str(value[0] if isinstance(value, list) and len(value) == 1 else value)
    if not (text.isascii() and text.isdecimal() and len(text) < 14 and int(text) in NUMBERS):
        raise _malformed(f"{key[:60]} is no whole number from 1.")
    return int(text)


def _malformed(detail: str) -> MalformedPolicyDocument:
    return MalformedPolicyDocument(reason="The policy of the account is malformed.", detail=detail)
