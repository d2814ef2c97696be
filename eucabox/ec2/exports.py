"""Exports: disks of images and instances written as whole qcow2 files for the operator to take;
in memory, one at a time. An image or instance itself stays as it is."""

import contextlib
import logging
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from eucabox import ids
from eucabox.config import Config
from eucabox.ec2.bundle_tasks import bundling_in_progress, find_open_task
from eucabox.errors import (
    ExportFailed,
    ExportNotFound,
    Fault,
    ImageNotFound,
    InstanceNotFound,
    NotExportable,
    TooManyExports,
)
from eucabox.hypervisor import architecture
from eucabox.image import export, settings, sparse
from eucabox.image.disk_space import LEFT
from eucabox.image.export import ExportedDisk, ExportSource
from eucabox.image.grub import KernelFiles
from eucabox.image.instance_disks import CMDLINE
from eucabox.image.workers import Workers
from eucabox.schema import ImageRow, InstanceRow
from eucabox.state import State

if TYPE_CHECKING:
    from eucabox.image.instance_disks import Boot
    from eucabox.images import Images
    from eucabox.node import Node

log = logging.getLogger("eucabox.exports")
MOST_WAITING = 16
LEASE = 60.0  # seconds that an export is kept, or made, for one who asks nothing about it
LOOK = 0.25
RESUME_TRIES, RESUME_WAIT = 60, 1.0  # of a guest that a killed process left paused
COPY, PAUSED = "overlay.qcow2", ".paused"
ExportState = Literal["waiting", "copying", "writing", "complete", "failed"]


class _EndedError(Exception):
    """Nobody wants the export any more, or the cloud is being stopped."""


@dataclass
class Export:
    """One export; `done` of `total` bytes are written, `folder` has the files once complete."""

    export_id: str
    resource_id: str
    folder: Path
    wanted_until: float
    state: ExportState = "waiting"
    total: int = 0
    message: str = ""
    exported: ExportedDisk | None = None
    is_ended: bool = False

    @property
    def done(self) -> int:
        """Return the bytes that are written so far."""
        with contextlib.suppress(OSError):
            files = [path for path in self.folder.iterdir() if path.name != COPY]
            return sum(sparse.disk_bytes(path) for path in files)
        return 0


class Exports:
    """Writes exports into a folder of their own and keeps each while it is asked for."""

    def __init__(self, config: Config, state: State, images: "Images", node: "Node") -> None:
        self.folder = config.cloud.data_dir / "exports"
        self._state, self._images, self._node = state, images, node
        self._lock = threading.Lock()
        self._known: dict[str, Export] = {}
        self._stopping = threading.Event()
        self._worker = Workers("exports", 1)

    def start(self) -> None:
        """Remove what a killed process left, and let the guests go on that it had paused."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        for path in self.folder.iterdir():
            if path.suffix == PAUSED:
                self._worker.submit(self._resume_later, path)
            else:
                shutil.rmtree(path, ignore_errors=True)

    def close(self) -> None:
        """Give up what is being written."""
        self._stopping.set()
        self._worker.close()

    def begin(self, resource_id: str) -> Export:
        """Begin to export an image or an instance.

        Raises ImageNotFound, InstanceNotFound, NotExportable, BundlingInProgress, TooManyExports.
        """
        if resource_id.startswith("i-"):
            self._get_instance(resource_id)
        else:
            self._get_image(resource_id)
        export_id = ids.new("export")
        made = Export(export_id, resource_id, self.folder / export_id, time.monotonic() + LEASE)
        with self._lock:
            self._forget_old()
            if len(self._known) >= MOST_WAITING:
                raise TooManyExports(count=len(self._known))
            self._known[export_id] = made
        self._worker.submit(self._carry_out, made)
        return made

    def find(self, export_id: str) -> Export:
        """Return an export, which is kept for a while longer; raises ExportNotFound."""
        with self._lock:
            known = self._known.get(export_id)
            if known is None or known.is_ended:
                raise ExportNotFound(id=export_id[:60])
            known.wanted_until = time.monotonic() + LEASE
            return known

    def end(self, export_id: str) -> None:
        """Remove an export, or stop writing it; raises ExportNotFound."""
        self.find(export_id).is_ended = True

    def _forget_old(self) -> None:
        for export_id, known in list(self._known.items()):
            if known.is_ended or known.wanted_until < time.monotonic():
                del self._known[export_id]

    def _carry_out(self, made: Export) -> None:
        try:
            self._check_wanted(made)
            made.folder.mkdir(mode=0o700)
            with contextlib.ExitStack() as pins:
                made.state = "copying"
                source = self._find_source(made, pins)
                made.state = "writing"
                self._write(made, source)
            made.state = "complete"
            while True:  # it is the reader's until it says so, or falls silent
                self._check_wanted(made)
                self._stopping.wait(LOOK)
        except _EndedError:
            log.info("%s of %s is over", made.export_id, made.resource_id)
        except Fault as fault:
            self._fail(made, fault.message)
        except OSError as problem:
            self._fail(made, f"The export failed: {problem.strerror or problem}.")
        except Exception:  # the worker must survive every export
            log.exception("%s failed", made.export_id)
            self._fail(made, "Something in this cloud went wrong; its log says what.")
        finally:
            shutil.rmtree(made.folder, ignore_errors=True)

    def _fail(self, made: Export, message: str) -> None:
        log.warning("%s of %s failed: %s", made.export_id, made.resource_id, message)
        made.message, made.state = message, "failed"

    def _check_wanted(self, made: Export) -> None:
        if self._stopping.is_set() or made.is_ended or made.wanted_until < time.monotonic():
            raise _EndedError

    def _write(self, made: Export, source: ExportSource) -> None:
        def check_space(size: int) -> None:
            made.total = size - LEFT
            free = shutil.disk_usage(made.folder).free
            if size > free:
                reason = (
                    f"it takes about {size} bytes in {self.folder} for a while, and {free} are free"
                )
                raise ExportFailed(reason=reason)

        watch = lambda: self._check_wanted(made)  # noqa: E731
        made.exported = export.write(source, made.folder, watch, check_space)
        made.total = made.done

    def _find_source(self, made: Export, pins: contextlib.ExitStack) -> ExportSource:
        if made.resource_id.startswith("i-"):
            return self._copy_instance(made)
        row = self._get_image(made.resource_id)

        def go_on(_: str) -> None:
            self._check_wanted(made)

        entry = self._images.pin(pins, row["image_id"], go_on)
        wanted = settings.read(row["settings"])
        if entry.facts["kind"] == "disk":
            return ExportSource(entry.path, entry.format, uefi=wanted.uefi)
        files = None
        if row["kernel_id"]:
            kernel = self._images.pin(pins, row["kernel_id"], go_on)
            other = row["ramdisk_id"] and self._images.pin(pins, row["ramdisk_id"], go_on)
            usual = CMDLINE.format(console=architecture.HOST.console, disk="sda")
            line = wanted.kernel_command_line or usual
            files = KernelFiles(kernel.path, other.path if other else None, line)
        return ExportSource(entry.path, entry.format, is_root=True, boots_with=files)

    def _copy_instance(self, made: Export) -> ExportSource:
        """Copy the instance's own changes while its guest stands still: seconds, as the image
        below them never changes."""
        target = made.folder / COPY
        with self._node.copying, self._hold_still(made.resource_id):
            boot = self._images.disk_of(made.resource_id)
            if boot is None:
                raise NotExportable(id=made.resource_id, reason="its disk is gone.")
            with boot.disk.open("rb") as source, target.open("xb") as file:
                file.truncate(boot.disk.stat().st_size)
                sparse.copy(source, file, 0)
        return replace(_describe_boot(boot), file=target)

    @contextlib.contextmanager
    def _hold_still(self, instance_id: str) -> Iterator[None]:
        before = self._get_instance(instance_id)
        if before["state"] == "stopped":
            yield
            if self._get_instance(instance_id)["state_time"] != before["state_time"]:
                raise NotExportable(id=instance_id, reason="it was started meanwhile; try again.")
            return
        mark = (self.folder / instance_id).with_suffix(PAUSED)
        mark.touch()
        try:
            self._node.suspend(instance_id)
            yield
        finally:
            with contextlib.suppress(Fault):
                self._node.resume(instance_id)
            mark.unlink()

    def _resume_later(self, mark: Path) -> None:
        for _ in range(RESUME_TRIES):  # libvirt may not be reached yet
            with contextlib.suppress(Fault), self._node.copying:
                self._node.resume(mark.stem)
                log.info("%s goes on; it was paused for an export", mark.stem)
                break
            if not self._runs(mark.stem) or self._stopping.wait(RESUME_WAIT):
                break
        if not self._stopping.is_set():
            mark.unlink(missing_ok=True)

    def _runs(self, instance_id: str) -> bool:
        sql = "select 1 from instances where instance_id = ? and state = 'running'"
        return self._state.one(sql, [instance_id]) is not None

    def _get_instance(self, instance_id: str) -> InstanceRow:
        sql = "select * from instances where instance_id = ?"
        row = self._state.select_one(InstanceRow, sql, [instance_id])
        if row is None:
            raise InstanceNotFound(id=instance_id[:60])
        if task := find_open_task(self._state, instance_id):
            raise bundling_in_progress(instance_id, task)
        if row["state"] not in ("running", "stopped"):
            reason = f"it is {row['state']}; it has to be running or stopped."
            raise NotExportable(id=instance_id, reason=reason)
        return row

    def _get_image(self, image_id: str) -> ImageRow:
        sql = "select * from images where image_id = ?"
        row = self._state.select_one(ImageRow, sql, [image_id])
        if row is None:
            raise ImageNotFound(id=image_id[:60])
        if row["image_type"] != "machine":
            reason = f"it is a {row['image_type']}. Export the machine image that boots with it."
            raise NotExportable(id=image_id, reason=reason)
        if row["state"] != "available":
            reason = f"it is {row['state']}; it has to be available."
            raise NotExportable(id=image_id, reason=reason)
        return row


def _describe_boot(boot: "Boot") -> ExportSource:
    files = KernelFiles(boot.kernel, boot.ramdisk, boot.cmdline) if boot.kernel else None
    is_root = bool(boot.partitions)  # then the disk is sda1 alone
    return ExportSource(boot.disk, boot.format, is_root, boot.uefi, files)
