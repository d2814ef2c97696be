"""The long run: hours of mixed load in, a verdict for each measure out; status 1 if one grew."""

import argparse
import json
import logging
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from eucabox import ids
from eucabox.iam.accounts import SET_BACK
from eucabox.image import tiny_guest
from tests.live import guests
from tests.live.conftest import GUEST
from tests.live.process import Running, running
from tests.long_run.measures import KIB, Verdict, Watch, judge, measure
from tests.long_run.work import (
    BUCKETS,
    TERMINATED_KEPT,
    Compute,
    Guests,
    Objects,
    Pages,
    People,
    Strangers,
    Tally,
    Worker,
)  # fmt: skip

SETTINGS = f"[node]\nvirt_type = qemu\nterminated_kept = {TERMINATED_KEPT}\n"
SHORT_LOG = "[cloud]\nlog_mb = 1\n"  # so that all its older files are there soon
TOLD = 600  # seconds from one line of the log to the next


# What is by design kept for longer than most of the run: signatures for 106 minutes,
# so that no request comes twice, and sessions for a day after their end.
KEPT = ("used_signatures", "sessions")
LATE = timedelta(minutes=2)  # after a signature's time, until the next request removes it


def open_database(data: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(f"file:{data}/eucabox.db?mode=ro", uri=True))


def look_at_rows(data: Path) -> tuple[int, int]:
    """How many rows the cloud's database has but for KEPT, and how many bytes those take."""
    with open_database(data) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        names = [name for (name,) in tables if name not in KEPT]
        counts = (database.execute(f'SELECT count(*) FROM "{name}"') for name in names)
        rows = sum(each.fetchone()[0] for each in counts)
        sizes = """SELECT sum(pgsize) FROM dbstat WHERE aggregate = 1 AND name IN
          (SELECT name FROM sqlite_master WHERE tbl_name IN (SELECT value FROM json_each(?)))"""
        (kept,) = database.execute(sizes, (json.dumps(KEPT),)).fetchone()
        return rows, kept or 0


def count_overdue(data: Path) -> int:
    """How many signatures are remembered for longer than they have to be."""
    with open_database(data) as database:
        end = ids.time_text(datetime.now(UTC) - SET_BACK - LATE)
        sql = "SELECT count(*) FROM used_signatures WHERE expires < ?"
        return int(database.execute(sql, (end,)).fetchone()[0])


def start_with(cloud: Running, settings: str) -> None:
    """Start once more with settings of a file of their own."""
    cloud.stop()
    folder = cloud.config_file.with_name(f"{cloud.config_file.name}.d")
    folder.mkdir()
    (folder / "more.conf").write_text(settings)
    cloud.start()


def begin_work(cloud: Running, tally: Tally, seed: int) -> list[Worker]:
    """Make what the load needs, and start its threads."""
    s3 = cloud.client("s3")
    for bucket in BUCKETS:
        s3.create_bucket(Bucket=bucket)
    s3.close()
    image_id = guests.install(cloud, tiny_guest.build_tiny(GUEST))
    kinds: list[Callable[[Running, Tally, str], Worker]] = [Objects, Objects, Compute, People]
    kinds += [Pages, Strangers]
    crew = [kind(cloud, tally, f"{seed}.{number}") for number, kind in enumerate(kinds)]
    crew.append(Guests(cloud, tally, f"{seed}.guests", image_id))
    for each in crew:
        each.start()
    return crew


def run(
    seconds: float, seed: int, every: float, file: Path, tell: Callable[[str], None]
) -> tuple[list[Verdict], Tally]:
    """Load one eucabox for so long; what its measures did, and what was done to it."""
    tally = Tally()
    with running(SETTINGS) as cloud:
        start_with(cloud, SHORT_LOG)
        crew = begin_work(cloud, tally, seed)
        assert cloud.process is not None
        pid, began = cloud.process.pid, time.monotonic()
        watch = Watch(
            lambda: measure(pid, cloud.data, began, lambda: look_at_rows(cloud.data)), every, file
        )
        watch.start()
        while (left := began + seconds - time.monotonic()) > 0 and not watch.problem:
            time.sleep(min(left, TOLD))
            tell(f"{time.monotonic() - began:.0f} s, {dict(tally.counts)}, {watch.measures[-1:]}")
        watch.over.set()
        for each in crew:
            each.over.set()
        for thread in (watch, *crew):
            thread.join()
        if watch.problem:
            tally.problem(watch.problem)
        if overdue := count_overdue(cloud.data):
            tally.problem(f"{overdue} signatures are remembered for longer than they count")
        for line in cloud.log.read_text().splitlines():
            if "trace=" in line:
                tally.problem(line[:2000])
    return judge(watch.measures), tally


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def show(verdict: Verdict) -> str:
    scale, unit = (KIB, " KiB") if verdict.bound >= KIB else (1, "")
    first, last, most, slope, bound = (
        f"{each / scale:.1f}{unit}"
        for each in (verdict.first, verdict.last, verdict.most, verdict.slope, verdict.bound)
    )
    word = "flat" if verdict.is_flat else "GROWS"
    return (
        f"{verdict.name}: {word}, {first} in the second quarter, {last} in the last, {most} at"
        f" most, {slope} an hour of {bound} allowed"
    )


def main() -> int:
    """Run as the command line says and print what happened."""
    parser = argparse.ArgumentParser(prog="python -m tests.long_run")
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two looks")
    parser.add_argument("--file", type=Path, default=Path("build/long-run.csv"))
    given = parser.parse_args()
    logging.disable()
    given.file.parent.mkdir(parents=True, exist_ok=True)
    given.file.unlink(missing_ok=True)
    verdicts, tally = run(given.hours * 3600, given.seed, given.every, given.file, say)
    for what, times in sorted(tally.counts.items()):
        say(f"  {times:8} {what}")
    for verdict in verdicts:
        say(show(verdict))
    for problem in tally.problems[:50]:
        say(f"PROBLEM {problem}")
    return 1 if tally.problems or not all(each.is_flat for each in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
