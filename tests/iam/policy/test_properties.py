"""What holds of every decision, on random policies and requests: see tests/policies."""

from collections import Counter
from dataclasses import replace
from typing import Any

from tests.policies.cases import Case, make_case
from tests.policies.evaluate import evaluate

CASES = [make_case(f"property.{number}") for number in range(200)]
DENY = {"Effect": "Deny", "Action": "*", "Resource": "*"}


def document(statement: dict[str, Any]) -> dict[str, object]:
    return {"Version": "2012-10-17", "Statement": [statement]}


def allowed(case: Case) -> bool:
    return evaluate(case).allowed


def test_the_cases_have_every_outcome() -> None:
    counted = Counter(evaluate(case).outcome.value for case in CASES)
    assert min(counted[each] for each in ("allowed", "explicitDeny", "implicitDeny")) > 10


def test_the_same_question_has_the_same_answer() -> None:
    for case in CASES:
        again = make_case(case.name)
        assert again == case
        first, second = evaluate(case), evaluate(again)
        assert (first.outcome, first.kind) == (second.outcome, second.kind)


def test_a_denial_wins_wherever_it_stands() -> None:
    for case in CASES:
        everyone = {**DENY, "Principal": "*"}
        denied = [replace(case, resource_policy=document(everyone))]
        if case.identity:
            denied += [
                replace(case, identity=[*case.identity, document(DENY)]),
                replace(case, boundary=[*(case.boundary or []), document(DENY)]),
            ]
        assert not any(allowed(each) for each in denied), case.name


def test_one_more_denial_never_allows() -> None:
    pool = [each for case in CASES for each in case.identity]
    denials = [s for doc in pool for s in doc["Statement"] if s["Effect"] == "Deny"]
    for number, case in enumerate(CASES):
        more = document(denials[number % len(denials)])
        if case.identity and not allowed(case):
            assert not allowed(replace(case, identity=[*case.identity, more])), case.name


def test_a_boundary_or_a_session_policy_never_allows_more() -> None:
    pool = [each for case in CASES for each in case.identity]
    for number, case in enumerate(CASES):
        if case.identity and not allowed(case):
            limit = pool[number % len(pool)]
            if case.boundary is None:
                assert not allowed(replace(case, boundary=[limit])), case.name
            if case.session is None:
                assert not allowed(replace(case, session=limit)), case.name


def test_a_value_that_goes_missing_never_makes_an_allow_wider_by_its_variable() -> None:
    """Without team, what only a variable of it could have named is not allowed."""
    others = {
        "Effect": "Allow",
        "Action": "*",
        "NotResource": ["arn:aws:s3:::photos/${aws:PrincipalTag/team}/*"],
    }
    for case in CASES:
        context = {key: each for key, each in case.context.items() if "team" not in key}
        bare = replace(
            case, identity=[document(others)], resource_policy=None, boundary=None, context=context
        )
        if case.identity:
            assert not allowed(bare), case.name


def test_an_allow_for_nobody_changes_nothing() -> None:
    nothing = document({"Effect": "Allow", "Action": "none:none", "Resource": "*"})
    for case in CASES:
        if case.identity:
            more = replace(case, identity=[*case.identity, nothing])
            assert evaluate(more).outcome is evaluate(case).outcome, case.name
