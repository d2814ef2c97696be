"""Managed policies as they are attached to users, groups and roles, and bound their permissions."""

from collections import Counter
from typing import TypedDict

from eucabox.errors import LimitExceeded, NoSuchEntity
from eucabox.iam.aws_policies import ManagedPolicy
from eucabox.iam.managed_policies import check_policy_arn, find_policy, name_key
from eucabox.iam.policy_owners import PolicyOwner, list_owners
from eucabox.state import State

MOST_ATTACHED = 10
QUOTAS = {"user": "PoliciesPerUser", "group": "PoliciesPerGroup", "role": "PoliciesPerRole"}
_COUNT_ATTACHMENTS = """select policy_arn, count(*) as holders from attached_policies join (
    select user_id as owner_id from users where account_id = :account
    union all select group_id from groups where account_id = :account
    union all select role_id from roles where account_id = :account) using (owner_id)
  group by policy_arn"""
BOUND_TABLES = {"user": "users", "role": "roles"}


class AttachedRow(TypedDict):
    """An attachment."""

    owner_id: str
    policy_arn: str


def attach_policy(state: State, owner: PolicyOwner, arn: str) -> None:
    """Attach a policy of the account or of AWS to an owner, who may have it already.

    Raises ValidationError, InvalidInput, NoSuchEntity and LimitExceeded.
    """
    check_policy_arn(arn)
    with state.transaction():
        if find_policy(state, owner.account_id, arn) is None:
            raise NoSuchEntity(reason=f"Policy {arn} does not exist or is not attachable.")
        attached = list_attached_arns(state, owner.owner_id)
        if arn in attached:
            return
        if len(attached) >= MOST_ATTACHED:
            reason = f"Cannot exceed quota for {QUOTAS[owner.kind]}: {MOST_ATTACHED}"
            raise LimitExceeded(reason=reason)
        state.insert("attached_policies", {"owner_id": owner.owner_id, "policy_arn": arn})


def detach_policy(state: State, owner: PolicyOwner, arn: str) -> None:
    """Detach a policy from an owner; raises ValidationError, InvalidInput and NoSuchEntity."""
    check_policy_arn(arn)
    if not state.delete("attached_policies", {"owner_id": owner.owner_id, "policy_arn": arn}):
        raise NoSuchEntity(reason=f"Policy {arn} was not found.")


def list_attached_arns(state: State, owner_id: str) -> list[str]:
    """Return the ARNs of the policies attached to an owner, sorted."""
    sql = "select * from attached_policies where owner_id = ? order by policy_arn"
    return [row["policy_arn"] for row in state.select(AttachedRow, sql, (owner_id,))]


def list_attached_policies(state: State, owner: PolicyOwner) -> list[ManagedPolicy]:
    """Return the policies attached to an owner, sorted by name."""
    arns = list_attached_arns(state, owner.owner_id)
    policies = (find_policy(state, owner.account_id, arn) for arn in arns)
    return sorted(filter(None, policies), key=name_key)


def list_holders(state: State, account_id: str, arn: str) -> list[PolicyOwner]:
    """Return the users, groups and roles of an account to which a policy is attached."""
    sql = "select * from attached_policies where policy_arn = ?"
    owner_ids = {row["owner_id"] for row in state.select(AttachedRow, sql, (arn,))}
    return [each for each in list_owners(state, account_id) if each.owner_id in owner_ids]


def list_bounded(state: State, account_id: str, arn: str) -> list[PolicyOwner]:
    """Return the users and roles of an account whose boundary a policy is."""
    return [each for each in list_owners(state, account_id) if each.boundary == arn]


def count_attachments(state: State, account_id: str) -> Counter[str]:
    """Return to how many users, groups and roles of an account each policy is attached."""
    rows = state.query(_COUNT_ATTACHMENTS, {"account": account_id})
    return Counter({row["policy_arn"]: row["holders"] for row in rows})


def count_boundaries(state: State, account_id: str) -> Counter[str]:
    """Return of how many users and roles of an account each policy is the boundary."""
    return Counter(each.boundary for each in list_owners(state, account_id) if each.boundary)


def put_boundary(state: State, owner: PolicyOwner, arn: str) -> None:
    """Bound the permissions of a user or a role; raises as check_boundary."""
    with state.transaction():
        check_boundary(state, owner.account_id, arn)
        _set_boundary(state, owner, arn)


def delete_boundary(state: State, owner: PolicyOwner) -> None:
    """Take away the boundary of a user or a role, who may have none; raises ValidationError."""
    _set_boundary(state, owner, "")


def check_boundary(state: State, account_id: str, arn: str) -> str:
    """Return the ARN of a policy that an account may use as a boundary.

    Raises ValidationError, InvalidInput and NoSuchEntity.
    """
    check_policy_arn(arn, "permissionsBoundary")
    if find_policy(state, account_id, arn) is None:
        raise NoSuchEntity(reason=f"Scope ARN: {arn} does not exist or is not attachable.")
    return arn


def _set_boundary(state: State, owner: PolicyOwner, arn: str) -> None:
    where = {f"{owner.kind}_id": owner.owner_id}
    state.update(BOUND_TABLES[owner.kind], where, permissions_boundary=arn)
