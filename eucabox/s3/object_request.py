"""The request side of PutObject, CopyObject and CreateMultipartUpload, read in one place."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypedDict

from eucabox.errors import ChecksumHeaderInvalid, InvalidRedirectLocation
from eucabox.s3 import access, acl, encryption, object_lock, tagging, values
from eucabox.s3.acl import ObjectAclMembers
from eucabox.s3.body_streams import RequestBody
from eucabox.s3.encryption import Encryption, EncryptionKeys
from eucabox.s3.object_lock import Locked
from eucabox.s3.request_context import RequestContext
from eucabox.s3.tagging import Tagging
from eucabox.store import checksums
from eucabox.store.keyring import EncryptionKeySpec
from eucabox.store.temp_file import ExpectedBody
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


# Most requests name none of these.
ACL = frozenset(ObjectAclMembers.__annotations__)
ENCRYPTION = frozenset(Encryption.__annotations__)
LOCKED = frozenset(Locked.__annotations__)


@dataclass(frozen=True)
class ObjectRequest:
    """What a request asks of a new object: its properties and how it is encrypted."""

    properties: ObjectProperties
    encryption: EncryptionKeySpec | None


def read(
    members: ObjectMembers,
    request: RequestContext,
    bucket: Bucket,
    store: EncryptionKeys,
    directory: acl.AccountDirectory,
) -> ObjectRequest:
    """Return what a request asks of a new object. Raises as `object_properties`, and Faults for
    an encryption that can't be."""
    properties = object_properties(members, request, bucket, directory)
    if ENCRYPTION.isdisjoint(members) and encryption.SETTING not in bucket.settings:
        return ObjectRequest(properties, None)
    return ObjectRequest(properties, encryption.for_new_object(request, members, bucket, store))


def object_properties(
    members: Mapping[str, Any],
    request: RequestContext,
    bucket: Bucket,
    directory: acl.AccountDirectory,
) -> ObjectProperties:
    """Return the properties of a new object. Raises AccessDenied and InvalidArgument for an ACL
    that is not allowed or not valid, and InvalidRequest for such a lock."""
    new_acl = None
    if not ACL.isdisjoint(members):
        new_acl = acl.resolve_grantees(acl.from_headers(members), directory)
    owner = access.authorize_owner_of_new(request, bucket, new_acl, directory)
    writer = request.caller.account_id if request.caller else bucket.owner
    extra: dict[str, object] = {access.WRITTEN_BY: writer} if writer != owner else {}
    if object_lock.SETTING in bucket.settings or not LOCKED.isdisjoint(members):
        extra |= object_lock.for_new_object(members, bucket, datetime.now(UTC))
    return ObjectProperties(
        content_type=members.get("content_type") or values.TYPE,
        metadata=values.metadata(members.get("metadata")),
        headers=_headers(members),
        owner=owner,
        acl=new_acl,
        tags=tagging.object_tags(members["tagging"]) if "tagging" in members else {},
        storage_class=values.storage_class(members.get("storage_class", "")),
        extra=extra,
    )


def _headers(members: Mapping[str, Any]) -> dict[str, str]:
    location = members.get("website_redirect_location", "/")
    if not location.startswith(("/", "http://", "https://")) or len(location) > LONGEST_LOCATION:
        raise InvalidRedirectLocation(limit=LONGEST_LOCATION)
    return {name: members[name] for name in HEADERS if members.get(name)}


def expected_body(members: BodyMembers, body: RequestBody) -> ExpectedBody:
    """Return what the members of PutObject or UploadPart promise of the body.

    The algorithms are those whose checksums the request brings, in its headers or its trailers;
    else the one that it leaves to us. Raises InvalidDigest, ChecksumUnknown, and InvalidRequest
    where the request names another algorithm than it brings.
    """
    stated = values.checksums(members)
    sent = (*stated, *body.algorithms)
    named = values.algorithm_names(members.get("checksum_algorithm", ""))
    for algorithm in named:
        checksums.check_name(algorithm)
    if sent and not set(named) <= set(sent):
        reason = f"The checksum sent is {', '.join(sent)}."
        raise ChecksumHeaderInvalid(name="x-amz-sdk-checksum-algorithm", reason=reason)
    digest = values.md5(members.get("content_md5", ""))
    return ExpectedBody(body.length, digest, stated, sent or named, body.trailers)
