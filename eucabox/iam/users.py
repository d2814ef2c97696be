"""Users of an account in the database, and how they are told; its root is none of them.

Decides nothing about who may; every function keeps to the account that it is given.
"""

from collections.abc import Sequence

from eucabox import ids
from eucabox.errors import (
    DeleteConflict,
    EntityAlreadyExists,
    LimitExceeded,
    NoSuchEntity,
    ValidationError,
)
from eucabox.iam import account_limits, iam_tags, mfa_devices
from eucabox.iam.caller import Caller
from eucabox.iam.constraints import check_name, check_path
from eucabox.iam.iam_tags import IamTag
from eucabox.iam.rows import UserRow
from eucabox.state import State

MOST_USERS = 5000  # of an account
LONGEST_EXISTING_NAME = 128  # as the model has it: a longer name than a new user may have
# What a user must lose before it can be deleted, each with the query that finds it.
HOLDINGS = (
    ("delete login profile", "select 1 from users where user_id = ? and password <> ''"),
    ("delete access keys", "select 1 from access_keys where user_id = ?"),
    ("delete signing certificates", "select 1 from certificates where user_id = ?"),
    ("delete MFA device", "select 1 from mfa_devices where user_id = ? and enabled <> ''"),
    ("remove users from group", "select 1 from group_members where user_id = ?"),
    ("detach all policies", "select 1 from attached_policies where owner_id = ?"),
    ("delete policies", "select 1 from inline_policies where owner_id = ?"),
)


def create_user(
    state: State,
    account_id: str,
    user_name: str,
    path: str = "/",
    boundary: str = "",
    tags: Sequence[IamTag] = (),
) -> UserRow:
    """Create a user of an account, who has no credentials yet; `boundary` is the ARN of a policy.

    Raises ValidationError, InvalidInput, EntityAlreadyExists and LimitExceeded.
    """
    check_name("user", user_name)
    row = {
        "user_id": ids.user_id(),
        "account_id": account_id,
        "user_name": user_name,
        "path": check_path(path),
        "permissions_boundary": boundary,
        "created": ids.now(),
    }
    with state.transaction():
        _check_free(state, account_id, user_name)
        _check_count(state, account_id)
        state.insert("users", row)
        iam_tags.set_tags(state, row["user_id"], tags)
        return _read(state, row["user_id"])


def find_user(state: State, account_id: str, user_name: str) -> UserRow:
    """Return the user of that name, whatever the case of its letters; raises NoSuchEntity, and
    ValidationError for what can be no name."""
    check_name("user", user_name, LONGEST_EXISTING_NAME)
    sql = """select * from users
      where account_id = ? and lower(user_name) = lower(?) and is_root = 0"""
    row = state.select_one(UserRow, sql, (account_id, user_name))
    if row is None:
        raise NoSuchEntity(reason=f"The user with name {user_name} cannot be found.")
    return row


def find_user_or_caller(state: State, caller: Caller, user_name: str) -> UserRow:
    """Return the user of the caller's account that has the name, without one the caller itself.

    Raises as find_user, and ValidationError where the caller is the session of a role.
    """
    if user_name:
        return find_user(state, caller.account_id, user_name)
    if not caller.user_id:
        reason = "Must specify userName when calling with non-User credentials"
        raise ValidationError(reason=reason)
    return _read(state, caller.user_id)


def list_users(state: State, account_id: str, path_prefix: str = "/") -> list[UserRow]:
    """Return the users whose path begins so, sorted by name without its case."""
    sql = """select * from users
      where account_id = ? and is_root = 0 and substr(path, 1, ?) = ? order by lower(user_name)"""
    return state.select(UserRow, sql, (account_id, len(path_prefix), path_prefix))


def change_user(state: State, user: UserRow, new_name: str, new_path: str) -> None:
    """Give a user another name, another path, or both; "" leaves it.

    Raises ValidationError and EntityAlreadyExists.
    """
    columns: dict[str, object] = {}
    with state.transaction():
        if new_name:
            check_name("user", new_name)
            _check_free(state, user["account_id"], new_name, user["user_id"])
            columns["user_name"] = new_name
        if new_path:
            columns["path"] = check_path(new_path, "newPath")
        if columns:
            state.update("users", {"user_id": user["user_id"]}, **columns)


def delete_user(state: State, user: UserRow) -> None:
    """Delete a user who has nothing left; raises DeleteConflict with what it has."""
    with state.transaction():
        for what, sql in HOLDINGS:
            if state.one(sql, (user["user_id"],)):
                raise DeleteConflict(reason=f"Cannot delete entity, must {what} first.")
        erase_user(state, user["user_id"])


def erase_user(state: State, user_id: str) -> None:
    """Delete a user, or a root, with all that it has."""
    with state.transaction():
        iam_tags.delete_tags(state, user_id)
        mfa_devices.erase_devices(state, user_id)
        for table in ("access_keys", "certificates", "group_members", "users"):
            if table == "users":
                _erase_policies(state, user_id)
            state.delete(table, {"user_id": user_id})


def get_arn(user: UserRow) -> str:
    """Return the Amazon resource name of a user, or of the root of its account."""
    if user["is_root"]:
        return f"arn:aws:iam::{user['account_id']}:root"
    return f"arn:aws:iam::{user['account_id']}:user{user['path']}{user['user_name']}"


def to_api(user: UserRow, tags: Sequence[IamTag] = ()) -> dict[str, object]:
    """Return a user, or a root, in the members of the API."""
    told: dict[str, object] = {"arn": get_arn(user), "create_date": ids.parse_time(user["created"])}
    if user["is_root"]:
        told["user_id"] = user["account_id"]
    else:
        told |= {name: user[name] for name in ("path", "user_name", "user_id")}
    if user["password_last_used"]:
        told["password_last_used"] = ids.parse_time(user["password_last_used"])
    if user["permissions_boundary"]:
        arn = user["permissions_boundary"]
        told["permissions_boundary"] = {
            "permissions_boundary_type": "Policy",
            "permissions_boundary_arn": arn,
        }
    return told | ({"tags": list(tags)} if tags else {})


def _read(state: State, user_id: str) -> UserRow:
    row = state.select_one(UserRow, "select * from users where user_id = ?", (user_id,))
    if row is None:  # deleted while its last request was under way
        raise NoSuchEntity(reason=f"The user with id {user_id} cannot be found.")
    return row


def _check_free(state: State, account_id: str, user_name: str, user_id: str = "") -> None:
    sql = """select 1 from users
      where account_id = ? and lower(user_name) = lower(?) and user_id <> ?"""
    if state.one(sql, (account_id, user_name, user_id)):
        raise EntityAlreadyExists(reason=f"User with name {user_name} already exists.")


def _check_count(state: State, account_id: str) -> None:
    sql = "select count(*) as users from users where account_id = ? and is_root = 0"
    row = state.one(sql, (account_id,))
    most = account_limits.read_own(state, account_id).get("users", MOST_USERS)
    if row and row["users"] >= most:
        raise LimitExceeded(reason=f"Cannot exceed quota for UsersPerAccount: {most}")


def _erase_policies(state: State, owner_id: str) -> None:
    for table in ("inline_policies", "attached_policies"):
        state.delete(table, {"owner_id": owner_id})
