"""Whom a guest's files are given to: by root to its user, else to its group, and no other file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

USER, GROUP = 64055, 64056
GIVE = """\
import sys
from pathlib import Path
from types import SimpleNamespace
from eucabox.domains.launcher import _give_to_guest_user
folder = Path(sys.argv[1])
boot = SimpleNamespace(
    disk=folder / "disk", seed=folder / "seed", nvram=folder / "nvram", partitions={}
)
print(_give_to_guest_user(boot, (int(sys.argv[2]), int(sys.argv[3]))))
"""


def give(folder: Path, *setpriv: str) -> str:
    argv = ["setpriv", *setpriv, sys.executable, "-c", GIVE, str(folder), str(USER), str(GROUP)]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


def state_of(file: Path) -> tuple[int, int, int]:
    status = file.stat()
    return status.st_uid, status.st_gid, status.st_mode & 0o777


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("disk", "seed", "base"):
        (tmp_path / name).touch(mode=0o600)
    return tmp_path


@pytest.mark.slow
def test_root_gives_them_to_the_guests_user(folder: Path) -> None:
    assert give(folder, "--groups", "0") == "True"
    assert state_of(folder / "disk") == state_of(folder / "seed") == (USER, GROUP, 0o600)
    assert state_of(folder / "base") == (0, 0, 0o600)


@pytest.mark.slow
def test_a_user_of_the_guests_group_shares_them_with_it_and_leaves_what_libvirt_made(
    folder: Path,
) -> None:
    (folder / "nvram").touch(mode=0o600)
    os.chown(folder / "nvram", USER, GROUP)
    assert give(folder, "--bounding-set", "-chown", "--groups", str(GROUP)) == "True"
    assert state_of(folder / "disk") == state_of(folder / "seed") == (0, GROUP, 0o660)
    assert state_of(folder / "nvram") == (USER, GROUP, 0o600)
    assert state_of(folder / "base") == (0, 0, 0o600)


@pytest.mark.slow
def test_who_is_not_in_the_group_leaves_it_to_libvirt(folder: Path) -> None:
    assert give(folder, "--bounding-set", "-chown", "--groups", "0") == "False"
    assert state_of(folder / "disk") == (0, 0, 0o600)
