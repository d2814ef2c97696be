"""Rows of the images table as they begin, whatever an image is made of; never writes one."""

import json
from typing import TYPE_CHECKING, Any

from eucabox import ids
from eucabox.errors import InvalidManifest
from eucabox.image.cache import CacheEntry
from eucabox.image.image_source import ImageInfo
from eucabox.state import Row

if TYPE_CHECKING:
    from eucabox.iam.accounts import Caller

PREFIXES = {"machine": "emi", "kernel": "eki", "ramdisk": "eri"}
UNSAID = {"block_device_mapping": {}, "virtualization_type": ""}  # settings nobody chose
COPIED = (
    *("image_type", "architecture", "platform", "virtualization_type", "kernel_id", "ramdisk_id"),
    *("root_device_name", "size", "digest", "manifest_digest", "product_codes"),
)


def make_registered_row(info: ImageInfo, caller: "Caller") -> Row:
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


def columns_from_entry(row: Row, entry: CacheEntry) -> dict[str, Any]:
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
    caller: "Caller", instance: Row, bucket: str, name: str, description: str
) -> Row:
    """Return the row of an image whose bundle is yet to be made of an instance."""
    image_id = ids.new(PREFIXES["machine"])
    return {
        **{key: instance[key] for key in ("architecture", "virtualization_type")},
        **{key: instance[key] for key in ("kernel_id", "ramdisk_id", "root_device_name")},
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


def make_copy_row(caller: "Caller", source: Row, bucket: str, name: str, description: str) -> Row:
    """Return the row of a copy whose objects are yet to be copied."""
    image_id = ids.new(PREFIXES[source["image_type"]])
    file = source["image_location"].rpartition("/")[2]
    settings = json.loads(source["settings"])
    settings |= {"copied_from": source["image_location"], "asked_by": caller.user_id}
    return {
        **{key: source[key] for key in COPIED},
        "image_id": image_id,
        "account_id": caller.account_id,
        "name": name,
        "description": description,
        "image_location": f"{bucket}/{image_id}/{file}",
        "state": "pending",
        "settings": json.dumps(settings),
        "created": ids.now(),
    }
