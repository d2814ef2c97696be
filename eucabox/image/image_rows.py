"""Rows of the images table as they begin, whatever an image is made of; never writes one."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypedDict

from eucabox import ids
from eucabox.errors import InvalidManifest
from eucabox.image.cache import CacheEntry
from eucabox.image.image_source import ImageInfo
from eucabox.schema import ImageRow

if TYPE_CHECKING:
    from eucabox.iam.caller import Caller

NewImage = dict[str, str | int | None]  # the columns of a new row that have no default
PREFIXES = {"machine": "emi", "kernel": "eki", "ramdisk": "eri"}
UNSAID = {"block_device_mapping": {}, "virtualization_type": ""}  # settings nobody chose


class BundledInstance(TypedDict):
    """What an image takes over from the instance that it is made of."""

    instance_id: str
    architecture: str
    virtualization_type: str
    kernel_id: str | None
    ramdisk_id: str | None
    root_device_name: str
    platform: str | None  # of its image, if that still exists


def make_registered_row(info: ImageInfo, caller: "Caller") -> NewImage:
    """Return the row of an image that was inspected."""
    return {
        "image_id": ids.new(PREFIXES[info.image_type]),
        "account_id": caller.account_id,
        "name": info.name,
        "image_location": info.location,
        "image_type": info.image_type,
        "platform": "windows" if info.name.lower().startswith("windows") else "",
        "root_device_name": "/dev/sda1" if info.image_type == "machine" else "",
        "state": "pending",
        "state_reason": "",
        "is_public": 0,
        "size": info.size,
        "digest": None,
        "manifest_digest": info.digest,
        "created": ids.now(),
    }


def make_event(row: ImageRow) -> dict[str, str | int]:
    """Return the columns of the event that an image came to its state."""
    return {
        "time": ids.now(),
        "account_id": row["account_id"],
        "user": "",
        "service": "images",
        "action": "ImageStateChange",
        "resources": row["image_id"],
        "outcome": row["state"],
        "reason": row["state_reason"],
        "request_id": "",
        "source": "",
        "refused": 0,
    }


def columns_from_entry(row: ImageRow, entry: CacheEntry) -> dict[str, str]:
    """Return the columns that only the image's bytes tell: whether it is a whole disk."""
    if row["image_type"] != "machine":
        return {}
    whole = entry.facts["kind"] == "disk"
    if not whole and json.loads(row["settings"])["virtualization_type"] == "hvm":
        what = "it was registered as hvm and holds a file system without a partition table."
        advice = "Register it again with a kernel and without hvm, or bundle a whole disk."
        if row["kernel_id"]:
            advice = "It has a kernel to boot with: register it again without hvm."
        raise InvalidManifest(name=row["image_location"], reason=f"{what} {advice}")
    return {"virtualization_type": "hvm"} if whole else {}


def make_bundle_row(
    caller: "Caller", instance: BundledInstance, bucket: str, name: str, description: str
) -> NewImage:
    """Return the row of an image whose bundle is yet to be made of an instance."""
    image_id = ids.new(PREFIXES["machine"])
    return {
        "architecture": instance["architecture"],
        "virtualization_type": instance["virtualization_type"],
        "kernel_id": instance["kernel_id"],
        "ramdisk_id": instance["ramdisk_id"],
        "root_device_name": instance["root_device_name"],
        "image_id": image_id,
        "account_id": caller.account_id,
        "name": name,
        "description": description,
        "image_location": f"{bucket}/{image_id}/image.manifest.xml",
        "image_type": "machine",
        "platform": instance["platform"] or "",
        "state": "pending",
        "settings": json.dumps({"made_of": instance["instance_id"]} | UNSAID),
        "created": ids.now(),
    }


def make_copy_row(
    caller: "Caller",
    source: ImageRow,
    bucket: str,
    name: str,
    description: str,
    request: Mapping[str, object],
) -> NewImage:
    """Return the row of a copy whose objects are yet to be copied; its settings keep `request`."""
    image_id = ids.new(PREFIXES[source["image_type"]])
    file = source["image_location"].rpartition("/")[2]
    settings = json.loads(source["settings"])
    # Its caller's permissions are checked by now; the account's root does the rest for others.
    asked_by = "" if caller.is_limited else caller.user_id
    settings |= {"copied_from": source["image_location"], "asked_by": asked_by}
    settings |= request
    return {
        "image_type": source["image_type"],
        "architecture": source["architecture"],
        "platform": source["platform"],
        "virtualization_type": source["virtualization_type"],
        "kernel_id": source["kernel_id"],
        "ramdisk_id": source["ramdisk_id"],
        "root_device_name": source["root_device_name"],
        "size": source["size"],
        "digest": source["digest"],
        "manifest_digest": source["manifest_digest"],
        "product_codes": source["product_codes"],
        "image_id": image_id,
        "account_id": caller.account_id,
        "name": name,
        "description": description,
        "image_location": f"{bucket}/{image_id}/{file}",
        "state": "pending",
        "settings": json.dumps(settings),
        "created": ids.now(),
    }
