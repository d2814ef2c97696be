"""One round: a cloud is recorded while clients use it, then its power is cut at many moments."""

import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from tests.live.kills.world import LOST
from tests.power import clients, disks
from tests.power.checks import look
from tests.power.cloud import DiskCloud, prepared
from tests.power.cuts import Log, Replay, copy
from tests.power.plan import Plan
from tests.power.rows import Instance, Kind
from tests.power.world import PowerWorld

MEMORY = Path("/dev/shm")  # disks that are cut a thousand times need no disk below them
MOST_PROBLEMS = 5  # that a cut tells


@dataclass
class Outcome:
    """What the clients did, what the disk saw, and what was wrong after which cut."""

    counts: Counter[str] = field(default_factory=Counter)
    records: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    cuts: int = 0


def run(plan: Plan, tell: Callable[[str], None] = lambda text: None) -> Outcome:
    """Record, and cut so often; stops at the first cut that lost something."""
    outcome = Outcome()
    with (
        tempfile.TemporaryDirectory(prefix="eucabox-power-", dir=MEMORY) as made,
        prepared(plan) as cloud,
    ):
        folder = Path(made)
        recording = _record(plan, cloud, folder, outcome)
        if not outcome.problems:
            recording.replay(folder, outcome, tell)
    return outcome


def _record(plan: Plan, cloud: DiskCloud, folder: Path, outcome: Outcome) -> "Recording":
    image, empty, log, world = folder / "image", folder / "empty", folder / "log", PowerWorld()
    disks.make(plan.file_system, image)
    copy(image, empty)
    with (
        disks.recorded(image, log, folder / "fuse") as disk,
        disks.mounted(plan.file_system, disk, cloud.data),
    ):
        empty_disk = len(Log.read(log).records)
        cloud.power_on()
        image_id = clients.prepare(cloud)
        kinds = clients.make_kinds(cloud)
        for kind in kinds:
            if isinstance(kind, Instance):
                kind.image_id = image_id
        first = len(Log.read(log).records)
        clients.work(world, cloud, [] if plan.rests or plan.together else kinds, plan)
        last = len(Log.read(log).records)
        cloud.power_off()
    outcome.counts.update(world.counts)
    outcome.problems += world.problems
    return Recording(plan, cloud, world, kinds, Log.read(log), empty_disk, first, last)


@dataclass
class Recording:
    """A cloud's work, of which every moment from record `first` to record `last` can be cut, and
    its first start, from `empty_disk` to `first`, of which nothing but the next start is asked."""

    plan: Plan
    cloud: DiskCloud
    world: PowerWorld
    kinds: list[Kind]
    log: Log
    empty_disk: int
    first: int
    last: int

    def replay(self, folder: Path, outcome: Outcome, tell: Callable[[str], None]) -> None:
        """Cut the power, start again and look, until there is a problem or no cut left."""
        chance = random.Random(self.plan.seed)
        replay = Replay(self.log, folder / "empty", folder)
        s3 = self.cloud.client("s3", read_timeout=60)
        try:
            for number in self._choose(chance):
                view = self.world.at(self.log.records[number].moment, self.plan.promise)
                outcome.records.update(replay.cut(number, chance, folder / "cut"))
                copy(folder / "cut", folder / "mounted")  # which changes it
                self._judge(folder / "mounted", view, s3 if number >= self.first else None)
                outcome.cuts += 1
                if view.problems:
                    outcome.problems += view.problems[:MOST_PROBLEMS]
                    outcome.problems.append(self._keep(number, folder, view))
                    return
        finally:
            s3.close()
            replay.close()

    def _choose(self, chance: random.Random) -> list[int]:
        """The numbers of the records before which the power goes, in order."""
        answers, full = self.world.acknowledged(), self.log.fullest(self.first, self.last)
        ways: list[Callable[[], int]] = [
            lambda: chance.randrange(self.first, self.last),
            lambda: chance.choice(full or [self.last]),
            lambda: self.log.count_before(chance.choice(answers)),
            lambda: self.log.count_before(chance.choice(answers)),
        ]
        ways = [*ways, *ways, lambda: chance.randrange(self.empty_disk, self.first)]
        numbers = (chance.choice(ways)() for _ in range(self.plan.cuts))
        return sorted(min(each, self.last - 1) for each in numbers)

    def _judge(self, disk: Path, view: PowerWorld, s3: Any) -> None:
        """Start the cloud on what is left of its disk, and look."""
        try:
            with disks.mounted(self.plan.file_system, disk, self.cloud.data):
                try:
                    self.cloud.power_on()
                    if s3:
                        look(view, self.cloud, s3, self.kinds)
                finally:
                    self.cloud.power_off()
        except (AssertionError, disks.Unfit, ClientError, *LOST) as problem:
            view.problem(f"no start, or no answer, after the cut: {problem!r}")

    def _keep(self, number: int, folder: Path, view: PowerWorld) -> str:
        """Keep the disk as it was cut, for who looks into the problem."""
        kept = Path(tempfile.mkdtemp(prefix="eucabox-power-", dir=self.plan.keep))
        shutil.copy(self.cloud.config_file, kept)
        copy(folder / "cut", kept / self.plan.file_system)
        left = self.log.count_before(self.world.acknowledged()[-1]) - number
        return f"cut at record {number} of {self.last}, {left} before the last answer: {kept}"
