"""Inline policies: documents that belong to one user, group or role."""

from typing import TypedDict

from eucabox.errors import LimitExceeded, NoSuchEntity
from eucabox.iam.constraints import check_document, check_name, count_characters, trim_document
from eucabox.iam.policy import parse_identity_policy
from eucabox.iam.policy_owners import PolicyOwner
from eucabox.state import State

# characters without white space, of all inline policies of one owner
MOST_CHARACTERS = {"user": 2048, "group": 5120, "role": 10_240}


class InlinePolicyRow(TypedDict):
    """An inline policy."""

    policy_name: str
    document: str


def put_inline_policy(state: State, owner: PolicyOwner, policy_name: str, document: str) -> None:
    """Give an owner a policy, in place of one of that name.

    Raises ValidationError, MalformedPolicyDocument and LimitExceeded.
    """
    check_name("policy", policy_name)
    parse_identity_policy(check_document(document))
    with state.transaction():
        _delete(state, owner, policy_name)
        policies = list_inline_policies(state, owner.owner_id)
        used = sum(count_characters(row["document"]) for row in policies)
        most = MOST_CHARACTERS[owner.kind]
        if used + count_characters(document) > most:
            reason = f"Maximum policy size of {most} bytes exceeded for {owner.kind} {owner.name}"
            raise LimitExceeded(reason=reason)
        names = {"owner_id": owner.owner_id, "policy_name": policy_name}
        state.insert("inline_policies", {**names, "document": trim_document(document, most)})


def get_inline_policy(state: State, owner: PolicyOwner, policy_name: str) -> InlinePolicyRow:
    """Return an owner's policy of that name; raises NoSuchEntity."""
    check_name("policy", policy_name)
    sql = "select policy_name, document from inline_policies where owner_id = ? and policy_name = ?"
    row = state.select_one(InlinePolicyRow, sql, (owner.owner_id, policy_name))
    return row if row is not None else _refuse(owner, policy_name)


def list_inline_policies(state: State, owner_id: str) -> list[InlinePolicyRow]:
    """Return the policies of an owner, sorted by name."""
    sql = """select policy_name, document from inline_policies where owner_id = ?
      order by policy_name"""
    return state.select(InlinePolicyRow, sql, (owner_id,))


def delete_inline_policy(state: State, owner: PolicyOwner, policy_name: str) -> None:
    """Take a policy from an owner; raises NoSuchEntity."""
    check_name("policy", policy_name)
    if not _delete(state, owner, policy_name):
        _refuse(owner, policy_name)


def _delete(state: State, owner: PolicyOwner, policy_name: str) -> int:
    where = {"owner_id": owner.owner_id, "policy_name": policy_name}
    return state.delete("inline_policies", where)


def _refuse(owner: PolicyOwner, policy_name: str) -> InlinePolicyRow:
    reason = f"The {owner.kind} policy with name {policy_name} cannot be found."
    raise NoSuchEntity(reason=reason)
