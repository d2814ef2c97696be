"""One's own MFA devices in the console, which need no permission; what a policy forbids of them,
IAM's verbs and these, stays forbidden (actions/permissions.py)."""

from eucabox.actions import Call, Result, action
from eucabox.iam import login_profiles, mfa_devices
from eucabox.iam.users import find_user_or_caller

OF_ROOT = "root-account-mfa-device"  # as AWS calls it


@action("console", "ListOwnMFADevices")
def list_own_mfa_devices(call: Call) -> Result:
    """List the caller's devices."""
    user = find_user_or_caller(call.cloud.state, call.user, "")
    rows = mfa_devices.list_enabled(call.cloud.state, user["user_id"])
    return {"mfa_devices": [mfa_devices.to_api(user, row) for row in rows]}


@action("console", "CreateOwnMFADevice")
def create_own_mfa_device(call: Call, *, password: str, device_name: str = "") -> Result:
    """Make a device that the caller alone may enable, in place of one that it did not enable; its
    seed and the picture of it are told here alone.

    Without a name it has the caller's. Raises WrongPassword, PasswordsBusy, ValidationError,
    EntityAlreadyExists and LimitExceeded.
    """
    state = call.cloud.state
    user = find_user_or_caller(state, call.user, "")
    login_profiles.confirm_password(user, password)
    name = device_name or (OF_ROOT if user["is_root"] else user["user_name"])
    with state.transaction():
        mfa_devices.erase_unfinished(state, user["user_id"])
        made = mfa_devices.create_device(
            state, call.cloud.accounts.seal, call.user, name, user=user
        )
    return {"virtual_mfa_device": made}


@action("console", "EnableOwnMFADevice")
def enable_own_mfa_device(
    call: Call, *, serial_number: str, authentication_code1: str, authentication_code2: str
) -> Result:
    """Enable a device that was made for the caller; raises as EnableMFADevice."""
    user = find_user_or_caller(call.cloud.state, call.user, "")
    factors = call.cloud.accounts.second_factors
    factors.enable(user, serial_number, authentication_code1, authentication_code2, own=True)
    return {}


@action("console", "ResyncOwnMFADevice")
def resync_own_mfa_device(
    call: Call, *, serial_number: str, authentication_code1: str, authentication_code2: str
) -> Result:
    """Learn how wrong the clock of the caller's device is; raises as ResyncMFADevice."""
    user = find_user_or_caller(call.cloud.state, call.user, "")
    factors = call.cloud.accounts.second_factors
    factors.resync(user, serial_number, authentication_code1, authentication_code2)
    return {}


@action("console", "DeleteOwnMFADevice")
def delete_own_mfa_device(call: Call, *, serial_number: str, password: str) -> Result:
    """Take a device from the caller, and delete it; raises NoSuchEntity, WrongPassword and
    PasswordsBusy."""
    state = call.cloud.state
    user = find_user_or_caller(state, call.user, "")
    login_profiles.confirm_password(user, password)
    with state.transaction():
        mfa_devices.deactivate(state, user, serial_number)
        mfa_devices.delete_device(state, call.account_id, serial_number)
    return {}
