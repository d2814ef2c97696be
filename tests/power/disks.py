"""Disks that a real file system is made and mounted on: recorded ones, and those after a cut."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.power import fuse

MEBIBYTE = 1 << 20
# name -> MiB, the command that makes it, and options with which it sends no discards. XFS takes
# no disk under 300 MiB.
FILE_SYSTEMS: dict[str, tuple[int, list[str], str]] = {
    "ext4": (512, ["mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "nodiscard"], "nodiscard"),
    "xfs": (512, ["mkfs.xfs", "-q", "-f", "-K", "-s", "size=4096"], "nodiscard,nouuid"),
    "btrfs": (512, ["mkfs.btrfs", "-q", "-f", "-K"], "nodiscard"),
}


class Unfit(Exception):
    """Why this host can't cut the power of a disk, in one line."""


def call(*argv: str) -> str:
    """Run a command of the host; Unfit says what it said."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    except FileNotFoundError as problem:
        raise Unfit(f"this host has no {argv[0]}: make setup-test installs it") from problem
    if done.returncode:
        raise Unfit(f"{' '.join(argv)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout.strip()


def make(kind: str, image: Path) -> None:
    """Make an empty file system in a file."""
    size, argv, _ = FILE_SYSTEMS[kind]
    image.touch(mode=0o600)
    os.truncate(image, size * MEBIBYTE)
    call(*argv, str(image))


@contextmanager
def recorded(image: Path, log: Path, folder: Path) -> Iterator[Path]:
    """The path of a disk that keeps its content in `image` and writes each change into `log`."""
    folder.mkdir()
    argv = [sys.executable, "-m", "tests.power.fuse", str(folder), str(image), str(log)]
    server = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert server.stdout is not None
    assert server.stderr is not None
    try:
        if server.stdout.readline() != "mounted\n":
            raise Unfit(f"this host takes no FUSE file system of ours: {server.stderr.read()}")
        try:
            yield folder / fuse.NAME
        finally:
            call("umount", str(folder))
            server.wait(30)
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
        server.stderr.close()


@contextmanager
def mounted(kind: str, disk: Path, folder: Path) -> Iterator[None]:
    """Mount a disk; the file system takes back from its journal what it can."""
    device = call("losetup", "--find", "--show", "--sector-size", "4096", str(disk))
    try:
        call("mount", "-t", kind, "-o", FILE_SYSTEMS[kind][2], device, str(folder))
        try:
            yield
        finally:
            with contextlib.suppress(Unfit):
                call("umount", str(folder))
    finally:
        call("losetup", "--detach", device)
