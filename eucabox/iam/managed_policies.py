"""Managed policies of an account, and AWS's own, by their ARNs; versions are made elsewhere."""

import re
from collections.abc import Sequence
from typing import TypedDict

from eucabox import ids
from eucabox.errors import (
    DeleteConflict,
    EntityAlreadyExists,
    InvalidInput,
    LimitExceeded,
    NoSuchEntity,
    PolicyUnmodifiable,
)
from eucabox.iam import iam_tags
from eucabox.iam.aws_policies import (
    ManagedPolicy,
    find_aws_document,
    find_aws_policy,
    list_aws_policies,
)
from eucabox.iam.constraints import check_arn, check_length, check_name, check_path
from eucabox.iam.iam_tags import IamTag
from eucabox.iam.policy_versions import check_policy_document
from eucabox.iam.rows import PolicyRow
from eucabox.state import State

MOST_POLICIES = 1500  # of an account
LONGEST_DESCRIPTION = 1000
FIRST_VERSION = "v1"
ARN = re.compile(r"arn:aws:iam::(\d{12}):policy(/(?:[^:*?]*/)?)([^/:*?]+)")
_USES = (
    "select 1 from attached_policies where policy_arn = ?",
    "select 1 from users where permissions_boundary = ?",
    "select 1 from roles where permissions_boundary = ?",
)


class DocumentRow(TypedDict):
    """A document of a managed policy."""

    document: str


def find_policy(state: State, account_id: str, arn: str) -> ManagedPolicy | None:
    """Return the policy of that ARN which the account may use: one of its own or of AWS's."""
    match = ARN.fullmatch(arn)
    if match is None or match[1] != account_id:
        return find_aws_policy(arn)
    row = _find_row(state, arn)
    return to_policy(row) if row else None


def get_policy(state: State, account_id: str, arn: str) -> ManagedPolicy:
    """As find_policy; raises NoSuchEntity, and ValidationError or InvalidInput for no ARN."""
    check_policy_arn(arn)
    policy = find_policy(state, account_id, arn)
    if policy is None:
        raise NoSuchEntity(reason=f"Policy {arn} was not found.")
    return policy


def get_own_policy(state: State, account_id: str, arn: str) -> ManagedPolicy:
    """Return a policy that its account may change; raises NoSuchEntity, and of AWS's own
    PolicyUnmodifiable."""
    policy = get_policy(state, account_id, arn)
    if policy.is_of_aws:
        raise PolicyUnmodifiable(arn=arn)
    return policy


def check_policy_arn(arn: str, member: str = "policyArn") -> str:
    """Return what may be the ARN of a policy, else ValidationError or InvalidInput."""
    check_arn(member, arn)
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[:3] != ["arn", "aws", "iam"] or not parts[5].startswith("policy/"):
        raise InvalidInput(reason=f"ARN {arn[:200]} is not valid.")
    return arn


def list_policies(
    state: State, account_id: str, own: bool = True, of_aws: bool = True
) -> list[ManagedPolicy]:
    """Return an account's own policies and those of AWS, sorted by name without its case."""
    sql = "select * from policies where account_id = ?"
    rows = state.select(PolicyRow, sql, (account_id,)) if own else []
    policies = [to_policy(row) for row in rows] + (list_aws_policies() if of_aws else [])
    return sorted(policies, key=name_key)


def name_key(policy: ManagedPolicy) -> str:
    """Return what lists of policies are sorted by: the name, and of twins the account."""
    return f"{policy.policy_name.lower()} {policy.account_id}"


def create_policy(
    state: State,
    account_id: str,
    policy_name: str,
    document: str,
    path: str = "/",
    description: str = "",
    tags: Sequence[IamTag] = (),
) -> ManagedPolicy:
    """Create a policy with its first version.

    Raises ValidationError, InvalidInput, MalformedPolicyDocument, EntityAlreadyExists and
    LimitExceeded.
    """
    check_name("policy", policy_name)
    check_length("description", description, LONGEST_DESCRIPTION)
    document = check_policy_document(document)
    moment = ids.now()
    policy_id = ids.policy_id()
    row = {
        "policy_id": policy_id,
        "account_id": account_id,
        "policy_name": policy_name,
        "path": check_path(path),
        "description": description,
        "default_version_id": FIRST_VERSION,
        "created": moment,
        "updated": moment,
    }
    version = {"policy_id": policy_id, "version_id": FIRST_VERSION, "document": document}
    with state.transaction():
        _check_free(state, account_id, policy_name)
        state.insert("policies", row)
        state.insert("policy_versions", {**version, "created": moment})
        iam_tags.set_tags(state, policy_id, tags)
        return to_policy(_read(state, policy_id))


def delete_policy(state: State, policy: ManagedPolicy) -> None:
    """Delete a policy of an account, which is attached nowhere and has one version.

    Raises DeleteConflict.
    """
    with state.transaction():
        for sql in _USES:
            if state.one(sql, (policy.arn,)):
                raise DeleteConflict(reason="Cannot delete a policy attached to entities.")
        sql = "select 1 from policy_versions where policy_id = ?"
        if len(state.query(sql, (policy.policy_id,))) > 1:
            reason = (
                "This policy has more than one version. Before you delete a policy, you must"
                " delete the policy's versions. The default version is deleted with the policy."
            )
            raise DeleteConflict(reason=reason)
        iam_tags.delete_tags(state, policy.policy_id)
        state.delete("policies", {"policy_id": policy.policy_id})


def read_default_document(state: State, arn: str) -> str:
    """Return the default version's document of any account's policy; "" where there is none."""
    of_aws = find_aws_document(arn)
    if of_aws is not None:
        return of_aws
    row = _find_row(state, arn)
    return read_document(state, row["policy_id"], row["default_version_id"]) if row else ""


def read_document(state: State, policy_id: str, version_id: str) -> str:
    """Return the document of an account's policy; "" where there is none."""
    sql = "select document from policy_versions where policy_id = ? and version_id = ?"
    row = state.select_one(DocumentRow, sql, (policy_id, version_id))
    return row["document"] if row else ""


def to_policy(row: PolicyRow) -> ManagedPolicy:
    """Return the policy that a row holds."""
    return ManagedPolicy(
        account_id=row["account_id"],
        policy_id=row["policy_id"],
        policy_name=row["policy_name"],
        path=row["path"],
        description=row["description"],
        default_version_id=row["default_version_id"],
        created=row["created"],
        updated=row["updated"],
    )


def to_api(policy: ManagedPolicy, attachments: int, boundaries: int) -> dict[str, object]:
    """Return a policy in the members of the API, as lists have it, and how often it is used."""
    return {
        "policy_name": policy.policy_name,
        "policy_id": policy.policy_id,
        "arn": policy.arn,
        "path": policy.path,
        "default_version_id": policy.default_version_id,
        "attachment_count": attachments,
        "permissions_boundary_usage_count": boundaries,
        "is_attachable": True,
        "create_date": ids.parse_time(policy.created),
        "update_date": ids.parse_time(policy.updated),
    }


def _read(state: State, policy_id: str) -> PolicyRow:
    row = state.select_one(PolicyRow, "select * from policies where policy_id = ?", (policy_id,))
    assert row is not None  # made in this transaction
    return row


def _check_free(state: State, account_id: str, policy_name: str) -> None:
    sql = "select 1 from policies where account_id = ? and lower(policy_name) = lower(?)"
    if state.one(sql, (account_id, policy_name)):
        reason = f"A policy called {policy_name} already exists. Duplicate names are not allowed."
        raise EntityAlreadyExists(reason=reason)
    sql = "select count(*) as policies from policies where account_id = ?"
    row = state.one(sql, (account_id,))
    if row and row["policies"] >= MOST_POLICIES:
        reason = f"Cannot exceed quota for PoliciesPerAccount: {MOST_POLICIES}"
        raise LimitExceeded(reason=reason)


def _find_row(state: State, arn: str) -> PolicyRow | None:
    match = ARN.fullmatch(arn)
    if match is None:
        return None
    account_id, path, name = match.groups()
    sql = """select * from policies where account_id = ? and lower(policy_name) = lower(?)
      and policy_name = ? and path = ?"""
    return state.select_one(PolicyRow, sql, (account_id, name, name, path))
