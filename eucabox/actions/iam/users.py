"""IAM: the users of an account, their tags, and what Eucalyptus keeps of each beside."""

from collections.abc import Sequence

from eucabox.actions import Call, Result, action
from eucabox.iam import iam_tags, user_states, users
from eucabox.iam.attached_policies import check_boundary
from eucabox.iam.constraints import check_path_prefix
from eucabox.iam.iam_tags import IamTag
from eucabox.iam.paging import DEFAULT_ITEMS, cut_page


@action("iam")
def create_user(
    call: Call,
    *,
    user_name: str,
    path: str = "/",
    permissions_boundary: str = "",
    tags: Sequence[IamTag] = (),
) -> Result:
    """Create a user, who may do nothing yet and has no credentials."""
    state = call.cloud.state
    if permissions_boundary:
        check_boundary(state, call.account_id, permissions_boundary)
    user = users.create_user(state, call.account_id, user_name, path, permissions_boundary, tags)
    return {"user": users.to_api(user, iam_tags.list_tags(state, user["user_id"]))}


@action("iam")
def get_user(call: Call, *, user_name: str = "", show_extra: bool = False) -> Result:
    """Return a user, without a name the caller itself; `show_extra` tells what Eucalyptus keeps of
    a user beside."""
    state = call.cloud.state
    user = users.find_user_or_caller(state, call.user, user_name)
    told = users.to_api(user, iam_tags.list_tags(state, user["user_id"]))
    return {"user": told | (user_states.to_api(state, user) if show_extra else {})}


@action("iam")
def list_users(
    call: Call, *, path_prefix: str = "/", max_items: int = DEFAULT_ITEMS, marker: str = ""
) -> Result:
    """List the users whose path begins with a prefix."""
    check_path_prefix(path_prefix)
    rows = users.list_users(call.cloud.state, call.account_id, path_prefix)
    page, more = cut_page(rows, lambda row: row["user_name"].lower(), max_items, marker)
    return {"users": [users.to_api(row) for row in page], **more}


@action("iam")
def update_user(
    call: Call,
    *,
    user_name: str,
    new_user_name: str = "",
    new_path: str = "",
    enabled: bool | None = None,
    reg_status: str = "",
    password_expiration: str = "",
) -> Result:
    """Give a user another name or path, while its id, keys and policies stay; shut it out or let it
    in again, or set the end of its password, as Eucalyptus has it."""
    state = call.cloud.state
    with state.transaction():
        user = users.find_user(state, call.account_id, user_name)
        user_states.change_state(state, user, enabled, reg_status, password_expiration)
        users.change_user(state, user, new_user_name, new_path)
    return {}


@action("iam")
def delete_user(call: Call, *, user_name: str) -> Result:
    """Delete a user that has no credentials, groups and policies any more."""
    users.delete_user(
        call.cloud.state, users.find_user(call.cloud.state, call.account_id, user_name)
    )
    return {}


@action("iam")
def tag_user(call: Call, *, user_name: str, tags: Sequence[IamTag]) -> Result:
    """Give a user tags, in place of those with the same keys."""
    user = users.find_user(call.cloud.state, call.account_id, user_name)
    iam_tags.set_tags(call.cloud.state, user["user_id"], tags)
    return {}


@action("iam")
def untag_user(call: Call, *, user_name: str, tag_keys: Sequence[str]) -> Result:
    """Take tags from a user."""
    user = users.find_user(call.cloud.state, call.account_id, user_name)
    iam_tags.remove_tags(call.cloud.state, user["user_id"], tag_keys)
    return {}


@action("iam")
def list_user_tags(
    call: Call, *, user_name: str, max_items: int = DEFAULT_ITEMS, marker: str = ""
) -> Result:
    """List a user's tags."""
    user = users.find_user(call.cloud.state, call.account_id, user_name)
    tags = iam_tags.list_tags(call.cloud.state, user["user_id"])
    page, more = cut_page(tags, lambda tag: tag["key"], max_items, marker)
    return {"tags": page, **more}
