"""The attacks one after the other, and a table of the longest waits; status 1 beyond a limit."""

import argparse
import sys
import time

from tests.live.attacks import heavy, images, slow, world
from tests.live.attacks.world import Attack, Longest
from tests.live.process import Running, running

SETTINGS = "[node]\nvirt_type = qemu\n"
ATTACKS: dict[str, Attack] = {**slow.ATTACKS, **heavy.ATTACKS, **images.ATTACKS}
CALM = 1.0  # seconds between two attacks
TABLE = "{:<26} {:>8} {:>8} {:>6}  {}"


def run(cloud: Running, names: list[str], seconds: float) -> dict[str, Longest]:
    """Measure under each attack, and print a line of each."""
    _tell("attack", "API s", "health s", "MiB", "")
    found = {}
    for name in names:
        one = found[name] = world.under(cloud, ATTACKS[name], seconds)
        outcome = "" if one.holds else "; ".join(["TOO MUCH", *one.failures[:2]])
        figures = f"{one.api:.2f}", f"{one.health:.2f}", f"{one.mib:.0f}"
        _tell(name, *figures, outcome)
        time.sleep(CALM)
    return found


def _tell(*columns: str) -> None:
    sys.stdout.write(TABLE.format(*columns).rstrip() + "\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.live.attacks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="of each attack")
    parser.add_argument("--only", default="", help="attacks whose names have this in them")
    options = parser.parse_args()
    names = [each for each in ATTACKS if options.only in each]
    with running(SETTINGS) as cloud:
        world.prepare(cloud)
        found = run(cloud, names, options.seconds)
    return 0 if all(each.holds for each in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
