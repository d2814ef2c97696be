"""Which images a caller may see, change and launch, and whether it may have another."""

import json
import re
from collections.abc import Sequence
from typing import TypedDict

from eucabox.config import LimitsSection
from eucabox.errors import (
    ImageIdMalformed,
    ImageLimitExceeded,
    ImageNotFound,
    ImageNotYours,
    ImageUnavailable,
    InvalidParameterValue,
)
from eucabox.iam.caller import Caller
from eucabox.image import disk
from eucabox.instance_types import InstanceType, check_disk
from eucabox.schema import ImageRow
from eucabox.state import State

ID = re.compile(r"(emi|eki|eri|ami|aki|ari)-([0-9a-f]{8}|[0-9a-f]{17})")
USABLE = ("available", "pending")  # a pending image is fetched while its instance is pending
NO_CODES = "[]"  # product codes of an image that has none


class CodedRow(TypedDict):
    """A row with the product codes of an instance's image, as JSON, if that still exists."""

    product_codes: str | None


def check_limit(state: State, limits: LimitsSection, account_id: str) -> None:
    """Raise ImageLimitExceeded if the account may have no further image."""
    sql = """select count(*) images from images where account_id = ?
      and state not in ('deregistered', 'failed')"""
    used = state.one(sql, (account_id,))
    if limits.images and used and used["images"] >= limits.images:
        raise ImageLimitExceeded(most=limits.images)


def visible_images(state: State, caller: Caller, *, every_account: bool = False) -> list[ImageRow]:
    """Return the registered images that are the caller's, shared with it or public, by id.

    `every_account` adds those of all accounts, if the caller is the administrator.
    """
    sql = """select * from images where state <> 'deregistered'
      and (account_id = :account or is_public or :all or image_id in
        (select image_id from launch_permissions where account_id = :account)) order by image_id"""
    facts = {"account": caller.account_id, "all": every_account and caller.admin}
    return state.select(ImageRow, sql, facts)


def get_visible(state: State, caller: Caller, image_id: str) -> ImageRow:
    """Return an image that the caller may see; the administrator may name any.

    Raises ImageIdMalformed or ImageNotFound.
    """
    if not ID.fullmatch(image_id):
        raise ImageIdMalformed(id=image_id[:60])
    row = state.select_one(ImageRow, "select * from images where image_id = ?", (image_id,))
    if row is None or row["state"] == "deregistered" or not _may_see(state, caller, row):
        raise ImageNotFound(id=image_id)
    return row


def get_owned(state: State, caller: Caller, image_id: str) -> ImageRow:
    """Return an image that the caller may change: its own, or any for the administrator.

    Raises as `get_visible`, and ImageNotYours for an image of others that the caller may see.
    """
    row = get_visible(state, caller, image_id)
    if not caller.admin and row["account_id"] != caller.account_id:
        raise ImageNotYours(id=image_id)
    return row


def get_launchable(state: State, caller: Caller, image_id: str, image_type: str) -> ImageRow:
    """Return an image of this type that the caller may start an instance with.

    Raises ImageIdMalformed, ImageNotFound, ImageUnavailable with the cause, or
    InvalidParameterValue for an image of another type.
    """
    row = get_visible(state, caller, image_id)
    if row["image_type"] != image_type:
        reason = f"It is a {row['image_type']} image; give a {image_type} image."
        parameter = {"kernel": "KernelId", "ramdisk": "RamdiskId"}.get(image_type, "ImageId")
        raise InvalidParameterValue(parameter=parameter, value=image_id, reason=reason)
    settings = json.loads(row["settings"]) if row["state"] == "pending" else {}
    being_written = {"made_of", "copied_from"} & set(settings)  # this cloud still writes its bundle
    if row["state"] not in USABLE or being_written:
        reason = f"it is {row['state']}. {row['state_reason']}".strip()
        raise ImageUnavailable(id=image_id, reason=reason)
    return row


def check_fits(row: ImageRow, instance_type: InstanceType, swap_mb: int) -> None:
    """Raise ImageTooLarge where an image has no place on a type's disk, with swap if it is a root
    file system. The size of an image that is being fetched may not be known yet."""
    size = row["size"] or 0
    whole_disk = row["virtualization_type"] == "hvm"
    needed = size if whole_disk else disk.bytes_needed(size, swap_mb)
    check_disk(instance_type.name, instance_type.disk_gb, row["image_id"], needed)


def get_many(state: State, caller: Caller, image_ids: Sequence[str]) -> list[ImageRow]:
    """Return these images, each once, in the order of the request."""
    return [get_visible(state, caller, each) for each in dict.fromkeys(image_ids)]


def product_codes(row: ImageRow | CodedRow) -> list[dict[str, str]]:
    """Return the product codes of a row that has the column, as the API shows them."""
    text = row["product_codes"]
    codes = json.loads(text) if text and text != NO_CODES else []
    return [{"product_code_id": each, "product_code_type": "devpay"} for each in codes]


def launch_permissions(state: State, image_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return the accounts beside the owner that may launch each of these images, by image id."""
    sql = """select image_id, account_id from launch_permissions
      where image_id in (select value from json_each(?)) order by account_id"""
    account_ids: dict[str, list[str]] = {}
    for row in state.query(sql, (json.dumps(list(image_ids)),)):
        account_ids.setdefault(row["image_id"], []).append(row["account_id"])
    return account_ids


def _may_see(state: State, caller: Caller, row: ImageRow) -> bool:
    if row["is_public"] or caller.admin or row["account_id"] == caller.account_id:
        return True
    shared = launch_permissions(state, [row["image_id"]]).get(row["image_id"], ())
    return caller.account_id in shared
