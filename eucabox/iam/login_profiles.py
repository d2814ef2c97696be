"""The passwords that users sign in with: given, changed, taken away; signs nobody in."""

import secrets

from eucabox import ids
from eucabox.errors import EntityAlreadyExists, NoSuchEntity
from eucabox.iam import password_policies
from eucabox.iam.passwords import check_quality, hash_password
from eucabox.iam.rows import UserRow
from eucabox.state import State

CODE_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that looks like another
CODE_GROUPS, IN_A_GROUP = 5, 4  # 99 bits


def create_login_profile(state: State, user: UserRow, password: str, *, must_change: bool) -> None:
    """Give a user who has none a password; raises as set_password, and EntityAlreadyExists."""
    if user["password"]:
        reason = f"Login Profile for User {user['user_name']} already exists."
        raise EntityAlreadyExists(reason=reason)
    set_password(state, user, password, must_change=must_change)


def check_login_profile(user: UserRow) -> None:
    """Raise NoSuchEntity for a user without a password."""
    if not user["password"]:
        reason = f"Login Profile for User {user['user_name']} cannot be found."
        raise NoSuchEntity(reason=reason)


def set_password(state: State, user: UserRow, password: str, *, must_change: bool) -> None:
    """Give a user a password; `must_change` lets it sign in only to choose another.

    Raises PasswordPolicyViolation and PasswordsBusy.
    """
    check_quality(password, user["user_name"])
    policy = password_policies.read_policy(state, user["account_id"])
    if policy is not None:
        policy.check(password)
    columns = {
        "password": hash_password(password),
        "password_created": ids.now(),
        "password_reset_required": int(must_change),
    }
    state.update("users", {"user_id": user["user_id"]}, **columns)


def set_must_change(state: State, user: UserRow, *, must_change: bool) -> None:
    """Have a user choose another password at its next sign-in, or no longer."""
    columns = {"password_reset_required": int(must_change)}
    state.update("users", {"user_id": user["user_id"]}, **columns)


def give_code(state: State, user: UserRow) -> str:
    """Give a user a password of our own making, to be changed at its first sign-in; return it."""
    groups = (
        "".join(secrets.choice(CODE_LETTERS) for _ in range(IN_A_GROUP)) for _ in range(CODE_GROUPS)
    )
    code = "-".join(groups)
    columns = {
        "password": hash_password(code),
        "password_created": ids.now(),
        "password_reset_required": 1,
    }
    state.update("users", {"user_id": user["user_id"]}, **columns)
    return code


def delete_login_profile(state: State, user: UserRow) -> None:
    """Take a user's password away; raises NoSuchEntity where it has none."""
    check_login_profile(user)
    columns = {"password": "", "password_created": "", "password_reset_required": 0}
    state.update("users", {"user_id": user["user_id"]}, **columns)


def to_api(user: UserRow) -> dict[str, object]:
    """Return a user's login profile in the members of the API."""
    return {
        "user_name": user["user_name"],
        "create_date": ids.parse_time(user["password_created"]),
        "password_reset_required": bool(user["password_reset_required"]),
    }
