"""Where the other evaluator decides otherwise, and why ours stays: each reason is a rewriting of
the case, after which ours decides as the other does. What no rewriting explains is a mistake."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any

from tests.policies.cases import SERVICE, SESSION, VARIABLE, Case, Document
from tests.policies.evaluate import evaluate

NOBODY = {"AWS": "333333333333"}
Statement = dict[str, Any]
Rewrite = Callable[[Case, Statement], "Statement | None"]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _lacks(case: Case, text: Any) -> bool:
    """Whether a variable of a text has neither a value nor a default."""
    names = [each[2:-1] for each in VARIABLE.findall(text)] if isinstance(text, str) else []
    return any("," not in name and name not in (*"*?$", *case.context) for name in names)


def _each_condition(statement: Statement) -> Iterator[tuple[str, str, list[Any]]]:
    for operator, keys in statement.get("Condition", {}).items():
        for key, values in keys.items():
            yield operator, key, _as_list(values)


def _allow_services_with_everyone(case: Case, statement: Statement) -> Statement | None:
    """The other's Allow for * is one for services too; here an Allow must name them. A denial
    for * meets them in both."""
    if case.caller == SERVICE and statement.get("Principal") in ("*", {"AWS": "*"}):
        return {**statement, "Principal": {"Service": SERVICE}}
    return statement


def _drop_if_exists_of_any(case: Case, statement: Statement) -> Statement | None:
    """The other's ForAnyValue does not look at IfExists."""
    text = re.sub(r"(ForAnyValue:\w+)IfExists", r"\1", json.dumps(statement.get("Condition", {})))
    return {**statement, "Condition": json.loads(text)}


def _forget_zero_networks(case: Case, statement: Statement) -> Statement | None:
    """The other finds no address in 0.0.0.0/0: it shifts a number of 32 bits by 32."""
    text = json.dumps(statement).replace("0.0.0.0/0", "255.255.255.255/32")
    rewritten: Statement = json.loads(text)
    return rewritten


def _drop_short_others(case: Case, statement: Statement) -> Statement | None:
    """The other takes a NotResource with an ARN of less than six fields for none at all."""
    short = any(
        each.startswith("arn:") and VARIABLE.sub("", each).count(":") < 5
        for each in _as_list(statement.get("NotResource", []))
    )
    return None if short else statement


def _drop_others_without_value(case: Case, statement: Statement) -> Statement | None:
    """A denial of all but what a variable without value names: the other denies nothing then."""
    lacking = any(_lacks(case, each) for each in _as_list(statement.get("NotResource", [])))
    return None if lacking and statement["Effect"] == "Deny" else statement


def _allow_others_without_value(case: Case, statement: Statement) -> Statement | None:
    """An Allow of all but what a variable without value names: where other fields of the ARN do
    not fit anyway, the other allows."""
    if statement["Effect"] != "Allow" or "NotResource" not in statement:
        return statement
    named = [each for each in _as_list(statement["NotResource"]) if not _lacks(case, each)]
    return {**statement, "NotResource": named or ["arn:aws:none:::none"]}


def _drop_negations_without_value(case: Case, statement: Statement) -> Statement | None:
    """A denial unless a key equals a variable without value: AWS documents that it denies, the
    other does not."""
    lacking = any(
        "Not" in operator and any(_lacks(case, each) for each in values)
        for operator, _, values in _each_condition(statement)
    )
    return None if lacking and statement["Effect"] == "Deny" else statement


def _forget_lacking_values(case: Case, statement: Statement) -> Statement | None:
    """An Allow unless a key, which the request has not, equals a variable without value: here it
    allows nothing, as a variable without value never makes an Allow wider."""
    if statement["Effect"] != "Allow":
        return statement
    conditions: dict[str, Any] = {}
    for operator, key, values in _each_condition(statement):
        absent = "Not" in operator and key not in case.context
        conditions.setdefault(operator, {})[key] = [
            "no such value" if absent and _lacks(case, each) else each for each in values
        ]
    return {**statement, "Condition": conditions} if conditions else statement


def _take_escapes_for_text(case: Case, statement: Statement) -> Statement | None:
    """The other takes ${*} for itself where there are no wildcards; AWS has it stand for *."""
    conditions: dict[str, Any] = {}
    for operator, key, values in _each_condition(statement):
        exact = "Equals" in operator and not operator.startswith("Arn")
        conditions.setdefault(operator, {})[key] = [
            "${$}{*}" if exact and each == "${*}" else each for each in values
        ]
    return {**statement, "Condition": conditions} if conditions else statement


def _drop_lists_without_set(case: Case, statement: Statement) -> Statement | None:
    """The other fails each condition without ForAllValues or ForAnyValue on a key with a list."""
    for operator, key, _ in _each_condition(statement):
        if isinstance(case.context.get(key), list) and ":" not in operator and operator != "Null":
            return None
    return statement


def _limit_sessions_by_name(case: Case, statement: Statement) -> Statement | None:
    """The other limits by its session policy also what a resource gives to a session by name;
    AWS documents that it is not limited."""
    if case.session is None or SESSION not in json.dumps(statement.get("Principal", "")):
        return statement
    return {**statement, "Principal": "*"}


REWRITES: tuple[Rewrite, ...] = (
    _allow_services_with_everyone,
    _drop_if_exists_of_any,
    _forget_zero_networks,
    _drop_short_others,
    _drop_others_without_value,
    _allow_others_without_value,
    _drop_negations_without_value,
    _forget_lacking_values,
    _take_escapes_for_text,
    _drop_lists_without_set,
    _limit_sessions_by_name,
)


def explain(case: Case, theirs: str) -> str:
    """Return the names of the fewest rewritings after which ours decides as the other does, ""
    if there are none."""
    for count in range(1, len(REWRITES) + 1):
        for chosen in combinations(REWRITES, count):
            if evaluate(_rewrite(case, chosen)).outcome.value == theirs:
                return " and ".join(each.__name__.strip("_") for each in chosen)
    return ""


def _rewrite(case: Case, rewrites: tuple[Rewrite, ...]) -> Case:
    def rewrite(document: Document) -> Document:
        statements = [_rewrite_one(case, each, rewrites) for each in document["Statement"]]
        left = [each for each in statements if each is not None]
        # a document without a statement is none: it says something of nothing instead
        idle: Statement = {"Effect": "Allow", "Action": "none:none", "Resource": "*"}
        if any("Principal" in each or "NotPrincipal" in each for each in document["Statement"]):
            idle["Principal"] = NOBODY
        return {**document, "Statement": left or [idle]}

    return replace(
        case,
        identity=[rewrite(each) for each in case.identity],
        boundary=None if case.boundary is None else [rewrite(each) for each in case.boundary],
        session=None if case.session is None else rewrite(case.session),
        resource_policy=None if case.resource_policy is None else rewrite(case.resource_policy),
    )


def _rewrite_one(
    case: Case, statement: Statement, rewrites: tuple[Rewrite, ...]
) -> Statement | None:
    current: Statement | None = statement
    for each in rewrites:
        current = each(case, current) if current is not None else None
    return current
