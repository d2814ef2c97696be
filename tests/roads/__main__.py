"""So many requests down both roads: `python -m tests.roads --cases N --seed S`; status 1 for any
difference."""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from tests.roads.clients import CLIENTS, make_odd
from tests.roads.pair import BUCKETS, Difference, Pair, open_pair

TOLD = 5000  # cases from one line of the output to the next
KEYS = (
    "a", "b", "c/d", "c/d/e", "c d", "f+g", "f%g", "\xe4\u20ac", "g/", "a//b", ".eucabox/x",
    "h/../i",
    "anna/a", "anna/b", "k" * 300, "k" * 1025, "byhand", "j/" * 40 + "k", "l\x7fm", "n?o", "p#q",
)  # fmt: skip
USERS = ("admin",) * 6 + ("anna",) * 3 + ("bert", "other", "session")
WHO = (*USERS, "nobody", "tokenless")
VERBS = ("GET",) * 4 + ("HEAD",) * 2 + ("PUT",) * 3 + ("DELETE",)
SIZES = (0, 1, 10, 4096, 20_000)


def run(pair: Pair, cases: int, seed: int, tell: Callable[[str], None] | None = None) -> None:
    """Try so many cases; raises Difference at the first that differs."""
    for number in range(cases):
        if number % 2500 == 2499:
            pair.compare_trees()
        if tell and number % TOLD == TOLD - 1:
            tell(f"{number + 1} cases, {pair.counts.straight} on the straight road")
        chance = random.Random(f"{seed}.{number}")
        if chance.random() < 0.01:
            pair.change(chance)
        if chance.random() < 0.004:
            pair.hang_up()
        one(pair, chance, f"{seed}.{number}", random.Random(f"{seed}.{number // 150}"))
    pair.compare_trees()


def one(pair: Pair, chance: random.Random, name: str, habit: random.Random) -> None:
    """Try one case: `habit` says who sends requests for a while, and by which client."""
    who, client, asks = habit.choice(USERS), habit.choice(CLIENTS), habit.random() < 0.3
    if chance.random() < 0.03:
        who = chance.choice(WHO)
    bucket = chance.choice(("plain",) * 16 + (*BUCKETS, "none"))
    key = chance.choice(KEYS if chance.random() < 0.4 else KEYS[:3])
    method = chance.choice(VERBS)
    body = chance.randbytes(chance.choice(SIZES)) if method == "PUT" else b""
    path = "/" + quote(f"{bucket}/{key}", safe="/~")
    sent = client(method, path, body, chance)
    if asks and method == "PUT":
        sent.unsigned["Expect"] = "100-continue"
    if chance.random() < 0.1:
        make_odd(sent, chance)
    pair.ask(sent.write(pair.keys[who]), name)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run as the command line says and print what happened."""
    parser = argparse.ArgumentParser(prog="python -m tests.roads")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder, open_pair(Path(folder)) as pair:
        try:
            run(pair, given.cases, given.seed, say)
        except Difference as difference:
            say(f"DIFFERENCE {difference}")
            return 1
        counts, statuses = pair.counts, dict(sorted(pair.statuses.items()))
    seconds = time.monotonic() - began
    say(f"seed {given.seed}: {counts.cases} cases in {seconds:.0f} s, {counts.straight} of them"
        f" on the straight road; by status {statuses}")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
