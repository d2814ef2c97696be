"""Groups of users in the database, and who is a member of which; decides nothing about who may."""

from eucabox import ids
from eucabox.errors import DeleteConflict, EntityAlreadyExists, LimitExceeded, NoSuchEntity
from eucabox.iam import account_limits
from eucabox.iam.constraints import check_name, check_path
from eucabox.iam.rows import GroupRow, UserRow
from eucabox.state import State

MOST_GROUPS, MOST_GROUPS_OF_A_USER = 300, 10
# What a group must lose before it can be deleted, each with the query that finds it.
HOLDINGS = (
    ("remove users from group", "select 1 from group_members where group_id = ?"),
    ("detach all policies", "select 1 from attached_policies where owner_id = ?"),
    ("delete policies", "select 1 from inline_policies where owner_id = ?"),
)


def create_group(state: State, account_id: str, group_name: str, path: str = "/") -> GroupRow:
    """Create a group without members; raises ValidationError, EntityAlreadyExists and
    LimitExceeded."""
    row: GroupRow = {
        "group_id": ids.group_id(),
        "account_id": account_id,
        "group_name": check_name("group", group_name),
        "path": check_path(path),
        "created": ids.now(),
    }
    with state.transaction():
        _check_free(state, account_id, group_name)
        most = account_limits.read_own(state, account_id).get("groups", MOST_GROUPS)
        if len(list_groups(state, account_id)) >= most:
            raise LimitExceeded(reason=f"Cannot exceed quota for GroupsPerAccount: {most}")
        state.insert("groups", row)
    return row


def find_group(state: State, account_id: str, group_name: str) -> GroupRow:
    """Return the group of that name, whatever the case of its letters; raises NoSuchEntity and
    ValidationError."""
    check_name("group", group_name)
    sql = "select * from groups where account_id = ? and lower(group_name) = lower(?)"
    row = state.select_one(GroupRow, sql, (account_id, group_name))
    if row is None:
        raise NoSuchEntity(reason=f"The group with name {group_name} cannot be found.")
    return row


def list_groups(state: State, account_id: str, path_prefix: str = "/") -> list[GroupRow]:
    """Return the groups whose path begins so, sorted by name without its case."""
    sql = """select * from groups
      where account_id = ? and substr(path, 1, ?) = ? order by lower(group_name)"""
    return state.select(GroupRow, sql, (account_id, len(path_prefix), path_prefix))


def change_group(state: State, group: GroupRow, new_name: str, new_path: str) -> None:
    """Give a group another name, another path, or both; "" leaves it.

    Raises ValidationError and EntityAlreadyExists.
    """
    columns: dict[str, object] = {}
    with state.transaction():
        if new_name:
            check_name("group", new_name)
            _check_free(state, group["account_id"], new_name, group["group_id"])
            columns["group_name"] = new_name
        if new_path:
            columns["path"] = check_path(new_path, "newPath")
        if columns:
            state.update("groups", {"group_id": group["group_id"]}, **columns)


def delete_group(state: State, group: GroupRow) -> None:
    """Delete a group that has neither members nor policies; raises DeleteConflict."""
    with state.transaction():
        for what, sql in HOLDINGS:
            if state.one(sql, (group["group_id"],)):
                raise DeleteConflict(reason=f"Cannot delete entity, must {what} first.")
        state.delete("groups", {"group_id": group["group_id"]})


def add_member(state: State, group: GroupRow, user: UserRow) -> None:
    """Make a user a member, which it may be already; raises LimitExceeded."""
    row = {"group_id": group["group_id"], "user_id": user["user_id"]}
    with state.transaction():
        groups = list_groups_of(state, user["user_id"])
        if any(each["group_id"] == group["group_id"] for each in groups):
            return
        if len(groups) >= MOST_GROUPS_OF_A_USER:
            reason = f"Cannot exceed quota for GroupsPerUser: {MOST_GROUPS_OF_A_USER}"
            raise LimitExceeded(reason=reason)
        state.insert("group_members", row)


def remove_member(state: State, group: GroupRow, user: UserRow) -> None:
    """End a user's membership; raises NoSuchEntity where it is no member."""
    if not state.delete(
        "group_members", {"group_id": group["group_id"], "user_id": user["user_id"]}
    ):
        reason = f"User {user['user_name']} not in group {group['group_name']}"
        raise NoSuchEntity(reason=reason)


def list_members(state: State, group_id: str) -> list[UserRow]:
    """Return the members of a group, sorted by name without its case."""
    sql = """select users.* from group_members join users using (user_id)
      where group_id = ? order by lower(user_name)"""
    return state.select(UserRow, sql, (group_id,))


def list_groups_of(state: State, user_id: str) -> list[GroupRow]:
    """Return the groups that a user is a member of, sorted by name without its case."""
    sql = """select groups.* from group_members join groups using (group_id)
      where user_id = ? order by lower(group_name)"""
    return state.select(GroupRow, sql, (user_id,))


def get_arn(group: GroupRow) -> str:
    """Return the Amazon resource name of a group."""
    return f"arn:aws:iam::{group['account_id']}:group{group['path']}{group['group_name']}"


def to_api(group: GroupRow) -> dict[str, object]:
    """Return a group in the members of the API."""
    return {
        "path": group["path"],
        "group_name": group["group_name"],
        "group_id": group["group_id"],
        "arn": get_arn(group),
        "create_date": ids.parse_time(group["created"]),
    }


def _check_free(state: State, account_id: str, group_name: str, group_id: str = "") -> None:
    sql = """select 1 from groups
      where account_id = ? and lower(group_name) = lower(?) and group_id <> ?"""
    if state.one(sql, (account_id, group_name, group_id)):
        raise EntityAlreadyExists(reason=f"Group with name {group_name} already exists.")
