"""What the deb says of itself fits what eucabox says, and a root that can't be had is told."""

import configparser
import os
import re
import subprocess
from pathlib import Path

import pytest

from eucabox import __version__

ROOT = Path(__file__).parent.parent
DEBIAN = ROOT / "packaging" / "debian"
SETUP = ROOT / "setup"
CANNOT = 75


def list_field(name: str) -> set[str]:
    """The packages of a field, the first of each choice, without versions."""
    text = (DEBIAN / "control").read_text()
    value = re.search(rf"^{name}: (.*(?:\n .*)*)", text, re.MULTILINE)
    assert value, name
    choices = (each.strip() for each in value[1].split(","))
    return {each.split()[0] for each in choices if not each.startswith("${")}


def list_root(name: str) -> set[str]:
    lines = (SETUP / f"packages-{name}.txt").read_text().splitlines()
    return {line for line in lines if not line.startswith("#")}


def run_roots(folder: Path, *argv: str, path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SETUP / "roots.sh", *argv], capture_output=True, text=True, check=False,
        env={"PATH": path, "EUCABOX_ROOTS": str(folder)},
    )  # fmt: skip


def test_the_packages_version_is_the_programs() -> None:
    first = (DEBIAN / "changelog").read_text().splitlines()[0]
    assert first.startswith(f"eucabox ({__version__}) ")


def test_the_licence_is_the_one_that_is_named() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    named = config["metadata"]["license"]
    assert named == "Apache-2.0"
    assert f"License: {named}\n" in (DEBIAN / "copyright").read_text()
    first = " ".join((ROOT / "LICENSE").read_text().split()[:4])
    assert first == "Apache License Version 2.0,"


def test_the_root_of_the_build_has_what_the_build_depends_on() -> None:
    wanted = list_field("Build-Depends")
    virtual = {each for each in wanted if each.startswith(("dh-sequence-", "debhelper-compat"))}
    assert wanted - virtual <= list_root("build")


def test_the_root_of_the_round_has_what_the_package_depends_on() -> None:
    wanted = list_field("Depends") | list_field("Recommends")
    assert wanted - {"qemu-system-arm", "qemu-efi-aarch64"} <= list_root("root")
    assert "qemu-system-x86" in list_root("root")


NAMES_IN_DEBIAN = {"sqlite-utils": "sqlite-utils", "pyjwt": "python3-jwt"}


def test_every_library_is_a_dependency_or_known_to_debian_under_its_name() -> None:
    """dh_python3 makes dependencies of what setup.cfg requires, of what the build root has."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    required = config["options"]["install_requires"].split("\n")
    names = {line.split()[0] for line in required if line}
    packages = {NAMES_IN_DEBIAN.get(each, f"python3-{each}") for each in names}
    assert packages <= list_root("root")


@pytest.mark.parametrize("name", ["postinst", "prerm", "postrm", "tests/main-job"])
def test_the_scripts_are_plain_shell(name: str) -> None:
    subprocess.run(["sh", "-n", DEBIAN / name], check=True)


@pytest.mark.slow
def test_a_root_that_is_there_is_taken_until_its_packages_change(tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    fake = tools / "mmdebstrap"  # the real one takes minutes and a network
    fake.write_text('#!/bin/sh\nfor last; do :; done\necho "$*" >>"$0.log"; echo root >"$last"\n')
    fake.chmod(0o755)
    path = f"{tools}:{os.environ['PATH']}"
    for _ in range(2):
        done = run_roots(tmp_path, "bookworm", path=path)
        assert (done.returncode, done.stdout) == (0, f"{tmp_path}/bookworm.tar\n")
    assert len((tools / "mmdebstrap.log").read_text().splitlines()) == 1
    (tmp_path / "bookworm.key").write_text("the key of another list\n")
    assert run_roots(tmp_path, "bookworm", path=path).returncode == 0
    assert len((tools / "mmdebstrap.log").read_text().splitlines()) == 2


@pytest.mark.parametrize("kind", ["link", "owner"])
def test_roots_of_another_user_are_not_taken(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "roots"
    place.mkdir()
    if kind == "owner":
        os.chown(place, 65534, 65534)
    else:
        place = tmp_path / "link"
        place.symlink_to("roots")
    done = run_roots(place, "bookworm", path=os.environ["PATH"])
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{place} is another user's" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo 'E: could not resolve the mirror'; exit 1", "E: could not resolve the mirror"),
        ("sleep 30", "no root bookworm"),
    ],
)
def test_a_root_that_cannot_be_had_is_told_and_nothing_is_left(
    tmp_path: Path, script: str, told: str
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "mmdebstrap").write_text(f"#!/bin/sh\n{script}\n")
    (tools / "mmdebstrap").chmod(0o755)
    done = run_roots(tmp_path, "bookworm", "1", path=f"{tools}:{os.environ['PATH']}")
    assert done.returncode == CANNOT
    assert told in done.stderr
    assert not list(tmp_path.glob("*.tar*"))
