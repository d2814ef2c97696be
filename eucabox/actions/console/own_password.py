"""Changing one's own password in the console, which roots do there too: IAM's verb is for users."""

from eucabox.actions import Call, Result, action
from eucabox.errors import WrongOldPassword
from eucabox.iam import login_profiles
from eucabox.iam.passwords import check_password
from eucabox.iam.users import find_user_or_caller


@action(service="console")
def change_own_password(call: Call, *, old_password: str, new_password: str) -> Result:
    """Give the caller another password, which ends its sessions in the console.

    Raises WrongOldPassword, PasswordPolicyViolation, and PasswordsBusy.
    """
    state = call.cloud.state
    user = find_user_or_caller(state, call.user, "")
    login_profiles.check_login_profile(user)
    if not check_password(old_password, user["password"]):
        raise WrongOldPassword()
    login_profiles.set_password(state, user, new_password, must_change=False)
    return {}
