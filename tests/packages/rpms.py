"""Builds the RPMs of a commit, and a later release of them as an upgrade."""

import os
import subprocess
import sys
from pathlib import Path

from tests.packages.machine import ROOT


def build(folder: Path, dist: str = "") -> Path:
    """Build the RPMs of HEAD, rpmlint included, and return the main one."""
    argv = [str(ROOT / "setup" / "rpm.sh"), sys.executable, str(folder)]
    environment = {**os.environ, "DIST": dist}
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, env=environment)
    (rpm,) = [file for file in folder.glob("eucabox-[0-9]*.rpm") if ".src." not in file.name]
    return rpm
