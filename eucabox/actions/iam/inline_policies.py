"""Inline policies of users, groups and roles: documents that belong to one of them."""

from eucabox.actions import Call, Result, action
from eucabox.iam import inline_policies
from eucabox.iam.paging import DEFAULT_ITEMS, cut_page
from eucabox.iam.policy_owners import OwnerKind, find_owner


@action("iam")
def put_user_policy(
    call: Call, *, user_name: str, policy_name: str, policy_document: str
) -> Result:
    """Give a user a policy of its own."""
    return _put(call, "user", user_name, policy_name, policy_document)


@action("iam")
def get_user_policy(call: Call, *, user_name: str, policy_name: str) -> Result:
    """Tell a policy of a user's own with its document."""
    return _get(call, "user", user_name, policy_name)


@action("iam")
def list_user_policies(
    call: Call, *, user_name: str, max_items: int = DEFAULT_ITEMS, marker: str = ""
) -> Result:
    """List the names of a user's own policies."""
    return _list(call, "user", user_name, max_items, marker)


@action("iam")
def delete_user_policy(call: Call, *, user_name: str, policy_name: str) -> Result:
    """Take a policy of its own from a user."""
    return _delete(call, "user", user_name, policy_name)


@action("iam")
def put_group_policy(
    call: Call, *, group_name: str, policy_name: str, policy_document: str
) -> Result:
    """Give a group a policy of its own."""
    return _put(call, "group", group_name, policy_name, policy_document)


@action("iam")
def get_group_policy(call: Call, *, group_name: str, policy_name: str) -> Result:
    """Tell a policy of a group's own with its document."""
    return _get(call, "group", group_name, policy_name)


@action("iam")
def list_group_policies(
    call: Call, *, group_name: str, max_items: int = DEFAULT_ITEMS, marker: str = ""
) -> Result:
    """List the names of a group's own policies."""
    return _list(call, "group", group_name, max_items, marker)


@action("iam")
def delete_group_policy(call: Call, *, group_name: str, policy_name: str) -> Result:
    """Take a policy of its own from a group."""
    return _delete(call, "group", group_name, policy_name)


@action("iam")
def put_role_policy(
    call: Call, *, role_name: str, policy_name: str, policy_document: str
) -> Result:
    """Give a role a policy of its own."""
    return _put(call, "role", role_name, policy_name, policy_document)


@action("iam")
def get_role_policy(call: Call, *, role_name: str, policy_name: str) -> Result:
    """Tell a policy of a role's own with its document."""
    return _get(call, "role", role_name, policy_name)


@action("iam")
def list_role_policies(
    call: Call, *, role_name: str, max_items: int = DEFAULT_ITEMS, marker: str = ""
) -> Result:
    """List the names of a role's own policies."""
    return _list(call, "role", role_name, max_items, marker)


@action("iam")
def delete_role_policy(call: Call, *, role_name: str, policy_name: str) -> Result:
    """Take a policy of its own from a role."""
    return _delete(call, "role", role_name, policy_name)


def _put(call: Call, kind: OwnerKind, name: str, policy_name: str, document: str) -> Result:
    owner = find_owner(call.cloud.state, call.account_id, kind, name)
    inline_policies.put_inline_policy(call.cloud.state, owner, policy_name, document)
    return {}


def _get(call: Call, kind: OwnerKind, name: str, policy_name: str) -> Result:
    owner = find_owner(call.cloud.state, call.account_id, kind, name)
    row = inline_policies.get_inline_policy(call.cloud.state, owner, policy_name)
    documents = {"policy_name": row["policy_name"], "policy_document": row["document"]}
    return {f"{kind}_name": owner.name, **documents}


def _list(call: Call, kind: OwnerKind, name: str, max_items: int, marker: str) -> Result:
    owner = find_owner(call.cloud.state, call.account_id, kind, name)
    rows = inline_policies.list_inline_policies(call.cloud.state, owner.owner_id)
    names, members = cut_page([row["policy_name"] for row in rows], str, max_items, marker)
    return {"policy_names": names, **members}


def _delete(call: Call, kind: OwnerKind, name: str, policy_name: str) -> Result:
    owner = find_owner(call.cloud.state, call.account_id, kind, name)
    inline_policies.delete_inline_policy(call.cloud.state, owner, policy_name)
    return {}
