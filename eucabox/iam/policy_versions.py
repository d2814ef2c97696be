"""The versions of managed policies, of which one is the default and in force."""

import re
from typing import TypedDict

from eucabox import ids
from eucabox.errors import DeleteConflict, LimitExceeded, NoSuchEntity
from eucabox.iam.aws_policies import ManagedPolicy, find_aws_document
from eucabox.iam.constraints import (
    check_document,
    check_pattern,
    count_characters,
    trim_document,
)
from eucabox.iam.policy import parse_identity_policy
from eucabox.iam.rows import PolicyVersionRow
from eucabox.state import State

MOST_CHARACTERS = 6144  # without white space
MOST_VERSIONS = 5
VERSION_ID = re.compile(r"v[1-9][0-9]*(\.[A-Za-z0-9-]*)?")


class NewestRow(TypedDict):
    """The number of the newest version that a policy ever had."""

    newest_version: int


def check_policy_document(document: str) -> str:
    """Return a document that may be managed as it is to be stored; else ValidationError,
    MalformedPolicyDocument or LimitExceeded."""
    parse_identity_policy(check_document(document), managed=True)
    if count_characters(document) > MOST_CHARACTERS:
        raise LimitExceeded(reason=f"Cannot exceed quota for PolicySize: {MOST_CHARACTERS}")
    return trim_document(document, MOST_CHARACTERS)


def list_versions(state: State, policy: ManagedPolicy) -> list[PolicyVersionRow]:
    """Return the versions of a policy, the newest first."""
    if policy.is_of_aws:
        return [_read_aws_version(policy)]
    sql = """select * from policy_versions where policy_id = ?
      order by cast(substr(version_id, 2) as integer) desc"""
    return state.select(PolicyVersionRow, sql, (policy.policy_id,))


def get_version(state: State, policy: ManagedPolicy, version_id: str) -> PolicyVersionRow:
    """Return a version of a policy; raises ValidationError and NoSuchEntity."""
    check_pattern("versionId", version_id[:128], VERSION_ID, VERSION_ID.pattern)
    for row in list_versions(state, policy):
        if row["version_id"] == version_id:
            return row
    reason = f"Policy {policy.arn} version {version_id} does not exist or is not attachable."
    raise NoSuchEntity(reason=reason)


def create_version(
    state: State, policy: ManagedPolicy, document: str, is_default: bool
) -> PolicyVersionRow:
    """Add a version to a policy of an account, at once in force if it `is_default`.

    Raises ValidationError, MalformedPolicyDocument and LimitExceeded.
    """
    document = check_policy_document(document)
    own = {"policy_id": policy.policy_id}
    with state.transaction():
        if len(list_versions(state, policy)) >= MOST_VERSIONS:
            reason = (
                f"A managed policy can have up to {MOST_VERSIONS} versions. Before you create a"
                " new version, you must delete an existing version."
            )
            raise LimitExceeded(reason=reason)
        sql = "select newest_version from policies where policy_id = ?"
        newest = state.select_one(NewestRow, sql, (policy.policy_id,))
        if newest is None:
            raise NoSuchEntity(reason=f"Policy {policy.arn} was not found.")
        number = newest["newest_version"] + 1
        row = {**own, "version_id": f"v{number}", "document": document, "created": ids.now()}
        state.insert("policy_versions", row)
        state.update("policies", own, newest_version=number, updated=row["created"])
        if is_default:
            state.update("policies", own, default_version_id=row["version_id"])
        return get_version(state, policy, row["version_id"])


def set_default_version(state: State, policy: ManagedPolicy, version_id: str) -> None:
    """Put a version of an account's policy in force; raises ValidationError and NoSuchEntity."""
    with state.transaction():
        get_version(state, policy, version_id)
        own = {"policy_id": policy.policy_id}
        state.update("policies", own, default_version_id=version_id, updated=ids.now())


def delete_version(state: State, policy: ManagedPolicy, version_id: str) -> None:
    """Delete a version of an account's policy that is not in force.

    Raises ValidationError, NoSuchEntity and DeleteConflict.
    """
    own = {"policy_id": policy.policy_id}
    with state.transaction():
        get_version(state, policy, version_id)
        where = {**own, "default_version_id": version_id}
        if state.update("policies", where, default_version_id=version_id):
            raise DeleteConflict(reason="Cannot delete the default version of a policy.")
        state.delete("policy_versions", {**own, "version_id": version_id})
        state.update("policies", own, updated=ids.now())


def _read_aws_version(policy: ManagedPolicy) -> PolicyVersionRow:
    return {
        "policy_id": policy.policy_id,
        "version_id": policy.default_version_id,
        "document": find_aws_document(policy.arn) or "",
        "created": policy.created,
    }
