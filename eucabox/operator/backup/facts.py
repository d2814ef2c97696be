"""The first and the last member of a backup, checked: what made it, and what is in it."""

import json
from dataclasses import dataclass
from typing import Any

from eucabox import __version__
from eucabox.errors import BackupTooNew
from eucabox.operator.backup import places
from eucabox.operator.backup.contents import Contents, read_record
from eucabox.operator.backup.members import Member
from eucabox.schema import MIGRATIONS

LONGEST_HEAD, LONGEST_MANIFEST = 1 << 16, 1 << 24


@dataclass(frozen=True)
class Head:
    """What made a backup, when it began, and whether it has buckets."""

    program: str
    schema: int
    host: str
    begun: str
    buckets: bool


@dataclass(frozen=True)
class KeptDisk:
    """The row's clock of an instance whose disk is in a backup, and what its files lie over."""

    clock: str
    bases: dict[str, str]


@dataclass(frozen=True)
class BackupManifest:
    """What a backup holds: its counts, and the stopped instances with their disks."""

    contents: Contents
    kept: dict[str, KeptDisk]


def read_head(member: Member) -> Head:
    """Return the first member; raises BackupDamaged, and BackupTooNew for a newer program's."""
    facts = _load(member, places.HEAD, LONGEST_HEAD)
    try:
        head = Head(
            program=str(facts["program"])[:40],
            schema=int(facts["schema"]),
            host=str(facts["host"])[:255],
            begun=str(facts["begun"])[:40],
            buckets=bool(facts["buckets"]),
        )
    except (KeyError, TypeError, ValueError):
        raise member.reader.make_fault("its first member is none of a backup") from None
    if head.schema > len(MIGRATIONS):
        known, file = len(MIGRATIONS), member.reader.file
        facts = {"program": head.program, "schema": head.schema, "this": __version__}
        raise BackupTooNew(file=file, known=known, **facts)
    return head


def read_manifest(member: Member) -> BackupManifest:
    """Return the last member; raises BackupDamaged."""
    facts = _load(member, places.MANIFEST, LONGEST_MANIFEST)
    try:
        kept = {
            str(instance_id): KeptDisk(
                str(each["clock"]), {str(file): str(base) for file, base in each["bases"].items()}
            )
            for instance_id, each in facts["kept"].items()
        }
        return BackupManifest(read_record(facts["contents"]), kept)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise member.reader.make_fault("its last member is none of a backup") from None


def _load(member: Member, name: str, most: int) -> dict[str, Any]:
    if member.name != name:
        raise member.reader.make_fault(f"{name} is not where it has to be")
    try:
        facts = json.loads(member.read_small(most))
    except (ValueError, RecursionError):
        facts = None
    if not isinstance(facts, dict):
        raise member.reader.make_fault(f"{name} is no JSON object")
    return facts
