"""Tells whether a policy allows anything of a service, whatever the resource and conditions."""

from eucabox.iam.policy.statements import Policy, Statement
from eucabox.iam.policy.wildcards import glob


def grants_service(policy: Policy, service: str) -> bool:
    """True if a statement allows an action of the service ("s3"); what another denies of it does
    not count."""
    return any(each.allows and _reaches(each, service) for each in policy.statements)


def _reaches(statement: Statement, service: str) -> bool:
    patterns = [each.text for each in statement.actions.patterns]
    if statement.actions.others:
        whole = f"{service}:*".lower()
        return not any(each.lower() in ("*", whole) for each in patterns)
    return any(glob(each.partition(":")[0], fold=True)(service) for each in patterns)
