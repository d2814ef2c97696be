"""Where images come from: manifests, parts and disks in buckets, checked; never a row of state."""

import contextlib
import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from eucabox.errors import (
    AccessDenied,
    Fault,
    ImageLocationInvalid,
    InvalidManifest,
    StorageNotPermitted,
    UnauthorizedOperation,
)
from eucabox.hypervisor import architecture
from eucabox.image import formats, import_file, manifest
from eucabox.image.cache import Cache, CacheEntry
from eucabox.image.disk_space import DiskSpace
from eucabox.image.manifest import Manifest
from eucabox.image.sparse import SparseWriter
from eucabox.s3 import access, encryption, object_request
from eucabox.s3.request_context import DetachedRequest

if TYPE_CHECKING:
    from eucabox.bucket import Bucket, Object, OpenObject, Store
    from eucabox.iam.accounts import Accounts
    from eucabox.iam.authorization import CallerPolicies
    from eucabox.iam.caller import Caller
    from eucabox.store.temp_file import BodyStream

HEAD = 2048
URL = re.compile("[a-z0-9]{1,9}:/", re.IGNORECASE)
WHITE = b"\xef\xbb\xbf \t\r\n"
CHANGED = "it was changed after the image was registered. Register it again."
Context = Mapping[str, str]  # how a request came, as in `s3/request_context.py`
MISSING = ("NoSuchKey", "NoSuchBucket", "InvalidBucketName")


class StoppedError(Exception):
    """The cloud is being stopped; nothing is wrong with the image."""


@dataclass(frozen=True)
class ImageInfo:
    """What lies at an image location; size in bytes, `digest` of a manifest's text or '', `e_tag`
    of a disk or ''."""

    location: str
    name: str
    image_type: str
    architecture: str
    virtualization_type: str
    size: int
    digest: str = ""
    e_tag: str = ""
    kernel_id: str = ""
    ramdisk_id: str = ""
    mapping: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Part:
    """A stored part, as unbundle.Source wants it."""

    opened: "OpenObject"

    @property
    def size(self) -> int:
        return self.opened.object.size

    def chunks(self, start: int, length: int) -> Iterator[bytes]:
        return self.opened.chunks(start, length)


@dataclass(frozen=True)
class _StoppableObject:
    """An open object whose reader can be stopped."""

    opened: "OpenObject"
    look: Callable[[], None]

    def read(self, size: int) -> bytes:
        self.look()
        return self.opened.read(size)


class ImageSource:
    """Reads images out of the bucket store into the cache."""

    def __init__(
        self, store: "Store", accounts: "Accounts", cache: Cache, stopping: threading.Event
    ) -> None:
        self.store, self.accounts, self.cache, self.stopping = store, accounts, cache, stopping

    def inspect(self, location: str, caller: "Caller", context: Context | None = None) -> ImageInfo:
        """Return what is stored at BUCKET/KEY, after the checks that are quick.

        The caller must be allowed to get each object of it, in the `context` of the request.
        """
        bucket_name, key = _split(location)
        bucket = self._get_own_bucket(bucket_name, location, caller)
        self._check_known(caller, bucket, key, context)
        with self._open(bucket_name, key) as opened:
            self._check_read(caller, bucket, opened.object, context)
            head = b"".join(opened.chunks(0, min(HEAD, opened.object.size)))
            size, e_tag = opened.object.size, opened.object.e_tag
        if head.lstrip(WHITE).startswith(b"<"):
            return _info_of_bundle(
                self.manifest(bucket_name, key, caller, context), bucket_name, key
            )
        name = key.rpartition("/")[2]
        size = read_disk_size(head, size, f"{bucket_name}/{key}")
        usual = architecture.HOST.ec2[-1]
        return ImageInfo(f"{bucket_name}/{key}", name, "machine", usual, "hvm", size, e_tag=e_tag)

    def manifest(
        self, bucket_name: str, key: str, caller: "Caller", context: Context | None = None
    ) -> Manifest:
        """Read and check a manifest, and that its parts are there and the caller's to get; raises
        InvalidManifest and UnauthorizedOperation."""
        bucket = self._get_own_bucket(bucket_name, f"{bucket_name}/{key}", caller)
        parsed = self._read(
            bucket_name, key, lambda it: self._check_read(caller, bucket, it, context)
        )
        manifest.verify(parsed, self.accounts.certificates())
        manifest.open_key(parsed, self.accounts.cloud_private_key)
        formats.refuse_size(parsed.size, parsed.name[:60])
        parts = self._part_objects(parsed, bucket_name, key)
        for part in parts:
            self._check_read(caller, bucket, part, context)
        from eucabox.image import unbundle  # with the module of tar archives

        unbundle.check_sizes(parsed, [part.size for part in parts])
        return parsed

    def check_copy(self, location: str, caller: "Caller", context: Context | None) -> None:
        """Raise StorageNotPermitted unless the caller may get each object of an image; what is
        missing or changed is found when it is copied."""
        bucket_name, key = _split(location)
        try:
            bucket = self.store.bucket(bucket_name)
            for name in (key, *self._part_keys(bucket_name, key)):
                with self._open(bucket_name, name) as opened:
                    self._ask(caller, bucket, opened.object, context)
        except AccessDenied as denied:
            raise StorageNotPermitted(reason=denied.message) from None
        except Fault as fault:
            if fault.code not in (*MISSING, InvalidManifest.code):
                raise

    def fetch(
        self,
        location: str,
        image_type: str,
        manifest_digest: str | None,
        e_tag: str,
        go_on: Callable[[], None],
    ) -> CacheEntry:
        """Bring an image into the cache and return its entry.

        A disk must still have the ETag of the object that was registered, unless that is "".
        `go_on` is called now and then and may raise to give up. Raises InvalidManifest,
        DiskImageRefused and DiskTooSmall with the cause, StoppedError when the cloud is being
        stopped.
        """

        bucket_name, key = _split(location)
        name = key.rpartition("/")[2]

        def look() -> None:
            go_on()  # first: a launch that is cancelled is not one that fails
            if self.stopping.is_set():
                raise StoppedError

        space = DiskSpace(self.cache, name, look)
        with self.cache.partial() as file:
            writer = SparseWriter(file)
            if manifest_digest:
                digest = self._unbundle(bucket_name, key, manifest_digest, writer, space)
            else:
                digest = self._copy(bucket_name, key, e_tag, writer, space)
            return import_file.add_to_cache(
                self.cache, Path(file.name), digest, name, image_type, space
            )

    def copy(
        self,
        source: str,
        target: str,
        caller: "Caller",
        context: Context | None,
        digest: str | None,
        go_on: Callable[[], None],
    ) -> None:
        """Copy what an image is made of to another location, the manifest last, for a caller.

        Permissions are checked again for each object: the bucket may belong to another account by
        now. `digest` is the SHA-256 of what was registered at the source, a
        manifest or a disk. Raises InvalidManifest, StorageNotPermitted and AccessDenied.
        """
        bucket_name, key = _split(source)
        target_bucket_name, to_key = _split(target)
        same = self._check_unchanged(bucket_name, key, digest)
        names = [*self._part_keys(bucket_name, key), key]
        for name in names:
            with self._open(bucket_name, name) as opened:
                try:
                    bucket = self.store.bucket(bucket_name)
                    self._ask(caller, bucket, opened.object, context)
                except AccessDenied as denied:
                    raise StorageNotPermitted(reason=denied.message) from None
                if name == key:
                    same(opened.object)
                there = _sibling_key(to_key, name.rpartition("/")[2]) if name != key else to_key
                self.write(
                    target_bucket_name, there, self._with_stop_check(opened, go_on), caller, context
                )

    def write(
        self,
        bucket_name: str,
        key: str,
        stream: "BodyStream",
        caller: "Caller",
        context: Context | None = None,
        acl: str = "",
    ) -> None:
        """Put an object for a caller who may do that at this moment; raises AccessDenied.

        A bucket that has no access lists is written without one.
        """
        bucket = self.store.bucket(bucket_name)
        written = {"bucket": bucket_name, "key": key}
        if acl and not access.acls_disabled(bucket):
            written["acl"] = acl
        policies = partial(self._find_policies, caller)
        request = DetachedRequest(caller, "PutObject", written, context or {}, policies)
        access.check(request, bucket, key)
        properties = object_request.object_properties(written, request, bucket, self.accounts)
        key_spec = encryption.bucket_default(self.store.bucket(bucket_name), self.store)
        self.store.put(bucket_name, key, stream, properties, encryption=key_spec)

    def _with_stop_check(self, opened: "OpenObject", go_on: Callable[[], None]) -> "BodyStream":
        def look() -> None:
            go_on()
            if self.stopping.is_set():
                raise StoppedError

        return _StoppableObject(opened, look)

    def _check_unchanged(
        self, bucket_name: str, key: str, digest: str | None
    ) -> "Callable[[Object], None]":
        """Check that an object is what was registered; return the check that it still is."""
        changed = InvalidManifest(name=f"{bucket_name}/{key}", reason=CHANGED)
        summed = hashlib.sha256()
        with self._open(bucket_name, key) as opened:
            for chunk in opened.chunks(0, opened.object.size):
                summed.update(chunk)
                if self.stopping.is_set():
                    raise StoppedError
        if summed.hexdigest() != digest:
            raise changed

        def check(now: "Object") -> None:
            if now.e_tag != opened.object.e_tag:
                raise changed

        return check

    def _part_keys(self, bucket_name: str, key: str) -> list[str]:
        with self._open(bucket_name, key) as opened:
            head = b"".join(opened.chunks(0, min(HEAD, opened.object.size)))
        if not head.lstrip(WHITE).startswith(b"<"):
            return []
        return [_sibling_key(key, part.name) for part in self._read(bucket_name, key).parts]

    def _unbundle(
        self, bucket_name: str, key: str, digest: str | None, writer: SparseWriter, space: DiskSpace
    ) -> str:
        from eucabox.image import unbundle

        parsed = self._read(bucket_name, key)
        if parsed.digest != digest:
            raise InvalidManifest(name=parsed.location, reason=CHANGED)
        space.check(parsed.size)
        secret, iv = manifest.open_key(parsed, self.accounts.cloud_private_key)

        @contextlib.contextmanager
        def opener(name: str) -> Iterator[_Part]:
            with self._open(bucket_name, _sibling_key(key, name)) as opened:
                yield _Part(opened)

        return unbundle.unbundle(parsed, secret, iv, opener, writer, lambda *_: space.watch())

    def _copy(
        self, bucket_name: str, key: str, e_tag: str, writer: SparseWriter, space: DiskSpace
    ) -> str:
        with self._open(bucket_name, key) as opened:
            if e_tag not in ("", opened.object.e_tag):
                raise InvalidManifest(name=f"{bucket_name}/{key}", reason=CHANGED)
            formats.refuse_size(opened.object.size, space.name)
            space.check(opened.object.size)
            for chunk in opened.chunks(0, opened.object.size):
                writer.write(chunk)
                space.watch()
        return writer.finish()

    def _read(
        self, bucket_name: str, key: str, check: "Callable[[Object], None]" = lambda obj: None
    ) -> Manifest:
        location = f"{bucket_name}/{key}"
        with self._open(bucket_name, key) as opened:
            check(opened.object)
            size = opened.object.size
            if size > manifest.MAXIMUM:
                raise InvalidManifest(
                    name=location,
                    reason=f"it has {size} bytes; a manifest has {manifest.MAXIMUM} at most.",
                )
            return manifest.parse(b"".join(opened.chunks(0, size)), location)

    def _part_objects(self, parsed: Manifest, bucket_name: str, key: str) -> "list[Object]":
        objects = []
        for number, part in enumerate(parsed.parts):
            try:
                objects.append(self.store.head(bucket_name, _sibling_key(key, part.name)))
            except Fault as fault:
                if fault.code not in MISSING:
                    raise
                raise InvalidManifest(
                    name=parsed.location,
                    reason=f"its part {number} ({part.name}) is not in the bucket {bucket_name};"
                    " upload it.",
                ) from None
        return objects

    @contextlib.contextmanager
    def _open(self, bucket_name: str, key: str) -> "Iterator[OpenObject]":
        try:
            opened = self.store.open(bucket_name, key)
        except Fault as fault:
            if fault.code not in MISSING:
                raise
            raise InvalidManifest(
                name=f"{bucket_name}/{key}", reason="there is no such object in the bucket."
            ) from None
        with opened:
            yield opened

    def _check_read(
        self, caller: "Caller", bucket: "Bucket", obj: "Object", context: Context | None
    ) -> None:
        try:
            self._ask(caller, bucket, obj, context)
        except AccessDenied as denied:
            reason = f"the object {obj.key} of the image is not yours to get. {denied.message}"
            raise UnauthorizedOperation(reason=reason) from None

    def _check_known(
        self, caller: "Caller", bucket: "Bucket", key: str, context: Context | None
    ) -> None:
        """Raise UnauthorizedOperation to a caller who must not learn whether an object exists."""
        members = {"bucket": bucket.name, "key": key}
        policies = partial(self._find_policies, caller)
        request = DetachedRequest(caller, "GetObject", members, context or {}, policies)
        try:
            access.check_known(request, bucket, key)
        except AccessDenied as denied:
            reason = f"the object {key} of the image is not yours to get. {denied.message}"
            raise UnauthorizedOperation(reason=reason) from None

    def _ask(
        self, caller: "Caller", bucket: "Bucket", obj: "Object", context: Context | None
    ) -> None:
        policies = partial(self._find_policies, caller)
        access.check_read(caller, bucket, obj, find_policies=policies, context=context)

    def _find_policies(self, caller: "Caller") -> "CallerPolicies":
        return self.accounts.authorization.find_policies(caller)

    def _get_own_bucket(self, bucket_name: str, location: str, caller: "Caller") -> "Bucket":
        try:
            bucket = self.store.bucket(bucket_name)
        except Fault as fault:
            if fault.code not in MISSING:
                raise
            raise ImageLocationInvalid(
                location=location, reason=f"There is no bucket {bucket_name}."
            ) from None
        if bucket.owner != caller.account_id and not caller.admin:
            raise UnauthorizedOperation(
                reason=f"the bucket {bucket_name} of the image is not yours. Copy the image into a"
                " bucket of your own."
            )
        return bucket


def read_disk_size(head: bytes, size: int, location: str) -> int:
    """Return the bytes that a guest sees of a whole disk, from the first HEAD bytes of its file
    and the file's size, after the checks that these allow.

    `location` is for messages. Raises InvalidManifest and DiskImageRefused.
    """
    name = location.rpartition("/")[2]
    formats.refuse_others(head, name)
    kind = formats.kind_of(head)
    if kind not in ("qcow2", "disk"):
        raise InvalidManifest(
            name=location,
            reason="it is neither a manifest nor a disk (qcow2, or raw with a partition table). A"
            " root file system, kernel or ramdisk has to be bundled.",
        )
    size = formats.qcow2_size(head) if kind == "qcow2" else size
    formats.refuse_size(size, name)
    return size


def _info_of_bundle(parsed: Manifest, bucket_name: str, key: str) -> ImageInfo:
    is_machine = parsed.image_type == "machine"
    return ImageInfo(
        location=f"{bucket_name}/{key}",
        name=parsed.name or key.rpartition("/")[2].removesuffix(".manifest.xml"),
        image_type=parsed.image_type,
        architecture=parsed.architecture,
        virtualization_type="paravirtual",
        size=parsed.size,
        digest=parsed.digest,
        kernel_id=parsed.kernel_id if is_machine else "",
        ramdisk_id=parsed.ramdisk_id if is_machine else "",
        mapping=parsed.block_device_mapping,
    )


def _split(location: str) -> tuple[str, str]:
    if URL.match(location):
        reason = "It is a URL, and an image is read from a bucket of this cloud alone."
        raise ImageLocationInvalid(location=location[:200], reason=reason)
    bucket, slash, key = location.lstrip("/").partition("/")
    if not (bucket and slash and key):
        raise ImageLocationInvalid(location=location, reason="It names no bucket or no key.")
    return bucket, key


def _sibling_key(key: str, name: str) -> str:
    return key[: key.rfind("/") + 1] + name
