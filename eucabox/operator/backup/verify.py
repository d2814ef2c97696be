"""Reads a whole backup and tells whether it is as it was written; writes nothing."""

from collections.abc import Callable, Iterator

from eucabox.operator.backup import places
from eucabox.operator.backup.contents import Contents
from eucabox.operator.backup.facts import BackupManifest, Head, read_head, read_manifest
from eucabox.operator.backup.members import Member, read_members
from eucabox.operator.backup.places import MemberPlace, parse_name
from eucabox.operator.backup.sealed_file import SealedReader

Share = Callable[[int, int], None]


class CheckedBackup:
    """The members of a backup with their places, in an order that a backup has, and counted.

    Once all are read, `manifest` is there and says the same counts; else BackupDamaged was raised.
    """

    def __init__(self, reader: SealedReader) -> None:
        self._reader = reader
        self._members = read_members(reader)
        self.head = self._read_head()
        self.manifest: BackupManifest | None = None
        self._found = Contents()
        self._buckets: set[str] = set()
        self._state: set[str] = set()

    def _read_head(self) -> Head:
        first = next(self._members, None)
        if first is None:
            raise self._reader.make_fault("it is empty")
        return read_head(first)

    def members(self) -> Iterator[tuple[MemberPlace, Member]]:
        """Yield each member between head and manifest; read it before the next."""
        for member in self._members:
            if self.manifest is not None:
                raise self._reader.make_fault("something stands behind its manifest")
            place = parse_name(member.name)
            if place is None or place.room == places.HEAD:
                raise self._reader.make_fault("no backup has a file of that name")
            if place.room == places.MANIFEST:
                self.manifest = read_manifest(member)
                continue
            self._count(place, member)
            yield place, member
        self._check_counts()

    def _count(self, place: MemberPlace, member: Member) -> None:
        found = self._found
        if place.room == "state":
            self._state.add(place.name)
        elif place.room == "images":
            found.images += place.name.endswith(".json")
        elif place.room == "buckets" and not self.head.buckets:
            raise self._reader.make_fault("it has a bucket, and says that it has none")
        elif place.room == "buckets":
            self._buckets.add(place.owner)
            found.objects += place.kind in (places.OBJECT, places.HASHED)
            found.versions += place.kind == places.VERSION
            found.uploads += place.kind == places.UPLOAD and not place.name.isdigit()

    def _check_counts(self) -> None:
        if self.manifest is None:
            raise self._reader.make_fault("it has no manifest")
        if not {places.DATABASE, "key"} <= self._state:
            raise self._reader.make_fault("it has no database or no key")
        self._found.buckets = len(self._buckets)
        self._found.instances = len(self.manifest.kept)
        differences = self.manifest.contents.find_differences(self._found)
        if differences:
            raise self._reader.make_fault(
                f"it has not all {', '.join(differences)} of its manifest"
            )


def verify_backup(reader: SealedReader, share: Share) -> tuple[Head, BackupManifest]:
    """Read all of a backup; raises BackupDamaged, which says where."""
    backup = CheckedBackup(reader)
    for _, member in backup.members():
        for _ in member.chunks():
            share(*reader.share)
    assert backup.manifest is not None
    return backup.head, backup.manifest
