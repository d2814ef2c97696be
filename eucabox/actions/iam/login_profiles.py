"""IAM: the passwords of users, and what an account asks of them."""

from typing import NoReturn

from eucabox.actions import Call, Result, action
from eucabox.errors import InvalidUserType, NoSuchEntity
from eucabox.iam import login_profiles, password_policies
from eucabox.iam.password_policies import PasswordPolicy
from eucabox.iam.users import find_user_or_caller


@action("iam")
def create_login_profile(
    call: Call, *, password: str, user_name: str = "", password_reset_required: bool = False
) -> Result:
    """Give a user a password to sign in with."""
    state = call.cloud.state
    user = find_user_or_caller(state, call.user, user_name)
    login_profiles.create_login_profile(state, user, password, must_change=password_reset_required)
    user = find_user_or_caller(state, call.user, user_name)
    return {"login_profile": login_profiles.to_api(user)}


@action("iam")
def get_login_profile(call: Call, *, user_name: str = "") -> Result:
    """Tell since when a user has its password."""
    user = find_user_or_caller(call.cloud.state, call.user, user_name)
    login_profiles.check_login_profile(user)
    return {"login_profile": login_profiles.to_api(user)}


@action("iam")
def update_login_profile(
    call: Call, *, user_name: str, password: str = "", password_reset_required: bool | None = None
) -> Result:
    """Give a user another password, or have it choose one."""
    state = call.cloud.state
    user = find_user_or_caller(state, call.user, user_name)
    login_profiles.check_login_profile(user)
    if password:
        must_change = bool(password_reset_required)
        login_profiles.set_password(state, user, password, must_change=must_change)
    elif password_reset_required is not None:
        login_profiles.set_must_change(state, user, must_change=password_reset_required)
    return {}


@action("iam")
def delete_login_profile(call: Call, *, user_name: str = "") -> Result:
    """Take a user's password away; its access keys stay."""
    user = find_user_or_caller(call.cloud.state, call.user, user_name)
    login_profiles.delete_login_profile(call.cloud.state, user)
    return {}


@action("iam")
def change_password(call: Call, *, old_password: str, new_password: str) -> Result:
    """Give the calling user another password; a root changes its own where it signs in."""
    state = call.cloud.state
    if call.user.is_root or not call.user.user_id:
        raise InvalidUserType()
    user = find_user_or_caller(state, call.user, "")
    login_profiles.change_password(state, user, old_password, new_password)
    return {}


@action("iam")
def get_account_password_policy(call: Call) -> Result:
    """Return what the account asks of its users' passwords."""
    policy = password_policies.read_policy(call.cloud.state, call.account_id)
    if policy is None:
        _raise_no_policy(f"The Password Policy with domain name {call.account_id} cannot be found.")
    return {"password_policy": policy.to_api()}


@action("iam")
def update_account_password_policy(call: Call, members: PasswordPolicy) -> Result:
    """Set what the account asks of passwords that are chosen from now on, all of it at once."""
    password_policies.save_policy(call.cloud.state, call.account_id, members)
    return {}


@action("iam")
def delete_account_password_policy(call: Call) -> Result:
    """Ask nothing more of the users' passwords than this cloud does."""
    state = call.cloud.state
    if password_policies.read_policy(state, call.account_id) is None:
        _raise_no_policy("The account policy with name PasswordPolicy cannot be found.")
    password_policies.save_policy(state, call.account_id, None)
    return {}


def _raise_no_policy(reason: str) -> NoReturn:
    raise NoSuchEntity(reason=reason)
