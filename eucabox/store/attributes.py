"""The attributes of an object's file: one extended attribute, or a sidecar; never the content."""

import base64
import contextlib
import errno
import json
import os
from binascii import a2b_base64, b2a_base64
from typing import Any

from eucabox.store.paths import digest
from eucabox.store.types import (
    DEFAULT_TYPE,
    FULL_OBJECT,
    EncryptionInfo,
    Object,
    ObjectProperties,
    to_datetime,
    to_nanoseconds,
)

NAME = "user.eucabox"
MICROSECOND, SECOND = 1_000, 1_000_000_000  # in nanoseconds
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

# Properties that most objects have as they are by default: the others can stand in the binary form.
UNUSUAL = ("metadata", "headers", "acl", "tags", "extra")
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
    properties = vars(obj.properties)
    if usual := _encode_usual(obj, properties):
        return usual
    record: dict[str, Any] = {
        "e": obj.e_tag,
        "s": obj.size,
        "m": to_nanoseconds(obj.last_modified),
    }
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
    return pack(record) or _dump(record).encode("utf-8", "surrogateescape")


def decode(raw: bytes, bucket: str, key: str, status: os.stat_result) -> tuple[Object, bool]:
    """Return the object of some attributes, and whether they belong to the content of that status.

    Raises ValueError if they are not ours. If the file was edited in place, its ETag, checksums and
    parts are no longer true and left empty.
    """
    if is_usual(raw, status):
        return decode_usual(raw, bucket, key), True
    record = _read_record(raw)
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


def is_cut_short(raw: bytes, status: os.stat_result) -> bool:
    """Return whether a file is shorter than its attributes say, and of the very time that they say:
    nobody edited it. Raises ValueError if they are not ours."""
    record = _read_record(raw)
    try:
        stored = EncryptionInfo(*record["y"]).stored if "y" in record else record["s"]
        return bool(stored > status.st_size and record["m"] == status.st_mtime_ns)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("not attributes of an object") from error


def _read_record(raw: bytes) -> dict[str, Any]:
    if raw.startswith(MARK):
        return unpack(raw)
    record: dict[str, Any] = _load(raw.decode("utf-8", "surrogateescape"))
    return record


def drop_checksums(properties: ObjectProperties) -> ObjectProperties:
    """Return properties without those that belong to one content."""
    return ObjectProperties(**{**vars(properties), "checksums": {}, "checksum_type": ""})


def _same_time(stated: int, actual: int) -> bool:
    # Ours are whole microseconds, those of other programs are not. tar and some file systems keep
    # whole seconds only.
    if stated == actual // MICROSECOND * MICROSECOND:
        return True
    return actual % SECOND == 0 and stated // SECOND == actual // SECOND


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


# --- the binary form of the usual attributes ----------------------------------------------------

# It fits into the inode: ext4 keeps an attribute of up to 64 bytes there and gives a longer one a
# block of its own, which makes small puts a fifth slower. The letters are those of LETTERS.
LONGEST = 64
MARK = b"\x01"  # no JSON begins with it
PLAIN = frozenset("esmtockv")
OWNER_DIGITS = 12
NO_OWNER = 0xFF_FFFF_FFFF
FIXED = 37  # mark, sum, MD5, size, time, owner
SUMS = ("", "CRC32", "CRC32C", "CRC64NVME")
SUM_SIZES = (0, 4, 4, 8)
HAS_VERSION_KEY = 0x80  # flag beside the kind of checksum: a version key of 16 bytes follows it
VERSION_KEY_BYTES = 16
TYPES = (  # by position: append only
    "application/octet-stream",
    "text/plain",
    "text/html",
    "application/json",
    "application/xml",
    "image/jpeg",
    "image/png",
    "application/pdf",
    "application/gzip",
    "application/x-tar",
    "application/zip",
    "text/plain; charset=utf-8",
    "video/mp4",
    "text/css",
    "application/x-directory",
    "application/javascript",
    "text/csv",
)


def pack(record: dict[str, Any]) -> bytes | None:
    """Return the binary form, None if it can't express the attributes."""
    if not record.keys() <= PLAIN:
        return None
    owner, sums = record.get("o", ""), record.get("c", {})
    try:
        kind = SUMS.index(next(iter(sums), ""))
        md5, version_key = bytes.fromhex(record["e"]), bytes.fromhex(record.get("v", ""))
        kind |= HAS_VERSION_KEY if version_key else 0
        head = MARK + bytes([kind]) + md5 + record["s"].to_bytes(6, "big")
        packed = head + record["m"].to_bytes(8, "big") + _pack_owner(owner).to_bytes(5, "big")
        packed += b"".join(map(base64.b64decode, sums.values()))
        packed += version_key + _pack_type(record.get("t", ""))
        # attributes that the form can't hold come back different
        return packed if len(packed) <= LONGEST and unpack(packed) == record else None
    except (ValueError, OverflowError):
        return None


def _pack_owner(owner: str) -> int:
    if not owner:
        return NO_OWNER
    if len(owner) != OWNER_DIGITS:
        raise ValueError("not an account id")
    return int(owner)


def _pack_type(content_type: str) -> bytes:
    if content_type in TYPES:
        return bytes([TYPES.index(content_type)])
    return content_type.encode("ascii")


def unpack(packed: bytes) -> dict[str, Any]:
    """Return the attributes; ValueError if the bytes are cut short or of another form."""
    kind = packed[1] & ~HAS_VERSION_KEY if len(packed) >= FIXED else len(SUMS)
    if kind >= len(SUMS):
        raise ValueError("not packed attributes")
    record: dict[str, Any] = {
        "e": packed[2:18].hex(),
        "s": int.from_bytes(packed[18:24], "big"),
        "m": int.from_bytes(packed[24:32], "big"),
    }
    owner = int.from_bytes(packed[32:FIXED], "big")
    if owner != NO_OWNER:
        record["o"] = f"{owner:012}"
    end = FIXED + SUM_SIZES[kind]
    if kind:
        record["c"] = {SUMS[kind]: base64.b64encode(packed[FIXED:end]).decode()}
        record["k"] = "FULL_OBJECT"
    if packed[1] & HAS_VERSION_KEY:
        record["v"] = packed[end : end + VERSION_KEY_BYTES].hex()
        end += VERSION_KEY_BYTES
    if packed[end:]:
        record["t"] = _unpack_type(packed[end:])
    return record


def _encode_usual(obj: Object, properties: dict[str, Any]) -> bytes | None:
    """Return what `pack` does of an object with one checksum of its whole content and nothing else
    that few have, in a third of the time; None for any other."""
    if obj.parts or obj.upload_id or obj.sealed or obj.version_key or len(obj.e_tag) != 32:
        return None
    if any(map(properties.get, UNUSUAL)) or properties["storage_class"] != "STANDARD":
        return None
    (name, sum_), *others = properties["checksums"].items() or [("", "")]
    owner, content_type = properties["owner"], properties["content_type"]
    kind = SUMS.index(name) if name in SUMS else 0
    if others or not kind or properties["checksum_type"] != FULL_OBJECT or obj.part_checksums:
        return None
    if len(owner) != OWNER_DIGITS or not (owner.isascii() and owner.isdigit()):
        return None
    if content_type == DEFAULT_TYPE:
        letters = b""
    elif content_type in TYPES:
        letters = bytes([TYPES.index(content_type)])
    else:
        return None
    size, modified = obj.size, to_nanoseconds(obj.last_modified)
    if size >> 48 or modified >> 64:  # too large, or negative
        return None
    try:
        md5, raw = bytes.fromhex(obj.e_tag), a2b_base64(sum_)
    except ValueError:
        return None
    same = md5.hex() == obj.e_tag and b2a_base64(raw, newline=False).decode() == sum_
    if not same or len(raw) != SUM_SIZES[kind]:
        return None
    numbers = (size << 104 | modified << 40 | int(owner)).to_bytes(FIXED - 18, "big")
    return MARK + bytes((kind,)) + md5 + numbers + raw + letters


def is_usual(raw: bytes, status: os.stat_result) -> bool:
    """Tell whether these are the attributes, without a version key, of a file that is as it was
    written: then they say all of its object but for its bucket and key."""
    if len(raw) < FIXED or not raw.startswith(MARK) or raw[1] >= len(SUMS):
        return False
    written = int.from_bytes(raw[18:24], "big"), int.from_bytes(raw[24:32], "big")
    modified = status.st_mtime_ns // MICROSECOND * MICROSECOND
    is_as_written = written == (status.st_size, modified)
    return is_as_written and raw[FIXED + SUM_SIZES[raw[1]] :].isascii()


def decode_usual(packed: bytes, bucket: str, key: str) -> Object:
    """Return what `decode` does of attributes that are usual, in half the time."""
    kind, size = packed[1], int.from_bytes(packed[18:24], "big")
    end = FIXED + SUM_SIZES[kind]
    owner, rest = int.from_bytes(packed[32:FIXED], "big"), packed[end:]
    sum_ = b2a_base64(packed[FIXED:end], newline=False).decode() if kind else ""
    # takes a third of the time of __init__, which sets each field of a frozen object
    properties, obj = ObjectProperties.__new__(ObjectProperties), Object.__new__(Object)
    vars(properties).update(
        content_type=_unpack_type(rest) if rest else DEFAULT_TYPE,
        metadata={},
        headers={},
        owner="" if owner == NO_OWNER else f"{owner:012}",
        acl=None,
        checksums={SUMS[kind]: sum_} if kind else {},
        checksum_type=FULL_OBJECT if kind else "",
        tags={},
        storage_class="STANDARD",
        extra={},
    )
    vars(obj).update(
        bucket=bucket,
        key=key,
        size=size,
        e_tag=packed[2:18].hex(),
        last_modified=to_datetime(int.from_bytes(packed[24:32], "big")),
        properties=properties,
        parts=(),
        part_checksums=(),
        upload_id="",
        version_key="",
        sealed=None,
    )
    return obj


def _unpack_type(packed: bytes) -> str:
    if len(packed) == 1 and packed[0] < len(TYPES):
        return TYPES[packed[0]]
    return packed.decode("ascii")
