"""Images: register, list, change and deregister them; images.py of the floor below reads them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from eucabox import catalog, tags
from eucabox.accounts import Caller
from eucabox.actions import Call, Result, action
from eucabox.errors import InvalidParameterValue, MissingParameter, UnsupportedOperation
from eucabox.filters import Filter, page, select
from eucabox.image import settings
from eucabox.members import check_text
from eucabox.state import Row
from eucabox.tags import TagSpecification

VERBOSE = "verbose"
SELF, EVERYONE = "self", "all"
ALIASES = ("amazon", "aws-marketplace", "aws-backup-vault")  # owners that have nothing here
FILTERS = {
    "architecture": "architecture",
    "creation-date": "created",
    "description": "description",
    "hypervisor": "hypervisor",
    "image-id": "image_id",
    "image-type": "image_type",
    "is-public": lambda row: bool(row["is_public"]),
    "kernel-id": "kernel_id",
    "manifest-location": "image_location",
    "name": "name",
    "owner-alias": None,
    "owner-id": "account_id",
    "platform": lambda row: row["platform"] or None,
    "product-code": None,
    "product-code.type": None,
    "ramdisk-id": "ramdisk_id",
    "root-device-name": "root_device_name",
    "root-device-type": lambda row: "instance-store",
    "state": "state",
    "state-reason-code": lambda row: _reason(row).get("code"),
    "state-reason-message": lambda row: row["state_reason"] or None,
    "virtualization-type": "virtualization_type",
    "ena-support": lambda row: False,
    **dict.fromkeys(
        f"block-device-mapping.{each}"
        for each in (
            *("delete-on-termination", "device-name", "encrypted", "snapshot-id"),
            *("volume-size", "volume-type"),
        )
    ),
}


class BlockDevice(TypedDict, total=False):
    """A device name with what the manifest's words say is on it."""

    device_name: str
    virtual_name: str
    no_device: str
    ebs: Mapping[str, Any]


class LaunchPermission(TypedDict, total=False):
    """Who may launch an image."""

    group: str
    user_id: str


class PermissionChange(TypedDict, total=False):
    """Permissions to give and to take."""

    add: Sequence[LaunchPermission]
    remove: Sequence[LaunchPermission]


class Text(TypedDict, total=False):
    """An attribute's new value."""

    value: str


@action(ignored=["ena_support", "sriov_net_support"])
def register_image(
    call: Call,
    *,
    image_location: str = "",
    name: str = "",
    description: str = "",
    architecture: str = "",
    kernel_id: str = "",
    ramdisk_id: str = "",
    virtualization_type: str = "",
    root_device_name: str = "",
    platform: str = "",
    block_device_mappings: Sequence[BlockDevice] = (),
    boot_mode: str = "",
    tag_specifications: Sequence[TagSpecification] = (),
) -> Result:
    """Register a bundle's manifest, or a disk, that is in a bucket; verified in the background."""
    caller = _caller(call)
    mapping = _mapping(block_device_mappings)
    if not image_location:
        raise MissingParameter(parameter="ImageLocation")
    for parameter, text, most in (("Name", name, 128), ("Description", description, 255)):
        check_text(parameter, text, most, least=0)
    _check_choice("Architecture", architecture, ("", "i386", "x86_64"))
    _check_choice("VirtualizationType", virtualization_type, ("", "paravirtual", "hvm"))
    _check_choice("Platform", platform, ("", "windows"))
    check_text("RootDeviceName", root_device_name, 60, least=0)
    _check_choice("BootMode", boot_mode, ("", *settings.WORDS["bootMode"]))
    for image_id, kind in ((kernel_id, "kernel"), (ramdisk_id, "ramdisk")):
        if image_id:
            catalog.launchable(call.cloud.state, caller, image_id, kind)
    tagged = tags.specified(tag_specifications, "image")
    row = call.cloud.images.register(
        caller,
        image_location,
        name=name,
        description=description,
        architecture=architecture,
        kernel_id=kernel_id,
        ramdisk_id=ramdisk_id,
        virtualization_type=virtualization_type,
        root_device_name=root_device_name,
        block_device_mapping=mapping,
        boot_mode=boot_mode,
    )
    if platform:
        call.cloud.state.update("images", {"image_id": row["image_id"]}, platform=platform)
    tags.write(call.cloud.state, call.account_id, row["image_id"], tagged)
    return {"image_id": row["image_id"]}


@action(ignored=["include_deprecated", "include_disabled"])
def describe_images(
    call: Call,
    *,
    image_ids: Sequence[str] = (),
    owners: Sequence[str] = (),
    executable_users: Sequence[str] = (),
    filters: Sequence[Filter] = (),
    max_results: int | None = None,
    next_token: str | None = None,
) -> Result:
    """List the caller's images and the public ones; `verbose` lists all for the administrator."""
    state, caller = call.cloud.state, _caller(call)
    wanted = [each for each in image_ids if each != VERBOSE]
    if wanted:
        rows = catalog.named(state, caller, wanted)
    else:
        rows = catalog.visible(state, caller, every_account=VERBOSE in image_ids)
    rows = [row for row in rows if _of_owners(caller, row, owners)]
    rows = [row for row in rows if _for_users(caller, row, executable_users)]
    tagged = tags.of(state, [row["image_id"] for row in rows])
    hypervisor = call.cloud.node.hypervisor_name
    for row in rows:
        row["tags"] = tagged.get(row["image_id"], [])
        row["hypervisor"] = hypervisor
    rows = select(rows, filters, FILTERS)
    shown, token = page(rows, lambda row: str(row["image_id"]), max_results, next_token, least=1)
    return {"images": [_view(row) for row in shown], "next_token": token}


@action(ignored=["delete_associated_snapshots"])
def deregister_image(call: Call, *, image_id: str) -> Result:
    """Take an image off the list; its bundle stays in the bucket, its instances run on."""
    row = catalog.owned(call.cloud.state, _caller(call), image_id)
    call.cloud.images.deregister(row)
    tags.forget(call.cloud.state, image_id)
    return {"return": True}


@action()
def describe_image_attribute(call: Call, *, image_id: str, attribute: str) -> Result:
    """Show one attribute of an image."""
    row = catalog.find(call.cloud.state, _caller(call), image_id)
    known: dict[str, dict[str, Any]] = {
        "description": {"description": {"value": row["description"]}},
        "kernel": {"kernel_id": {"value": row["kernel_id"] or ""}},
        "ramdisk": {"ramdisk_id": {"value": row["ramdisk_id"] or ""}},
        "launchPermission": {"launch_permissions": _permissions(row)},
        "blockDeviceMapping": {"block_device_mappings": _devices(row)},
        "productCodes": {"product_codes": []},
        **{
            name: {settings.column(name): {"value": value}}
            for name, value in settings.shown(row["settings"]).items()
        },
    }
    _check_choice("Attribute", attribute, tuple(known))
    return {"image_id": image_id, **known[attribute]}


@action()
def modify_image_attribute(
    call: Call,
    *,
    image_id: str,
    attribute: str = "",
    value: str = "",
    operation_type: str = "",
    user_groups: Sequence[str] = (),
    launch_permission: PermissionChange | None = None,
    description: Text | None = None,
) -> Result:
    """Make an image public or private by the group `all`, change its description or a setting.

    An image's settings are how its instances are made from then on; see eucabox/image/settings.py.
    """
    changes: dict[str, Any] = {}
    known = ("", "launchPermission", "description", *settings.WORDS)
    _check_choice("Attribute", attribute, known)
    if attribute in settings.WORDS:
        return _set(call, image_id, attribute, value)
    if attribute == "launchPermission":
        _check_choice("OperationType", operation_type, ("add", "remove"))
        permissions: list[LaunchPermission] = [{"group": each} for each in user_groups]
        changes.update(
            _public({"add": permissions} if operation_type == "add" else {"remove": permissions})
        )
    if launch_permission is not None:
        changes.update(_public(launch_permission))
    if attribute == "description" or description is not None:
        text = value if description is None else description.get("value", "")
        changes["description"] = check_text("Description", text, 255, least=0)
    if not changes:
        raise MissingParameter(parameter="LaunchPermission")
    catalog.owned(call.cloud.state, _caller(call), image_id)
    call.cloud.state.update("images", {"image_id": image_id}, **changes)
    return {"return": True}


@action()
def reset_image_attribute(call: Call, *, image_id: str, attribute: str) -> Result:
    """Make an image private again."""
    _check_choice("Attribute", attribute, ("launchPermission",))
    catalog.owned(call.cloud.state, _caller(call), image_id)
    call.cloud.state.update("images", {"image_id": image_id}, is_public=0)
    return {"return": True}


def _set(call: Call, image_id: str, attribute: str, value: str) -> Result:
    with call.cloud.state.transaction():
        row = catalog.owned(call.cloud.state, _caller(call), image_id)
        if row["image_type"] != "machine":
            reason = f"{image_id} is a {row['image_type']} image; set it on a machine image."
            raise InvalidParameterValue(parameter="Attribute", value=attribute, reason=reason)
        changed = settings.change(row["settings"], attribute, value)
        call.cloud.state.update("images", {"image_id": image_id}, settings=changed)
    return {"return": True}


def _caller(call: Call) -> Caller:
    assert call.caller is not None
    return call.caller


def _check_choice(parameter: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        reason = f"Choose one of {', '.join(each for each in choices if each)}."
        raise InvalidParameterValue(parameter=parameter, value=value[:60], reason=reason)


def _mapping(devices: Sequence[BlockDevice]) -> dict[str, str] | None:
    """Return the devices as the manifest writes them: what is there, on which device."""
    found = {}
    for each in devices:
        if "ebs" in each:
            name = each.get("device_name", "")[:60]
            raise UnsupportedOperation(
                what=f"BlockDeviceMapping {name}: EBS is not available on a single-node cloud."
            )
        if each.get("no_device") is None:
            virtual = check_text("VirtualName", each.get("virtual_name", ""), 60)
            found[virtual] = check_text("DeviceName", each.get("device_name", ""), 60)
    return found or None


def _of_owners(caller: Caller, row: Row, owners: Sequence[str]) -> bool:
    if not owners:
        return True
    names = {caller.account_id if each == SELF else each for each in owners}
    return row["account_id"] in names - set(ALIASES)


def _for_users(caller: Caller, row: Row, users: Sequence[str]) -> bool:
    """Tell whether one of these may launch it; all that `self` may, public ones too.

    The first client asks for `self` alone, and its users look for public images there.
    """
    if not users:
        return True
    if row["is_public"]:
        return bool({SELF, EVERYONE, caller.account_id} & set(users))
    mine = row["account_id"] == caller.account_id
    return mine and bool({SELF, caller.account_id} & set(users))


def _view(row: Row) -> dict[str, Any]:
    return {
        "image_id": row["image_id"],
        "image_location": row["image_location"],
        "image_type": row["image_type"],
        "state": row["state"],
        "state_reason": _reason(row) or None,
        "owner_id": row["account_id"],
        "public": bool(row["is_public"]),
        "name": row["name"],
        "description": row["description"],
        "architecture": row["architecture"],
        "platform": row["platform"] or None,
        "platform_details": "Windows" if row["platform"] == "windows" else "Linux/UNIX",
        "kernel_id": row["kernel_id"],
        "ramdisk_id": row["ramdisk_id"],
        "root_device_type": "instance-store",
        "root_device_name": row["root_device_name"] or None,
        "virtualization_type": row["virtualization_type"],
        "hypervisor": row["hypervisor"],
        "creation_date": row["created"],
        "block_device_mappings": [],
        "product_codes": [],
        "ena_support": False,
        "boot_mode": settings.read(row["settings"]).boot_mode or None,
        "tags": row["tags"],
    }


def _reason(row: Row) -> dict[str, str]:
    if not row["state_reason"]:
        return {}
    return {"code": "Server.ImageRefused", "message": row["state_reason"]}


def _permissions(row: Row) -> list[dict[str, str]]:
    return [{"group": EVERYONE}] if row["is_public"] else []


def _devices(row: Row) -> list[dict[str, str]]:
    mapping = json.loads(row["settings"]).get("block_device_mapping") or {}
    return [{"virtual_name": virtual, "device_name": device} for virtual, device in mapping.items()]


def _public(change: PermissionChange) -> dict[str, int]:
    """Return the column that a change of permissions sets; only the group `all` exists here."""
    found = {}
    for verb, value in (("add", 1), ("remove", 0)):
        for each in change.get(verb, ()):  # type: ignore[attr-defined]
            if each != {"group": EVERYONE}:
                raise UnsupportedOperation(
                    what="LaunchPermission: an image is private or public here. Use the group all."
                )
            found["is_public"] = value
    return found
