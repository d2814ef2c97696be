"""The passwords that users sign in with: given, changed, taken away; signs nobody in."""

import contextlib
import secrets
import threading
from collections.abc import Iterator

from eucabox import gil_turns, ids
from eucabox.errors import (
    EntityAlreadyExists,
    NoSuchEntity,
    PasswordExpired,
    PasswordPolicyViolation,
    PasswordsBusy,
    UserDisabled,
    WrongOldPassword,
    WrongPassword,
)
from eucabox.iam import password_policies
from eucabox.iam.passwords import check_password, check_quality, hash_password
from eucabox.iam.rows import UserRow
from eucabox.iam.used_passwords import check_unused, keep
from eucabox.state import State

CODE_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that looks like another
CODE_GROUPS, IN_A_GROUP = 5, 4  # 99 bits
MOST_AT_WORK = 4  # requests that set passwords; the others' need threads, and turns to hash, too
_work = threading.BoundedSemaphore(MOST_AT_WORK)
_turn = threading.Lock()  # one at a time, so that there is a turn for who signs in


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
    _check_new(state, user, password)
    with _limit_work():
        kept = check_unused(state, user, password)
        hashed = hash_password(password)
    _store(state, {"user_id": user["user_id"]}, hashed, must_change=must_change, kept=kept)


def change_password(state: State, user: UserRow, old: str, new: str) -> None:
    """Give a user who knows its password another one.

    Raises NoSuchEntity where it has none, WrongOldPassword also where it got another meanwhile,
    and what `set_password` raises.
    """
    check_login_profile(user)
    with _limit_work():
        if not check_password(old, user["password"]):
            raise WrongOldPassword()
        if user["password_reset_required"] and new == old:
            raise PasswordPolicyViolation(reason="Choose another password than the one you have.")
        _check_new(state, user, new)
        kept = check_unused(state, user, new)
        hashed = hash_password(new)
    where = {"user_id": user["user_id"], "password": user["password"]}
    if not _store(state, where, hashed, must_change=False, kept=kept):
        raise WrongOldPassword()


def confirm_password(user: UserRow, password: str) -> None:
    """Check that it is the user itself who asks; raises NoSuchEntity where it has no password,
    WrongPassword and PasswordsBusy."""
    check_login_profile(user)
    with _limit_work():
        if not check_password(password, user["password"]):
            raise WrongPassword()


def note_sign_in(state: State, user: UserRow) -> None:
    """Note that a user has signed in; with a password that is too old it has to choose another.

    Raises UserDisabled, and PasswordExpired where the account's policy leaves another password to
    others. No policy is for roots.
    """
    if user["disabled"]:
        raise UserDisabled()
    columns: dict[str, object] = {"password_last_used": ids.now()}
    if not user["is_root"] and password_policies.is_expired(state, user):
        policy = password_policies.read_policy(state, user["account_id"])
        if policy is not None and policy.hard_expiry:
            raise PasswordExpired()
        columns["password_reset_required"] = 1
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
    _store(state, {"user_id": user["user_id"]}, hash_password(code), must_change=True)
    return code


def delete_login_profile(state: State, user: UserRow) -> None:
    """Take a user's password away; raises NoSuchEntity where it has none."""
    check_login_profile(user)
    columns = {
        "password": "",
        "password_created": "",
        "password_reset_required": 0,
        "password_expires": "",
    }
    state.update("users", {"user_id": user["user_id"]}, **columns)


def to_api(user: UserRow) -> dict[str, object]:
    """Return a user's login profile in the members of the API."""
    return {
        "user_name": user["user_name"],
        "create_date": ids.parse_time(user["password_created"]),
        "password_reset_required": bool(user["password_reset_required"]),
    }


def _check_new(state: State, user: UserRow, password: str) -> None:
    check_quality(password, user["user_name"])
    policy = password_policies.read_policy(state, user["account_id"])
    if policy is not None:
        policy.check(password)


def _store(
    state: State, where: dict[str, str], hashed: str, *, must_change: bool, kept: str = ""
) -> bool:
    """Store a password's hash, and forget the codes of letters that would set another one; tell
    whether the user was still as `where` has it. `kept` is for later new passwords."""
    columns = {
        "password": hashed,
        "password_created": ids.now(),
        "password_reset_required": int(must_change),
        "password_expires": "",
    }
    with state.transaction():
        is_stored = state.update("users", where, **columns) > 0
        if is_stored:
            state.delete("codes", {"user_id": where["user_id"]})
        if is_stored and kept:
            keep(state, where["user_id"], kept)
    return is_stored


@contextlib.contextmanager
def _limit_work() -> Iterator[None]:
    if not _work.acquire(blocking=False):
        raise PasswordsBusy(count=MOST_AT_WORK)
    try:
        gil_turns.yield_leadership()
        with _turn:
            yield
    finally:
        _work.release()
