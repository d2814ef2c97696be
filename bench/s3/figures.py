"""Runs every server by turns and prints one table of figures and ratios; judges nothing."""

import argparse
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from bench.s3.loads import LARGE, Plan, measure
from bench.s3.peers import SERVERS, Missing

PIECE = 1 << 20


def run(argv: list[str]) -> None:
    """Measure as the arguments say and print the table."""
    asked = _arguments(argv)
    names = asked.peers.split(",")
    only = frozenset(asked.only.split(",")) if asked.only else frozenset()
    plan = Plan(small=asked.small, keys=asked.keys, only=only)
    found: dict[str, dict[str, list[float]]] = {}
    for number in range(asked.rounds):
        _round(names, plan, found, number)
        for name, value in limits().items():
            found.setdefault("limit", {}).setdefault(name, []).append(value)
    medians = {
        server: {name: median(values) for name, values in figures.items()}
        for server, figures in found.items()
    }
    _print(medians)
    if asked.json:
        asked.json.write_text(json.dumps({"medians": medians, "runs": found}, indent=1))


def _arguments(argv: list[str]) -> Any:
    parser = argparse.ArgumentParser(prog="python -m bench.s3", description=__doc__)
    parser.add_argument("--json", type=Path, help="write all figures into this file too")
    parser.add_argument("--peers", default=",".join(SERVERS), help="which servers, in which order")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each; medians are shown")
    parser.add_argument("--keys", type=int, default=10_000, help="keys that are listed")
    parser.add_argument("--small", type=int, default=2000, help="small objects of each load")
    parser.add_argument("--only", default="", help="the loads whose names begin so, by commas")
    return parser.parse_args(argv)


def _round(
    names: list[str], plan: Plan, found: dict[str, dict[str, list[float]]], number: int
) -> None:
    for name in names:
        try:
            with SERVERS[name]() as server:
                figures = measure(server, plan)
        except Missing as why:
            if not number:
                print(f"{name} is left out: {why}", flush=True)
            continue
        for figure, value in figures.items():
            found.setdefault(name, {}).setdefault(figure, []).append(value)


def limits() -> dict[str, float]:
    """What one core allows in Python: MD5 and a write of what it read, and each sum alone."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        return {
            "PUT 64 MiB, MiB/s": _rate(lambda: _written(Path(folder) / "file")),
            "MD5, MiB/s": _rate(lambda: hashlib.md5(LARGE).digest()),
            "SHA-256, MiB/s": _rate(lambda: hashlib.sha256(LARGE).digest()),
        }


def _written(file: Path) -> None:
    md5, view = hashlib.md5(usedforsecurity=False), memoryview(LARGE)
    with file.open("wb", buffering=0) as opened:
        for start in range(0, len(LARGE), PIECE):
            md5.update(view[start : start + PIECE])
            opened.write(view[start : start + PIECE])
        os.fdatasync(opened.fileno())


def _rate(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return 64 / (time.perf_counter() - began)


def _print(medians: dict[str, dict[str, float]]) -> None:
    names = list(medians)
    rows = dict.fromkeys(name for figures in medians.values() for name in figures)
    print(f"{'':34}" + "".join(f"{name:>12}" for name in names))
    for row in rows:
        cells = [medians[name].get(row) for name in names]
        print(f"{row:34}" + "".join(f"{_number(each):>12}" for each in cells))
    ours = [name for name in ("eucabox", "relaxed") if name in medians]
    for own in ours:
        others = [name for name in names if name not in ours]
        print(f"\n{own + ' beside':34}" + "".join(f"{name:>12}" for name in others))
        for row in rows:
            ratios = [_ratio(medians[own].get(row), medians[name].get(row)) for name in others]
            if any(ratios):
                print(f"{row:34}" + "".join(f"{each:>12}" for each in ratios))


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _ratio(own: float | None, other: float | None) -> str:
    return f"{own / other:.2f}" if own is not None and other else ""
