"""S3's form of stored values: ETags, checksums, headers, owners, versions; stores nothing."""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Protocol

from eucabox import ascii_text
from eucabox.errors import (
    ChecksumsSeveral,
    ContentMd5Mismatch,
    InvalidDigest,
    InvalidStorageClass,
    MetadataTooLarge,
)
from eucabox.s3.acl import Owner
from eucabox.schema import AccountRow
from eucabox.store import version_ids
from eucabox.store.checksums import DEFAULT
from eucabox.store.types import Bucket, Object, Upload, UploadPart

CHECKSUMS = {
    "CRC32": "checksum_crc32",
    "CRC32C": "checksum_crc32_c",
    "CRC64NVME": "checksum_crc64_nvme",
    "MD5": "checksum_md5",
    "SHA1": "checksum_sha1",
    "SHA256": "checksum_sha256",
    "SHA512": "checksum_sha512",
    "XXHASH64": "checksum_xxhash64",
    "XXHASH3": "checksum_xxhash3",
    "XXHASH128": "checksum_xxhash128",
}
STORAGE_CLASSES = frozenset(
    {
        "STANDARD",
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER",
        "GLACIER_IR",
        "DEEP_ARCHIVE",
        "EXPRESS_ONEZONE",
    }
)
ARCHIVES = (
    "GLACIER",
    "DEEP_ARCHIVE",
)  # S3 restores objects from these; here they can be read at once
TYPE = "binary/octet-stream"  # S3's default
METADATA_LIMIT = 2048  # bytes of names and values, as S3 counts them


class OwnerDirectory(Protocol):
    """Where accounts are looked up."""

    def get_by_account_id(self, account_id: str) -> AccountRow | None:
        """Return canonical_id and account_name of an account, None if there is none."""


class Owners:
    """Accounts as S3 shows an owner; looks each up in the directory once."""

    def __init__(self, directory: OwnerDirectory) -> None:
        self._directory = directory
        self._known: dict[str, Owner] = {}

    def __call__(self, account_id: str) -> Owner:
        """Return an account."""
        if account_id not in self._known:
            row = self._directory.get_by_account_id(account_id)
            # a deleted account still owns its objects
            owner: Owner = {"id": account_id.zfill(64), "display_name": account_id}
            if row:
                owner = {"id": row["canonical_id"], "display_name": row["account_name"]}
            self._known[account_id] = owner
        return self._known[account_id]


def quote_etag(e_tag: str) -> str:
    """Return an ETag with the quotes that the API has around it."""
    return f'"{e_tag}"'


def checksums(members: Mapping[str, object]) -> dict[str, str]:
    """Return the checksums among a request's members as {"CRC32": base64, ...}."""
    values = {name: members[member] for name, member in CHECKSUMS.items() if member in members}
    sent = {name: str(value) for name, value in values.items() if value}
    if len(sent) > 1:
        raise ChecksumsSeveral
    return sent


def algorithm_names(algorithm: str) -> tuple[str, ...]:
    """Return the checksum algorithm that a request leaves to the server to compute, if any."""
    return (ascii_text.upper(algorithm),) if algorithm else ()


def checksum_members(stored: Mapping[str, str], kind: str = "") -> dict[str, str]:
    """Return stored checksums as members of a response, with their type if there is one."""
    members = {CHECKSUMS[name]: value for name, value in stored.items() if name in CHECKSUMS}
    return {**members, "checksum_type": kind} if members and kind else members


def part_checksum(upload: Upload, part: UploadPart) -> dict[str, str]:
    """Return a part's checksum as members: of the upload's algorithm, else the client's, else the
    default one."""
    own = [name for name in part.checksums if name != DEFAULT]
    for name in (upload.checksum_algorithm, *own, DEFAULT):
        if name in part.checksums:
            return checksum_members({name: part.checksums[name]})
    return {}


def md5(text: str) -> bytes | None:
    """Parse a Content-MD5, None if there is none; raises InvalidDigest."""
    if not text:
        return None
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidDigest() from None
    if len(digest) != 16:
        raise InvalidDigest()
    return digest


def check_md5(body: bytes, text: str) -> None:
    """Raise BadDigest unless a body matches its Content-MD5, if there is one."""
    stated, computed = md5(text), hashlib.md5(body, usedforsecurity=False).digest()
    if stated not in (None, computed):
        raise ContentMd5Mismatch(found=base64.b64encode(computed).decode(), stated=text)


def metadata(members: Mapping[str, str] | None) -> dict[str, str]:
    """Return user metadata if it is not too large; raises MetadataTooLarge."""
    result = dict(members or {})
    size = sum(len(name.encode()) + len(value.encode()) for name, value in result.items())
    if size > METADATA_LIMIT:
        raise MetadataTooLarge(size=size, limit=METADATA_LIMIT)
    return result


def storage_class(name: str) -> str:
    """Check a storage class. Any that S3 has is only remembered; all bytes lie on the same disk."""
    if name and name not in STORAGE_CLASSES:
        raise InvalidStorageClass(value=name)
    return name or "STANDARD"


def version_members_read(bucket: Bucket, obj: Object) -> dict[str, str]:
    """Return an object's version as members for a reader, if its bucket has, or had, versioning."""
    return {"version_id": obj.version_id} if bucket.settings.get("versioning") else {}


def version_members_written(obj: Object) -> dict[str, str]:
    """Return a new object's version as members for its writer, unless it is the null version."""
    if not obj.version_key or version_ids.is_null(obj.version_key):
        return {}
    return {"version_id": obj.version_id}
