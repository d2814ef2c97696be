"""`eucabox backup` and `eucabox restore`: the whole cloud in one sealed file, and back."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

import click

from eucabox.cli import CommandContext
from eucabox.cli.data_owner import (
    act_as_owner,
    become_owner,
    give_file_to_caller,
    is_unit_installed,
)
from eucabox.cli.opened_accounts import AS_JSON
from eucabox.cli.progress import Progress, Steps
from eucabox.config import Config
from eucabox.errors import FolderMissing, NoPassphrase
from eucabox.operator.backup.create import check_place, write_backup
from eucabox.operator.backup.restore import Restored, restore_backup
from eucabox.operator.backup.sealed_file import SealedReader, SealedWriter
from eucabox.operator.backup.verify import verify_backup

VARIABLE = "EUCABOX_BACKUP_PASSPHRASE"
HANDED_ON = "EUCABOX_RESTORE_FILES"  # descriptors that root opened for the owner of the data
SHORTEST, LONGEST = 12, 1024
MIB = 2**20
# not `readable`: root opens it, and then the command runs as another user
FILE = click.Path(dir_okay=False, readable=False, path_type=Path)
PASSPHRASE_FILE = click.option(
    "--passphrase-file",
    type=FILE,
    help=f"The file whose first line is the passphrase; else {VARIABLE}, else it is asked for.",
)


@click.group()
def backup() -> None:
    """Write the whole cloud into one sealed file, or look whether such a file is whole."""


@backup.command("create")
@click.argument("file", type=FILE)
@click.option("--buckets/--no-buckets", default=True, show_default=True, help="With all objects.")
@PASSPHRASE_FILE
@click.option("--anew", is_flag=True, help="Drop FILE.partial of an earlier run; begin anew.")
@AS_JSON
@click.pass_obj
def create(
    settings: CommandContext,
    file: Path,
    buckets: bool,
    passphrase_file: Path | None,
    anew: bool,
    as_json: bool,
) -> None:
    """Write a backup of the cloud, which may run meanwhile, to FILE.

    The same command goes on where a run was killed, or the disk was full.
    """
    config = settings.config
    check_place(config, file)
    passphrase = _read_passphrase(passphrase_file, is_new=True)
    with SealedWriter(file, passphrase, anew=anew) as sink:
        if sink.position is not None and not as_json:
            click.echo(f"The backup that was begun in {file}.partial goes on.")
        with act_as_owner(config), _StepByStep(as_json) as steps:
            contents = write_backup(
                config, sink, with_buckets=buckets, step=steps.begin, share=steps.share
            )
        size = sink.finish()
    give_file_to_caller(file)
    record = contents.to_record()
    if as_json:
        click.echo(json.dumps({"file": str(file), "size": size, **record}))
        return
    for note in contents.notes:
        click.echo(note, err=True)
    click.echo(f"{file}: {size / MIB:.1f} MiB; {_summarize(record)}")


@backup.command("verify")
@click.argument("file", type=FILE)
@PASSPHRASE_FILE
@AS_JSON
def verify(file: Path, passphrase_file: Path | None, as_json: bool) -> None:
    """Read the whole FILE and say whether all of it is as it was written.

    A file that is damaged ends the command with status 1 and the place of the damage.
    """
    with file.open("rb") as opened, _StepByStep(as_json) as steps:
        passphrase = _read_passphrase(passphrase_file)
        reader = SealedReader(opened.fileno(), file, passphrase)
        steps.begin("read the backup")
        head, manifest = verify_backup(reader, steps.share)
    record = manifest.contents.to_record()
    if as_json:
        click.echo(json.dumps({"file": str(file), "whole": True, **vars(head), **record}))
        return
    click.echo(f"{file} is whole: of {head.host}, begun {head.begun} by eucabox {head.program}")
    click.echo(f"  {_summarize(record)}")


@click.command()
@click.argument("file", type=FILE)
@PASSPHRASE_FILE
@AS_JSON
@click.pass_obj
def restore(
    settings: CommandContext, file: Path, passphrase_file: Path | None, as_json: bool
) -> None:
    """Restore a backup into the data directory, which has to be empty; eucabox must not run.

    Until the restore has ended well eucabox does not start there.
    """
    config = settings.config
    _check_owner(config)
    with _open_as_caller(config, file, passphrase_file) as (descriptor, passphrase):
        reader = SealedReader(descriptor, file, passphrase)
        with _StepByStep(as_json) as steps:
            steps.begin("restore")
            restored = restore_backup(config, reader, steps.share)
    _show_restored(config, restored, as_json=as_json)


def _show_restored(config: Config, restored: Restored, *, as_json: bool) -> None:
    record = restored.manifest.contents.to_record()
    folder = config.cloud.data_dir
    if as_json:
        settings = str(restored.settings) if restored.settings else None
        facts = {"folder": str(folder), "kept": restored.kept, "settings": settings}
        click.echo(json.dumps({**facts, **vars(restored.head), **record}))
        return
    click.echo(f"{folder} has the cloud of {restored.head.host}, {restored.head.begun}:")
    click.echo(f"  {_summarize({**record, 'instances': len(restored.kept)})}")
    if restored.settings:
        click.echo(
            f"Compare its settings, in {restored.settings}, with this host's; then start it."
        )


def _summarize(record: Mapping[str, object]) -> str:
    names = ("buckets", "objects", "versions", "uploads", "images")
    return ", ".join(f"{record[name]} {name}" for name in names) + (
        f", {record['instances']} stopped instances with their disks"
    )


# --- who reads what --------------------------------------------------------------------------


def _check_owner(config: Config) -> None:
    """Raise FolderMissing where root would restore the service's data into a folder of root's."""
    folder = config.cloud.data_dir
    if os.geteuid() == 0 and is_unit_installed() and not folder.exists():
        raise FolderMissing(folder=folder)


@contextlib.contextmanager
def _open_as_caller(
    config: Config, file: Path, passphrase_file: Path | None
) -> Iterator[tuple[int, bytes]]:
    """Open the file and read the passphrase with the rights of who typed the command; what follows
    is done as the owner of the data, by running the command again."""
    handed_on = os.environ.pop(HANDED_ON, "")
    if handed_on:
        descriptor, secret = (int(each) for each in handed_on.split(","))
        with os.fdopen(secret, "rb") as stream:
            passphrase = stream.read(LONGEST)
    else:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        passphrase = _read_passphrase(passphrase_file)
        _hand_on(config, descriptor, passphrase)
    try:
        yield descriptor, passphrase
    finally:
        os.close(descriptor)


def _hand_on(config: Config, descriptor: int, passphrase: bytes) -> None:
    """Become the owner of the data, if that is another than root, with both in hand."""
    secret = os.memfd_create("passphrase")
    os.write(secret, passphrase)
    os.lseek(secret, 0, os.SEEK_SET)
    for each in (descriptor, secret):
        os.set_inheritable(each, True)
    os.environ[HANDED_ON] = f"{descriptor},{secret}"
    become_owner(config)
    del os.environ[HANDED_ON]
    os.set_inheritable(descriptor, False)
    os.close(secret)


def _read_passphrase(file: Path | None, *, is_new: bool = False) -> bytes:
    """Return the passphrase of the file, the environment or the terminal; NoPassphrase."""
    text = os.environ.get(VARIABLE, "")
    if file is not None:
        with file.open("rb") as opened:
            line = opened.read(LONGEST + 2).partition(b"\n")[0]
        text = line.decode("utf-8", "surrogateescape").rstrip("\r")
    elif not text and sys.stdin.isatty():
        text = click.prompt("Passphrase", hide_input=True, confirmation_prompt=is_new, err=True)
    passphrase = text.encode("utf-8", "surrogateescape")
    if not passphrase:
        raise NoPassphrase(reason=f"name a file by --passphrase-file, or set {VARIABLE}")
    if len(passphrase) > LONGEST:
        raise NoPassphrase(reason=f"it may have {LONGEST} bytes")
    if is_new and len(passphrase) < SHORTEST:
        reason = f"of {SHORTEST} characters at least: whoever guesses it has all keys of the cloud"
        raise NoPassphrase(reason=reason)
    return passphrase


class _StepByStep:
    """Shows one step after the other, each until the next begins."""

    def __init__(self, quiet: bool) -> None:
        self._steps = Steps(quiet)
        self._stack = contextlib.ExitStack()
        self._progress: Progress = lambda done, total: None
        self._shown = -1

    def __enter__(self) -> "_StepByStep":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, exception, trace)

    def begin(self, what: str) -> None:
        """End the step before, if any, and begin another."""
        self._stack.close()
        self._progress = self._stack.enter_context(self._steps.step(what))
        self._shown = -1

    def share(self, done: int, total: int) -> None:
        """Show how much of the step is done, in percent."""
        percent = min(100, 100 * done // total) if total else 100
        if percent != self._shown:
            self._shown = percent
            self._progress(percent, 100)
