"""What one eucabox takes of the machine, measured each few seconds, and whether it grows."""

import contextlib
import os
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

KIB, MIB = 1024, 1024 * 1024
LEFT_OUT = 0.25  # the share at the beginning in which caches fill


@dataclass(frozen=True)
class Measure:
    """One look: sizes in bytes, the rest in numbers."""

    seconds: float
    resident: int
    anonymous: int
    descriptors: int
    threads: int
    children: int
    databases: int
    logs: int
    files: int
    rows: int


# How much the line through the last three quarters may rise in an hour.
BOUNDS = {
    "resident": 8 * MIB,
    "anonymous": 8 * MIB,
    "descriptors": 2,
    "threads": 1,
    "children": 1,
    "databases": 4 * MIB,
    "logs": MIB,
    "files": 5,
    "rows": 50,
}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # gone since it was listed
        return 0


def _count(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir())


def _count_descriptors(process: Path, database: Path, threads: int) -> int:
    """How many files are open but for the database: a thread opens it, and its journal, when it
    first needs it, which is hours later for the last ones."""
    links = []
    for each in (process / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            links.append(each.readlink())
    of_threads = sum(link in (database, Path(f"{database}-wal")) for link in links)
    return len(links) - min(of_threads, 2 * threads)


def measure(
    pid: int, data: Path, began: float, look_at_rows: Callable[[], tuple[int, int]]
) -> Measure:
    """Look at the process and at its folder of data, of which buckets are counted apart.

    `look_at_rows` returns how many rows there are, and the bytes of the databases that it left out.
    """
    process = Path(f"/proc/{pid}")
    lines = (process / "smaps_rollup").read_text().splitlines()[1:]
    memory = {line.split(":")[0]: int(line.split()[1]) * KIB for line in lines}
    children = (process / "task" / str(pid) / "children").read_text().split()
    stores = (data, data / "buckets" / ".eucabox")
    databases = [each for store in stores for each in store.glob("*.db*")]
    logs = list((data / "log").iterdir())
    others = sum(
        len(files)
        for folder, _, files in os.walk(data)
        if not Path(folder).is_relative_to(data / "buckets")
    )
    rows, left_out = look_at_rows()
    threads = _count(process / "task")
    return Measure(
        seconds=time.monotonic() - began,
        resident=memory["Rss"],
        anonymous=memory["Anonymous"],
        descriptors=_count_descriptors(process, data / "eucabox.db", threads),
        threads=threads,
        children=len(children),
        databases=sum(map(_size, databases)) - left_out,
        logs=sum(map(_size, logs)),
        files=others,
        rows=rows,
    )


class Watch(threading.Thread):
    """Measures each few seconds until it is told to stop; keeps a line of each in a file."""

    def __init__(self, look: Callable[[], Measure], every: float, file: Path) -> None:
        super().__init__()
        self._look, self._every, self._file = look, every, file
        self.over = threading.Event()
        self.measures: list[Measure] = []
        self.problem = ""

    def run(self) -> None:
        while not self.over.wait(self._every):
            try:
                self.measures.append(self._look())
            except OSError as error:
                self.problem = f"the process can't be looked at any more: {error!r}"
                return
            values = asdict(self.measures[-1])
            with self._file.open("a") as lines:
                if len(self.measures) == 1:
                    lines.write(",".join(values) + "\n")
                lines.write(",".join(f"{value:.0f}" for value in values.values()) + "\n")


@dataclass(frozen=True)
class Verdict:
    """How one measure went over the last three quarters."""

    name: str
    first: float  # medians of the second and of the last quarter
    last: float
    most: float
    slope: float  # of the line through all, in an hour
    bound: float

    @property
    def is_flat(self) -> bool:
        return self.slope <= self.bound


def judge(measures: list[Measure]) -> list[Verdict]:
    """Fit a line through each measure after the first quarter."""
    kept = measures[int(len(measures) * LEFT_OUT) :]
    third = max(1, len(kept) // 3)
    hours = [each.seconds / 3600 for each in kept]
    verdicts = []
    for name, bound in BOUNDS.items():
        values = [float(getattr(each, name)) for each in kept]
        slope = statistics.linear_regression(hours, values).slope
        first, last = statistics.median(values[:third]), statistics.median(values[-third:])
        verdicts.append(Verdict(name, first, last, max(values), slope, bound))
    return verdicts
