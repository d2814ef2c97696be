"""Managed policies: those of an account with their versions, and AWS's own; attaches none."""

import re
from typing import TypedDict

from eucabox.iam.aws_policies import ManagedPolicy, find_aws_document, find_aws_policy
from eucabox.iam.rows import PolicyRow
from eucabox.state import State

ARN = re.compile(r"arn:aws:iam::(\d{12}):policy(/(?:[^:*?]*/)?)([^/:*?]+)")


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


def _find_row(state: State, arn: str) -> PolicyRow | None:
    match = ARN.fullmatch(arn)
    if match is None:
        return None
    account_id, path, name = match.groups()
    sql = """select * from policies where account_id = ? and lower(policy_name) = lower(?)
      and policy_name = ? and path = ?"""
    return state.select_one(PolicyRow, sql, (account_id, name, name, path))
