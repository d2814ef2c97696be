"""Looks for an order in what clients were told: a seed and a number of operations in, a log out;
status 1 if an answer has no place in any order."""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable

from bench.s3.signing import Target
from tests.linear.rounds import Rounds
from tests.live.process import Running, running

ROUND = 400  # operations before everybody stops
BETWEEN_KILLS = 1000  # operations
DURABILITIES = ("commit", "relaxed")
TOLD = 10  # seconds from one line of the log to the next


def run(
    operations: int,
    seed: int,
    durability: str,
    between_kills: int = BETWEEN_KILLS,
    tell: Callable[[str], None] = lambda _: None,
) -> Rounds:
    """Have so many operations judged on a eucabox of its own; stops early at a problem."""
    with running(f"[node]\nvirt_type = qemu\n[buckets]\ndurability = {durability}\n") as cloud:
        rounds = Rounds(_target(cloud), f"{seed}.{durability}", lambda: _kill(cloud))
        told = time.monotonic()
        while rounds.judged < operations and not rounds.problems:
            due = rounds.judged // between_kills + 1 - rounds.counts["kills"]
            rounds.run(min(ROUND, operations - rounds.judged), max(due, 0))
            if time.monotonic() - told > TOLD:
                told = time.monotonic()
                tell(f"{rounds.judged} operations, {rounds.counts['kills']} kills")
        for line in cloud.log.read_text().splitlines():
            if "trace=" in line:
                rounds.problems.append(line[:2000])
    return rounds


def _target(cloud: Running) -> Target:
    return Target("127.0.0.1", cloud.port, cloud.access_key, cloud.secret_key)


def _kill(cloud: Running) -> float:
    cloud.kill()
    death = time.monotonic()
    cloud.start()
    return death


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run as the command line says and print what happened."""
    parser = argparse.ArgumentParser(prog="python -m tests.linear")
    parser.add_argument("--operations", type=int, default=20_000)
    parser.add_argument("--between-kills", type=int, default=BETWEEN_KILLS)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    say(f"seed {given.seed}, {given.operations} operations")
    problems: list[str] = []
    for durability in DURABILITIES:
        began = time.monotonic()
        share = given.operations // len(DURABILITIES)
        rounds = run(share, given.seed, durability, given.between_kills, say)
        _report(durability, rounds, time.monotonic() - began)
        problems += rounds.problems
    return 1 if problems else 0


def _report(durability: str, rounds: Rounds, seconds: float) -> None:
    counts = Counter(rounds.counts)
    say(f"{durability}: {rounds.judged} operations and {counts.pop('kills')} kills in"
        f" {seconds:.0f} s, {rounds.checking:.0f} of them to judge,"
        f" {len(rounds.problems)} violations, {rounds.most_states} states at most")  # fmt: skip
    for what, times in sorted(counts.items()):
        say(f"  {times:8} {what}")
    for problem in rounds.problems:
        say(f"PROBLEM {durability}: {problem}")


if __name__ == "__main__":
    sys.exit(main())
