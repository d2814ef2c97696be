"""One eucabox that is killed and started again under its clients, and looked at each time."""

import random
import time
from pathlib import Path
from typing import Any

from tests.live.kills import checks, moments
from tests.live.kills.clients import Client
from tests.live.kills.cloud import Cloud
from tests.live.kills.worker import Worker
from tests.live.kills.world import BUCKETS, VERSIONED, World
from tests.live.process import Running

BESIDE = 3  # clients of S3 beside those of EC2
WITH_BUCKETS = 2  # rounds from one with them to the next: to look at all buckets takes a second
WHILE_STARTING = 0.1  # the share of starts that are killed too
RESCANS = 25  # kills from one rescan to the next
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
        self.kills = self.rounds = 0
        self.instances: Cloud | None = None  # where EC2 and IAM have clients too
        self.checker = cloud.client("s3")
        make_buckets(self.checker)
        self.world = World()
        self.hands = [cloud.client("s3", read_timeout=20) for _ in CREW]

    def once(self) -> None:
        """Let the clients work, kill, start again, and look at everything."""
        first = self.instances.choose(self.chance) if self.instances else ""
        self.rounds += 1
        with_buckets = not self.instances or self.rounds % WITH_BUCKETS == 0
        crew = self._make_crew(f"{self.seed}.{self.kills}", first, with_buckets)
        begin = self.cloud.log.stat().st_size
        for each in crew:
            each.start()
        with self.world.timed("until the kill"):
            moment = moments.choose(self.chance, first).wait(self.cloud.log, begin)
        self.cloud.kill()
        self.world.count(f"kills {moment}")
        self.kills += 1
        for each in crew:
            each.over.set()
        with self.world.timed("until the clients end"):
            self._join(crew)
        with self.world.timed("start"):
            self._start()
        if with_buckets:
            with self.world.timed("looking at buckets"):
                checks.whole(self.world, self.checker, self.root)
        if self.instances:
            self.instances.check(self.chance)
        if self.kills % RESCANS == 0:
            self._rescan()

    def _join(self, crew: list[Worker]) -> None:
        for each in crew:
            each.join(PATIENCE)
            if each.is_alive():
                self.world.problem(f"a client hangs {PATIENCE} s after the kill")

    def _make_crew(self, name: str, first: str, with_buckets: bool) -> list[Worker]:
        crew: list[Worker] = [
            Client(self.world, s3, f"{name}.{number}", steps)
            for number, (s3, steps) in enumerate(zip(self.hands, CREW, strict=True))
            if with_buckets
        ]
        if self.instances:
            crew = self.chance.sample(crew, min(BESIDE, len(crew))) + self.instances.crew(
                name, first
            )
        return crew

    def _start(self) -> None:
        """Start, now and then killed meanwhile, when it sweeps what the last one left."""
        while self.chance.random() < WHILE_STARTING:
            self.cloud.spawn()
            time.sleep(self.chance.uniform(0.2, 3 if self.instances else 1))
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
        if self.instances:
            self.instances.close()
        for each in (*self.hands, self.checker):
            each.close()

    def traces(self) -> None:
        """No request may have ended in a traceback."""
        for line in self.cloud.log.read_text().splitlines():
            if "trace=" in line:
                self.world.problem(line[:2000])
