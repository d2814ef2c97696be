"""Which condition keys the policies of a simulation ask for, and which of them have no value."""

from collections.abc import Iterable, Iterator

from eucabox.iam.policy.request import AuthorizationRequest, key_name
from eucabox.iam.policy.statements import Policy, Statement
from eucabox.iam.policy.wildcards import lacks_value, list_variables


def list_context_keys(policies: Iterable[Policy]) -> list[str]:
    """Return the keys that policies name in conditions and variables, as first spelled."""
    statements = (each for policy in policies for each in policy.statements)
    return _drop_twins(key for each in statements for key in _list_keys(each))


def list_missing_keys(policies: Iterable[Policy], request: AuthorizationRequest) -> list[str]:
    """Return the keys that have no value in a request, of the statements that are about its action
    and its resource."""
    statements = (each for policy in policies for each in policy.statements)
    return _drop_twins(
        key
        for each in statements
        if _is_about(each, request)
        for key in _list_keys(each)
        if not request.value(key_name(key))
    )


def _list_keys(statement: Statement) -> Iterator[str]:
    for pattern in statement.resources.patterns:
        yield from pattern.variables
    for condition in statement.conditions:
        yield condition.spelled
        for value in condition.values:
            yield from list_variables(value)


def _is_about(statement: Statement, request: AuthorizationRequest) -> bool:
    if not statement.actions.matches(request.action, request):
        return False
    patterns = statement.resources.patterns
    lacking = any(each.variables and lacks_value(each.text, request) for each in patterns)
    return lacking or statement.resources.matches(request.resource, request)


def _drop_twins(keys: Iterable[str]) -> list[str]:
    first: dict[str, str] = {}
    for key in keys:
        first.setdefault(key_name(key), key)
    return list(first.values())
