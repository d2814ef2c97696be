"""Makes a backup of a cloud, running or not: the order of its parts, and where a run goes on.

First the buckets, each key as it is at one moment, and then the rest as it is after them.
"""

import json
import socket
from collections.abc import Callable
from pathlib import Path

from eucabox import __version__, ids
from eucabox.config import Config
from eucabox.errors import BackupInsideData, BackupNotResumed, NotSetUp
from eucabox.operator.backup import contents as contents_of
from eucabox.operator.backup import places
from eucabox.operator.backup.bucket_writer import BucketWriter, Share
from eucabox.operator.backup.cloud_writer import CloudWriter
from eucabox.operator.backup.contents import Contents
from eucabox.operator.backup.facts import KeptDisk
from eucabox.operator.backup.members import write_end, write_small
from eucabox.operator.backup.sealed_file import Position, SealedWriter
from eucabox.schema import MIGRATIONS
from eucabox.state import State

Step = Callable[[str], object]  # gets what begins


def check_place(config: Config, file: Path) -> None:
    """Raise BackupInsideData for a file in a folder that the backup is of."""
    for folder in (config.cloud.data_dir, config.bucket_root):
        if file.resolve().is_relative_to(folder.resolve()):
            raise BackupInsideData(file=file, folder=folder)


def write_backup(
    config: Config, sink: SealedWriter, *, with_buckets: bool, step: Step, share: Share
) -> Contents:
    """Write all of a cloud's data; the caller gives the file its name afterwards.

    Raises NotSetUp, StateTooOld, BackupNotResumed, BackupNotWritten and others.
    """
    _check_state(config)
    run = _Run(config, sink, with_buckets)
    if with_buckets and not run.has_buckets:
        step("copy the buckets")
        run.write_buckets(share)
    step("copy the database, the images and the keys")
    writer = CloudWriter(config, sink, run.contents)
    kept = writer.write()
    write_small(sink, places.MANIFEST, run.make_manifest(kept))
    write_end(sink)
    return run.contents


def _check_state(config: Config) -> None:
    file = config.cloud.data_dir / places.DATABASE
    if not file.exists():
        raise NotSetUp(folder=config.cloud.data_dir)
    State(file, migrates=False).close()


class _Run:
    """One run: its contents so far, and how far the buckets are."""

    def __init__(self, config: Config, sink: SealedWriter, with_buckets: bool) -> None:
        self._config, self._sink = config, sink
        self.contents = Contents()
        self._bucket, self._key = "", ""
        self._head = {
            "program": __version__,
            "schema": len(MIGRATIONS),
            "buckets": with_buckets,
            "host": socket.gethostname(),
        }
        self.has_buckets = False
        if sink.position is None:
            head = {**self._head, "begun": ids.now()}
            write_small(sink, places.HEAD, json.dumps(head, indent=1).encode())
        else:
            self._go_on(sink.position)

    def _go_on(self, position: Position) -> None:
        if position["head"] != self._head:
            reason = "it was begun with or without buckets, by another eucabox or on another host"
            raise BackupNotResumed(file=self._sink.file, reason=reason)
        self.contents = contents_of.read_record(position["contents"])
        self._bucket, self._key = position["bucket"], position["key"]
        self.has_buckets = position["has_buckets"]

    def write_buckets(self, share: Share) -> None:
        """Write the buckets that are not in the backup yet."""
        root = self._config.bucket_root
        writer = BucketWriter(root, self._sink, self.contents, share, self._note)
        writer.write(self._bucket, self._key.encode())
        self.has_buckets = True
        self._sink.note(self._make_position())

    def _note(self, bucket: str, key: bytes) -> None:
        self._bucket, self._key = bucket, key.decode()
        if self._sink.is_note_due:
            self._sink.note(self._make_position())

    def _make_position(self) -> Position:
        return {
            "head": self._head,
            "bucket": self._bucket,
            "key": self._key,
            "has_buckets": self.has_buckets,
            "contents": self.contents.to_record(),
        }

    def make_manifest(self, kept: dict[str, KeptDisk]) -> bytes:
        """Return the last member, which says what is in the backup."""
        disks = {instance_id: vars(each) for instance_id, each in kept.items()}
        facts = {**self._head, "finished": ids.now(), "kept": disks}
        return json.dumps({**facts, "contents": self.contents.to_record()}, indent=1).encode()
