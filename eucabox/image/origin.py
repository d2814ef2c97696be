"""Where images come from: manifests, parts and disks in buckets, checked; never a row of state."""

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from eucabox.errors import (
    Fault,
    ImageLocationInvalid,
    InvalidManifest,
    UnauthorizedOperation,
)
from eucabox.image import intake, manifest, probe, unbundle
from eucabox.image.cache import Cache, Entry
from eucabox.image.manifest import Manifest
from eucabox.image.sparse import SparseWriter

if TYPE_CHECKING:
    from eucabox.accounts import Accounts, Caller
    from eucabox.bucket import Object, ObjectFacts, OpenObject, Store

HEAD = 2048
WHITE = b"\xef\xbb\xbf \t\r\n"
MISSING = ("NoSuchKey", "NoSuchBucket", "InvalidBucketName")


class StoppedError(Exception):
    """The cloud is being stopped; nothing is wrong with the image."""


@dataclass(frozen=True)
class Found:
    """What lies at an image location; size in bytes, `digest` of a manifest's text or ''."""

    location: str
    name: str
    image_type: str
    architecture: str
    virtualization_type: str
    size: int
    digest: str = ""
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


class Origin:
    """Reads images out of the bucket store into the cache."""

    def __init__(
        self, store: "Store", accounts: "Accounts", cache: Cache, stopping: threading.Event
    ) -> None:
        self.store, self.accounts, self.cache, self.stopping = store, accounts, cache, stopping

    def look(self, location: str, caller: "Caller") -> Found:
        """Tell what lies at BUCKET/KEY and check what can be checked at once."""
        bucket, key = _split(location)
        self._check_owner(bucket, location, caller)
        with self._opened(bucket, key) as opened:
            head = b"".join(opened.chunks(0, min(HEAD, opened.object.size)))
            size = opened.object.size
        if head.lstrip(WHITE).startswith(b"<"):
            return _bundled(self.manifest(bucket, key, caller), bucket, key)
        name = key.rpartition("/")[2]
        probe.refuse_others(head, name)
        kind = probe.kind_of(head)
        if kind not in ("qcow2", "disk"):
            raise InvalidManifest(
                name=f"{bucket}/{key}",
                reason="it is neither a manifest nor a disk (qcow2, or raw with a partition"
                " table). A root file system, kernel or ramdisk has to be bundled.",
            )
        size = probe.qcow2_size(head) if kind == "qcow2" else size
        probe.refuse_size(size, name)
        return Found(f"{bucket}/{key}", name, "machine", "x86_64", "hvm", size)

    def manifest(self, bucket: str, key: str, caller: "Caller") -> Manifest:
        """Read and check a manifest, and that its parts are there; raises InvalidManifest."""
        self._check_owner(bucket, f"{bucket}/{key}", caller)
        found = self._read(bucket, key)
        manifest.verify(found, self.accounts.certificates())
        manifest.open_key(found, self.accounts.cloud_private_key)
        probe.refuse_size(found.size, found.name)
        unbundle.check_sizes(found, self._part_sizes(found, bucket, key))
        return found

    def fetch(
        self, location: str, image_type: str, manifest_digest: str, go_on: Callable[[], None]
    ) -> Entry:
        """Bring an image into the cache and return its entry.

        `go_on` is called now and then and may raise to give up. Raises InvalidManifest and
        DiskImageRefused with the cause, StoppedError when the cloud is being stopped.
        """

        def step(done: int, total: int) -> None:
            if self.stopping.is_set():
                raise StoppedError
            go_on()

        bucket, key = _split(location)
        with self.cache.partial() as file:
            writer = SparseWriter(file)
            if manifest_digest:
                digest = self._unbundle(bucket, key, manifest_digest, writer, step)
            else:
                digest = self._copy(bucket, key, writer, step)
            name = key.rpartition("/")[2]
            return intake.settle(self.cache, Path(file.name), digest, name, image_type)

    def copy(self, source: str, target: str, facts: "ObjectFacts", digest: str) -> None:
        """Copy what an image is made of to another location, the manifest last.

        `digest` is the SHA-256 of what was registered at the source, a manifest or a disk: by now
        something else may be there that is not for who copies. Raises InvalidManifest.
        """
        bucket, key = _split(source)
        to_bucket, to_key = _split(target)
        same = self._same(bucket, key, digest)
        for name in self._part_names(bucket, key):
            if self.stopping.is_set():
                raise StoppedError
            there = (to_bucket, _beside(to_key, name))
            self.store.copy(bucket, _beside(key, name), *there, facts)
        with self._opened(bucket, key):  # a source that is gone is told as any other's
            self.store.copy(bucket, key, to_bucket, to_key, facts, check=same)

    def _same(self, bucket: str, key: str, digest: str) -> "Callable[[Object], None]":
        """Check that an object is what was registered; return the check that it still is."""
        reason = "it was changed after the image was registered. Register it again."
        changed = InvalidManifest(name=f"{bucket}/{key}", reason=reason)
        summed = hashlib.sha256()
        with self._opened(bucket, key) as opened:
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

    def _part_names(self, bucket: str, key: str) -> list[str]:
        with self._opened(bucket, key) as opened:
            head = b"".join(opened.chunks(0, min(HEAD, opened.object.size)))
        if not head.lstrip(WHITE).startswith(b"<"):
            return []
        return [part.name for part in self._read(bucket, key).parts]

    def _unbundle(
        self, bucket: str, key: str, digest: str, writer: SparseWriter, step: unbundle.Progress
    ) -> str:
        found = self._read(bucket, key)
        if found.digest != digest:
            raise InvalidManifest(
                name=found.location,
                reason="it was changed after the image was registered. Register it again.",
            )
        secret, iv = manifest.open_key(found, self.accounts.cloud_private_key)

        @contextlib.contextmanager
        def opener(name: str) -> Iterator[_Part]:
            with self._opened(bucket, _beside(key, name)) as opened:
                yield _Part(opened)

        return unbundle.unbundle(found, secret, iv, opener, writer, step)

    def _copy(self, bucket: str, key: str, writer: SparseWriter, step: unbundle.Progress) -> str:
        with self._opened(bucket, key) as opened:
            for chunk in opened.chunks(0, opened.object.size):
                writer.write(chunk)
                step(writer.written, opened.object.size)
        return writer.finish()

    def _read(self, bucket: str, key: str) -> Manifest:
        location = f"{bucket}/{key}"
        with self._opened(bucket, key) as opened:
            size = opened.object.size
            if size > manifest.MAXIMUM:
                raise InvalidManifest(
                    name=location,
                    reason=f"it has {size} bytes; a manifest has {manifest.MAXIMUM} at most.",
                )
            return manifest.parse(b"".join(opened.chunks(0, size)), location)

    def _part_sizes(self, found: Manifest, bucket: str, key: str) -> list[int]:
        sizes = []
        for number, part in enumerate(found.parts):
            try:
                sizes.append(self.store.head(bucket, _beside(key, part.name)).size)
            except Fault as fault:
                if fault.code not in MISSING:
                    raise
                raise InvalidManifest(
                    name=found.location,
                    reason=f"its part {number} ({part.name}) is not in the bucket {bucket};"
                    " upload it.",
                ) from None
        return sizes

    @contextlib.contextmanager
    def _opened(self, bucket: str, key: str) -> "Iterator[OpenObject]":
        try:
            opened = self.store.open(bucket, key)
        except Fault as fault:
            if fault.code not in MISSING:
                raise
            raise InvalidManifest(
                name=f"{bucket}/{key}", reason="there is no such object in the bucket."
            ) from None
        with opened:
            yield opened

    def _check_owner(self, bucket: str, location: str, caller: "Caller") -> None:
        try:
            owner = self.store.bucket(bucket).owner
        except Fault as fault:
            if fault.code not in MISSING:
                raise
            raise ImageLocationInvalid(
                location=location, reason=f"There is no bucket {bucket}."
            ) from None
        if owner != caller.account_id and not caller.admin:
            raise UnauthorizedOperation(
                reason=f"the bucket {bucket} of the image is not yours. Copy the image into a"
                " bucket of your own."
            )


def _bundled(found: Manifest, bucket: str, key: str) -> Found:
    is_machine = found.image_type == "machine"
    return Found(
        location=f"{bucket}/{key}",
        name=found.name or key.rpartition("/")[2].removesuffix(".manifest.xml"),
        image_type=found.image_type,
        architecture=found.architecture,
        virtualization_type="paravirtual",
        size=found.size,
        digest=found.digest,
        kernel_id=found.kernel_id if is_machine else "",
        ramdisk_id=found.ramdisk_id if is_machine else "",
        mapping=found.block_device_mapping,
    )


def _split(location: str) -> tuple[str, str]:
    bucket, slash, key = location.lstrip("/").partition("/")
    if not (bucket and slash and key):
        raise ImageLocationInvalid(location=location, reason="It names no bucket or no key.")
    return bucket, key


def _beside(key: str, name: str) -> str:
    return key[: key.rfind("/") + 1] + name
