"""Builds the deb of a commit, and a later version of it as an upgrade."""

import subprocess
from pathlib import Path

from tests.packages.machine import ROOT

CONF = "etc/eucabox/eucabox.conf"
NEW_LINE = "# A line that only the later version has.\n"


def build(folder: Path) -> Path:
    """Build the deb of HEAD, lintian included, and return it."""
    subprocess.run([ROOT / "setup" / "deb.sh", folder], check=True, stdout=subprocess.DEVNULL)
    (deb,) = folder.glob("eucabox_*.deb")
    return deb


def make_later(deb: Path, folder: Path) -> Path:
    """Pack the same program as a later version whose configuration file has one more line."""
    tree, later = folder / "tree", folder / "later.deb"
    subprocess.run(["dpkg-deb", "-R", deb, tree], check=True)
    control = tree / "DEBIAN" / "control"
    control.write_text(_raise_version(control.read_text()))
    with (tree / CONF).open("a") as file:
        file.write(NEW_LINE)
    subprocess.run(
        ["dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "-b", tree, later],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return later


def _raise_version(control: str) -> str:
    lines = control.splitlines(keepends=True)
    return "".join(f"{x.rstrip()}+later\n" if x.startswith("Version: ") else x for x in lines)
