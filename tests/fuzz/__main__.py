"""The fuzz: a seed and a number of cases in, a log out; status 1 if anything went wrong."""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.fuzz.kinds import KINDS
from tests.fuzz.odd import Chance
from tests.fuzz.shop import Problem, Shop, open_shop

MOST_PROBLEMS = 25
TOLD = 5000  # cases from one line of the log to the next


def one(shop: Shop, name: str) -> None:
    """Try the case of a name, such as `7.headers.123`; Problem."""
    _, kind, _ = name.split(".")
    chance = Chance(name)
    shop.ask(KINDS[kind][0](chance, shop), chance)


def names(seed: int, cases: int) -> Iterator[str]:
    """The names of so many cases, of every kind its share."""
    chance = random.Random(seed)
    kinds = list(KINDS)
    for number in range(cases):
        kind = chance.choices(kinds, [KINDS[each][1] for each in kinds])[0]
        yield f"{seed}.{kind}.{number}"


def run(shop: Shop, tried: Iterator[str], tell: Callable[[str], None] | None = None) -> list[str]:
    """Try cases; what went wrong, once for each kind of trouble."""
    problems: dict[str, str] = {}
    for number, name in enumerate(tried, 1):
        if tell and number % TOLD == 0:
            tell(f"{number} cases, {len(problems)} problems")
        try:
            one(shop, name)
        except Problem as problem:
            shop._until_fresh = 0
            problems.setdefault(str(problem).rpartition("\n")[2][:80], f"{name}: {problem}")
            if len(problems) >= MOST_PROBLEMS:
                break
    return list(problems.values())


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run as the command line says and print what happened."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("names", nargs="*", help="cases to try again, by their names")
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, open_shop(Path(folder)) as shop:
        tried = iter(given.names) if given.names else names(given.seed, given.cases)
        problems = run(shop, tried, say)
        seen = dict(sorted(shop.seen.items()))
    seconds = time.monotonic() - began
    say(f"seed {given.seed}: {sum(seen.values())} cases in {seconds:.0f} s, by status {seen}")
    for problem in problems:
        say(f"PROBLEM {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
