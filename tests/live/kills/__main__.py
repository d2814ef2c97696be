"""The kill loop: a seed and a number of kills in, a log out; status 1 if anything was lost."""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.live.kills import checks
from tests.live.kills.clients import Client
from tests.live.kills.world import BUCKETS, VERSIONED, World
from tests.live.process import Running, running

LONGEST = 0.4  # seconds from the first request to the kill
WHILE_STARTING = 0.1  # the share of starts that are killed too
RESCANS = 25  # kills from one rescan to the next
TOLD = 25  # kills from one line of the log to the next
PATIENCE = 30
WRITER = ["put", "put", "copy", "delete", "upload", "tag", "share"]
CREW = [WRITER, WRITER, ["put", "delete", "copy"], ["version", "version", "mark", "unversion"],
        ["read"], ["read", "put"]]  # fmt: skip


def make_buckets(s3: Any) -> None:
    for bucket in (*BUCKETS, VERSIONED):
        s3.create_bucket(Bucket=bucket)
    status = {"Status": "Enabled"}
    s3.put_bucket_versioning(Bucket=VERSIONED, VersioningConfiguration=status)


class Loop:
    """One eucabox, its clients, and the world that they share."""

    def __init__(self, cloud: Running, root: Path, seed: int) -> None:
        self.cloud, self.root, self.seed = cloud, root, seed
        self.chance = random.Random(seed)
        self.kills = 0
        self.checker = cloud.client("s3")
        make_buckets(self.checker)
        self.world = World()
        self.hands = [cloud.client("s3", read_timeout=20) for _ in CREW]

    def once(self) -> None:
        """Let the clients work, kill, start again, and look at everything."""
        name = f"{self.seed}.{self.kills}"
        crew = [
            Client(self.world, s3, f"{name}.{number}", steps)
            for number, (s3, steps) in enumerate(zip(self.hands, CREW, strict=True))
        ]
        for each in crew:
            each.start()
        time.sleep(self.chance.random() * LONGEST)
        self.cloud.kill()
        self.kills += 1
        for each in crew:
            each.over.set()
        for each in crew:
            each.join(PATIENCE)
            if each.is_alive():
                self.world.problem(f"a client hangs {PATIENCE} s after the kill")
        self._start()
        checks.whole(self.world, self.checker, self.root)
        if self.kills % RESCANS == 0:
            self._rescan()

    def _start(self) -> None:
        """Start, now and then killed meanwhile, when it sweeps what the last one left."""
        while self.chance.random() < WHILE_STARTING:
            self.cloud.spawn()
            time.sleep(self.chance.uniform(0.2, 1))
            self.cloud.kill()
            self.kills += 1
            self.world.count("kills while starting")
        self.cloud.start()

    def _rescan(self) -> None:
        """The index that outlived the kills is what a rescan makes of the tree."""
        before = self._listings()
        self.cloud.stop()
        (self.root / ".eucabox" / "index.db").unlink()
        self.cloud.start()
        if self._listings() != before:
            self.world.problem(f"a rescan changes the listing: {before}, {self._listings()}")
        self.world.count("rescans")

    def _listings(self) -> list[Any]:
        return [
            (each["Key"], each["ETag"], each["Size"], each["LastModified"])
            for bucket in BUCKETS
            for each in checks.pages(self.checker, "list_objects_v2", bucket, "Contents")
        ]

    def close(self) -> None:
        for each in (*self.hands, self.checker):
            each.close()

    def traces(self) -> None:
        """No request may have ended in a traceback."""
        for line in self.cloud.log.read_text().splitlines():
            if "trace=" in line:
                self.world.problem(line[:2000])


def run(
    kills: int,
    seed: int,
    extra: str = "",
    folder: Path | None = None,
    tell: Callable[[str], None] | None = None,
) -> Loop:
    """Kill a eucabox of `extra` configuration so often; stops early at a problem."""
    path = f"path = {folder}\n" if folder else ""
    settings = f"[node]\nvirt_type = qemu\n[buckets]\n{path}{extra}"
    with running(settings) as cloud:
        loop = Loop(cloud, folder or cloud.data / "buckets", seed)
        while loop.kills < kills and not loop.world.problems:
            loop.once()
            if tell and loop.kills % TOLD == 0:
                tell(f"{loop.kills} kills, {sum(loop.world.counts.values())} requests")
        loop.traces()
        loop.close()
    return loop


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run the loop as the command line says and print what happened."""
    parser = argparse.ArgumentParser(prog="python -m tests.live.kills")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--extra", default="", help="a line of the section [buckets]")
    parser.add_argument("--parent", type=Path, help="where to make the store's folder")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=given.parent)) if given.parent else None
    say(f"seed {given.seed}, {given.kills} kills, {given.extra or 'as configured'}")
    began = time.monotonic()
    loop = run(given.kills, given.seed, given.extra, folder, say)
    say(f"{loop.kills} kills in {time.monotonic() - began:.0f} s")
    for what, times in sorted(loop.world.counts.items()):
        say(f"  {times:8} {what}")
    for problem in loop.world.problems:
        say(f"PROBLEM {problem}")
    return 1 if loop.world.problems else 0


if __name__ == "__main__":
    sys.exit(main())
