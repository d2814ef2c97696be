"""Buckets and objects as folders and files: streams in, streams out; never HTTP or an account.

The files are the truth; the index is a cache. Behind this module, `store/` has the keys,
attributes, index and uploads.
"""

import builtins
from collections.abc import Callable
from datetime import datetime

from eucabox.errors import Fault
from eucabox.store import copying, list_keys, list_versions
from eucabox.store.bucket_folder import BucketFolder
from eucabox.store.buckets import Buckets, translate_disk_errors
from eucabox.store.encrypted_file import EncryptedTempFile
from eucabox.store.keyring import EncryptionKeySpec
from eucabox.store.objects import Objects
from eucabox.store.open_object import OpenObject
from eucabox.store.paths import encode_key
from eucabox.store.temp_file import ANY_BODY, BodyStream, ExpectedBody, TempFile, receive
from eucabox.store.types import (
    FULL_OBJECT,
    Bucket,
    Deleted,
    Listing,
    Object,
    ObjectProperties,
    Upload,
    UploadPart,
    Uploads,
    Version,
    Versions,
)
from eucabox.store.upload_parts import RequestedParts
from eucabox.store.write_specs import (
    NO_CONDITIONS,
    CompletionSpec,
    DeleteSpec,
    WritePreconditions,
)

__all__ = [
    "Bucket",
    "Deleted",
    "Listing",
    "Object",
    "ObjectProperties",
    "OpenObject",
    "PendingPut",
    "Store",
    "Upload",
    "UploadPart",
    "Uploads",
    "Version",
    "Versions",
]


class PendingPut:
    """An object whose content the kernel may be writing; `commit` must end it."""

    def __init__(
        self,
        objects: Objects,
        folder: BucketFolder,
        temp_file: TempFile,
        new: Object,
        conditions: WritePreconditions,
    ) -> None:
        self._objects = objects
        self._folder = folder
        self._temp_file = temp_file
        self._new = new
        self._conditions = conditions

    @translate_disk_errors
    def commit(self) -> Object:
        """Make it the object of its key. Raises PreconditionFailed, and NoSuchKey where there
        is nothing to match."""
        with self._temp_file:
            return self._objects.commit(self._folder, self._temp_file, self._new, self._conditions)


class Store(Buckets):
    """All buckets in a folder, for one process; safe for many threads. Close it at the end.

    Every method raises Faults: NoSuchBucket if a bucket named does not exist, DiskFull and
    StorageFailed if a write fails. When a method has returned, its change is on the disk; with the
    durability `relaxed` it is with the operating system, so only a power loss can lose it.
    """

    def put(
        self,
        bucket: str,
        key: str,
        stream: BodyStream,
        properties: ObjectProperties,
        expected: ExpectedBody = ANY_BODY,
        *,
        if_none_match: str = "",
        if_match: str = "",
        encryption: EncryptionKeySpec | None = None,
        check: Callable[[Bucket], object] | None = None,
    ) -> Object:
        """Read a stream to its end into an object, which is there whole or not at all. The object
        gets a checksum, CRC64NVME if `expected` names no other.

        `check` gets the bucket that the object will be in, and may raise: the caller may have
        been authorized some time ago, when the name was another bucket's.
        Raises InvalidDigest, BadDigest, ChecksumUnknown, IncompleteBody, EntityTooLarge,
        KeyTooLong, InvalidKey, PreconditionFailed, NoSuchKey where there is nothing to match, and
        what the stream raises. Conditions are ETags, or "*" for any object.
        """
        conditions = WritePreconditions(if_none_match, if_match)
        pending = self.begin_put(
            bucket, key, stream, properties, expected, conditions, encryption, check
        )
        return pending.commit()

    @translate_disk_errors
    def begin_put(
        self,
        bucket: str,
        key: str,
        stream: BodyStream,
        properties: ObjectProperties,
        expected: ExpectedBody = ANY_BODY,
        conditions: WritePreconditions = NO_CONDITIONS,
        encryption: EncryptionKeySpec | None = None,
        check: Callable[[Bucket], object] | None = None,
    ) -> PendingPut:
        """Receive an object as `put` does; its `commit` must end it."""
        folder = self._get_folder(bucket)
        if check is not None:
            check(folder.bucket)
        encode_key(key)
        stream = self._limit_stream(
            folder, stream, expected.size, lambda: self._overwritten_size(folder, key)
        )
        temp_file = EncryptedTempFile(folder, encryption, key) if encryption else TempFile(folder)
        try:
            received = receive(temp_file, stream, expected)
            properties = _with_checksums(properties, received.checksums)
            e_tag, sealed = temp_file.finish(received.md5)
            new = Object(
                bucket, key, received.size, e_tag, temp_file.date(), properties, sealed=sealed
            )
            folder.flush.begin_content(temp_file.fd)
        except BaseException:
            temp_file.close()
            raise
        return PendingPut(self._objects, folder, temp_file, new, conditions)

    @translate_disk_errors
    def open(self, bucket: str, key: str, version_id: str = "") -> OpenObject:
        """Open an object, or a version of it ("null" for the null version), for reading.

        Raises NoSuchKey, whose facts name the delete marker if one hides the object; and
        NoSuchVersion, InvalidVersionId, and IsDeleteMarker of a version that is one.
        """
        return self._objects.open(self._get_folder(bucket), key, version_id)

    def head(self, bucket: str, key: str, version_id: str = "") -> Object:
        """Return an object without its content; Faults as of `open`."""
        with self.open(bucket, key, version_id) as opened:
            return opened.object

    @translate_disk_errors
    def delete(
        self,
        bucket: str,
        key: str,
        *,
        version_id: str = "",
        owner: str = "",
        if_match: str = "",
        if_modified: datetime | None = None,
        if_size: int | None = None,
        check: Callable[[Object], object] | None = None,
        check_current: Callable[[Object | None], object] | None = None,
    ) -> Deleted:
        """Delete an object; if the bucket has versioning, a delete marker of `owner` replaces it.
        With a version id delete that version for good. Deleting nothing is no error.

        `check` gets the object that would be lost for good, if any, and `check_current` the current
        object; either may raise. Raises PreconditionFailed, and NoSuchKey where there is nothing to
        match.
        """
        self.quota.mark_stale()
        conditions = WritePreconditions("", if_match, if_modified, if_size)
        spec = DeleteSpec(version_id, owner, conditions, check, check_current)
        return self._objects.delete(self._get_folder(bucket), key, spec)

    @translate_disk_errors
    def copy(
        self,
        source_bucket: str,
        source_key: str,
        bucket: str,
        key: str,
        properties: ObjectProperties | None = None,
        *,
        algorithm: str = "",
        if_none_match: str = "",
        if_match: str = "",
        check: Callable[[Object], object] | None = None,
        version_id: str = "",
        encryption: EncryptionKeySpec | None = None,
        customer_key: bytes | None = None,
    ) -> Object:
        """Copy an object, or the version named, with the given properties or those of the source;
        checksums are computed for the copy.

        `check` gets the source and may raise; `customer_key` is the SSE-C key of the source.
        """
        folder = self._get_folder(bucket)
        encode_key(key)
        with self.open(source_bucket, source_key, version_id) as source:
            if check is not None:
                check(source.object)
            source.unlock(customer_key)
            size = source.object.size
            self.quota.reserve(folder.bucket, size, lambda: self._overwritten_size(folder, key))
            conditions = WritePreconditions(if_none_match, if_match)
            return copying.copy(
                self._objects, source, folder, key, properties, algorithm, conditions, encryption
            )

    @translate_disk_errors
    def change_object(
        self,
        bucket: str,
        key: str,
        how: Callable[[ObjectProperties], ObjectProperties],
        version_id: str = "",
        check: Callable[[Object], object] | None = None,
    ) -> Object:
        """Change the properties of an object or a version; content, ETag, version id and time stay.
        Faults as of `open`."""
        return self._objects.change(self._get_folder(bucket), key, how, version_id, check)

    @translate_disk_errors
    def list(
        self,
        bucket: str,
        prefix: str = "",
        delimiter: str = "",
        start_after: str = "",
        limit: int = 1000,
    ) -> Listing:
        """Return a page of keys sorted by their bytes; with a delimiter, common prefixes among
        them."""
        folder = self._get_folder(bucket)
        return self._with_index(
            lambda: list_keys.page(self._index, folder.name, prefix, delimiter, start_after, limit)
        )

    @translate_disk_errors
    def versions(
        self,
        bucket: str,
        prefix: str = "",
        delimiter: str = "",
        key_marker: str = "",
        version_id_marker: str = "",
        limit: int = 1000,
    ) -> Versions:
        """Return a page of versions and delete markers after the markers, sorted by key and then
        from the newest; with a delimiter, common prefixes among them."""
        folder, after = self._get_folder(bucket), (key_marker, version_id_marker)
        return self._with_index(
            lambda: list_versions.page(self._index, folder.name, prefix, delimiter, after, limit)
        )

    # --- uploads in parts --------------------------------------------------------------------

    @translate_disk_errors
    def create_upload(
        self,
        bucket: str,
        key: str,
        properties: ObjectProperties,
        checksum_algorithm: str = "",
        checksum_type: str = "",
        encryption: EncryptionKeySpec | None = None,
    ) -> str:
        """Begin a multipart upload and return its id."""
        folder = self._get_folder(bucket)
        return self._multipart.create(
            folder, key, properties, checksum_algorithm, checksum_type, encryption
        )

    def upload(self, bucket: str, key: str, upload_id: str) -> Upload:
        """Return an upload in progress; NoSuchUpload."""
        return self._multipart.upload(self._get_folder(bucket), key, upload_id)

    @translate_disk_errors
    def put_part(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        number: int,
        stream: BodyStream,
        expected: ExpectedBody = ANY_BODY,
        *,
        customer_key: bytes | None = None,
    ) -> UploadPart:
        """Read a stream to its end into a part; Faults as of `put`, NoSuchUpload.

        `customer_key` is the SSE-C key that the upload was begun with.
        """
        folder = self._get_folder(bucket)
        stream = self._limit_stream(folder, stream, expected.size)
        return self._multipart.put_part(
            folder, key, upload_id, number, stream, expected, customer_key
        )

    @translate_disk_errors
    def parts(
        self, bucket: str, key: str, upload_id: str, after: int = 0, limit: int | None = None
    ) -> "builtins.list[UploadPart]":
        """Return the parts put so far, by number: at most `limit` with numbers above `after`."""
        return self._multipart.parts(self._get_folder(bucket), key, upload_id, after, limit)

    @translate_disk_errors
    def uploads(
        self,
        bucket: str,
        prefix: str = "",
        delimiter: str = "",
        key_marker: str = "",
        upload_id_marker: str = "",
        limit: int = 1000,
    ) -> Uploads:
        """Return a page of uploads in progress, sorted by key and then by the time they began."""
        after = key_marker, upload_id_marker
        return self._multipart.uploads(self._get_folder(bucket), prefix, delimiter, after, limit)

    @translate_disk_errors
    def complete_upload(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        parts: RequestedParts,
        *,
        checksums: dict[str, str] | None = None,
        size: int | None = None,
        if_none_match: str = "",
        if_match: str = "",
    ) -> Object:
        """Make an object of parts [(number, ETag, checksums)]; safe to call again.

        Raises NoSuchUpload, InvalidPart, InvalidPartOrder, EntityTooSmall, MalformedPartList,
        BadDigest, InvalidObjectSize, PreconditionFailed.
        """
        conditions = WritePreconditions(if_none_match, if_match)
        spec = CompletionSpec(checksums or {}, size, conditions, self.quota.check_object)
        return self._multipart.complete(self._get_folder(bucket), key, upload_id, parts, spec)

    @translate_disk_errors
    def abort_upload(self, bucket: str, key: str, upload_id: str) -> None:
        """Delete an upload in progress and its parts; NoSuchUpload."""
        self.quota.mark_stale()
        self._multipart.abort(self._get_folder(bucket), key, upload_id)

    def _limit_stream(
        self,
        folder: BucketFolder,
        stream: BodyStream,
        size: int | None,
        freed: Callable[[], int] = lambda: 0,
    ) -> BodyStream:
        if not self.quota.bounds_bytes:
            return stream
        if size is None:
            return self.quota.limit_stream(folder.bucket, stream)
        self.quota.reserve(folder.bucket, size, freed)
        return stream

    def _overwritten_size(self, folder: BucketFolder, key: str) -> int:
        """Return the bytes that a put will free; with versioning nothing is freed."""
        if folder.versioned:
            return 0
        try:
            return self.head(folder.name, key).size
        except Fault:
            return 0


def _with_checksums(properties: ObjectProperties, checksums: dict[str, str]) -> ObjectProperties:
    if not checksums and not properties.checksums:
        return properties
    kind, new = FULL_OBJECT if checksums else "", ObjectProperties.__new__(ObjectProperties)
    # a fifth of the time of replace(), which sets each field of a frozen object
    vars(new).update(vars(properties), checksums=checksums, checksum_type=kind)
    return new
