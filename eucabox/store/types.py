"""Buckets, objects, versions and uploads as plain values that do nothing."""

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict

from eucabox.store import version_ids

FULL_OBJECT = "FULL_OBJECT"
COMPOSITE = "COMPOSITE"
DEFAULT_TYPE = "binary/octet-stream"
AES256, KMS, SSE_C = "AES256", "aws:kms", "SSE-C"  # how an object can be encrypted
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 1, 1, tzinfo=UTC)


class Grantee(TypedDict, total=False):
    """Whom a grant is for: an account by its canonical id or e-mail address, or a group."""

    type: str
    id: str
    display_name: str
    email_address: str
    uri: str


class Grant(TypedDict):
    """A permission for a grantee."""

    grantee: Grantee
    permission: str


class Acl(TypedDict, total=False):
    """An access list as it is stored: the name of a canned one, or grants."""

    canned: str
    grants: list[Grant]


@dataclass(frozen=True)
class Bucket:
    """A bucket: `owner` is an account id ("" if its configuration was lost), `created` is aware.

    `settings` has the bucket's other configuration (policy, versioning ...), as plain JSON.
    """

    name: str
    owner: str
    created: datetime
    acl: Acl | None = None
    location: str = ""
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class BucketContents:
    """What a bucket holds: its current objects, its older versions with delete markers among them,
    and their bytes; of uploads that nobody completed the bytes alone, 0 where nobody counted."""

    objects: int = 0
    bytes: int = 0
    versions: int = 0
    version_bytes: int = 0
    upload_bytes: int = 0


@dataclass(frozen=True)
class BucketChanges:
    """The keys of a bucket that changed after some position, and the position after them. If not
    `is_complete`, others may have changed too: compare everything, from this position on."""

    position: str
    is_complete: bool
    keys: list[str]


@dataclass(frozen=True)
class ObjectProperties:
    """What a caller sets of an object, and the checksums: {"CRC32": base64}.

    `headers` are cache_control, content_disposition, content_encoding, content_language, expires
    ...; `extra` is plain JSON: its writer, its lock. In a listing only owner, storage_class,
    checksum_type and the names (not the values) of checksums are filled.
    """

    content_type: str = DEFAULT_TYPE
    metadata: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    owner: str = ""
    acl: Acl | None = None
    checksums: dict[str, str] = field(default_factory=dict)
    checksum_type: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    storage_class: str = "STANDARD"
    extra: dict[str, Any] = field(default_factory=dict)


class CustomerKeyCheck(TypedDict, total=False):
    """What recognizes an SSE-C key: base64 of a salt, and the check value of the key with it."""

    salt: str
    check: str


class EncryptionRecord(CustomerKeyCheck):
    """The encryption of an upload as it is stored; of SSE-C with a check of the key."""

    kind: str
    name: str
    context: str
    bucket_key: bool


@dataclass(frozen=True)
class EncryptionInfo:
    """How an object's file is encrypted: the kind, its bytes on the disk, and the bytes of its
    headers.

    `name` is the KMS key's.
    """

    kind: str
    stored: int
    header: int
    part_header: int = 0
    name: str = ""
    bucket_key: bool = False


@dataclass(frozen=True)
class Object:
    """An object. `e_tag` is hex MD5, or hex-N after N parts, without quotes.

    `parts` are the sizes of the parts, `part_checksums` their base64 checksums (or nothing).
    `version_key` is "" unless the bucket has, or had, versioning when the object was made. `sealed`
    is None where the file is the object byte for byte.
    """

    bucket: str
    key: str
    size: int
    e_tag: str
    last_modified: datetime
    properties: ObjectProperties
    parts: tuple[int, ...] = ()
    part_checksums: tuple[str, ...] = ()
    upload_id: str = ""
    version_key: str = ""
    sealed: EncryptionInfo | None = None

    @property
    def version_id(self) -> str:
        """The version id for clients, `null` for the only one without versioning."""
        return version_ids.version_id(self.version_key)


@dataclass(frozen=True)
class Deleted:
    """What a deletion did: whether something is gone for good; `version_id` is that of the version
    deleted or of the delete marker made, "" in a bucket without versioning; `delete_marker` tells
    that a marker was made or deleted."""

    removed: bool = False
    version_id: str = ""
    delete_marker: bool = False


@dataclass(frozen=True)
class Version:
    """One version in a listing; a delete marker has neither content nor ETag."""

    object: Object
    is_latest: bool
    is_marker: bool


@dataclass(frozen=True)
class Versions:
    """A page of versions and common prefixes; the following page starts after `next_*`."""

    versions: list[Version]
    prefixes: list[str]
    next_key: str | None
    next_version_id: str | None
    truncated: bool


@dataclass(frozen=True)
class Listing:
    """A page of objects and common prefixes; the following page starts after `next`."""

    objects: list[Object]
    prefixes: list[str]
    next: str | None
    truncated: bool


@dataclass(frozen=True)
class UploadPart:
    """A part of an upload in progress; `number` is 1 to 10,000."""

    number: int
    size: int
    e_tag: str
    last_modified: datetime
    checksums: dict[str, str]


@dataclass(frozen=True)
class Upload:
    """An upload in progress."""

    bucket: str
    key: str
    upload_id: str
    initiated: datetime
    properties: ObjectProperties
    checksum_algorithm: str = ""
    checksum_type: str = ""
    encryption: EncryptionRecord | None = None  # for Keyring.from_record


@dataclass(frozen=True)
class Uploads:
    """A page of uploads in progress, by key and then by time."""

    uploads: list[Upload]
    prefixes: list[str]
    next_key: str | None
    next_upload_id: str | None
    truncated: bool


class _Clock:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> int:
        with self._lock:
            self._last = max(self._last + 1000, time.time_ns() // 1000 * 1000)
            return self._last


unique_time = (
    _Clock().next
)  # ns since 1970, whole microseconds, never the same twice in this process


def to_datetime(nanoseconds: int) -> datetime:
    """Turn a file's time into an aware datetime; times beyond the calendar become its ends."""
    try:
        return EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        return LAST if nanoseconds > 0 else EPOCH


def to_utc(when: datetime) -> datetime:
    """Return a datetime as an aware one in UTC; one without a zone is taken as UTC."""
    return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)


def to_nanoseconds(when: datetime) -> int:
    """Turn an aware datetime into a file's time."""
    return (when - EPOCH) // timedelta(microseconds=1) * 1000
