"""What an answer tells of a stored object: its properties, a range or part of it, its checksums;
opens nothing."""

from eucabox.errors import PartNumberBeyond
from eucabox.s3 import preconditions, values
from eucabox.store.types import Deleted, Object

RESTORED = 'ongoing-request="false", expiry-date="Fri, 31 Dec 9999 00:00:00 GMT"'


def select_range(
    obj: Object, range_text: str, part: int | None, checksum_mode: str
) -> tuple[dict[str, object], int, int]:
    """Return the members of an answer, and where its body starts and how long it is: a range, ""
    for none, or a part. Raises InvalidRange, PartNumberBeyond."""
    answer: dict[str, object] = {
        "e_tag": values.quote_etag(obj.e_tag),
        "last_modified": obj.last_modified,
        "accept_ranges": "bytes",
        "content_type": obj.properties.content_type,
        "metadata": obj.properties.metadata,
        **obj.properties.headers,
    }
    if obj.properties.storage_class != "STANDARD":
        answer["storage_class"] = obj.properties.storage_class
    if obj.properties.storage_class in values.ARCHIVES:
        answer["restore"] = RESTORED  # or clients would wait for a restore
    if part is not None:
        span: tuple[int, int] | None = part_span(obj, part)
    else:
        span = preconditions.span(range_text, obj.size) if range_text else None
    start, count = span or (0, obj.size)
    if part is not None and obj.parts:
        answer["parts_count"] = len(obj.parts)
    if checksum_mode.upper() == "ENABLED":
        answer.update(_range_checksums(obj, part, whole=count == obj.size))
    if span and count:
        answer["content_range"] = f"bytes {start}-{start + count - 1}/{obj.size}"
    return {**answer, "content_length": count}, start, count


def part_span(obj: Object, part: int) -> tuple[int, int]:
    """Return where a part starts and how long it is; raises PartNumberBeyond."""
    sizes = obj.parts or (obj.size,)
    if not 1 <= part <= len(sizes):
        raise PartNumberBeyond(number=part, parts=len(sizes))
    return sum(sizes[: part - 1]), sizes[part - 1]


def _range_checksums(obj: Object, part: int | None, *, whole: bool) -> dict[str, str]:
    """Return the checksum of a part or of the whole object; none for any other range."""
    if part is not None and obj.part_checksums:
        value = obj.part_checksums[part - 1]
        sums = dict.fromkeys(obj.properties.checksums, value)
        return values.checksum_members(sums, obj.properties.checksum_type)
    return list_checksums(obj) if whole else {}


def list_checksums(obj: Object) -> dict[str, str]:
    """Return the checksums of a whole object, as members."""
    return values.checksum_members(obj.properties.checksums, obj.properties.checksum_type)


def show_deleted(deleted: Deleted) -> dict[str, object]:
    """Return what a deletion did, as members: the version that is gone, or the new marker's."""
    answer: dict[str, object] = {"version_id": deleted.version_id} if deleted.version_id else {}
    return {**answer, "delete_marker": True} if deleted.delete_marker else answer
