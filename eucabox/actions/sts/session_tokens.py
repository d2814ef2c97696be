"""Temporary credentials of a user for itself; with no rights that the user has not."""

from eucabox.actions import Call, Result, action
from eucabox.errors import SessionRefused
from eucabox.iam.constraints import check_number
from eucabox.iam.role_sessions import credentials_to_api

SHORTEST, LONGEST, OF_ROOT, BY_DEFAULT = 900, 129_600, 3600, 43_200  # seconds


@action("sts")
def get_session_token(
    call: Call, *, duration_seconds: int = 0, serial_number: str = "", token_code: str = ""
) -> Result:
    """Make temporary credentials for the caller, whose life those of a root have at most an hour;
    with a code of the caller's MFA device aws:MultiFactorAuthPresent is true with them.
    """
    caller = call.user
    if caller.session is not None:
        raise SessionRefused(reason="Cannot call GetSessionToken with session credentials")
    if "duration_seconds" in call.params:
        check_number("durationSeconds", duration_seconds, SHORTEST, LONGEST)
    duration = duration_seconds or BY_DEFAULT
    duration = min(duration, OF_ROOT) if caller.is_root else duration
    accounts = call.cloud.accounts
    mfa = accounts.second_factors.check_request(caller, serial_number, token_code)
    made = accounts.sessions.create_user_session(caller, duration, mfa=mfa)
    return {"credentials": credentials_to_api(made)}
