"""The fuzz: a seed and a number of cases in, a log out; status 1 if anything went wrong."""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.kinds import KINDS
from tests.fuzz.shop import Problem, Shop, open_shop

MOST_PROBLEMS = 25


def one(shop: Shop, name: str) -> None:
    """Try the case of a name, such as `7.headers.123`; Problem."""
    _, kind, _ = name.split(".")
    chance = random.Random(name)
    shop.ask(KINDS[kind][0](chance, shop), chance)


def names(seed: int, cases: int) -> Iterator[str]:
    """The names of so many cases, of every kind its share."""
    chance = random.Random(seed)
    kinds = list(KINDS)
    for number in range(cases):
        kind = chance.choices(kinds, [KINDS[each][1] for each in kinds])[0]
        yield f"{seed}.{kind}.{number}"


def run(shop: Shop, tried: Iterator[str]) -> list[str]:
    """Try cases; what went wrong, once for each kind of trouble."""
    problems: dict[str, str] = {}
    for name in tried:
        try:
            one(shop, name)
        except Problem as problem:
            shop._until_fresh = 0
            problems.setdefault(str(problem).rpartition("\n")[2][:80], f"{name}: {problem}")
            if len(problems) >= MOST_PROBLEMS:
                break
    return list(problems.values())


def main() -> int:
    """Run as the command line says and print what happened."""
    asked = argparse.ArgumentParser(prog="python -m tests.fuzz")
    asked.add_argument("--cases", type=int, default=100_000)
    asked.add_argument("--seed", type=int, default=int(time.time()))
    asked.add_argument("names", nargs="*", help="cases to try again, by their names")
    given = asked.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, open_shop(Path(folder)) as shop:
        problems = run(shop, iter(given.names) if given.names else names(given.seed, given.cases))
        seen = dict(sorted(shop.seen.items()))
    sys.stdout.write(f"seed {given.seed}: {sum(seen.values())} cases answered ")
    sys.stdout.write(f"in {time.monotonic() - began:.0f} s, by status {seen}\n")
    for problem in problems:
        sys.stdout.write(f"PROBLEM {problem}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
