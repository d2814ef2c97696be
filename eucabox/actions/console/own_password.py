"""Changing one's own password in the console, which roots do there too: IAM's verb is for users."""

from eucabox.actions import Call, Result, action
from eucabox.iam import login_profiles
from eucabox.iam.users import find_user_or_caller


@action(service="console")
def change_own_password(call: Call, *, old_password: str, new_password: str) -> Result:
    """Give the caller another password, which ends its sessions in the console.

    Raises WrongOldPassword, PasswordPolicyViolation, and PasswordsBusy.
    """
    state = call.cloud.state
    user = find_user_or_caller(state, call.user, "")
    login_profiles.change_password(state, user, old_password, new_password)
    return {}
