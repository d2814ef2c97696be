"""Run all benchmarks, or those named: python -m bench [NAME ...]."""

import importlib
import sys

NAMES = (
    "process", "journeys", "describe_instances", "policies", "store", "console", "s3", "launch",
    "serial_console",
)  # fmt: skip


def main() -> None:
    for name in sys.argv[1:] or NAMES:
        print(f"\n== {name}", flush=True)
        importlib.import_module(f"bench.{name}").main()


main()
