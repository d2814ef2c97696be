"""Images: register, list, copy and deregister them; images.py of the floor below reads them."""

import json
from collections.abc import Mapping, Sequence
from typing import TypedDict

from eucabox.actions import Call, Result, action
from eucabox.ec2 import image_access, tags
from eucabox.ec2.filters import Columns, Filter, page, select
from eucabox.ec2.tags import TagSpecification
from eucabox.errors import (
    ImageUnavailable,
    InvalidParameterValue,
    MissingParameter,
    UnsupportedOperation,
)
from eucabox.hypervisor import architecture as architectures
from eucabox.iam.caller import Caller
from eucabox.image import devices, names, settings
from eucabox.schema import ImageRow
from eucabox.validation import check_text, is_neutral

VERBOSE = "verbose"
SELF, EVERYONE = "self", "all"
ALIASES = ("amazon", "aws-marketplace", "aws-backup-vault")  # owners that have nothing here


class DescribedImage(ImageRow):
    """An image with its tags, as far as the caller may see them, and its instances' hypervisor."""

    tags: list[dict[str, str]]
    hypervisor: str


FILTERS: Columns[DescribedImage] = {
    "architecture": "architecture",
    "creation-date": "created",
    "description": lambda row: row["description"] or None,
    "hypervisor": "hypervisor",
    "image-id": "image_id",
    "image-type": "image_type",
    "is-public": lambda row: bool(row["is_public"]),
    "kernel-id": "kernel_id",
    "manifest-location": "image_location",
    "name": lambda row: row["name"] or None,
    "owner-alias": None,
    "owner-id": "account_id",
    "platform": lambda row: row["platform"] or None,
    "product-code": lambda row: json.loads(row["product_codes"]),
    "product-code.type": lambda row: ["devpay"] * len(json.loads(row["product_codes"])),
    "ramdisk-id": "ramdisk_id",
    "root-device-name": lambda row: row["root_device_name"] or None,
    "root-device-type": lambda row: "instance-store",
    "state": "state",
    "state-reason-code": lambda row: _state_reason(row).get("code"),
    "state-reason-message": lambda row: row["state_reason"] or None,
    "virtualization-type": "virtualization_type",
    "boot-mode": lambda row: settings.read(row["settings"]).boot_mode or None,
    "ena-support": lambda row: False,
    **dict.fromkeys(
        (
            *("free-tier-eligible", "image-allowed", "public-ssm-parameter-name"),
            *("source-image-id", "source-image-region", "source-instance-id", "sriov-net-support"),
            *(
                f"image-watermark.{each}"
                for each in (
                    *("source-image-creation-time", "source-image-id", "source-image-region"),
                    *("watermark-creation-time", "watermark-key"),
                )
            ),
            "instance-type-specification.supported-instance-type",
            "instance-type-specification.unsupported-instance-type",
            "scan-result.finding-scan-date",
            "scan-result.highest-finding-severity-label",
            *(
                f"scan-result.{each}-fix-available-since"
                for each in ("critical", "high", "informational", "low", "medium")
            ),
        )
    ),
    "block-device-mapping.device-name": lambda row: [
        each["device_name"] for each in devices.to_api(row)
    ],
    **dict.fromkeys(
        f"block-device-mapping.{each}"
        for each in (
            *("delete-on-termination", "encrypted", "snapshot-id"),
            *("volume-size", "volume-type"),
        )
    ),
}


class RegisteredDevice(TypedDict, total=False):
    """A device name and what is on it, in the words of manifests."""

    device_name: str
    virtual_name: str
    no_device: str
    ebs: Mapping[str, object]


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
    block_device_mappings: Sequence[RegisteredDevice] = (),
    boot_mode: str = "",
    tag_specifications: Sequence[TagSpecification] = (),
) -> Result:
    """Register a manifest or a disk in a bucket; it is verified in the background."""
    caller = call.user
    mapping = _read_devices(block_device_mappings, virtualization_type == "hvm")
    if not image_location:
        raise MissingParameter(parameter="ImageLocation")
    if name:
        names.check(name)
    check_text("Description", description, 255, least=0)
    _check_choice("Architecture", architecture, ("", *architectures.HOST.ec2))
    _check_choice("VirtualizationType", virtualization_type, ("", "paravirtual", "hvm"))
    _check_choice("Platform", platform, ("", "windows"))
    check_text("RootDeviceName", root_device_name, 60, least=0)
    _check_choice("BootMode", boot_mode, ("", *settings.list_words("bootMode")))
    for image_id, kind in ((kernel_id, "kernel"), (ramdisk_id, "ramdisk")):
        if image_id:
            image_access.get_launchable(call.cloud.state, caller, image_id, kind)
    new_tags = tags.from_specifications(tag_specifications, "image")
    image_access.check_limit(call.cloud.state, call.limits, call.account_id)

    def also(image_id: str) -> None:
        if platform:
            call.cloud.state.update("images", {"image_id": image_id}, platform=platform)
        tags.write(call.cloud.state, call.account_id, image_id, new_tags)

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
        context=call.context,
        also=also,
    )
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
    state, caller = call.cloud.state, call.user
    named_ids = [each for each in image_ids if each != VERBOSE]
    if named_ids:
        rows = image_access.get_many(state, caller, named_ids)
    else:
        rows = image_access.visible_images(state, caller, every_account=VERBOSE in image_ids)
    rows = [row for row in rows if _has_owner(caller, row, owners)]
    shared = image_access.launch_permissions(state, [row["image_id"] for row in rows])
    rows = [
        row
        for row in rows
        if _is_launchable_by(caller, row, shared.get(row["image_id"], []), executable_users)
    ]
    own = [row for row in rows if caller.admin or row["account_id"] == caller.account_id]
    tags_by_id = tags.tags_of(
        state, [row["image_id"] for row in own]
    )  # others must not see the tags
    hypervisor = call.cloud.node.hypervisor_name
    described: list[DescribedImage] = [
        {**row, "tags": tags_by_id.get(row["image_id"], []), "hypervisor": hypervisor}
        for row in rows
    ]
    described = select(described, filters, FILTERS)
    images, token = page(
        described, lambda row: str(row["image_id"]), max_results, next_token, least=1
    )
    return {"images": [_to_api(row) for row in images], "next_token": token}


@action(ignored=["delete_associated_snapshots"])
def deregister_image(call: Call, *, image_id: str) -> Result:
    """Deregister an image; its bundle stays in the bucket, its instances keep running."""
    row = image_access.get_owned(call.cloud.state, call.user, image_id)
    state = call.cloud.state

    def also(image_id: str) -> None:
        tags.forget(state, image_id)
        state.delete("launch_permissions", {"image_id": image_id})

    call.cloud.images.deregister(row, also)
    return {"return": True}


@action()
def copy_image(
    call: Call,
    *,
    source_image_id: str,
    name: str,
    source_region: str = "",
    description: str = "",
    client_token: str = "",
    copy_image_tags: bool = False,
    tag_specifications: Sequence[TagSpecification] = (),
) -> Result:
    """Copy an image that the caller may launch, with its bundle, into a bucket of the caller's.

    The copy is pending while that is done in the background. A client token makes a repetition
    answer the same image.
    """
    state, caller = call.cloud.state, call.user
    here = call.cloud.config.cloud.region
    # A client may name the region that it signs for, which can have any name.
    if source_region not in ("", here, call.region):
        reason = f"This cloud has one region, {here}, and copies images within it alone."
        raise InvalidParameterValue(
            parameter="SourceRegion", value=source_region[:60], reason=reason
        )
    names.check(name)
    check_text("Description", description, 255, least=0)
    check_text("ClientToken", client_token, 64, least=0)
    new_tags = tags.from_specifications(tag_specifications, "image")
    source = image_access.get_visible(state, caller, source_image_id)
    if source["state"] != "available":
        reason = f"it is {source['state']}; only an available image can be copied."
        raise ImageUnavailable(id=source_image_id, reason=reason)
    if copy_image_tags and source["account_id"] == caller.account_id:
        own = tags.tags_of(state, [source_image_id]).get(source_image_id, [])
        new_tags = {**{each["key"]: each["value"] for each in own}, **new_tags}
    image_access.check_limit(state, call.limits, call.account_id)

    def also(image_id: str) -> None:
        tags.write(state, call.account_id, image_id, new_tags)

    row = call.cloud.images.copy(
        caller, source, name, description, client_token, context=call.context, also=also
    )
    return {"image_id": row["image_id"]}


def _check_choice(parameter: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        reason = f"Choose one of {', '.join(each for each in choices if each)}."
        raise InvalidParameterValue(parameter=parameter, value=value[:60], reason=reason)


def _read_devices(mappings: Sequence[RegisteredDevice], whole_disk: bool) -> dict[str, str] | None:
    """Return the devices as a manifest has them: virtual names with their device names."""
    mapping = {}
    for each in mappings:
        if not is_neutral("ebs", each.get("ebs")):
            name = each.get("device_name", "")[:60]
            raise UnsupportedOperation(
                what=f"BlockDeviceMapping {name}: EBS is not available on a single-node cloud."
            )
        left_out = each.get("no_device") is not None
        device, virtual = each.get("device_name", ""), each.get("virtual_name", "")
        devices.check(device, virtual, left_out=left_out, whole_disk=whole_disk)
        if not left_out:
            mapping[virtual] = device
    return mapping or None


def _has_owner(caller: Caller, row: ImageRow, owners: Sequence[str]) -> bool:
    if not owners:
        return True
    names = {caller.account_id if each == SELF else each for each in owners}
    return row["account_id"] in names - set(ALIASES)


def _is_launchable_by(
    caller: Caller, row: ImageRow, shared: Sequence[str], users: Sequence[str]
) -> bool:
    """Tell whether one of `users` may launch an image that is `shared` with these accounts; all
    that `self` may, public ones too.

    euca2ools asks for `self` alone, and its users expect public images there.
    """
    if not users:
        return True
    account_ids = {caller.account_id if each == SELF else each for each in users}
    if row["is_public"] and account_ids & {EVERYONE, caller.account_id}:
        return True
    # Only the owner may see which other accounts have it.
    shared_with = shared if row["account_id"] == caller.account_id or caller.admin else []
    mine = {row["account_id"], *shared} & {caller.account_id}
    return bool(account_ids & {*shared_with, *mine})


def _to_api(row: DescribedImage) -> Result:
    return {
        "image_id": row["image_id"],
        "image_location": row["image_location"],
        "image_type": row["image_type"],
        "state": row["state"],
        "state_reason": _state_reason(row) or None,
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
        "block_device_mappings": devices.to_api(row),
        "product_codes": image_access.product_codes(row),
        "ena_support": False,
        "boot_mode": settings.read(row["settings"]).boot_mode or None,
        "tags": row["tags"],
    }


def _state_reason(row: ImageRow) -> dict[str, str]:
    if not row["state_reason"]:
        return {}
    return {"code": "Server.ImageRefused", "message": row["state_reason"]}
