"""IAM: the groups of an account and their members."""

from eucabox.actions import Call, Result, action
from eucabox.iam import groups, users
from eucabox.iam.constraints import check_path_prefix
from eucabox.iam.paging import DEFAULT_ITEMS, cut_page
from eucabox.iam.rows import GroupRow, UserRow


@action("iam")
def create_group(call: Call, *, group_name: str, path: str = "/") -> Result:
    """Create a group without members and policies."""
    group = groups.create_group(call.cloud.state, call.account_id, group_name, path)
    return {"group": groups.to_api(group)}


@action("iam")
def get_group(
    call: Call, *, group_name: str, max_items: int = DEFAULT_ITEMS, marker: str = ""
) -> Result:
    """Return a group with a page of its members."""
    group = _find(call, group_name)
    members = groups.list_members(call.cloud.state, group["group_id"])
    page, more = cut_page(members, lambda row: row["user_name"].lower(), max_items, marker)
    told = [users.to_api(row) for row in page]
    return {"group": groups.to_api(group), "users": told, **more}


@action("iam")
def list_groups(
    call: Call, *, path_prefix: str = "/", max_items: int = DEFAULT_ITEMS, marker: str = ""
) -> Result:
    """List the groups whose path begins with a prefix."""
    check_path_prefix(path_prefix)
    rows = groups.list_groups(call.cloud.state, call.account_id, path_prefix)
    return _page(rows, max_items, marker)


@action("iam")
def list_groups_for_user(
    call: Call, *, user_name: str, max_items: int = DEFAULT_ITEMS, marker: str = ""
) -> Result:
    """List the groups that a user is a member of."""
    user = _find_user(call, user_name)
    return _page(groups.list_groups_of(call.cloud.state, user["user_id"]), max_items, marker)


@action("iam")
def update_group(
    call: Call, *, group_name: str, new_group_name: str = "", new_path: str = ""
) -> Result:
    """Give a group another name or path; its id, members and policies stay."""
    group = _find(call, group_name)
    groups.change_group(call.cloud.state, group, new_group_name, new_path)
    return {}


@action("iam")
def delete_group(call: Call, *, group_name: str) -> Result:
    """Delete a group that has no members and policies any more."""
    groups.delete_group(call.cloud.state, _find(call, group_name))
    return {}


@action("iam")
def add_user_to_group(call: Call, *, group_name: str, user_name: str) -> Result:
    """Make a user a member of a group, whose policies then count for it."""
    user = _find_user(call, user_name)
    groups.add_member(call.cloud.state, _find(call, group_name), user)
    return {}


@action("iam")
def remove_user_from_group(call: Call, *, group_name: str, user_name: str) -> Result:
    """End a user's membership of a group."""
    group = _find(call, group_name)
    groups.remove_member(call.cloud.state, group, _find_user(call, user_name))
    return {}


def _find(call: Call, group_name: str) -> GroupRow:
    return groups.find_group(call.cloud.state, call.account_id, group_name)


def _find_user(call: Call, user_name: str) -> UserRow:
    return users.find_user(call.cloud.state, call.account_id, user_name)


def _page(rows: list[GroupRow], max_items: int, marker: str) -> Result:
    page, more = cut_page(rows, lambda row: row["group_name"].lower(), max_items, marker)
    return {"groups": [groups.to_api(row) for row in page], **more}
