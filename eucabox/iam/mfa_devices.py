"""Virtual MFA devices in the database: made, given to users, taken away, listed. Their seeds are
sealed, and told once. Checks no code."""

import re
from collections.abc import Sequence
from typing import TypedDict

from eucabox import ids
from eucabox.errors import (
    DeleteConflict,
    EntityAlreadyExists,
    LimitExceeded,
    NoSuchEntity,
)
from eucabox.iam import iam_tags, mfa_codes
from eucabox.iam.caller import Caller
from eucabox.iam.constraints import check_length, check_name, check_path, check_pattern
from eucabox.iam.iam_tags import IamTag
from eucabox.iam.rows import MfaDeviceRow, UserRow
from eucabox.seal import Seal
from eucabox.state import State

SERIAL = re.compile(r"[\w+=/:,.@-]+", re.ASCII)
MOST_OF_A_USER, MOST_UNASSIGNED = 8, 1000  # the second of an account
LONGEST_SERIAL = 256


class NewDevice(TypedDict):
    """A device with its secret, as it is told once."""

    serial_number: str
    seed: str
    qr_code: bytes


def get_serial(account_id: str, path: str, name: str) -> str:
    """Return the serial number of a virtual device, which is its ARN."""
    return f"arn:aws:iam::{account_id}:mfa{path}{name}"


def check_serial(serial: str) -> str:
    """Return what may be a serial number, else ValidationError."""
    check_length("serialNumber", serial, LONGEST_SERIAL, 9)
    return check_pattern("serialNumber", serial, SERIAL, r"[\w+=/:,.@-]+")


def create_device(
    state: State,
    seal: Seal,
    caller: Caller,
    name: str,
    path: str = "/",
    tags: Sequence[IamTag] = (),
    user: UserRow | None = None,
) -> NewDevice:
    """Make a device that nobody has yet, or only `user` may enable, and return it with its seed.

    Raises ValidationError, InvalidInput, EntityAlreadyExists and LimitExceeded.
    """
    check_name("virtualMFADevice", name)
    serial = get_serial(caller.account_id, check_path(path), name)
    check_length("serialNumber", serial, LONGEST_SERIAL)
    seed = mfa_codes.make_seed()
    row = {
        "serial_number": serial,
        "account_id": caller.account_id,
        "user_id": user["user_id"] if user else None,
        "seed": seal.close(seed.encode(), seed_purpose(serial)),
        "created": ids.now(),
    }
    with state.transaction():
        if _find(state, caller.account_id, serial):
            reason = "MFADevice entity at the same path and name already exists."
            raise EntityAlreadyExists(reason=reason)
        _check_unassigned(state, caller.account_id)
        state.insert("mfa_devices", row)
        iam_tags.set_tags(state, serial, tags)
    holder = user["user_name"] if user else caller.account_id
    picture = mfa_codes.draw_qr_code(mfa_codes.make_address(seed, name, holder))
    return {"serial_number": serial, "seed": seed, "qr_code": picture}


def find_device(state: State, account_id: str, serial: str) -> MfaDeviceRow:
    """Return a device of an account; raises ValidationError and NoSuchEntity."""
    row = _find(state, account_id, check_serial(serial))
    if row is None:
        raise NoSuchEntity(reason=f"VirtualMFADevice with serial number {serial} doesn't exist.")
    return row


def find_enabled(state: State, user: UserRow, serial: str) -> MfaDeviceRow:
    """Return a device that a user has; raises ValidationError and NoSuchEntity."""
    check_serial(serial)
    for row in list_enabled(state, user["user_id"]):
        if row["serial_number"] == serial:
            return row
    raise NoSuchEntity(reason=f"MFA Device invalid for user {user['user_name']}.")


def list_enabled(state: State, user_id: str) -> list[MfaDeviceRow]:
    """Return the devices that a user has, by serial number."""
    sql = "select * from mfa_devices where user_id = ? and enabled <> '' order by serial_number"
    return state.select(MfaDeviceRow, sql, (user_id,))


def list_devices(state: State, account_id: str) -> list[MfaDeviceRow]:
    """Return all devices of an account, by serial number."""
    sql = "select * from mfa_devices where account_id = ? order by serial_number"
    return state.select(MfaDeviceRow, sql, (account_id,))


def check_free(state: State, device: MfaDeviceRow, user: UserRow, *, own: bool) -> None:
    """Raise EntityAlreadyExists or LimitExceeded where a user can't get a device; an `own` one was
    made for the user."""
    allowed = [user["user_id"]] if own else [user["user_id"], None]
    if device["enabled"] or device["user_id"] not in allowed:
        reason = f"MFA Device {device['serial_number']} is already in use."
        raise EntityAlreadyExists(reason=reason)
    if len(list_enabled(state, user["user_id"])) >= MOST_OF_A_USER:
        raise LimitExceeded(reason=f"Cannot exceed quota for MFADevicesPerUser: {MOST_OF_A_USER}")


def deactivate(state: State, user: UserRow, serial: str) -> None:
    """Take a device from a user; it stays, and nobody's. Raises as `find_enabled`."""
    with state.transaction():
        device = find_enabled(state, user, serial)
        where = {"serial_number": device["serial_number"]}
        state.update("mfa_devices", where, user_id=None, enabled="")


def delete_device(state: State, account_id: str, serial: str) -> None:
    """Delete a device that nobody has; raises as `find_device`, and DeleteConflict."""
    with state.transaction():
        device = find_device(state, account_id, serial)
        if device["enabled"]:
            raise DeleteConflict(reason="MFA VirtualDevice in use. Must deactivate first.")
        _erase(state, [device])


def erase_devices(state: State, user_id: str) -> int:
    """Delete the devices of a user who goes, or lost them; return how many it had."""
    with state.transaction():
        sql = "select * from mfa_devices where user_id = ?"
        rows = state.select(MfaDeviceRow, sql, (user_id,))
        _erase(state, rows)
        return sum(1 for row in rows if row["enabled"])


def erase_unfinished(state: State, user_id: str) -> None:
    """Delete the devices that were made for a user, who did not enable them."""
    with state.transaction():
        sql = "select * from mfa_devices where user_id = ? and enabled = ''"
        _erase(state, state.select(MfaDeviceRow, sql, (user_id,)))


def read_seed(seal: Seal, device: MfaDeviceRow) -> str:
    """Return a device's seed, in Base32."""
    return seal.open(device["seed"], seed_purpose(device["serial_number"])).decode()


def seed_purpose(serial: str) -> str:
    """Return the purpose for which the seed of a device is sealed."""
    return f"seed of {serial}"


def to_api(user: UserRow, device: MfaDeviceRow) -> dict[str, object]:
    """Return a device of a user in the members of the API."""
    return {
        "user_name": user["user_name"],
        "serial_number": device["serial_number"],
        "enable_date": ids.parse_time(device["enabled"]),
    }


def _find(state: State, account_id: str, serial: str) -> MfaDeviceRow | None:
    sql = "select * from mfa_devices where account_id = ? and lower(serial_number) = lower(?)"
    return state.select_one(MfaDeviceRow, sql, (account_id, serial))


def _erase(state: State, rows: Sequence[MfaDeviceRow]) -> None:
    for row in rows:
        iam_tags.delete_tags(state, row["serial_number"])
        state.delete("mfa_devices", {"serial_number": row["serial_number"]})


def _check_unassigned(state: State, account_id: str) -> None:
    if sum(1 for row in list_devices(state, account_id) if not row["enabled"]) >= MOST_UNASSIGNED:
        reason = f"Cannot exceed quota for UnassignedMFADevicesPerAccount: {MOST_UNASSIGNED}"
        raise LimitExceeded(reason=reason)
