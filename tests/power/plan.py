"""What one round of cuts is to do."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Plan:
    """What a round does: its clients rest, write rows too, or send many small changes at once, as
    it says. `promise` is the age in seconds from which on an object is not lost."""

    file_system: str = "ext4"
    seconds: float = 0  # of work at least, and so many requests, before the cuts
    requests: int = 400
    cuts: int = 25
    seed: str = "1"
    settings: str = ""
    program: tuple[str, ...] = ("eucabox",)
    keep: Path = Path("/var/tmp")  # where a disk is kept whose cut lost something
    tree: Path | None = None  # where the program is, if not beside these tests
    promise: float = 0
    rests: int = 0  # steps without a request, of twelve; then no rows are written either
    # Small changes at once, which share flushes, in place of rows: a new user or key would have
    # each client be looked at anew.
    together: bool = False
