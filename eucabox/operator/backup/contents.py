"""What a backup holds so far, in numbers and notes; with it a killed run goes on."""

from dataclasses import asdict, dataclass, field, fields

MOST_NOTES = 100


@dataclass
class Contents:
    """Counts of a backup; `bytes` are of its files, `notes` what could not be taken along."""

    buckets: int = 0
    objects: int = 0
    versions: int = 0
    uploads: int = 0
    images: int = 0
    instances: int = 0
    bytes: int = 0
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Keep a note for the operator."""
        if len(self.notes) < MOST_NOTES:
            self.notes.append(text)

    def to_record(self) -> dict[str, object]:
        """Return it as plain JSON."""
        return asdict(self)

    def find_differences(self, found: "Contents") -> list[str]:
        """Return the names of the counts that are others than these, but for bytes and notes."""
        names = [each.name for each in fields(self) if each.name not in ("bytes", "notes")]
        return [name for name in names if getattr(self, name) != getattr(found, name)]


def read_record(record: object) -> Contents:
    """Return what `to_record` made; ValueError if it is something else."""
    if not isinstance(record, dict) or record.keys() != asdict(Contents()).keys():
        raise ValueError("not the contents of a backup")
    return Contents(**record)
