"""Managed policies: made, listed and deleted, and to whom each is attached."""

from collections import Counter
from collections.abc import Sequence

from eucabox.actions import Call, Result, action
from eucabox.iam import attached_policies, iam_tags, managed_policies
from eucabox.iam.aws_policies import ManagedPolicy
from eucabox.iam.constraints import check_choice, check_path_prefix
from eucabox.iam.iam_tags import IamTag
from eucabox.iam.paging import DEFAULT_ITEMS, cut_page
from eucabox.iam.policy_owners import ENTITY_KINDS, PolicyOwner

SCOPES = ("All", "AWS", "Local")
PERMISSIONS, BOUNDARY = USAGES = ("PermissionsPolicy", "PermissionsBoundary")


@action("iam")
def create_policy(
    call: Call,
    *,
    policy_name: str,
    policy_document: str,
    path: str = "/",
    description: str = "",
    tags: Sequence[IamTag] = (),
) -> Result:
    """Create a managed policy of the caller's account."""
    state = call.cloud.state
    policy = managed_policies.create_policy(
        state, call.account_id, policy_name, policy_document, path, description, tags
    )
    return {"policy": _to_full_api(call, policy)}


@action("iam")
def get_policy(call: Call, *, policy_arn: str) -> Result:
    """Tell all about a managed policy but its documents."""
    policy = managed_policies.get_policy(call.cloud.state, call.account_id, policy_arn)
    return {"policy": _to_full_api(call, policy)}


@action("iam")
def list_policies(
    call: Call,
    *,
    scope: str = "All",
    only_attached: bool = False,
    path_prefix: str = "/",
    policy_usage_filter: str = "",
    max_items: int = DEFAULT_ITEMS,
    marker: str = "",
) -> Result:
    """List the managed policies of the caller's account, those of AWS, or both."""
    check_choice("scope", scope, SCOPES)
    prefix = check_path_prefix(path_prefix)
    state, account_id = call.cloud.state, call.account_id
    attached = attached_policies.count_attachments(state, account_id)
    bounding = attached_policies.count_boundaries(state, account_id)
    policies = managed_policies.list_policies(
        state, account_id, own=scope != "AWS", of_aws=scope != "Local"
    )
    policies = [each for each in policies if each.path.startswith(prefix)]
    if policy_usage_filter or only_attached:
        used = _select_used(attached, bounding, policy_usage_filter)
        policies = [each for each in policies if each.arn in used]
    page, members = cut_page(policies, managed_policies.name_key, max_items, marker)
    return {
        "policies": [
            managed_policies.to_api(each, attached[each.arn], bounding[each.arn]) for each in page
        ],
        **members,
    }


@action("iam")
def delete_policy(call: Call, *, policy_arn: str) -> Result:
    """Delete a managed policy that is attached nowhere and has one version."""
    state = call.cloud.state
    policy = managed_policies.get_own_policy(state, call.account_id, policy_arn)
    managed_policies.delete_policy(state, policy)
    return {}


@action("iam")
def list_entities_for_policy(
    call: Call,
    *,
    policy_arn: str,
    entity_filter: str = "",
    path_prefix: str = "/",
    policy_usage_filter: str = "",
    max_items: int = DEFAULT_ITEMS,
    marker: str = "",
) -> Result:
    """List the users, groups and roles to which a managed policy is attached or whose boundary
    it is."""
    if entity_filter:
        check_choice("entityFilter", entity_filter, ENTITY_KINDS)
    prefix = check_path_prefix(path_prefix)
    policy = managed_policies.get_policy(call.cloud.state, call.account_id, policy_arn)
    owners = [
        each
        for each in _list_owners(call, policy, policy_usage_filter)
        if each.path.startswith(prefix) and entity_filter.lower() in ("", each.kind)
    ]
    page, members = cut_page(owners, _owner_key, max_items, marker)
    listed = {
        f"policy_{kind}s": [
            {f"{kind}_name": each.name, f"{kind}_id": each.owner_id}
            for each in page
            if each.kind == kind
        ]
        for kind in ("group", "user", "role")
    }
    return {**listed, **members}


def _select_used(attached: Counter[str], bounding: Counter[str], usage: str) -> set[str]:
    if usage:
        check_choice("policyUsageFilter", usage, USAGES)
        return set(attached if usage == PERMISSIONS else bounding)
    return set(attached) | set(bounding)


def _list_owners(call: Call, policy: ManagedPolicy, usage: str) -> list[PolicyOwner]:
    if usage:
        check_choice("policyUsageFilter", usage, USAGES)
    state, account_id = call.cloud.state, call.account_id
    owners: list[PolicyOwner] = []
    if usage != BOUNDARY:
        owners += attached_policies.list_holders(state, account_id, policy.arn)
    if usage != PERMISSIONS:
        bounded = attached_policies.list_bounded(state, account_id, policy.arn)
        known = {each.owner_id for each in owners}
        owners += [each for each in bounded if each.owner_id not in known]
    return sorted(owners, key=_owner_key)


def _owner_key(owner: PolicyOwner) -> str:
    return f"{owner.kind} {owner.name.lower()}"


def _to_full_api(call: Call, policy: ManagedPolicy) -> dict[str, object]:
    state, account_id = call.cloud.state, call.account_id
    attached = attached_policies.count_attachments(state, account_id)
    bounding = attached_policies.count_boundaries(state, account_id)
    answer = managed_policies.to_api(policy, attached[policy.arn], bounding[policy.arn])
    if policy.description:
        answer["description"] = policy.description
    tags = iam_tags.list_tags(state, policy.policy_id)
    return answer | ({"tags": tags} if tags else {})
