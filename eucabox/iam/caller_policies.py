"""The policies of a caller."""

from typing import NamedTuple

from eucabox.iam.caller import Caller
from eucabox.iam.effective_policies import (
    PolicyText,
    read_role_boundary,
    read_role_policies,
    read_user_boundary,
    read_user_policies,
)
from eucabox.iam.policy import compile_identity_policy
from eucabox.iam.policy.decision import ApplicablePolicies, NamedPolicy
from eucabox.state import State


class CallerPolicies(NamedTuple):
    """What applies to a caller."""

    applicable: ApplicablePolicies
    tags: dict[str, str]


def read_caller_policies(state: State, caller: Caller) -> CallerPolicies:
    """Return the policies and the tags of a caller."""
    session = caller.session
    role = session.role if session is not None else None
    if role is not None:
        identity = read_role_policies(state, role.role_id)
        boundary = read_role_boundary(state, role.role_id)
    elif caller.is_root:
        identity, boundary = [], None
    else:
        identity = read_user_policies(state, caller.user_id)
        boundary = read_user_boundary(state, caller.user_id)
    limits = session.policies if session is not None else None
    applicable = ApplicablePolicies(
        identity=_compile(identity),
        boundary=None if boundary is None else _compile([boundary]),
        session=None if limits is None else _compile([PolicyText("", each) for each in limits]),
        is_root=caller.is_root,
    )
    owner_id = role.role_id if role is not None else caller.user_id
    sql = "select key, value from iam_tags where resource_id = ?"
    own = {row["key"]: row["value"] for row in state.query(sql, (owner_id,))}
    return CallerPolicies(applicable, {**own, **(session.tags if session is not None else {})})


def _compile(documents: list[PolicyText]) -> tuple[NamedPolicy, ...]:
    return tuple(NamedPolicy(compile_identity_policy(text), name) for name, text in documents)
