"""What Eucalyptus keeps of a user beside IAM: whether it may enter at all, and until when its
password counts. Users of an account are confirmed from the start, as nobody registers as one."""

from datetime import UTC, datetime

from eucabox import ids
from eucabox.errors import ValidationError
from eucabox.iam.constraints import check_choice
from eucabox.iam.password_policies import find_end
from eucabox.iam.rows import UserRow
from eucabox.state import State

STATUSES = ("REGISTERED", "APPROVED", "CONFIRMED")
CONFIRMED = STATUSES[-1]
LONGEST_TIME = 40  # characters


def change_state(
    state: State, user: UserRow, enabled: bool | None, reg_status: str, password_expiration: str
) -> None:
    """Let a user in or shut it out, or have its password end at a time of ISO 8601; None and ""
    leave that.

    One that is shut out can neither sign in nor use its access keys, and its sessions end; those of
    roles that it assumed go on. Raises ValidationError.
    """
    if reg_status and check_choice("regStatus", reg_status.upper(), STATUSES) != CONFIRMED:
        reason = "Users of an account are CONFIRMED from the start. Shut one out by Enabled=false."
        raise ValidationError(reason=reason)
    columns: dict[str, object] = {}
    if password_expiration:
        columns["password_expires"] = ids.time_text(_read_time(password_expiration))
    if enabled is not None:
        columns["disabled"] = int(not enabled)
    if columns:
        with state.transaction():
            state.update("users", {"user_id": user["user_id"]}, **columns)
            if enabled is False:
                for table in ("sessions", "login_sessions"):
                    state.delete(table, {"user_id": user["user_id"]})


def to_api(state: State, user: UserRow) -> dict[str, object]:
    """Return these things in the members of Eucalyptus' API."""
    end = find_end(state, user)
    told = {"enabled": not user["disabled"], "reg_status": CONFIRMED}
    return told | ({"password_expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ")} if end else {})


def _read_time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text[:LONGEST_TIME].strip().replace("Z", "+00:00"))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        reason = f"PasswordExpiration {text[:LONGEST_TIME]} is no time as 2027-01-31T12:00:00Z."
        raise ValidationError(reason=reason) from None
