"""IAM: virtual MFA devices, of a user of the account or, without a name, of the caller itself."""

from collections.abc import Sequence

from eucabox import ids
from eucabox.actions import Call, Result, action
from eucabox.errors import NoSuchEntity
from eucabox.iam import iam_tags, mfa_devices, users
from eucabox.iam.constraints import check_choice
from eucabox.iam.iam_tags import IamTag
from eucabox.iam.paging import DEFAULT_ITEMS, cut_page
from eucabox.iam.rows import MfaDeviceRow, UserRow

ASSIGNMENTS = ("Assigned", "Unassigned", "Any")
ROOT = "root"  # as what a root may name itself, where a verb wants a name


@action("iam", "CreateVirtualMFADevice")
def create_virtual_mfa_device(
    call: Call, *, virtual_mfa_device_name: str, path: str = "/", tags: Sequence[IamTag] = ()
) -> Result:
    """Make a device that nobody has yet; its seed and the picture of it are told here alone."""
    state, seal = call.cloud.state, call.cloud.accounts.seal
    made = mfa_devices.create_device(state, seal, call.user, virtual_mfa_device_name, path, tags)
    told: Result = {
        "serial_number": made["serial_number"],
        "base32_string_seed": made["seed"].encode(),
        "qr_code_png": made["qr_code"],
    }
    return {"virtual_mfa_device": told | ({"tags": list(tags)} if tags else {})}


@action("iam", "EnableMFADevice")
def enable_mfa_device(
    call: Call,
    *,
    serial_number: str,
    authentication_code1: str,
    authentication_code2: str,
    user_name: str = "",
) -> Result:
    """Give a user a device, which the console and STS ask for from then on."""
    user, codes = _find_holder(call, user_name), (authentication_code1, authentication_code2)
    call.cloud.accounts.second_factors.enable(user, serial_number, *codes)
    return {}


@action("iam", "ResyncMFADevice")
def resync_mfa_device(
    call: Call,
    *,
    serial_number: str,
    authentication_code1: str,
    authentication_code2: str,
    user_name: str = "",
) -> Result:
    """Learn how wrong the clock of a user's device is."""
    user, codes = _find_holder(call, user_name), (authentication_code1, authentication_code2)
    call.cloud.accounts.second_factors.resync(user, serial_number, *codes)
    return {}


@action("iam", "DeactivateMFADevice")
def deactivate_mfa_device(call: Call, *, serial_number: str, user_name: str = "") -> Result:
    """Take a device from a user."""
    mfa_devices.deactivate(call.cloud.state, _find_holder(call, user_name), serial_number)
    return {}


@action("iam", "DeleteVirtualMFADevice")
def delete_virtual_mfa_device(call: Call, *, serial_number: str) -> Result:
    """Delete a device that nobody has."""
    mfa_devices.delete_device(call.cloud.state, call.account_id, serial_number)
    return {}


@action("iam", "GetMFADevice")
def get_mfa_device(call: Call, *, serial_number: str, user_name: str = "") -> Result:
    """Tell whose a device is and since when, without a name of anybody in the account."""
    state = call.cloud.state
    if user_name:
        holder = _find_holder(call, user_name)
        return mfa_devices.to_api(holder, mfa_devices.find_enabled(state, holder, serial_number))
    device = mfa_devices.find_device(state, call.account_id, serial_number)
    user = _read_holder(call, device)
    return mfa_devices.to_api(user, device) if user else {"serial_number": device["serial_number"]}


@action("iam", "ListMFADevices")
def list_mfa_devices(
    call: Call, *, user_name: str = "", max_items: int = DEFAULT_ITEMS, marker: str = ""
) -> Result:
    """List a user's devices."""
    user = _find_holder(call, user_name)
    rows = mfa_devices.list_enabled(call.cloud.state, user["user_id"])
    page, more = cut_page(rows, lambda row: row["serial_number"], max_items, marker)
    return {"mfa_devices": [mfa_devices.to_api(user, row) for row in page], **more}


@action("iam", "ListVirtualMFADevices")
def list_virtual_mfa_devices(
    call: Call, *, assignment_status: str = "Any", max_items: int = DEFAULT_ITEMS, marker: str = ""
) -> Result:
    """List the account's devices with who has them; never a seed."""
    check_choice("assignmentStatus", assignment_status, ASSIGNMENTS)
    rows = mfa_devices.list_devices(call.cloud.state, call.account_id)
    if assignment_status != "Any":
        is_wanted = assignment_status == "Assigned"
        rows = [row for row in rows if bool(row["enabled"]) == is_wanted]
    page, more = cut_page(rows, lambda row: row["serial_number"], max_items, marker)
    return {"virtual_mfa_devices": [_to_api(call, row) for row in page], **more}


@action("iam", "TagMFADevice")
def tag_mfa_device(call: Call, *, serial_number: str, tags: Sequence[IamTag]) -> Result:
    """Give a device tags."""
    iam_tags.set_tags(call.cloud.state, _find_id(call, serial_number), tags)
    return {}


@action("iam", "UntagMFADevice")
def untag_mfa_device(call: Call, *, serial_number: str, tag_keys: Sequence[str]) -> Result:
    """Take tags from a device."""
    iam_tags.remove_tags(call.cloud.state, _find_id(call, serial_number), tag_keys)
    return {}


@action("iam", "ListMFADeviceTags")
def list_mfa_device_tags(
    call: Call, *, serial_number: str, max_items: int = DEFAULT_ITEMS, marker: str = ""
) -> Result:
    """List the tags of a device."""
    tags = iam_tags.list_tags(call.cloud.state, _find_id(call, serial_number))
    page, more = cut_page(tags, lambda tag: tag["key"], max_items, marker)
    return {"tags": page, **more}


def _find_id(call: Call, serial: str) -> str:
    return mfa_devices.find_device(call.cloud.state, call.account_id, serial)["serial_number"]


def _find_holder(call: Call, user_name: str) -> UserRow:
    caller, state = call.user, call.cloud.state
    if caller.is_root and user_name in (ROOT, caller.user_name):
        try:
            return users.find_user(state, caller.account_id, user_name)
        except NoSuchEntity:
            user_name = ""
    return users.find_user_or_caller(state, caller, user_name)


def _read_holder(call: Call, device: MfaDeviceRow) -> UserRow | None:
    if not device["enabled"]:
        return None
    sql = "select * from users where user_id = ?"
    return call.cloud.state.select_one(UserRow, sql, (device["user_id"],))


def _to_api(call: Call, device: MfaDeviceRow) -> dict[str, object]:
    told: dict[str, object] = {"serial_number": device["serial_number"]}
    if user := _read_holder(call, device):
        told |= {"user": users.to_api(user), "enable_date": ids.parse_time(device["enabled"])}
    tags = iam_tags.list_tags(call.cloud.state, device["serial_number"])
    return told | ({"tags": tags} if tags else {})
