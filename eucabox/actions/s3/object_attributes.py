"""GetObjectAttributes: what is known of an object, without its bytes."""

from functools import partial
from typing import Unpack

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
    **customer_key: Unpack[CustomerKey],
) -> Result:
    """Return the requested ones of ETag, Checksum, ObjectParts, StorageClass and ObjectSize."""
    if not any(object_attributes):
        reason = "The x-amz-object-attributes header with what to tell is missing or empty."
        raise InvalidRequest(reason=reason)
    stored_bucket = call.cloud.store.bucket(bucket)
    access.check_expected(stored_bucket, expected_bucket_owner)
    look = partial(call.cloud.store.open, version_id=version_id)
    with access.open_or_hide(call, look, stored_bucket, key) as opened:
        obj = opened.object
        access.check(call, stored_bucket, key, obj.properties)
        secret = encryption.check_reading(call, obj.sealed, customer_key)
        if obj.sealed and obj.sealed.kind == SSE_C:
            opened.unlock(secret)
    sums = values.checksum_members(obj.properties.checksums, obj.properties.checksum_type)
    attributes: dict[str, Result] = {
        "ETag": {"e_tag": obj.e_tag},
        "Checksum": {"checksum": sums} if sums else {},
        "ObjectParts": _parts_to_api(obj, part_number_marker, max_parts),
        "StorageClass": {"storage_class": obj.properties.storage_class},
        "ObjectSize": {"object_size": obj.size},
    }
    result: Result = {
        "last_modified": obj.last_modified,
        **values.version_members_read(stored_bucket, obj),
    }
    for name in object_attributes:
        if name not in attributes:
            raise InvalidRequest(reason=f"Unknown attribute {name}. Use {', '.join(attributes)}.")
        result.update(attributes[name])
    return result


def _parts_to_api(obj: Object, marker: int, most: int) -> Result:
    if not obj.parts:
        return {}
    if most < 0 or marker < 0:
        value, reason = min(most, marker), "Use 0 or more."
        argument = "max-parts" if most < 0 else "part-number-marker"
        raise InvalidArgument(argument=argument, value=value, reason=reason)
    most, marker = min(most, PAGE), min(marker, len(obj.parts))
    last = min(marker + most, len(obj.parts))
    page: Result = {
        "total_parts_count": len(obj.parts),
        "part_number_marker": marker,
        "next_part_number_marker": last,
        "max_parts": most,
        "is_truncated": most > 0 and last < len(obj.parts),
    }
    page["parts"] = [_part_to_api(obj, number) for number in range(marker + 1, last + 1)]
    return {"object_parts": page}


def _part_to_api(obj: Object, number: int) -> dict[str, object]:
    part: dict[str, object] = {"part_number": number, "size": obj.parts[number - 1]}
    if obj.part_checksums:
        sums = dict.fromkeys(obj.properties.checksums, obj.part_checksums[number - 1])
        part.update(values.checksum_members(sums))
    return part
