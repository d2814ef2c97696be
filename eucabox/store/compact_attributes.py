"""A binary form of the usual attributes that fits into the inode; decides nothing.

ext4 keeps an attribute of up to 64 bytes with the inode and gives a longer one a block of its own,
which makes small puts a fifth slower. The letters are those of attributes.py.
"""

import base64
from typing import Any

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
        # what the form can't express is different after unpacking
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
    """Return what was packed; ValueError if it is cut short or of another form."""
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


def _unpack_type(packed: bytes) -> str:
    if len(packed) == 1 and packed[0] < len(TYPES):
        return TYPES[packed[0]]
    return packed.decode("ascii")
