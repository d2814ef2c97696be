"""Images: a bundle or a disk in a bucket becomes an id, an id becomes a bootable disk; no HTTP."""

import contextlib
import itertools
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import BinaryIO

from eucabox.bucket import Store
from eucabox.config import Config
from eucabox.errors import (
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    DiskGone,
    Fault,
    ImageNotFound,
    ImageUnavailable,
    InvalidParameterValue,
    LaunchCancelled,
)
from eucabox.iam.accounts import Accounts
from eucabox.iam.caller import Caller
from eucabox.image import devices, disk, image_rows, names, settings
from eucabox.image.cache import Cache, CacheEntry
from eucabox.image.image_rows import BundledInstance
from eucabox.image.image_source import Context, ImageInfo, ImageSource, StoppedError
from eucabox.image.instance_disks import PARTITIONS, Boot, DiskSpec, InstanceDisks, Progress
from eucabox.image.manifest import Manifest
from eucabox.image.workers import Workers
from eucabox.instance_types import check_disk
from eucabox.schema import ImageRow, InstanceRow
from eucabox.state import State

__all__ = ["Boot", "Images"]

log = logging.getLogger("eucabox.images")
GIB = 2**30
WORKERS = 2
WriteMore = Callable[[str], None]


class Images:
    """The door to images: rows of the images table, and the files behind them."""

    def __init__(self, config: Config, state: State, store: Store, accounts: Accounts) -> None:
        self.config, self.state = config, state
        data = config.cloud.data_dir
        self._disks = InstanceDisks(data / "instances")
        self._cache = Cache(data / "cache", self._limit, self._names_in_use)
        self._stopping = threading.Event()
        self._store, self._accounts = store, accounts
        self._source = ImageSource(store, accounts, self._cache, self._stopping)
        self._workers = Workers("images", WORKERS)

    def start(self) -> None:
        """Clean up after a crash and go on with the images that were being verified."""
        self.sweep()
        # An image that is made of an instance has no bundle before its task put it there.
        sql = """select * from images where state = 'pending'
          and (manifest_digest is not null or json_extract(settings, '$.made_of') is null)"""
        for row in self.state.select(ImageRow, sql):
            self._workers.submit(self._finish, row)

    def close(self) -> None:
        """Stop verifying; the images concerned stay pending until the next start."""
        self._stopping.set()
        if not self._workers.close():
            log.warning("an image is still being worked on; the next start takes it up")

    def sweep(self) -> None:
        """Remove the disks of instances that are gone and what a killed process left behind."""
        live = {
            row["instance_id"]
            for row in self.state.query(
                "select instance_id from instances where state != 'terminated'"
            )
        }
        for instance_id in self._disks.all():
            if instance_id not in live:
                self._disks.forget(instance_id)
        self._cache.sweep()
        listed = "select distinct digest from images where digest is not null and state != ?"
        digests = {row["digest"] for row in self.state.query(listed, ["deregistered"])}
        self._cache.keep_only(digests | set(PARTITIONS))
        self._cache.evict()

    def inspect(self, bucket: str, key: str, caller: Caller) -> Manifest:
        """Read and check a manifest, and that its parts are there; raises InvalidManifest."""
        return self._source.manifest(bucket, key, caller)

    def register(
        self,
        caller: Caller,
        image_location: str,
        *,
        name: str = "",
        description: str = "",
        architecture: str = "",
        kernel_id: str = "",
        ramdisk_id: str = "",
        virtualization_type: str = "",
        root_device_name: str = "",
        block_device_mapping: Mapping[str, str] | None = None,
        boot_mode: str = "",
        context: Context | None = None,
        also: WriteMore = lambda _: None,
    ) -> ImageRow:
        """Register a manifest or a disk in a bucket and return its row, state pending.

        `also` is called with the image's id and writes what belongs to it, with the row or not.

        What is quick is checked here; the parts' bytes in the background, after which
        the row is available, or failed with the cause as its state_reason. Raises
        InvalidManifest, ImageLocationInvalid, UnauthorizedOperation, ImageNotFound and others.
        """
        info = self._source.inspect(image_location, caller, context)
        columns = {
            **image_rows.make_registered_row(info, caller),
            "description": description,
            "architecture": architecture or info.architecture,
            "virtualization_type": virtualization_type or info.virtualization_type,
            "kernel_id": self._check_reference(kernel_id or info.kernel_id, "kernel", info, caller),
            "ramdisk_id": self._check_reference(
                ramdisk_id or info.ramdisk_id, "ramdisk", info, caller
            ),
            "settings": json.dumps(
                {
                    "block_device_mapping": dict(block_device_mapping or info.mapping),
                    "virtualization_type": virtualization_type,
                    **({"boot_mode": boot_mode} if boot_mode else {}),
                    **({"e_tag": info.e_tag} if info.e_tag else {}),
                }
            ),
        }
        columns |= {"root_device_name": root_device_name} if root_device_name else {}
        image_id = str(columns["image_id"])
        for virtual, device in (block_device_mapping or {}).items():
            devices.check(device, virtual, left_out=False, whole_disk=not info.digest)
        with self.state.transaction():
            account_id = caller.account_id
            if name:
                names.check_free(self.state, account_id, name)
            columns["name"] = name or names.make_free_name(
                self.state, account_id, info.name, image_id
            )
            self.state.insert("images", columns)
            also(image_id)
            row = self._get_row(image_id)
        self._workers.submit(self._finish, row)
        return row

    def disk_of(self, instance_id: str) -> Boot | None:
        """Return how an instance's disk boots, or None if it has none."""
        return self._disks.find(instance_id)

    def store_for(
        self,
        bucket: str,
        key: str,
        stream: BinaryIO,
        caller: Caller,
        acl: str,
        context: Context | None = None,
    ) -> None:
        """Put an object into a bucket for a caller who may, with a canned ACL; AccessDenied."""
        self._source.write(bucket, key, stream, caller, context, acl)

    def create_pending(
        self, caller: Caller, instance: BundledInstance, name: str, description: str
    ) -> ImageRow:
        """Return the row, state pending, of an image whose bundle is yet to be made."""
        with self.state.transaction():
            names.check_free(self.state, caller.account_id, name)
            columns = image_rows.make_bundle_row(
                caller, instance, self._ensure_own_bucket(caller), name, description
            )
            self.state.insert("images", columns)
            return self._get_row(str(columns["image_id"]))

    def bundle_ready(self, image_id: str, caller: Caller, context: Context | None = None) -> None:
        """Go on with an expected image, now that its bundle is in its bucket."""
        row = self._get_row(image_id)
        info = self._source.inspect(row["image_location"], caller, context)
        where = {"image_id": image_id, "state": "pending"}
        if self.state.update("images", where, size=info.size, manifest_digest=info.digest):
            self._workers.submit(self._finish, self._get_row(image_id))

    def mark_failed(self, image_id: str, reason: str) -> None:
        """Mark a pending image failed."""
        self._change(image_id, "failed", state_reason=reason)

    def _change(self, image_id: str, new: str, **columns: object) -> None:
        """Bring a pending image to its next state, which is an event too."""
        with self.state.transaction():
            where = {"image_id": image_id, "state": "pending"}
            if self.state.update("images", where, state=new, **columns):
                row = self._get_row(image_id)
                self.state.insert("events", image_rows.make_event(row))
                self.state.announce(row["account_id"], "images")
                self.state.announce(row["account_id"], "events")

    def copy(
        self,
        caller: Caller,
        source: ImageRow,
        name: str,
        description: str,
        token: str,
        context: Context | None = None,
        also: WriteMore = lambda _: None,
    ) -> ImageRow:
        """Return the row, state pending, of a copy whose bundle is copied in the background.

        Raises StorageNotPermitted where the caller may not get what the image is made of.
        """
        if not self._find_by_client_token(caller, token):
            self._source.check_copy(source["image_location"], caller, context)
        with self.state.transaction():
            made = self._find_by_client_token(caller, token)
            if made:
                return made
            names.check_free(self.state, caller.account_id, name)
            request = {"client_token": token, "context": dict(context or {})}
            own_bucket = self._ensure_own_bucket(caller)
            columns = image_rows.make_copy_row(
                caller, source, own_bucket, name, description, request
            )
            self.state.insert("images", columns)
            also(str(columns["image_id"]))
            row = self._get_row(str(columns["image_id"]))
        self._workers.submit(self._finish, row)
        return row

    def deregister(self, row: ImageRow, also: WriteMore = lambda _: None) -> None:
        """Take an image off the list; its files stay while an instance or an image needs them."""
        with self.state.transaction():
            self.state.update("images", {"image_id": row["image_id"]}, state="deregistered")
            also(row["image_id"])
        self._drop_if_unlisted(self._get_row(row["image_id"])["digest"])

    def _drop_if_unlisted(self, digest: str | None) -> None:
        others = "select 1 from images where digest = ? and state != 'deregistered'"
        if digest and not self.state.one(others, [digest]):
            self._cache.drop(digest)

    def ensure_cached(self, row: ImageRow, go_on: Callable[[], None] = lambda: None) -> CacheEntry:
        """Return an image's file in the cache, fetched and verified if it is not there.

        `go_on` is called while it is fetched and may raise to give up. Raises InvalidManifest
        and others as `register`, and ImageUnavailable where the bucket no longer has what was
        registered.
        """
        cached = row["digest"] and self._cache.find(row["digest"])
        if cached:
            return cached
        key = f"fetch {row['manifest_digest'] or row['image_location']}"
        with self._cache.only_one(key, go_on):
            row = self._get_row(row["image_id"])
            digest = row["digest"] or self._find_verified_digest(row)
            entry = digest and self._cache.find(digest)
            entry = entry or self._fetch(row, go_on)
            self.state.update(
                "images",
                {"image_id": row["image_id"]},
                digest=entry.name,
                size=entry.facts["size"],
            )
        return entry

    def prepare(
        self, instance: InstanceRow, progress: Progress | None = None, partitions: bool = False
    ) -> Boot:
        """Make an instance's disk and return how it boots; a second call returns the first's.

        With `partitions` sda1, sda2 and sda3 of a root image are devices of their own.

        An instance that was stopped has its disk, or none any more: it never gets a new one.

        `progress` is called with the name of each step. Raises a Fault, the cause for StateReason.
        """
        progress = progress or log.debug
        ready = self._disks.find(instance["instance_id"])
        if ready:
            return self._reuse_disk(instance, ready, progress)
        if instance["stopped_time"]:
            raise DiskGone(id=instance["instance_id"])
        with contextlib.ExitStack() as pins:
            image = self.pin(pins, instance["image_id"], progress)
            hvm = image.facts["kind"] == "disk"
            size, swap_mb = image.facts["size"], self.config.images.swap_mb
            check_disk(
                instance["instance_type"],
                instance["disk_gb"],
                instance["image_id"],
                size if hvm else disk.bytes_needed(size, swap_mb),
            )
            kernel_id, ramdisk_id = (None, None) if hvm else self._kernel_and_ramdisk_ids(instance)
            spec = DiskSpec(
                image=image,
                kernel=self.pin(pins, kernel_id, progress) if kernel_id else None,
                ramdisk=self.pin(pins, ramdisk_id, progress) if ramdisk_id else None,
                disk_mb=instance["disk_gb"] * 1024,
                swap_mb=swap_mb,
                public_key=instance["public_key"] or "",
                injection=self.config.node.key_injection,
                settings=settings.read(self._get_row(instance["image_id"])["settings"]),
                seeded=instance,
                partitions=partitions,
            )
            boot = self._disks.prepare(self._cache, instance["instance_id"], spec, progress)
        for note in boot.notes:
            log.info("%s: %s", instance["instance_id"], note)
            progress(note)
        return boot

    def forget(self, instance_id: str) -> None:
        """Remove a terminated instance's disk, and cache entries that are no longer needed."""
        self._disks.forget(instance_id)
        self._cache.evict()

    def usage(self) -> int:
        """Return the bytes that the cache takes on the disk."""
        return self._cache.usage()

    def _names_in_use(self) -> set[str]:
        """Return the cache entries that instances use, or will use once they are launched."""
        launching = self.state.query(
            "select distinct digest from images where digest is not null and image_id in ("
            " select image_id from instances where state = 'pending'"
            " union select kernel_id from instances where state = 'pending'"
            " union select ramdisk_id from instances where state = 'pending')"
        )
        return self._disks.names_in_use() | {row["digest"] for row in launching}

    def _limit(self) -> int:
        return self.config.images.cache_gb * GIB

    def _get_row(self, image_id: str) -> ImageRow:
        row = self.state.select_one(ImageRow, "select * from images where image_id = ?", [image_id])
        if row is None:
            raise ImageNotFound(id=image_id)
        return row

    def _find_by_client_token(self, caller: Caller, token: str) -> ImageRow | None:
        sql = """select * from images where account_id = ? and state <> 'deregistered'
          and json_extract(settings, '$.client_token') = ?"""
        if not token:
            return None
        return self.state.select_one(ImageRow, sql, (caller.account_id, token))

    def _ensure_own_bucket(self, caller: Caller) -> str:
        """Return the bucket of an account's images that this cloud writes, made if need be."""
        for number in itertools.count(1):
            name = f"emis-for-{caller.account_id}" + (f"-{number}" if number > 1 else "")
            if self.state.rehearses:
                return name
            with contextlib.suppress(BucketAlreadyExists):  # another account took the name
                with contextlib.suppress(BucketAlreadyOwnedByYou):
                    self._store.create_bucket(name, caller.account_id)
                return name
        raise AssertionError("there is no end to numbers")

    def _copy_objects(self, row: ImageRow, go_on: Callable[[], None]) -> None:
        """Copy the objects of an image that is a copy, unless that is done."""
        known = json.loads(row["settings"])
        source = known.get("copied_from")
        if not source:
            return
        asked_by = known.get("asked_by", "")
        caller = self._accounts.user_of(row["account_id"], asked_by)
        digest = row["manifest_digest"] or row["digest"]
        place = (source, row["image_location"])
        self._source.copy(*place, caller, known.get("context"), digest, go_on)

    def _check_still_wanted(self, row: ImageRow) -> Callable[[], None]:
        """Return a check that raises once an image is deregistered; it looks once a second."""
        looked = time.monotonic()

        def look() -> None:
            nonlocal looked
            if time.monotonic() - looked < 1:
                return
            looked = time.monotonic()
            if self._get_row(row["image_id"])["state"] != "pending":
                raise ImageUnavailable(id=row["image_id"], reason="it was deregistered.")

        return look

    def _find_verified_digest(self, row: ImageRow) -> str:
        """Return the digest of a manifest that this account had verified before, or ''.

        A disk has no manifest: what it holds is known once it was read.
        """
        verified = row["manifest_digest"] and self.state.one(
            "select digest from images where manifest_digest = ? and account_id = ?"
            " and image_type = ? and digest is not null",
            [row["manifest_digest"], row["account_id"], row["image_type"]],
        )
        return str(verified["digest"]) if verified else ""

    def _fetch(self, row: ImageRow, go_on: Callable[[], None]) -> CacheEntry:
        known = json.loads(row["settings"])
        entry = self._source.fetch(
            row["image_location"],
            row["image_type"],
            row["manifest_digest"],
            "" if row["digest"] else known.get("e_tag", ""),
            go_on,
        )
        if row["digest"] and entry.name != row["digest"]:
            raise ImageUnavailable(
                id=row["image_id"],
                reason=f"{row['image_location']} has other bytes than when it was registered."
                " Register it again.",
            )
        return entry

    def _check_reference(
        self, image_id: str, image_type: str, info: ImageInfo, caller: Caller
    ) -> str | None:
        if not image_id or info.image_type != "machine":
            return None
        row = self._get_row(image_id)
        sql = "select 1 from launch_permissions where image_id = ? and account_id = ?"
        own = caller.admin or row["account_id"] == caller.account_id
        shared = row["is_public"] or self.state.one(sql, (image_id, caller.account_id))
        if not own and not shared:
            raise ImageNotFound(id=image_id)
        if row["image_type"] != image_type:
            raise InvalidParameterValue(
                value=image_id,
                parameter=f"{image_type.capitalize()}Id",
                reason=f"It is a {row['image_type']} image and not a {image_type}.",
            )
        if row["state"] not in ("available", "pending"):
            raise ImageUnavailable(id=image_id, reason=f"it is {row['state']}.")
        return image_id

    def _finish(self, row: ImageRow) -> None:
        image_id = row["image_id"]
        try:
            go_on = self._check_still_wanted(row)
            self._copy_objects(row, go_on)
            entry = self.ensure_cached(row, go_on)
            self._change(image_id, "available", **image_rows.columns_from_entry(row, entry))
            self._drop_if_unlisted(entry.name)  # it may have been deregistered meanwhile
        except StoppedError:
            log.info("%s stays pending until the next start", row["image_id"])
        except Fault as fault:
            log.warning("%s failed: %s", row["image_id"], fault.message)
            self.mark_failed(image_id, fault.message)
        except OSError as problem:
            log.error("%s failed: %s", row["image_id"], problem)
            reason = f"This host could not store the image: {problem.strerror or 'it failed'}."
            self.mark_failed(image_id, reason)
        except Exception:  # otherwise the image would stay pending for ever
            log.exception("%s failed", row["image_id"])
            reason = "Something in this cloud went wrong; its log says what. Register it again."
            self.mark_failed(image_id, reason)

    def pin(self, pins: contextlib.ExitStack, image_id: str, progress: Progress) -> CacheEntry:
        """Return an image's entry, pinned until `pins` close: else it could be dropped."""
        while True:
            row = self._get_row(image_id)
            if row["state"] == "failed":
                raise ImageUnavailable(id=image_id, reason=row["state_reason"])
            try:
                entry = self.ensure_cached(row, lambda: progress(f"fetching {image_id}"))
            except StoppedError:  # the launch is taken up at the next start
                raise LaunchCancelled(id=image_id) from None
            pins.enter_context(self._cache.pin(entry.name))
            if self._cache.find(entry.name):
                return entry

    def _reuse_disk(self, instance: InstanceRow, ready: Boot, progress: Progress) -> Boot:
        """Return how a disk that is there boots: its kernel may be another since it stopped."""
        if not instance["stopped_time"] or ready.kernel is None:
            return ready
        with contextlib.ExitStack() as pins:
            kernel_id, ramdisk_id = self._kernel_and_ramdisk_ids(instance)
            kernel = self.pin(pins, kernel_id, progress)
            ramdisk = self.pin(pins, ramdisk_id, progress) if ramdisk_id else None
            return self._disks.boot_with(instance["instance_id"], kernel, ramdisk)

    def _kernel_and_ramdisk_ids(self, instance: InstanceRow) -> tuple[str, str | None]:
        image = self._get_row(instance["image_id"])
        kernel_id = instance["kernel_id"] or image["kernel_id"]
        if not kernel_id:
            raise ImageUnavailable(
                id=image["image_id"],
                reason="it is a root file system and has no kernel. Launch it with a kernel id,"
                " or register it again with one.",
            )
        return kernel_id, instance["ramdisk_id"] or image["ramdisk_id"]
