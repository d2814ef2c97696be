"""The devices of an instance's disk, which are the same for every instance."""

import json
from collections.abc import Mapping

from eucabox.errors import UnsupportedOperation
from eucabox.schema import ImageRow

# What a device holds, in a manifest's words, by EC2's name for the device without /dev/.
FIXED = {"sda1": ("ami", "emi", "root"), "sda2": ("ephemeral0", "ephemeral"), "sda3": ("swap",)}
EBS = "EBS is not available on a single-node cloud."


def check(device_name: str, virtual_name: str, *, left_out: bool, whole_disk: bool) -> None:
    """Raise UnsupportedOperation unless a mapping gives a device as every instance has it, or
    leaves out one that none has. An image that is a whole disk has no parts that we know."""
    fixed = () if whole_disk else _virtual_names(device_name)
    if left_out if not fixed else not left_out and virtual_name in fixed:
        return
    raise UnsupportedOperation(
        what=f"BlockDeviceMapping {device_name[:60]}: the devices of an instance are fixed. An"
        " instance of a bundled image has its ephemeral disk on sda2 and swap on sda3."
    )


def to_api(row: ImageRow) -> list[dict[str, str]]:
    """Return the devices of an image's row for the API: those that its instances have."""
    known: Mapping[str, str] = json.loads(row["settings"]).get("block_device_mapping") or {}
    if row["virtualization_type"] == "hvm":
        return []
    return [
        {"virtual_name": virtual, "device_name": device}
        for virtual, device in known.items()
        if virtual in _virtual_names(device)
    ]


def _virtual_names(device_name: str) -> tuple[str, ...]:
    """Return what is on a device; a guest's kernel under Xen calls sda1 xvda1."""
    name = device_name.removeprefix("/dev/")
    return FIXED.get(name.replace("xvda", "sda", 1) if name.startswith("xvda") else name, ())
