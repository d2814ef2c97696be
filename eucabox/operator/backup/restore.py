"""Restores a backup into empty folders: every name is checked, every path is made here."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from eucabox.atomic_files import make_folder
from eucabox.config import Config
from eucabox.errors import BackupDamaged, Fault, RestoreNotWritten
from eucabox.operator.backup import places, restored_cloud
from eucabox.operator.backup.facts import BackupManifest, Head
from eucabox.operator.backup.members import Member
from eucabox.operator.backup.places import MemberPlace
from eucabox.operator.backup.restore_folder import claim_folders
from eucabox.operator.backup.sealed_file import SealedReader
from eucabox.operator.backup.verify import CheckedBackup
from eucabox.store.paths import digest
from eucabox.store.restored_bucket import RestoredBucket, fill
from eucabox.store.version_files import MARKER, VersionFile

SMALL = 16 << 20  # bytes of a bucket's settings at most
LONGEST_KEY = 1024
SETTINGS = "restored-settings"  # the folder of the old machine's configuration
FOLDERS = {"cache": 0o711, "instances": 0o711, "ca": 0o755, "network": 0o755, SETTINGS: 0o700}
CACHED = 0o444
Share = Callable[[int, int], None]


@dataclass(frozen=True)
class Restored:
    """What was restored, which instances keep their disks, and where the old settings are."""

    head: Head
    manifest: BackupManifest
    kept: list[str]
    settings: Path | None


def restore_backup(config: Config, reader: SealedReader, share: Share) -> Restored:
    """Restore a backup; raises BackupDamaged, FolderNotEmpty and others.

    After a fault or a kill eucabox refuses the folder, until a restore has ended well.
    """
    backup = CheckedBackup(reader)
    with claim_folders(config, with_buckets=backup.head.buckets):
        restorer = _Restorer(config, reader, share)
        for place, member in backup.members():
            restorer.put(place, member)
        restorer.drop_unfinished_uploads()
        assert backup.manifest is not None
        kept = restorer.settle(backup.manifest)
    settings = config.cloud.data_dir / SETTINGS
    return Restored(backup.head, backup.manifest, kept, settings if settings.exists() else None)


class _Restorer:
    """Puts members where they belong; one bucket and one key are known at a time."""

    def __init__(self, config: Config, reader: SealedReader, share: Share) -> None:
        self._data, self._root = config.cloud.data_dir, config.bucket_root
        self._reader, self._share = reader, share
        self._bucket: RestoredBucket | None = None
        self._key = b""

    def put(self, place: MemberPlace, member: Member) -> None:
        """Restore one member."""
        try:
            if place.room == "buckets":
                self._put_into_bucket(place, member)
            else:
                self._put_file(self._find_file(place), member, _find_mode(place))
        except BackupDamaged:
            raise
        except (Fault, ValueError) as problem:
            raise self._reader.make_fault(str(problem).removesuffix(".")) from None
        except OSError as problem:
            reason = problem.strerror or str(problem)
            raise RestoreNotWritten(folder=self._data, reason=reason) from None

    def _chunks(self, member: Member) -> Iterator[bytes]:
        for chunk in member.chunks():
            yield chunk
            self._share(*self._reader.share)

    # --- files of the data directory -----------------------------------------------------------

    def _find_file(self, place: MemberPlace) -> Path:
        folder, path = {
            "state": ("", place.name),
            "images": ("cache", place.name),
            "instances": ("instances", f"{place.owner}/{place.name}"),
            "settings": (SETTINGS, place.name),
        }[place.room]
        return self._data / folder / path

    def _put_file(self, file: Path, member: Member, mode: int) -> None:
        for name in [*reversed(file.relative_to(self._data).parents)][1:]:
            make_folder(self._data / name, FOLDERS.get(str(name), 0o711))
        file.unlink(missing_ok=True)  # a backup that went on has the database twice
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(file, flags, 0o600)
        try:
            fill(descriptor, self._chunks(member))
            os.fchmod(descriptor, mode)
            os.utime(descriptor, ns=(member.mtime, member.mtime))
        finally:
            os.close(descriptor)

    # --- buckets -------------------------------------------------------------------------------

    def _put_into_bucket(self, place: MemberPlace, member: Member) -> None:
        if place.kind == places.SETTINGS:
            self._put_settings(place.owner, member.read_small(SMALL))
            return
        bucket = self._bucket
        if bucket is None or bucket.name != place.owner:
            raise self._reader.make_fault("a bucket's files come before its settings")
        chunks, mtime, raw = self._chunks(member), member.mtime, member.attributes
        if place.kind in (places.HASHED_KEY, places.VERSION_OF):
            self._key = member.read_small(LONGEST_KEY)
        elif place.kind == places.OBJECT:
            bucket.put_current(place.name.encode(), chunks, mtime, raw)
        elif place.kind == places.HASHED:
            bucket.put_current(self._check_key(place), chunks, mtime, raw)
        elif place.kind == places.VERSION:
            name = place.name.removesuffix(MARKER)
            entry = VersionFile(name, name != place.name)
            bucket.put_version(self._check_key(place), entry, chunks, mtime, raw)
        else:
            bucket.put_upload_file(place.upload_id, place.name, chunks, mtime, raw)

    def _put_settings(self, name: str, content: bytes) -> None:
        if self._bucket is not None and self._bucket.name == name:
            self._bucket.configure(content)
        else:
            self._bucket = RestoredBucket(self._root, name, content)

    def _check_key(self, place: MemberPlace) -> bytes:
        if digest(self._key) != place.hash:
            raise self._reader.make_fault("a file comes before the key that it is of")
        return self._key

    # --- the end -------------------------------------------------------------------------------

    def drop_unfinished_uploads(self) -> None:
        """Remove uploads that were completed or aborted while the backup read them."""
        for folder in self._root.glob("*/.eucabox/uploads/*"):
            if not (folder / "upload.json").is_file():
                shutil.rmtree(folder)

    def settle(self, manifest: BackupManifest) -> list[str]:
        """Make the data fit this host; return the ids of instances that keep their disks."""
        reason = restored_cloud.check_database(self._data / places.DATABASE)
        if reason:
            raise self._reader.make_fault(f"the database in it can't be used: {reason}")
        for file in (self._data / "cache").glob("*"):
            restored_cloud.check_image(file)
        kept = restored_cloud.settle_instances(self._data, manifest.kept)
        for folder in (self._data / "instances").glob("i-*"):
            if folder.name not in kept:
                shutil.rmtree(folder)
        return kept


def _find_mode(place: MemberPlace) -> int:
    if place.room == "state":
        return places.STATE_FILES[place.name]
    if place.room == "images":
        return CACHED if not place.name.endswith(".json") else 0o644
    return 0o600
