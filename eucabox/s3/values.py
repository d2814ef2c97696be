"""S3's nouns for what the store keeps: entity tags, checksums, headers, owners; never stores."""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any, Protocol

from eucabox import ascii_text
from eucabox.errors import (
    ChecksumsSeveral,
    ContentMd5Mismatch,
    InvalidDigest,
    InvalidStorageClass,
    MetadataTooLarge,
)
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
ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")  # from which S3 restores; here the bytes are at hand
TYPE = "binary/octet-stream"  # what S3 says of an object whose type nobody told
METADATA_LIMIT = 2048  # bytes of names and values, as S3 counts them


class OwnerDirectory(Protocol):
    """Where accounts are looked up."""

    def get_by_account_id(self, account_id: str) -> Mapping[str, Any] | None:
        """Return canonical_id and account_name of an account, None if there is none."""


class Owners:
    """Accounts as S3 shows an owner; asks the directory once for each."""

    def __init__(self, directory: OwnerDirectory) -> None:
        self._directory = directory
        self._known: dict[str, dict[str, str]] = {}

    def __call__(self, account_id: str) -> dict[str, str]:
        """Return {"id": canonical id, "display_name": account name}."""
        if account_id not in self._known:
            row = self._directory.get_by_account_id(account_id)
            # an account that was removed still owns what it left behind
            row = row or {"canonical_id": account_id.zfill(64), "account_name": account_id}
            shown = {"id": row["canonical_id"], "display_name": row["account_name"]}
            self._known[account_id] = shown
        return self._known[account_id]


def quote_etag(e_tag: str) -> str:
    """An entity tag as the API shows it."""
    return f'"{e_tag}"'


def checksums(members: Mapping[str, Any]) -> dict[str, str]:
    """Pick {"CRC32": base64, ...} out of a request's members."""
    found = {name: members.get(member) for name, member in CHECKSUMS.items()}
    told = {name: value for name, value in found.items() if value}
    if len(told) > 1:
        raise ChecksumsSeveral
    return told


def algorithm_names(algorithm: str) -> tuple[str, ...]:
    """The algorithm a request names for a checksum that it leaves to the server, if any."""
    return (ascii_text.upper(algorithm),) if algorithm else ()


def checksum_members(kept: Mapping[str, str], kind: str = "") -> dict[str, str]:
    """Show kept checksums as members of an answer, with their type if there is one."""
    shown = {CHECKSUMS[name]: value for name, value in kept.items() if name in CHECKSUMS}
    return {**shown, "checksum_type": kind} if shown and kind else shown


def part_checksum(upload: Upload, part: UploadPart) -> dict[str, str]:
    """Show the checksum of a part: by what the upload named, or else its client; or the default."""
    own = [name for name in part.checksums if name != DEFAULT]
    for name in (upload.checksum_algorithm, *own, DEFAULT):
        if name in part.checksums:
            return checksum_members({name: part.checksums[name]})
    return {}


def md5(text: str) -> bytes | None:
    """Read a Content-MD5, None if there is none; raises InvalidDigest."""
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
    """Raise BadDigest unless a body is what its Content-MD5, if there is one, says."""
    stated, found = md5(text), hashlib.md5(body, usedforsecurity=False).digest()
    if stated not in (None, found):
        raise ContentMd5Mismatch(found=base64.b64encode(found).decode(), stated=text)


def metadata(given: Mapping[str, str] | None) -> dict[str, str]:
    """Check user metadata; raises MetadataTooLarge."""
    kept = dict(given or {})
    size = sum(len(name.encode()) + len(value.encode()) for name, value in kept.items())
    if size > METADATA_LIMIT:
        raise MetadataTooLarge(size=size, limit=METADATA_LIMIT)
    return kept


def storage_class(word: str) -> str:
    """Check a storage class; any that S3 knows is kept as a word, the bytes lie on one disk."""
    if word and word not in STORAGE_CLASSES:
        raise InvalidStorageClass(value=word)
    return word or "STANDARD"


def version_members_read(bucket: Bucket, found: Object) -> dict[str, str]:
    """Show the version of an object to its reader, if its bucket has, or had, versioning."""
    return {"version_id": found.version_id} if bucket.settings.get("versioning") else {}


def version_members_written(made: Object) -> dict[str, str]:
    """Show the version of an object to its writer, if it is one that stays."""
    return {} if version_ids.is_null(made.version_key) else {"version_id": made.version_id}


def headers(**told: str) -> dict[str, str]:
    """Keep the headers that a request gave for an object, by their names in the API."""
    return {name: value for name, value in told.items() if value}
