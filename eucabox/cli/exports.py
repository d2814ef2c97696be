"""`eucabox image export` and `eucabox instance export`: a disk that boots elsewhere, whole or not
at all."""

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import click

from eucabox.atomic_files import sync_folder
from eucabox.cli import CommandContext, background, operator
from eucabox.cli.data_owner import act_as_owner, give_file_to_caller
from eucabox.cli.progress import Progress, Steps
from eucabox.config import Config
from eucabox.image import sparse
from eucabox.image.export import DISK, KERNEL, RAMDISK

LOOK = 0.3  # seconds between two looks at an export
ASK_AGAIN = 5.0  # while the file is copied; the cloud keeps it for a minute
CHUNK = 8 << 20
MODE = 0o600  # a disk holds the keys and passwords of its guest
FILE = click.Path(dir_okay=False, path_type=Path)
ENDINGS = {KERNEL: "-vmlinuz", RAMDISK: "-initrd"}  # of the files beside a disk
HOW = {
    "bios": "boots by itself, by BIOS",
    "uefi": "boots by itself, by UEFI",
    "kernel": "boots with the kernel and ramdisk beside it",
    "nothing": "has no boot loader and no kernel: it can be attached, and does not boot",
}


def _options(command: Callable[..., None]) -> Callable[..., None]:
    command = click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)
    force = click.option("--force", is_flag=True, help="Replace a file that is there.")
    return force(command)


@click.group()
def instance() -> None:
    """Take instances' disks out of this cloud, as its operator."""


@instance.command("export")
@click.argument("instance_id", metavar="ID")
@click.argument("file", type=FILE)
@_options
@click.pass_obj
def export_instance(
    settings: CommandContext, instance_id: str, file: Path, force: bool, as_json: bool
) -> None:
    """Write the disk of a running or stopped instance as one qcow2 that boots elsewhere.

    A running guest stands still for the moment in which its changes are copied.
    """
    _export(settings.config, instance_id, file, force, as_json)


@click.command("export")
@click.argument("image_id", metavar="ID")
@click.argument("file", type=FILE)
@_options
def export_image(image_id: str, file: Path, force: bool, as_json: bool) -> None:
    """Write the disk of an image as one qcow2 that boots elsewhere; for the cloud's operator."""
    settings: CommandContext = click.get_current_context().find_root().obj
    _export(settings.config, image_id, file, force, as_json)


@dataclass(frozen=True)
class _Target:
    """Where the files of an export go, by their names in the cloud's folder."""

    file: Path
    force: bool

    def place(self, name: str) -> Path:
        """Return the path of a file; those beside the disk have its name in theirs."""
        ending = ENDINGS.get(name)
        return self.file.with_name(self.file.stem + ending) if ending else self.file

    def check(self) -> None:
        """Raise ClickException if a file would be overwritten, or has no folder."""
        if not self.file.parent.is_dir():
            raise click.ClickException(f"{self.file.parent} is no folder: make it first.")
        for name in (DISK, *ENDINGS):
            if not self.force and os.path.lexists(self.place(name)):
                raise _refuse(self.place(name))


def _export(config: Config, resource_id: str, file: Path, force: bool, as_json: bool) -> None:
    target = _Target(file, force)
    target.check()
    if not background.running_pid(config):
        raise click.ClickException("eucabox does not run: start it, as it makes the disk whole.")
    steps = Steps(quiet=as_json)
    (export,) = operator.ask(config, "BeginExport", ResourceId=resource_id)
    export_id = export["exportId"]
    try:
        with steps.step(f"exporting {resource_id}") as progress:
            export = _wait(config, export_id, progress)
        paths = _fetch(config, export_id, export["boots"], target, steps)
    finally:
        with suppress(click.ClickException):
            operator.ask(config, "EndExport", ExportId=export_id)
    _report(export, paths, as_json)


def _wait(config: Config, export_id: str, progress: Progress) -> dict[str, str]:
    while True:
        (export,) = operator.ask(config, "DescribeExport", ExportId=export_id)
        if export["state"] == "failed":
            raise click.ClickException(export["message"])
        if export["state"] == "complete":
            return export
        progress(min(int(export["done"]), int(export["total"])), int(export["total"]))
        time.sleep(LOOK)


def _fetch(
    config: Config, export_id: str, boots: str, target: _Target, steps: Steps
) -> dict[str, Path]:
    """Copy the files out of the cloud's folder, the disk last; return their places by name."""
    folder = config.cloud.data_dir / "exports" / export_id
    paths: dict[str, Path] = {}
    for name in (*(ENDINGS if boots == "kernel" else ()), DISK):
        try:
            with act_as_owner(config):
                source = _open(folder / name)
        except FileNotFoundError:
            if name == RAMDISK:
                continue
            raise
        place = target.place(name)
        with source, steps.step(f"writing {place}") as progress:
            _write(source, place, target.force, _keep_asking(config, export_id, progress))
        paths[name] = place
    return paths


def _open(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")


def _keep_asking(config: Config, export_id: str, progress: Progress) -> Progress:
    """Return a progress callback that tells the cloud meanwhile to keep the export."""
    asked = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal asked
        progress(done, total)
        if time.monotonic() - asked > ASK_AGAIN:
            asked = time.monotonic()
            operator.ask(config, "DescribeExport", ExportId=export_id)

    return tell


def _write(source: BinaryIO, place: Path, force: bool, progress: Progress) -> None:
    """Copy a file under another name first, so that nobody ever meets a half of it."""
    partial = place.with_name(f".{place.name}.new")
    partial.unlink(missing_ok=True)  # of a run that was killed
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(partial, flags, MODE), "wb") as made:
        try:
            _copy(source, made, progress)
            os.fsync(made.fileno())
            _give_name(partial, place, force)
        finally:
            partial.unlink(missing_ok=True)
    sync_folder(place.parent)
    give_file_to_caller(place)


def _copy(source: BinaryIO, target: BinaryIO, progress: Progress) -> None:
    size = os.fstat(source.fileno()).st_size
    target.truncate(size)
    for start, end in sparse.data_runs(source, size):
        position = start
        while position < end:
            data = os.pread(source.fileno(), min(CHUNK, end - position), position)
            if not data:
                raise click.ClickException("the export was cut off while it was copied.")
            position += os.pwrite(target.fileno(), data, position)
            progress(position, size)


def _give_name(partial: Path, place: Path, force: bool) -> None:
    """Rename a complete file; without `force` never over another, also not one just made."""
    if force:
        partial.replace(place)
        return
    try:
        os.link(partial, place, follow_symlinks=False)
    except FileExistsError:
        raise _refuse(place) from None
    except OSError:  # a file system without hard links
        if os.path.lexists(place):
            raise _refuse(place) from None
        partial.replace(place)


def _refuse(place: Path) -> click.ClickException:
    return click.ClickException(f"{place} exists already: --force replaces it.")


def _report(export: dict[str, str], paths: dict[str, Path], as_json: bool) -> None:
    facts = {
        "resource": export["resourceId"],
        "file": str(paths[DISK]),
        "bytes": sparse.disk_bytes(paths[DISK]),
        "boots": export["boots"],
        "kernel": str(paths[KERNEL]) if KERNEL in paths else None,
        "ramdisk": str(paths[RAMDISK]) if RAMDISK in paths else None,
        "command_line": export["commandLine"] or None,
    }
    if as_json:
        click.echo(json.dumps(facts))
        return
    click.echo(f"{paths[DISK]}: {HOW[export['boots']]}.")
    if KERNEL in paths:
        click.echo(f"  kernel   {paths[KERNEL]}")
        click.echo(f"  ramdisk  {paths.get(RAMDISK, 'none')}")
        click.echo(f"  append   {export['commandLine']}")
