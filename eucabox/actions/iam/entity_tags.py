"""Tags of roles, instance profiles and managed policies."""

from collections.abc import Sequence

from eucabox.actions import Call, Result, action
from eucabox.iam import iam_tags, instance_profiles, roles
from eucabox.iam.iam_tags import IamTag
from eucabox.iam.managed_policies import get_own_policy, get_policy
from eucabox.iam.paging import DEFAULT_ITEMS, cut_page


@action("iam")
def tag_role(call: Call, *, role_name: str, tags: Sequence[IamTag]) -> Result:
    """Give a role tags."""
    iam_tags.set_tags(call.cloud.state, _find_role_id(call, role_name), tags)
    return {}


@action("iam")
def untag_role(call: Call, *, role_name: str, tag_keys: Sequence[str]) -> Result:
    """Take tags from a role."""
    iam_tags.remove_tags(call.cloud.state, _find_role_id(call, role_name), tag_keys)
    return {}


@action("iam")
def list_role_tags(
    call: Call, *, role_name: str, max_items: int = DEFAULT_ITEMS, marker: str = ""
) -> Result:
    """List the tags of a role."""
    return _list_tags(call, _find_role_id(call, role_name), max_items, marker)


@action("iam")
def tag_instance_profile(
    call: Call, *, instance_profile_name: str, tags: Sequence[IamTag]
) -> Result:
    """Give an instance profile tags."""
    iam_tags.set_tags(call.cloud.state, _find_profile_id(call, instance_profile_name), tags)
    return {}


@action("iam")
def untag_instance_profile(
    call: Call, *, instance_profile_name: str, tag_keys: Sequence[str]
) -> Result:
    """Take tags from an instance profile."""
    profile_id = _find_profile_id(call, instance_profile_name)
    iam_tags.remove_tags(call.cloud.state, profile_id, tag_keys)
    return {}


@action("iam")
def list_instance_profile_tags(
    call: Call, *, instance_profile_name: str, max_items: int = DEFAULT_ITEMS, marker: str = ""
) -> Result:
    """List the tags of an instance profile."""
    return _list_tags(call, _find_profile_id(call, instance_profile_name), max_items, marker)


@action("iam")
def tag_policy(call: Call, *, policy_arn: str, tags: Sequence[IamTag]) -> Result:
    """Give a managed policy of the account tags."""
    policy = get_own_policy(call.cloud.state, call.account_id, policy_arn)
    iam_tags.set_tags(call.cloud.state, policy.policy_id, tags)
    return {}


@action("iam")
def untag_policy(call: Call, *, policy_arn: str, tag_keys: Sequence[str]) -> Result:
    """Take tags from a managed policy of the account."""
    policy = get_own_policy(call.cloud.state, call.account_id, policy_arn)
    iam_tags.remove_tags(call.cloud.state, policy.policy_id, tag_keys)
    return {}


@action("iam")
def list_policy_tags(
    call: Call, *, policy_arn: str, max_items: int = DEFAULT_ITEMS, marker: str = ""
) -> Result:
    """List the tags of a managed policy; those of AWS have none."""
    policy = get_policy(call.cloud.state, call.account_id, policy_arn)
    return _list_tags(call, policy.policy_id, max_items, marker)


def _find_role_id(call: Call, role_name: str) -> str:
    return roles.find_role(call.cloud.state, call.account_id, role_name)["role_id"]


def _find_profile_id(call: Call, name: str) -> str:
    state = call.cloud.state
    profile = instance_profiles.find_instance_profile(state, call.account_id, name)
    return profile["instance_profile_id"]


def _list_tags(call: Call, resource_id: str, max_items: int, marker: str) -> Result:
    tags = iam_tags.list_tags(call.cloud.state, resource_id)
    page, members = cut_page(tags, lambda tag: tag["key"], max_items, marker)
    return {"tags": page, **members}
