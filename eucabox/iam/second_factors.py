"""Checks the codes of MFA devices: each counts once, and guessing is slowed. Signs nobody in."""

import math
import re

from eucabox import ids
from eucabox.errors import (
    InvalidAuthenticationCode,
    MultiFactorRefused,
    TooManyCodes,
)
from eucabox.iam import mfa_codes, mfa_devices
from eucabox.iam.attempt_limits import AttemptLimits
from eucabox.iam.caller import Caller
from eucabox.iam.constraints import check_length, check_pattern
from eucabox.iam.rows import MfaDeviceRow, UserRow
from eucabox.seal import Seal
from eucabox.state import State

DIGITS = 6
CODE = re.compile(r"[0-9]{6}", re.ASCII)
MOST_WRONG = 10  # codes of a user in 15 minutes, at each of the doors
CONSOLE, STS = "console", "sts"  # the doors: whoever guesses at one does not shut the other
INCOMPLETE = ", must provide both MFA serial number and one time pass code."
UNKNOWN = (
    ", unable to validate MFA code.  Please verify your MFA serial number is valid and associated"
    " with this user."
)
WRONG = " with invalid MFA one time pass code. "  # AWS's, to the blank at its end


class SecondFactors:
    """What users prove beside a password or an access key: that they hold a device of theirs."""

    def __init__(self, state: State, seal: Seal) -> None:
        self._state = state
        self._seal = seal
        self._limits = AttemptLimits()

    def has_any(self, user_id: str) -> bool:
        """Whether a user has a device, and has to be asked for its code."""
        return bool(mfa_devices.list_enabled(self._state, user_id))

    def spend_code(self, user_id: str, code: str, door: str, serial: str = "") -> bool:
        """Whether a device of a user, that of the serial number if there is one, shows the code now
        and did not count for it before; from then on it did.

        The `door` is CONSOLE or STS. Raises TooManyCodes, whatever the code is.
        """
        limits = {f"{door}\n{user_id}": MOST_WRONG}
        seconds = self._limits.begin(limits)
        if seconds:
            raise TooManyCodes(minutes=math.ceil(seconds / 60), seconds=math.ceil(seconds))
        devices = mfa_devices.list_enabled(self._state, user_id)
        chosen = [each for each in devices if serial in ("", each["serial_number"])]
        steps = [(each, self._find_step(each, code)) for each in chosen]
        is_right = any(step is not None and self._take(each, step) for each, step in steps)
        if is_right:
            self._limits.forgive(limits)
        return is_right

    def check_request(self, caller: Caller, serial: str, code: str) -> bool:
        """Whether a request to STS comes with a code of a device of the caller's; False for one
        without any. Raises ValidationError, MultiFactorRefused and TooManyCodes."""
        if not serial and not code:
            return False
        if not serial or not code:
            raise MultiFactorRefused(reason=INCOMPLETE)
        mfa_devices.check_serial(serial)
        check_code("tokenCode", code)
        devices = mfa_devices.list_enabled(self._state, caller.user_id) if caller.user_id else []
        if caller.session is not None or serial not in [each["serial_number"] for each in devices]:
            raise MultiFactorRefused(reason=UNKNOWN)
        if not self.spend_code(caller.user_id, code, STS, serial):
            raise MultiFactorRefused(reason=WRONG)
        return True

    def enable(
        self, user: UserRow, serial: str, first: str, second: str, *, own: bool = False
    ) -> None:
        """Give a user of its account a device, of which the user knows two codes in a row; an `own`
        one was made for this user.

        Raises ValidationError, NoSuchEntity, EntityAlreadyExists, LimitExceeded and
        InvalidAuthenticationCode.
        """
        check_codes(first, second)
        with self._state.transaction():
            device = mfa_devices.find_device(self._state, user["account_id"], serial)
            mfa_devices.check_free(self._state, device, user, own=own)
            columns = self._synchronize(device, first, second)
            columns |= {"user_id": user["user_id"], "enabled": ids.now()}
            where = {"serial_number": device["serial_number"]}
            self._state.update("mfa_devices", where, **columns)

    def resync(self, user: UserRow, serial: str, first: str, second: str) -> None:
        """Learn by two codes in a row how wrong the clock of a user's device is; raises as `enable`
        does."""
        check_codes(first, second)
        with self._state.transaction():
            device = mfa_devices.find_enabled(self._state, user, serial)
            columns = self._synchronize(device, first, second)
            where = {"serial_number": device["serial_number"]}
            self._state.update("mfa_devices", where, **columns)

    def list_seeds(self) -> list[str]:
        """Return the seeds of all devices, so that reports can leave them out."""
        rows = self._state.select(MfaDeviceRow, "select * from mfa_devices")
        return [mfa_devices.read_seed(self._seal, row) for row in rows]

    def _find_step(self, device: MfaDeviceRow, code: str) -> int | None:
        seed = mfa_devices.read_seed(self._seal, device)
        return mfa_codes.find_step(seed, code, mfa_codes.read_step() + device["drift"])

    def _take(self, device: MfaDeviceRow, step: int) -> bool:
        """Count a code as used; False where it, or a later one, was used already."""
        sql = "update mfa_devices set last_step = ? where serial_number = ? and last_step < ?"
        with self._state.transaction() as database:
            cursor = database.execute(sql, (step, device["serial_number"], step))
            return cursor.rowcount > 0

    def _synchronize(self, device: MfaDeviceRow, first: str, second: str) -> dict[str, object]:
        now = mfa_codes.read_step()
        seed = mfa_devices.read_seed(self._seal, device)
        step = mfa_codes.find_pair(seed, first, second, now)
        if step is None or step <= device["last_step"]:
            raise InvalidAuthenticationCode()
        return {"drift": step - now, "last_step": step}


def check_code(member: str, code: str) -> str:
    """Return what may be a code, else ValidationError."""
    check_length(member, code, DIGITS, DIGITS)
    return check_pattern(member, code, CODE, r"[\d]+")


def check_codes(first: str, second: str) -> None:
    """Raise ValidationError unless these may be codes."""
    check_code("authenticationCode1", first)
    check_code("authenticationCode2", second)
