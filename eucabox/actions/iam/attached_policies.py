"""Managed policies attached to users, groups and roles, and boundaries of their permissions."""

from eucabox.actions import Call, Result, action
from eucabox.iam import attached_policies
from eucabox.iam.constraints import check_path_prefix
from eucabox.iam.managed_policies import name_key
from eucabox.iam.paging import DEFAULT_ITEMS, cut_page
from eucabox.iam.policy_owners import OwnerKind, find_owner


@action("iam")
def attach_user_policy(call: Call, *, user_name: str, policy_arn: str) -> Result:
    """Attach a managed policy to a user."""
    return _attach(call, "user", user_name, policy_arn)


@action("iam")
def detach_user_policy(call: Call, *, user_name: str, policy_arn: str) -> Result:
    """Detach a managed policy from a user."""
    return _detach(call, "user", user_name, policy_arn)


@action("iam")
def list_attached_user_policies(
    call: Call,
    *,
    user_name: str,
    path_prefix: str = "/",
    max_items: int = DEFAULT_ITEMS,
    marker: str = "",
) -> Result:
    """List the managed policies attached to a user."""
    return _list(call, "user", user_name, path_prefix, max_items, marker)


@action("iam")
def attach_group_policy(call: Call, *, group_name: str, policy_arn: str) -> Result:
    """Attach a managed policy to a group."""
    return _attach(call, "group", group_name, policy_arn)


@action("iam")
def detach_group_policy(call: Call, *, group_name: str, policy_arn: str) -> Result:
    """Detach a managed policy from a group."""
    return _detach(call, "group", group_name, policy_arn)


@action("iam")
def list_attached_group_policies(
    call: Call,
    *,
    group_name: str,
    path_prefix: str = "/",
    max_items: int = DEFAULT_ITEMS,
    marker: str = "",
) -> Result:
    """List the managed policies attached to a group."""
    return _list(call, "group", group_name, path_prefix, max_items, marker)


@action("iam")
def attach_role_policy(call: Call, *, role_name: str, policy_arn: str) -> Result:
    """Attach a managed policy to a role."""
    return _attach(call, "role", role_name, policy_arn)


@action("iam")
def detach_role_policy(call: Call, *, role_name: str, policy_arn: str) -> Result:
    """Detach a managed policy from a role."""
    return _detach(call, "role", role_name, policy_arn)


@action("iam")
def list_attached_role_policies(
    call: Call,
    *,
    role_name: str,
    path_prefix: str = "/",
    max_items: int = DEFAULT_ITEMS,
    marker: str = "",
) -> Result:
    """List the managed policies attached to a role."""
    return _list(call, "role", role_name, path_prefix, max_items, marker)


@action("iam")
def put_user_permissions_boundary(
    call: Call, *, user_name: str, permissions_boundary: str
) -> Result:
    """Have a managed policy limit what a user may do."""
    owner = find_owner(call.cloud.state, call.account_id, "user", user_name)
    attached_policies.put_boundary(call.cloud.state, owner, permissions_boundary)
    return {}


@action("iam")
def delete_user_permissions_boundary(call: Call, *, user_name: str) -> Result:
    """Have no managed policy limit what a user may do."""
    owner = find_owner(call.cloud.state, call.account_id, "user", user_name)
    attached_policies.delete_boundary(call.cloud.state, owner)
    return {}


@action("iam")
def put_role_permissions_boundary(
    call: Call, *, role_name: str, permissions_boundary: str
) -> Result:
    """Have a managed policy limit what a role may do."""
    owner = find_owner(call.cloud.state, call.account_id, "role", role_name)
    attached_policies.put_boundary(call.cloud.state, owner, permissions_boundary)
    return {}


@action("iam")
def delete_role_permissions_boundary(call: Call, *, role_name: str) -> Result:
    """Have no managed policy limit what a role may do."""
    owner = find_owner(call.cloud.state, call.account_id, "role", role_name)
    attached_policies.delete_boundary(call.cloud.state, owner)
    return {}


def _attach(call: Call, kind: OwnerKind, name: str, policy_arn: str) -> Result:
    owner = find_owner(call.cloud.state, call.account_id, kind, name)
    attached_policies.attach_policy(call.cloud.state, owner, policy_arn)
    return {}


def _detach(call: Call, kind: OwnerKind, name: str, policy_arn: str) -> Result:
    owner = find_owner(call.cloud.state, call.account_id, kind, name)
    attached_policies.detach_policy(call.cloud.state, owner, policy_arn)
    return {}


def _list(
    call: Call, kind: OwnerKind, name: str, path_prefix: str, max_items: int, marker: str
) -> Result:
    prefix = check_path_prefix(path_prefix)
    owner = find_owner(call.cloud.state, call.account_id, kind, name)
    policies = attached_policies.list_attached_policies(call.cloud.state, owner)
    policies = [each for each in policies if each.path.startswith(prefix)]
    page, members = cut_page(policies, name_key, max_items, marker)
    attached = [{"policy_name": each.policy_name, "policy_arn": each.arn} for each in page]
    return {"attached_policies": attached, **members}
