"""What a request says of an object that it writes, in one place for all that write; no bytes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypedDict

from eucabox.errors import ChecksumHeaderInvalid, InvalidRedirectLocation
from eucabox.s3 import access, acl, object_lock, tagging, values
from eucabox.s3.acl import ObjectAclMembers
from eucabox.s3.body_streams import RequestBody
from eucabox.s3.encryption import Encryption
from eucabox.s3.object_lock import Locked
from eucabox.s3.tagging import Tagging
from eucabox.store import checksums
from eucabox.store.types import Bucket, ObjectProperties

LONGEST_LOCATION = 2048
HEADERS = (
    "cache_control",
    "content_disposition",
    "content_encoding",
    "content_language",
    "expires",
    "website_redirect_location",
)


class ObjectMembers(ObjectAclMembers, Encryption, Locked, total=False):
    """The members of PutObject, CopyObject and CreateMultipartUpload that describe the object."""

    content_type: str
    metadata: dict[str, str]
    cache_control: str
    content_disposition: str
    content_encoding: str
    content_language: str
    expires: str
    website_redirect_location: str
    storage_class: str
    tagging: Tagging


class Checksums(TypedDict, total=False):
    """The members of every verb that says what bytes must add up to."""

    checksum_crc32: str
    checksum_crc32_c: str
    checksum_crc64_nvme: str
    checksum_sha1: str
    checksum_sha256: str
    checksum_sha512: str
    checksum_md5: str
    checksum_xxhash64: str
    checksum_xxhash3: str
    checksum_xxhash128: str


class BodyMembers(Checksums, total=False):
    """Those of PutObject and UploadPart, which bring the bytes."""

    content_md5: str
    checksum_algorithm: str


class PutObjectMembers(ObjectMembers, BodyMembers, total=False):
    """Both, for PutObject."""


def object_properties(
    said: Mapping[str, Any],
    asking: access.RequestContext,
    bucket: Bucket,
    directory: acl.AccountDirectory,
) -> ObjectProperties:
    """Return what is kept of an object that the asker writes into a bucket; raises AccessDenied
    and InvalidArgument for an access list that can't be, InvalidRequest for a lock."""
    wanted = acl.resolve_grantees(acl.from_headers(said), directory)
    owner = access.authorize_owner_of_new(asking, bucket, wanted, directory)
    writer = asking.caller.account_id if asking.caller else bucket.owner
    by = {access.WRITTEN_BY: writer} if writer != owner else {}
    return ObjectProperties(
        content_type=said.get("content_type") or values.TYPE,
        metadata=values.metadata(said.get("metadata")),
        headers=headers(said),
        owner=owner,
        acl=wanted,
        tags=tagging.object_tags(said.get("tagging")),
        storage_class=values.storage_class(said.get("storage_class", "")),
        extra={**by, **object_lock.for_new_object(said, bucket, datetime.now(UTC))},
    )


def headers(members: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers that a reader will be sent again; raises InvalidRedirectLocation."""
    location = members.get("website_redirect_location", "/")
    if not location.startswith(("/", "http://", "https://")) or len(location) > LONGEST_LOCATION:
        raise InvalidRedirectLocation(limit=LONGEST_LOCATION)
    return values.headers(**{name: members[name] for name in HEADERS if name in members})


def body_expectations(members: Mapping[str, Any], body: RequestBody) -> dict[str, Any]:
    """Return what the store's `put` and `put_part` are told of a body's length and sums."""
    return {
        "size": body.length,
        "content_md5": values.md5(members.get("content_md5", "")),
        "checksums": values.checksums(members),
        "algorithms": checksum_algorithms(members, body),
        "trailers": body.trailers,
    }


def checksum_algorithms(members: Mapping[str, Any], body: RequestBody) -> tuple[str, ...]:
    """Return the algorithms whose sums a request brings, or leaves to us."""
    sent = (*values.checksums(members), *body.algorithms)
    named = values.algorithm_names(members.get("checksum_algorithm", ""))
    for algorithm in named:
        checksums.check_name(algorithm)
    if sent and not set(named) <= set(sent):
        reason = f"The checksum sent is {', '.join(sent)}."
        raise ChecksumHeaderInvalid(name="x-amz-sdk-checksum-algorithm", reason=reason)
    return sent or named
