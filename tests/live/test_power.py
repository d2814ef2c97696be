"""A short form of `make test-power`, and that its cuts find a store that leaves a flush out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.power.broken import BROKEN
from tests.power.disks import FILE_SYSTEMS


def cut(*argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.power", "--seed", "1", *argv],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore", **environment},
    )


def test_what_was_acknowledged_outlives_the_power_on_each_file_system() -> None:
    done = cut("--cuts", "6", "--requests", "150")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "6 cuts, 0 problems"
    for name in FILE_SYSTEMS:
        assert f"{name}, commit: 2 cuts" in done.stdout


@pytest.mark.parametrize("flush", BROKEN)
def test_a_flush_that_is_left_out_is_found(flush: str, tmp_path: Path) -> None:
    program = ("--program", "tests.power.broken", flush, "--keep", str(tmp_path))
    done = cut("--cuts", "20", "--requests", "150", "--file-systems", "ext4", *program)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "PROBLEM" in done.stdout
    assert list(tmp_path.glob("*/ext4"))


def test_a_host_that_can_cut_no_power_says_why() -> None:
    done = cut("--cuts", "1", PATH="/nowhere")
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("no cut: this host has no mount:")
