"""The kill loop: a seed and a number of kills in, a log out; status 1 if anything was lost."""

import argparse
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.live.kills.cloud import Cloud, register_images
from tests.live.kills.loop import Loop
from tests.live.process import running

TOLD = 25  # rounds from one line of the log to the next
NODE = """[node]
virt_type = qemu
cores = 64
shutdown_grace = 0
stop_keeps_disk = yes
terminated_kept = 20
"""


def run(
    kills: int,
    seed: int,
    extra: str = "",
    folder: Path | None = None,
    tell: Callable[[str], None] | None = None,
    instances: str = "halting",
) -> Loop:
    """Kill a eucabox of `extra` configuration so often; stops early at a problem.

    `instances` are "none", "halting" or "tiny" ones: the last boot as well.
    """
    path = f"path = {folder}\n" if folder else ""
    with running(f"{NODE}[buckets]\n{path}{extra}") as cloud:
        loop = Loop(cloud, folder or cloud.data / "buckets", seed)
        if instances != "none":
            images = register_images(cloud, tiny=instances == "tiny")
            loop.instances = Cloud(cloud, loop.world, images)
        with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C: then what happened so far counts
            while loop.kills < kills and not loop.world.problems:
                loop.once()
                if tell and loop.rounds % TOLD == 0:
                    tell(f"{loop.kills} kills, {sum(loop.world.counts.values())} requests")
        loop.traces()
        loop.close()
        if loop.world.problems:
            for file in (cloud.log, cloud.data / "eucabox.db", cloud.data / "eucabox.db-wal"):
                shutil.copy(file, Path(tempfile.gettempdir()) / f"kills-{seed}-{file.name}")
    return loop


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run the loop as the command line says and print what happened."""
    parser = argparse.ArgumentParser(prog="python -m tests.live.kills")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--extra", default="", help="a line of the section [buckets]")
    parser.add_argument("--parent", type=Path, help="where to make the store's folder")
    parser.add_argument("--instances", choices=["none", "halting", "tiny"], default="tiny")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=given.parent)) if given.parent else None
    say(f"seed {given.seed}, {given.kills} kills, {given.extra or 'as configured'}")
    began = time.monotonic()
    loop = run(given.kills, given.seed, given.extra, folder, say, given.instances)
    say(f"{loop.kills} kills in {time.monotonic() - began:.0f} s")
    for what, times in sorted(loop.world.counts.items()):
        say(f"  {times:8} {what}")
    for what, hundredths in loop.world.seconds.most_common():
        say(f"  {hundredths / 100:8.1f} s {what}")
    for problem in loop.world.problems:
        say(f"PROBLEM {problem}")
    return 1 if loop.world.problems else 0


if __name__ == "__main__":
    sys.exit(main())
