"""Cuts of a disk's power: a seed and a number of cuts in, figures out; status 1 if one lost
anything, 2 where this host can't cut the power of a disk."""

import argparse
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.power import namespace, rounds
from tests.power.disks import FILE_SYSTEMS, Unfit
from tests.power.plan import Plan
from tests.power.rounds import Outcome

IN_A_ROUND = 25  # cuts, at most
# Seconds until the operating system has written by itself what nobody flushed: it begins after 30,
# looks every 5, and Btrfs and XFS then wait up to 30 more.
PROMISE = 75
LONG = 110  # seconds of a round in which something becomes so old
RELAXED = "durability = relaxed\n"


def plans(given: argparse.Namespace) -> Iterator[Plan]:
    """The rounds, each on the next file system; those of `relaxed` last, one on each."""
    names, common = (
        given.file_systems,
        Plan(program=tuple(given.program), tree=given.tree, keep=given.keep),
    )
    each = max(1, min(IN_A_ROUND, -(-given.cuts // len(names))))
    for number, start in enumerate(range(0, given.cuts, each)):
        cuts, name, seed = min(each, given.cuts - start), names[number % len(names)], given.seed
        together = number // len(names) % 2 == 1
        commit = replace(common, file_system=name, cuts=cuts, together=together)
        commit = replace(commit, seed=f"{seed}.{number}")
        yield replace(commit, requests=given.requests)
    for name in names if given.relaxed else ():
        cuts, seed = -(-given.relaxed // len(names)), f"{given.seed}.{name}"
        relaxed = replace(common, file_system=name, cuts=cuts, seed=seed, settings=RELAXED)
        yield replace(relaxed, seconds=LONG, requests=0, promise=PROMISE, rests=12)


def run(given: argparse.Namespace) -> list[Outcome]:
    """Run all rounds; each ends with its first cut that lost something."""
    outcomes = []
    for plan in plans(given):
        began = time.monotonic()
        outcome = rounds.run(plan)
        outcomes.append(outcome)
        mode = "relaxed" if plan.promise else "commit"
        writes = ", ".join(f"{count} {fate}" for fate, count in sorted(outcome.records.items()))
        tell(
            f"{plan.file_system}, {mode}: {outcome.cuts} cuts in {time.monotonic() - began:.0f} s;"
            f" {sum(outcome.counts.values())} requests; writes on the way to the disk: {writes}"
        )
        for problem in outcome.problems:
            tell(f"PROBLEM {problem[:2000]}")
    return outcomes


def tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Cut as the command line says and print what happened."""
    parser = argparse.ArgumentParser(prog="python -m tests.power")
    parser.add_argument("--cuts", type=int, default=500, help="with durability `commit`")
    parser.add_argument("--relaxed", type=int, default=0, help="further cuts, with `relaxed`")
    parser.add_argument("--requests", type=int, default=400, help="before the cuts of a round")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--file-systems", nargs="+", default=list(FILE_SYSTEMS), metavar="NAME")
    parser.add_argument("--program", nargs="+", default=["eucabox"], help="what python -m runs")
    parser.add_argument("--keep", type=Path, default=Plan.keep, help="a folder for disks that lost")
    parser.add_argument("--tree", type=Path, help="a checkout whose eucabox is judged, not ours")
    given = parser.parse_args()
    tell(f"seed {given.seed}: {given.cuts} cuts with commit, {given.relaxed} with relaxed")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))  # which unmounts and ends what runs
    try:
        namespace.enter()
        outcomes = run(given)
    except Unfit as reason:
        tell(f"no cut: {reason}")
        return 2
    counts = sum((each.counts for each in outcomes), Counter[str]())
    for what, times in sorted(counts.items()):
        tell(f"  {times:8} {what}")
    problems = sum(len(each.problems) for each in outcomes)
    tell(f"{sum(each.cuts for each in outcomes)} cuts, {problems} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
