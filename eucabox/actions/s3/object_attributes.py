"""What an object is, attribute by attribute; never its bytes."""

from functools import partial
from typing import Any, Unpack

from eucabox.actions import Call, Result, action
from eucabox.errors import InvalidArgument, InvalidRequest
from eucabox.s3 import access, encryption, values
from eucabox.s3.encryption import CustomerKey
from eucabox.store.types import SSE_C, Object

PAGE = 1000


@action("s3", anonymous=True, ignored=("request_payer",))
def get_object_attributes(
    call: Call,
    *,
    bucket: str,
    key: str,
    object_attributes: list[str],
    max_parts: int = 1000,
    part_number_marker: int = 0,
    version_id: str = "",
    expected_bucket_owner: str = "",
    **customer: Unpack[CustomerKey],
) -> Result:
    """Those asked for of ETag, Checksum, ObjectParts, StorageClass and ObjectSize."""
    if not any(object_attributes):
        reason = "The x-amz-object-attributes header with what to tell is missing or empty."
        raise InvalidRequest(reason=reason)
    holder = call.cloud.store.bucket(bucket)
    access.check_expected(holder, expected_bucket_owner)
    look = partial(call.cloud.store.open, version_id=version_id)
    with access.open_or_hide(call, look, holder, key) as opened:
        found = opened.object
        access.check(call, holder, key, found.facts)
        secret = encryption.check_reading(call, found.sealed, customer)
        if found.sealed and found.sealed.kind == SSE_C:
            opened.unlock(secret)
    sums = values.checksum_members(found.facts.checksums, found.facts.checksum_type)
    every: dict[str, Result] = {
        "ETag": {"e_tag": found.e_tag},
        "Checksum": {"checksum": sums} if sums else {},
        "ObjectParts": _parts(found, part_number_marker, max_parts),
        "StorageClass": {"storage_class": found.facts.storage_class},
        "ObjectSize": {"object_size": found.size},
    }
    result: Result = {
        "last_modified": found.last_modified,
        **values.version_members_read(holder, found),
    }
    for name in object_attributes:
        if name not in every:
            raise InvalidRequest(reason=f"Unknown attribute {name}. Use {', '.join(every)}.")
        result.update(every[name])
    return result


def _parts(found: Object, marker: int, most: int) -> Result:
    if not found.parts:
        return {}
    if most < 0 or marker < 0:
        value, reason = min(most, marker), "Use 0 or more."
        argument = "max-parts" if most < 0 else "part-number-marker"
        raise InvalidArgument(argument=argument, value=value, reason=reason)
    most, marker = min(most, PAGE), min(marker, len(found.parts))
    last = min(marker + most, len(found.parts))
    shown: Result = {
        "total_parts_count": len(found.parts),
        "part_number_marker": marker,
        "next_part_number_marker": last,
        "max_parts": most,
        "is_truncated": most > 0 and last < len(found.parts),
    }
    shown["parts"] = [_part(found, number) for number in range(marker + 1, last + 1)]
    return {"object_parts": shown}


def _part(found: Object, number: int) -> dict[str, Any]:
    shown: dict[str, Any] = {"part_number": number, "size": found.parts[number - 1]}
    if found.part_checksums:
        sums = dict.fromkeys(found.facts.checksums, found.part_checksums[number - 1])
        shown.update(values.checksum_members(sums))
    return shown
