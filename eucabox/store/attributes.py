"""The attributes of an object's file: one extended attribute, or a sidecar; never the content."""

import contextlib
import errno
import json
import os
from typing import Any

from eucabox.store import compact_attributes
from eucabox.store.paths import digest
from eucabox.store.types import (
    EncryptionInfo,
    Object,
    ObjectProperties,
    to_datetime,
    to_nanoseconds,
)

NAME = "user.eucabox"
SECOND = 1_000_000_000
# E2BIG, ERANGE, ENOSPC: too large for this file system; the others: it has no attributes.
NO_PLACE = {
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.ENOSPC,
    errno.E2BIG,
    errno.ERANGE,
    errno.EPERM,
    errno.ENOSYS,
    errno.EDQUOT,
}
NOT_THERE = {errno.ENODATA, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ERANGE}

_dump = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_load = json.JSONDecoder().decode

# letter in the JSON -> field of ObjectProperties; only what differs from the default is written
LETTERS = {
    "t": "content_type",
    "u": "metadata",
    "h": "headers",
    "o": "owner",
    "a": "acl",
    "c": "checksums",
    "k": "checksum_type",
    "g": "tags",
    "l": "storage_class",
    "x": "extra",
}
DEFAULTS = vars(ObjectProperties())


def encode(obj: Object) -> bytes:
    """Return an object's attributes, in the compact form or as JSON. Size and time tell which
    content they belong to."""
    record: dict[str, Any] = {
        "e": obj.e_tag,
        "s": obj.size,
        "m": to_nanoseconds(obj.last_modified),
    }
    properties = vars(obj.properties)
    for letter, name in LETTERS.items():
        if properties[name] != DEFAULTS[name]:
            record[letter] = properties[name]
    if obj.parts:
        record["p"] = obj.parts
    if obj.part_checksums:
        record["q"] = obj.part_checksums
    if obj.upload_id:
        record["i"] = obj.upload_id
    if obj.sealed:
        record["y"] = list(vars(obj.sealed).values())
    if obj.version_key:
        record["v"] = obj.version_key
    return compact_attributes.pack(record) or _dump(record).encode("utf-8", "surrogateescape")


def decode(raw: bytes, bucket: str, key: str, status: os.stat_result) -> tuple[Object, bool]:
    """Return the object of some attributes, and whether they belong to the content of that status.

    Raises ValueError if they are not ours. If the file was edited in place, its ETag, checksums and
    parts are no longer true and left empty.
    """
    packed = raw.startswith(compact_attributes.MARK)
    record = (
        compact_attributes.unpack(raw) if packed else _load(raw.decode("utf-8", "surrogateescape"))
    )
    try:
        sealed = EncryptionInfo(*record["y"]) if "y" in record else None
        stored = sealed.stored if sealed else record["s"]
        fresh = stored == status.st_size and _same_time(record["m"], status.st_mtime_ns)
        properties = ObjectProperties(
            **{LETTERS[letter]: record[letter] for letter in record.keys() & LETTERS}
        )
        version_key = record.get("v", "")
        modified = to_datetime(status.st_mtime_ns)
        if not fresh:
            edited = Object(
                bucket,
                key,
                status.st_size,
                "",
                modified,
                drop_checksums(properties),
                version_key=version_key,
                sealed=sealed,
            )
            return edited, False
        parts, sums = tuple(record.get("p", ())), tuple(record.get("q", ()))
        e_tag, upload_id = record["e"], record.get("i", "")
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("not attributes of an object") from error
    size = record["s"]
    obj = Object(
        bucket, key, size, e_tag, modified, properties, parts, sums, upload_id, version_key, sealed
    )
    return obj, True


def drop_checksums(properties: ObjectProperties) -> ObjectProperties:
    """Return properties without those that belong to one content."""
    return ObjectProperties(**{**vars(properties), "checksums": {}, "checksum_type": ""})


def _same_time(stated: int, actual: int) -> bool:
    # tar and some file systems keep whole seconds only
    return stated == actual or (actual % SECOND == 0 and stated // SECOND == actual // SECOND)


def identity(status: os.stat_result) -> str:
    """Return what tells this content of a file from an older or newer one."""
    return f"{status.st_size:x}-{status.st_mtime_ns:x}"


def write(descriptor: int, raw: bytes) -> bool:
    """Put attributes on a file; False if they don't fit there and need a sidecar."""
    try:
        os.setxattr(descriptor, NAME, raw)
    except OSError as error:
        if error.errno not in NO_PLACE:
            raise
        return False
    return True


def read(descriptor: int) -> bytes | None:
    """Return the attributes on a file, None if there are none."""
    try:
        return os.getxattr(descriptor, NAME)
    except OSError as error:
        if error.errno in NOT_THERE:
            return None
        raise


def remove(descriptor: int) -> None:
    """Remove the attributes from a file."""
    with contextlib.suppress(OSError):
        os.removexattr(descriptor, NAME)


def sidecar(key: bytes, status: os.stat_result) -> tuple[str, str]:
    """Return the folder (below the reserved one) and the name of a file's sidecar."""
    return folder(key), f"{digest(key)}.{identity(status)}"


def folder(key: bytes) -> str:
    """Return the folder (below the reserved one) of a key's sidecars."""
    return f"attributes/{digest(key)[:2]}"
