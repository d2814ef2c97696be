"""Attributes of one image, launch permissions among them: describes, changes, resets them."""

import json
from collections.abc import Sequence
from typing import TypedDict

from eucabox.actions import Call, Result, action
from eucabox.ec2 import image_access
from eucabox.ec2.instances import ID, get_many
from eucabox.errors import (
    ImageAttributeItemInvalid,
    InvalidParameterValue,
    MissingParameter,
    UnsupportedOperation,
)
from eucabox.image import devices, settings
from eucabox.schema import ImageRow
from eucabox.validation import check_text

EVERYONE = "all"
MOST_CODES = 10
CHANGEABLE = ("launchPermission", "description", "productCodes", "kernel", "ramdisk")


class LaunchPermission(TypedDict, total=False):
    """Who may launch an image."""

    group: str
    user_id: str


class PermissionChange(TypedDict, total=False):
    """Permissions to give and to take."""

    add: Sequence[LaunchPermission]
    remove: Sequence[LaunchPermission]


class TextValue(TypedDict, total=False):
    """An attribute's new value."""

    value: str


class InstanceCodes(TypedDict):
    """The account of an instance and the product codes of its image, as JSON."""

    account_id: str
    product_codes: str | None


@action()
def describe_image_attribute(call: Call, *, image_id: str, attribute: str) -> Result:
    """Return one attribute of an image; launch permissions in full only for its owner."""
    row = image_access.get_visible(call.cloud.state, call.user, image_id)
    attributes: dict[str, Result] = {
        "description": {"description": {"value": row["description"]}},
        "kernel": {"kernel_id": {"value": row["kernel_id"] or ""}},
        "ramdisk": {"ramdisk_id": {"value": row["ramdisk_id"] or ""}},
        "launchPermission": {"launch_permissions": _list_permissions(call, row)},
        "blockDeviceMapping": {"block_device_mappings": devices.to_api(row)},
        "productCodes": {"product_codes": image_access.product_codes(row)},
        **{
            name: {settings.column(name): {"value": value}}
            for name, value in settings.to_api(row["settings"]).items()
        },
    }
    _check_choice("Attribute", attribute, tuple(attributes))
    return {"image_id": image_id, **attributes[attribute]}


@action()
def modify_image_attribute(
    call: Call,
    *,
    image_id: str,
    attribute: str = "",
    value: str = "",
    operation_type: str = "",
    user_ids: Sequence[str] = (),
    user_groups: Sequence[str] = (),
    product_codes: Sequence[str] = (),
    launch_permission: PermissionChange | None = None,
    description: TextValue | None = None,
) -> Result:
    """Change who may launch an image, its description, product codes, kernel, ramdisk or a setting.

    An image's settings are how its instances are made from then on; see eucabox/image/settings.py.
    """
    _check_choice("Attribute", attribute, ("", *CHANGEABLE, *settings.WORDS))
    if attribute in settings.WORDS:
        return _change_setting(call, image_id, attribute, value)
    change = _permission_change(attribute, operation_type, user_ids, user_groups, launch_permission)
    if attribute == "description" and description is None:
        description = {"value": value}
    if attribute == "productCodes" and value:
        product_codes = [*product_codes, value]
    boot = attribute if attribute in ("kernel", "ramdisk") else ""
    if change is None and description is None and not product_codes and not boot:
        raise MissingParameter(parameter="LaunchPermission")
    state = call.cloud.state
    with state.transaction():
        row = image_access.get_owned(state, call.user, image_id)
        columns: dict[str, str | int] = {}
        if change is not None:
            columns |= _write_permissions(call, row, change)
        if description is not None:
            text = description.get("value", "")
            columns["description"] = check_text("Description", text, 255, least=0)
        if product_codes:
            columns["product_codes"] = json.dumps(_add_codes(row, product_codes))
        if boot:
            columns[f"{boot}_id"] = _check_boot_image(call, row, boot, value)
        if columns:
            state.update("images", {"image_id": image_id}, **columns)
    return {"return": True}


@action()
def reset_image_attribute(call: Call, *, image_id: str, attribute: str) -> Result:
    """Make an image private again."""
    _check_choice("Attribute", attribute, ("launchPermission",))
    with call.cloud.state.transaction() as database:
        image_access.get_owned(call.cloud.state, call.user, image_id)
        call.cloud.state.update("images", {"image_id": image_id}, is_public=0)
        database.conn.execute("delete from launch_permissions where image_id = ?", (image_id,))
    return {"return": True}


@action()
def confirm_product_instance(call: Call, *, instance_id: str, product_code: str) -> Result:
    """Tell the owner of a product whether an instance runs an image with its code.

    The owner of the image is the product's owner, and may ask about instances of other accounts.
    """
    caller = call.user
    sql = """select i.account_id, m.product_codes from instances i join images m using (image_id)
      where instance_id = ? and (m.account_id = ? or i.account_id = ?)"""
    account_ids = (caller.account_id, caller.account_id)
    row: InstanceCodes | None = None
    if ID.fullmatch(instance_id):
        row = call.cloud.state.select_one(InstanceCodes, sql, (instance_id, *account_ids))
    if row is None:
        (row,) = get_many(call.cloud.state, caller, [instance_id])
    if product_code not in json.loads(row["product_codes"] or "[]"):
        return {"return": False}
    return {"return": True, "owner_id": row["account_id"]}


def _change_setting(call: Call, image_id: str, attribute: str, value: str) -> Result:
    with call.cloud.state.transaction():
        row = image_access.get_owned(call.cloud.state, call.user, image_id)
        if row["image_type"] != "machine":
            reason = f"{image_id} is a {row['image_type']} image; set it on a machine image."
            raise InvalidParameterValue(parameter="Attribute", value=attribute, reason=reason)
        changed = settings.change(row["settings"], attribute, value)
        call.cloud.state.update("images", {"image_id": image_id}, settings=changed)
    return {"return": True}


def _permission_change(
    attribute: str,
    operation_type: str,
    user_ids: Sequence[str],
    user_groups: Sequence[str],
    change: PermissionChange | None,
) -> PermissionChange | None:
    """Return the change of launch permissions, from either form of the request."""
    if attribute != "launchPermission" or change is not None:
        return change
    _check_choice("OperationType", operation_type, ("add", "remove"))
    items: list[LaunchPermission] = [{"group": each} for each in user_groups]
    items += [{"user_id": each} for each in user_ids]
    return {"add": items} if operation_type == "add" else {"remove": items}


def _write_permissions(call: Call, row: ImageRow, change: PermissionChange) -> dict[str, int]:
    """Write the permissions of single accounts; return the column for the group `all`."""
    columns: dict[str, int] = {}
    with call.cloud.state.transaction() as database:
        for allowed, items in ((1, change.get("add", ())), (0, change.get("remove", ()))):
            for each in items:
                if each == {"group": EVERYONE}:
                    columns["is_public"] = allowed
                    continue
                pair = (row["image_id"], _read_account(call, each, bool(allowed)))
                sql = "insert or ignore into launch_permissions values (?, ?)"
                if not allowed:
                    sql = "delete from launch_permissions where image_id = ? and account_id = ?"
                database.conn.execute(sql, pair)
    return columns


def _read_account(call: Call, permission: LaunchPermission, must_exist: bool) -> str:
    if len(permission) != 1 or "group" in permission:
        group = permission.get("group", "")
        raise ImageAttributeItemInvalid(item=group[:60], kind="group", known="Use the group all.")
    account_id = permission["user_id"].replace("-", "")
    if must_exist and call.cloud.accounts.get_by_account_id(account_id) is None:
        hint = "Give the 12-digit number of an account of this cloud."
        raise ImageAttributeItemInvalid(item=account_id[:60], kind="userId", known=hint)
    return account_id


def _add_codes(row: ImageRow, codes: Sequence[str]) -> list[str]:
    stored_codes = json.loads(row["product_codes"])
    for each in codes:
        check_text("ProductCode", each, 60)
    all_codes = list(dict.fromkeys([*stored_codes, *codes]))
    if len(all_codes) > MOST_CODES:
        reason = f"An image has at most {MOST_CODES} product codes."
        raise InvalidParameterValue(parameter="ProductCode", value=codes[-1], reason=reason)
    return all_codes


def _check_boot_image(call: Call, row: ImageRow, kind: str, value: str) -> str:
    if row["image_type"] != "machine" or row["virtualization_type"] == "hvm":
        raise UnsupportedOperation(
            what=f"{kind.capitalize()}: {row['image_id']} is no root file system that boots with a"
            " kernel of its own."
        )
    image_access.get_launchable(call.cloud.state, call.user, value, kind)
    return value


def _list_permissions(call: Call, row: ImageRow) -> list[dict[str, str]]:
    caller = call.user
    shared: Sequence[str] = image_access.launch_permissions(
        call.cloud.state, [row["image_id"]]
    ).get(row["image_id"], ())
    if not caller.admin and row["account_id"] != caller.account_id:
        shared = [each for each in shared if each == caller.account_id]
    everyone = [{"group": EVERYONE}] if row["is_public"] else []
    return [*everyone, *({"user_id": each} for each in shared)]


def _check_choice(parameter: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        reason = f"Choose one of {', '.join(each for each in choices if each)}."
        raise InvalidParameterValue(parameter=parameter, value=value[:60], reason=reason)
