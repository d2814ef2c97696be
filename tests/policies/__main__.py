"""Compares our evaluator with npm's @cloud-copilot/iam-simulate on random cases: a seed and a
number of cases in, a table of the differences out; status 1 if one has no explanation."""

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from tests.policies.cases import Case, make_case
from tests.policies.differences import explain
from tests.policies.evaluate import evaluate

DRIVER = Path(__file__).with_name("simulate.mjs")
AT_ONCE = 2500  # cases for one run of node
PATIENCE = 300  # seconds for these
MOST_PROBLEMS = 10
OUTCOMES = {
    "Allowed": "allowed",
    "ExplicitlyDenied": "explicitDeny",
    "ImplicitlyDenied": "implicitDeny",
}


def simulate(cases: list[Case], folder: str) -> Iterator[str]:
    """Yield the outcome of each case by the other evaluator, or the error that it gives."""
    lines = "".join(f"{json.dumps(asdict(case))}\n" for case in cases)
    done = subprocess.run(
        ["node", str(DRIVER), folder],
        input=lines,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        sys.exit(f"eucabox: node failed: {done.stderr.strip()[-500:]}")
    for line in done.stdout.splitlines():
        told = json.loads(line)
        yield OUTCOMES.get(told.get("result"), "") or f"error {json.dumps(told.get('error'))}"


def compare(cases: list[Case], folder: str) -> Iterator[tuple[Case, str, str, str]]:
    """Yield each case with our outcome, the other's, and why they differ, "same" or ""."""
    for case, theirs in zip(cases, simulate(cases, folder), strict=True):
        ours = evaluate(case).outcome.value
        yield case, ours, theirs, "same" if ours == theirs else explain(case, theirs)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run as the command line says and print what happened."""
    arguments = argparse.ArgumentParser(prog="python -m tests.policies")
    arguments.add_argument("--cases", type=int, default=10_000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("folder", help="where npm has installed iam-simulate")
    given = arguments.parse_args()
    names = [f"{given.seed}.{number}" for number in range(given.cases)]
    began, reasons, outcomes = time.monotonic(), Counter[str](), Counter[str]()
    problems = []
    for start in range(0, len(names), AT_ONCE):
        cases = [make_case(name) for name in names[start : start + AT_ONCE]]
        for case, ours, theirs, reason in compare(cases, given.folder):
            reasons[reason or "UNEXPLAINED"] += 1
            outcomes[ours] += 1
            if not reason:
                problems.append(f"{ours} here, {theirs} there: {json.dumps(asdict(case))}")
    seconds = time.monotonic() - began
    say(f"seed {given.seed}: {len(names)} cases in {seconds:.0f} s, {dict(outcomes)}")
    for reason, count in reasons.most_common():
        say(f"{count:6} {reason}")
    for problem in problems[:MOST_PROBLEMS]:
        say(f"PROBLEM {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
