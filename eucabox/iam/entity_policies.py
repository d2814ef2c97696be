"""The policies of a user, group or role one by one, each with whom it is of; judges nothing.

What enforcement needs, without whom each is of, is in effective_policies.py.
"""

import re
from dataclasses import dataclass

from eucabox.errors import InvalidInput
from eucabox.iam.attached_policies import list_attached_arns
from eucabox.iam.inline_policies import list_inline_policies
from eucabox.iam.managed_policies import read_default_document
from eucabox.iam.policy_owners import OWNER_KINDS, PolicyOwner, find_owner, list_groups_of
from eucabox.state import State

ARN = re.compile(r"arn:aws:iam::(\d{12}):(user|group|role)(/(?:[^:*?]*/)?)([^:/*?]+)")


@dataclass(frozen=True)
class EntityPolicy:
    """A policy of an owner; `arn` is "" for an inline one."""

    owner: PolicyOwner
    policy_name: str
    arn: str
    text: str

    @property
    def label(self) -> str:
        """What tells it from every other: the ARN, or of an inline one KIND_OWNER_NAME."""
        return self.arn or f"{self.owner.kind}_{self.owner.name}_{self.policy_name}"


def find_owner_by_arn(state: State, account_id: str, arn: str) -> PolicyOwner:
    """Return the user, group or role of an account that has the ARN.

    Raises InvalidInput and NoSuchEntity.
    """
    match = ARN.fullmatch(arn)
    kind = OWNER_KINDS.get(match[2]) if match else None
    if match is None or kind is None or match[1] != account_id:
        reason = f"Invalid Entity Arn: {arn[:200]} does not clearly define entity type and name."
        raise InvalidInput(reason=reason)
    owner = find_owner(state, account_id, kind, match[4])
    if owner.arn != arn:
        reason = f"Invalid Entity Arn: {arn[:200]} does not exist; did you mean {owner.arn}?"
        raise InvalidInput(reason=reason)
    return owner


def list_entity_policies(state: State, owner: PolicyOwner) -> list[EntityPolicy]:
    """Return the policies of an owner and, of a user, those of the user's groups."""
    groups = list_groups_of(state, owner.owner_id, owner.account_id) if owner.kind == "user" else []
    return [each for holder in (owner, *groups) for each in _list_own(state, holder)]


def _list_own(state: State, owner: PolicyOwner) -> list[EntityPolicy]:
    inline = [
        EntityPolicy(owner, row["policy_name"], "", row["document"])
        for row in list_inline_policies(state, owner.owner_id)
    ]
    return inline + [
        EntityPolicy(owner, arn.rpartition("/")[2], arn, read_default_document(state, arn))
        for arn in list_attached_arns(state, owner.owner_id)
    ]
