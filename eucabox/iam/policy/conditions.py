"""The Condition element: its operators and whether they hold for a request."""

import base64
import binascii
import ipaddress
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from eucabox.errors import MalformedPolicy
from eucabox.iam.policy.request import AuthorizationRequest, key_name
from eucabox.iam.policy.wildcards import Pattern, glob, lacks_value, split_glob, substitute

IF_EXISTS = "IfExists"
SETS = ("ForAllValues", "ForAnyValue")
ARN_PARTS = 6
# one value of the request against one of the policy
Test = Callable[[str, AuthorizationRequest], bool]
Maker = Callable[[str], Test]


@dataclass(frozen=True)
class Condition:
    """One operator on one key; it holds if any of `values` matches.

    `needed` are those values of a negated condition whose variables must have a value for it to
    hold: that nothing equals what is not there must not make an Allow wider.
    """

    operator: str
    key: str
    values: tuple[str, ...]
    tests: tuple[Test, ...]
    negated: bool = False
    if_exists: bool = False
    set_of: str = ""
    needed: tuple[str, ...] = ()
    spelled: str = ""  # the key as the document has it

    def holds(self, request: AuthorizationRequest) -> bool:
        """True if the request's values of the key satisfy the condition."""
        if self.needed and any(lacks_value(each, request) for each in self.needed):
            return False
        present_values = request.value(self.key)
        if self.operator == "Null":
            return any((each.lower() == "true") == (not present_values) for each in self.values)
        if not present_values:
            return (
                self.set_of == "ForAllValues"
                or self.if_exists
                or (self.negated and not self.set_of)
            )
        if self.set_of == "ForAllValues":
            return all(self._matches_one(each, request) for each in present_values)
        if self.negated and not self.set_of:
            return all(self._matches_one(each, request) for each in present_values)
        return any(self._matches_one(each, request) for each in present_values)

    def _matches_one(self, value: str, request: AuthorizationRequest) -> bool:
        return any(test(value, request) for test in self.tests) != self.negated


def _make_equal(text: str) -> Test:
    return lambda value, request: value == substitute(text, request, len(value))


def _make_equal_ignoring_case(text: str) -> Test:
    def test(value: str, request: AuthorizationRequest) -> bool:
        lowered = value.lower()
        filled = substitute(text, request, len(lowered))
        return filled is not None and lowered == filled.lower()

    return test


def _make_like(text: str) -> Test:
    return Pattern(text).matches


def _make_numeric(compare: Callable[[float, float], bool]) -> Maker:
    def make(text: str) -> Test:
        wanted = number(text)
        return lambda value, request: _compare(compare, number, value, wanted)

    return make


def _make_date(compare: Callable[[float, float], bool]) -> Maker:
    def make(text: str) -> Test:
        wanted = date(text)
        return lambda value, request: _compare(compare, date, value, wanted)

    return make


def _compare(
    compare: Callable[[float, float], bool],
    read: Callable[[str], float],
    value: str,
    wanted: float,
) -> bool:
    try:
        return compare(read(value), wanted)
    except ValueError:
        return False


def _make_bool(text: str) -> Test:
    wanted = text.lower()
    if wanted not in ("true", "false"):
        raise ValueError("use true or false")
    return lambda value, request: value.lower() == wanted


def _make_binary(text: str) -> Test:
    try:
        wanted = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("use base64") from None
    return lambda value, request: value.encode("utf-8", "surrogatepass") == wanted or value == text


def _make_network(text: str) -> Test:
    try:
        wanted = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("use an address or a network such as 192.0.2.0/24") from None

    def test(value: str, request: AuthorizationRequest) -> bool:
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return (mapped or address) in wanted

    return test


def _make_arn(text: str) -> Test:
    if text != "*" and len(text.split(":", ARN_PARTS - 1)) != ARN_PARTS:
        raise ValueError("use an ARN, which has six parts")
    parted = text.split(":", ARN_PARTS - 1)
    fixed = [] if "${" in text else [glob(each) for each in parted]

    def test(value: str, request: AuthorizationRequest) -> bool:
        if text == "*":
            return True
        parts = value.split(":", ARN_PARTS - 1)
        wanted = fixed or split_glob(text, request, len(value), ":", ARN_PARTS)
        return len(parts) == len(wanted) and all(
            like(part) for like, part in zip(wanted, parts, strict=True)
        )

    return test


def number(text: str) -> float:
    """Read a number; ValueError."""
    value = float(text)
    if math.isnan(value):
        raise ValueError("use a number")
    return value


def date(text: str) -> float:
    """Read an ISO 8601 date or seconds since 1970 into the latter; ValueError."""
    try:
        return number(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        raise ValueError("use a date such as 2026-01-31T00:00:00Z") from None


COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "LessThan": lambda one, other: one < other,
    "LessThanEquals": lambda one, other: one <= other,
    "GreaterThan": lambda one, other: one > other,
    "GreaterThanEquals": lambda one, other: one >= other,
    "Equals": lambda one, other: one == other,
}
# operator: how a value of the policy becomes a test, and whether the result is negated
OPERATORS: dict[str, tuple[Maker, bool]] = {
    "StringEquals": (_make_equal, False),
    "StringNotEquals": (_make_equal, True),
    "StringEqualsIgnoreCase": (_make_equal_ignoring_case, False),
    "StringNotEqualsIgnoreCase": (_make_equal_ignoring_case, True),
    "StringLike": (_make_like, False),
    "StringNotLike": (_make_like, True),
    **{f"Numeric{name}": (_make_numeric(compare), False) for name, compare in COMPARISONS.items()},
    "NumericNotEquals": (_make_numeric(COMPARISONS["Equals"]), True),
    **{f"Date{name}": (_make_date(compare), False) for name, compare in COMPARISONS.items()},
    "DateNotEquals": (_make_date(COMPARISONS["Equals"]), True),
    "Bool": (_make_bool, False),
    "BinaryEquals": (_make_binary, False),
    "IpAddress": (_make_network, False),
    "NotIpAddress": (_make_network, True),
    "ArnEquals": (_make_arn, False),
    "ArnLike": (_make_arn, False),
    "ArnNotEquals": (_make_arn, True),
    "ArnNotLike": (_make_arn, True),
    "Null": (_make_bool, False),
}


def read(
    element: object, is_known: Callable[[str], bool], allows: bool = False, empty: bool = False
) -> tuple[Condition, ...]:
    """Read a Condition element; `is_known` tells whether a condition key exists, `allows` whether
    the statement is an Allow, `empty` whether operators without keys and keys without values are
    taken: the former say nothing, the latter are never met, and make no Allow wider."""
    if not isinstance(element, dict):
        raise MalformedPolicy(reason="A Condition is {operator: {key: values}}.")
    read_conditions = []
    for operator, keys in element.items():
        if keys == {} and empty:
            continue
        if not isinstance(keys, dict) or not keys:
            reason = f"The condition operator {operator[:60]} needs a key with values."
            raise MalformedPolicy(reason=reason)
        for key, values in keys.items():
            if not is_known(key_name(key)):
                raise MalformedPolicy(reason=f"Policy has an invalid condition key: {key[:100]}.")
            read_conditions.append(_read_condition(operator, key, values, allows, empty))
    return tuple(read_conditions)


def _read_condition(
    operator_text: str, key: str, raw: object, allows: bool, empty: bool
) -> Condition:
    set_of, _, operator = operator_text.rpartition(":")
    name = operator.removesuffix(IF_EXISTS)
    odd = set_of and (set_of not in SETS or name == "Null")
    if odd or name not in OPERATORS or (name == "Null" and operator != name):
        raise MalformedPolicy(reason=f"Invalid condition operator in policy: {operator_text[:60]}.")
    maker, negated = OPERATORS[name]
    values = tuple(_to_text(each, key) for each in (raw if isinstance(raw, list) else [raw]))
    if not values and not empty:
        raise MalformedPolicy(reason=f"The condition on {key[:100]} has no value.")
    try:
        tests = tuple(maker(each) for each in values)
    except (ValueError, OverflowError) as problem:
        where = f"The condition {operator_text} on {key[:100]}"
        reason = f"{where} has a value of the wrong kind: {problem}."
        raise MalformedPolicy(reason=reason) from None
    needed = tuple(each for each in values if "${" in each) if negated and allows else ()
    return Condition(
        operator=name,
        key=key_name(key),
        values=values,
        tests=tests,
        negated=negated and bool(values or not allows),
        if_exists=operator != name,
        set_of=set_of,
        needed=needed,
        spelled=key,
    )


def _to_text(value: object, key: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise MalformedPolicy(reason=f"The condition on {key[:100]} has a value that is no text.")
