"""The fuzz: a seed and a number of cases in, a log out; status 1 if anything went wrong."""

import argparse
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from eucabox.server import malloc
from tests.fuzz.doors import DOORS
from tests.fuzz.odd import Chance
from tests.fuzz.shop import Problem, TooSlow

MOST_PROBLEMS = 25
TOLD = 5000  # cases from one line of the log to the next
AGAIN = 2  # more tries for a case that took too long: the machine may have been busy
MIB = 1 << 20
# What the process may take more at its end than after the first half of its cases.
MOST_GROWTH = 40 * MIB


def one(shop: Any, name: str, door: str = "s3") -> None:
    """Try the case of a name, such as `7.headers.123`; Problem."""
    _, kind, _ = name.split(".")
    for left in reversed(range(AGAIN + 1)):
        try:
            DOORS[door].try_one(shop, kind, Chance(name))
            return
        except TooSlow:
            if not left:
                raise


def names(seed: int, cases: int, door: str = "s3") -> Iterator[str]:
    """The names of so many cases, of every kind its share."""
    chance = random.Random(seed)
    kinds = DOORS[door].kinds
    for number in range(cases):
        kind = chance.choices(list(kinds), list(kinds.values()))[0]
        yield f"{seed}.{kind}.{number}"


def run(
    shop: Any,
    tried: Iterator[str],
    tell: Callable[[str], None] | None = None,
    door: str = "s3",
) -> list[str]:
    """Try cases; what went wrong, once for each kind of trouble."""
    problems: dict[str, str] = {}
    for number, name in enumerate(tried, 1):
        if tell and number % TOLD == 0:
            tell(f"{door}: {number} cases, {len(problems)} problems, {resident() // MIB} MiB")
        try:
            one(shop, name, door)
        except Problem as problem:
            shop._until_fresh = 0
            problems.setdefault(str(problem).rpartition("\n")[2][:80], f"{name}: {problem}")
            if len(problems) >= MOST_PROBLEMS:
                break
    return list(problems.values())


def resident() -> int:
    """The memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def split(cases: int, doors: list[str]) -> dict[str, int]:
    """How many cases each door has."""
    share, rest = divmod(cases, len(doors))
    return {door: share + (number < rest) for number, door in enumerate(doors)}


def try_door(door: str, seed: int, cases: int, again: list[str]) -> list[str]:
    """Try the cases of one door and tell what came of them."""
    began = time.monotonic()
    room = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # a cloud that need not last
    with (
        tempfile.TemporaryDirectory(dir=room) as folder,
        DOORS[door].open(Path(folder)) as shop,
    ):
        first = run(shop, names(seed, cases // 2, door), say, door) if not again else []
        before = resident()
        rest = names(seed + 1, cases - cases // 2, door)
        problems = first + run(shop, iter(again) if again else rest, say, door)
        growth, seen, longest = resident() - before, dict(sorted(shop.seen.items())), shop.longest
    if growth > MOST_GROWTH:
        problems.append(f"{door}: the memory grew by {growth // MIB} MiB")
    say(
        f"{door}, seed {seed}: {sum(seen.values())} cases in {time.monotonic() - began:.0f} s,"
        f" the longest {longest:.2f} s, {growth / MIB:+.1f} MiB, by outcome {seen}"
    )
    return problems


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run as the command line says and print what happened."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--doors", default="s3", help=f"of {', '.join(DOORS)}, or all")
    parser.add_argument("names", nargs="*", help="cases of one door to try again, by their names")
    given = parser.parse_args()
    malloc.limit_arenas()  # as the service does: memory is judged
    doors = list(DOORS) if given.doors == "all" else given.doors.split(",")
    problems = []
    for door, cases in split(given.cases, doors).items():
        problems += try_door(door, given.seed, cases, given.names)
    for problem in problems:
        say(f"PROBLEM {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
