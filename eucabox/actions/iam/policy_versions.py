"""The versions of managed policies, of which one is in force."""

from eucabox import ids
from eucabox.actions import Call, Result, action
from eucabox.iam import policy_versions
from eucabox.iam.aws_policies import ManagedPolicy
from eucabox.iam.managed_policies import get_own_policy, get_policy
from eucabox.iam.paging import DEFAULT_ITEMS, cut_page
from eucabox.iam.rows import PolicyVersionRow


@action("iam")
def create_policy_version(
    call: Call, *, policy_arn: str, policy_document: str, set_as_default: bool = False
) -> Result:
    """Add a version to a managed policy."""
    state = call.cloud.state
    policy = get_own_policy(state, call.account_id, policy_arn)
    row = policy_versions.create_version(state, policy, policy_document, set_as_default)
    default = row["version_id"] if set_as_default else policy.default_version_id
    return {"policy_version": _to_api(row, default)}


@action("iam")
def get_policy_version(call: Call, *, policy_arn: str, version_id: str) -> Result:
    """Tell a version of a managed policy with its document."""
    policy = get_policy(call.cloud.state, call.account_id, policy_arn)
    row = policy_versions.get_version(call.cloud.state, policy, version_id)
    answer = _to_api(row, policy.default_version_id)
    return {"policy_version": {**answer, "document": row["document"]}}


@action("iam")
def list_policy_versions(
    call: Call, *, policy_arn: str, max_items: int = DEFAULT_ITEMS, marker: str = ""
) -> Result:
    """List the versions of a managed policy, the newest first, without their documents."""
    policy = get_policy(call.cloud.state, call.account_id, policy_arn)
    rows = policy_versions.list_versions(call.cloud.state, policy)
    page, members = cut_page(rows, _newest_first_key, max_items, marker)
    return {"versions": [_to_api(row, policy.default_version_id) for row in page], **members}


@action("iam")
def set_default_policy_version(call: Call, *, policy_arn: str, version_id: str) -> Result:
    """Put a version of a managed policy in force."""
    policy = _find_own(call, policy_arn)
    policy_versions.set_default_version(call.cloud.state, policy, version_id)
    return {}


@action("iam")
def delete_policy_version(call: Call, *, policy_arn: str, version_id: str) -> Result:
    """Delete a version of a managed policy that is not in force."""
    policy = _find_own(call, policy_arn)
    policy_versions.delete_version(call.cloud.state, policy, version_id)
    return {}


def _find_own(call: Call, policy_arn: str) -> ManagedPolicy:
    return get_own_policy(call.cloud.state, call.account_id, policy_arn)


def _newest_first_key(row: PolicyVersionRow) -> str:
    return f"{10**12 - int(row['version_id'].removeprefix('v')):012}"


def _to_api(row: PolicyVersionRow, default_version_id: str) -> dict[str, object]:
    return {
        "version_id": row["version_id"],
        "is_default_version": row["version_id"] == default_version_id,
        "create_date": ids.parse_time(row["created"]),
    }
