"""Roles: made, listed, changed and deleted, and who may assume each."""

from collections.abc import Sequence

from eucabox.actions import Call, Result, action
from eucabox.iam import roles
from eucabox.iam.constraints import check_path_prefix
from eucabox.iam.iam_tags import IamTag
from eucabox.iam.paging import DEFAULT_ITEMS, cut_page
from eucabox.iam.rows import RoleRow


@action("iam")
def create_role(
    call: Call,
    *,
    role_name: str,
    assume_role_policy_document: str,
    path: str = "/",
    description: str = "",
    max_session_duration: int = roles.DURATIONS[0],
    permissions_boundary: str = "",
    tags: Sequence[IamTag] = (),
) -> Result:
    """Create a role that those may assume whom its policy names."""
    state = call.cloud.state
    role = roles.create_role(
        state,
        call.account_id,
        role_name,
        assume_role_policy_document,
        path,
        description,
        max_session_duration,
        permissions_boundary,
        tags,
    )
    return {"role": roles.to_full_api(state, role)}


@action("iam")
def get_role(call: Call, *, role_name: str) -> Result:
    """Tell all about a role but its policies."""
    return {"role": roles.to_full_api(call.cloud.state, _find(call, role_name))}


@action("iam")
def list_roles(
    call: Call, *, path_prefix: str = "/", max_items: int = DEFAULT_ITEMS, marker: str = ""
) -> Result:
    """List the roles of the caller's account whose path begins so."""
    state = call.cloud.state
    rows = roles.list_roles(state, call.account_id, check_path_prefix(path_prefix))
    page, members = cut_page(rows, lambda row: row["role_name"].lower(), max_items, marker)
    return {"roles": [roles.to_api(state, row) for row in page], **members}


@action("iam")
def update_role(
    call: Call,
    *,
    role_name: str,
    description: str | None = None,
    max_session_duration: int | None = None,
) -> Result:
    """Change what a role says of itself, or how long its sessions may last."""
    role = _find(call, role_name)
    roles.change_role(call.cloud.state, role, description, max_session_duration)
    return {}


@action("iam")
def update_role_description(call: Call, *, role_name: str, description: str) -> Result:
    """Change what a role says of itself, and tell the role."""
    state = call.cloud.state
    roles.change_role(state, _find(call, role_name), description, None)
    return {"role": roles.to_full_api(state, _find(call, role_name))}


@action("iam")
def update_assume_role_policy(call: Call, *, role_name: str, policy_document: str) -> Result:
    """Change who may assume a role."""
    roles.change_trust_policy(call.cloud.state, _find(call, role_name), policy_document)
    return {}


@action("iam")
def delete_role(call: Call, *, role_name: str) -> Result:
    """Delete a role that has no policies and is in no instance profile; its sessions end."""
    roles.delete_role(call.cloud.state, _find(call, role_name))
    return {}


def _find(call: Call, role_name: str) -> RoleRow:
    return roles.find_role(call.cloud.state, call.account_id, role_name)
