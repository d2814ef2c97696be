"""Man pages and shell completion are made, and know every command."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from eucabox.config import SECTIONS
from tests.test_cli import ALL

ROOT = Path(__file__).parent.parent
COMMAND = "import sys; sys.argv = ['eucabox']; from eucabox.cli import main; main()"
NAMES = {path[:depth] for path in ALL for depth in range(1, len(path) + 1)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build")
    (folder / "man").mkdir()
    (folder / "man" / "eucabox-gone.1").touch()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "setup/manuals.py", str(folder)]
    subprocess.run(argv, check=True, cwd=ROOT, env=environment)
    return folder


@pytest.mark.not_fast
def test_every_command_has_its_page(made: Path) -> None:
    pages = {each.stem for each in (made / "man").glob("*.1")}
    assert pages == {"eucabox", *("-".join(("eucabox", *name)) for name in NAMES)}
    top = (made / "man" / "eucabox.1").read_text()
    for name in {name[0] for name in NAMES}:
        assert f"eucabox-{name}" in top or f"eucabox {name}" in top, name
    assert "in one process on one machine" in top.split(".SH SYNOPSIS")[0]


def test_the_page_of_the_file_has_every_key(made: Path) -> None:
    page = (made / "man" / "eucabox.conf.5").read_text()
    for name, kind in SECTIONS.items():
        section = page.partition(f'.SH "[{name}]"')[2].partition(".SH")[0]
        assert {f"\\fB{each.name}" for each in fields(kind)} <= set(
            re.findall(r"^\\fB[a-z0-9_]+", section, re.MULTILINE)
        )


@pytest.mark.slow
def test_man_reads_the_pages(made: Path) -> None:
    man = shutil.which("man")
    assert man, "man-db is on every system that has man pages"
    for page in (made / "man").iterdir():
        done = subprocess.run(
            [man, "--warnings", "-l", page], capture_output=True, text=True, check=True,
            env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        assert done.stderr == ""
        assert "SYNOPSIS" in done.stdout


def test_each_shell_has_its_file(made: Path) -> None:
    files = {each.name: each.read_text() for each in (made / "completion").iterdir()}
    assert set(files) == {"eucabox", "_eucabox", "eucabox.fish"}
    subprocess.run(["bash", "-n", made / "completion" / "eucabox"], check=True)
    assert files["_eucabox"].startswith("#compdef eucabox")
    assert "complete --no-files --command eucabox" in files["eucabox.fish"]


def words(*typed: str) -> set[str]:
    """Return what bash offers behind these words."""
    line = " ".join(("eucabox", *typed, ""))
    done = subprocess.run(
        [sys.executable, "-c", COMMAND], capture_output=True, text=True, check=True, cwd=ROOT,
        env={
            **os.environ, "_EUCABOX_COMPLETE": "bash_complete", "COMP_WORDS": line,
            "COMP_CWORD": str(len(typed) + 1),
        },
    )  # fmt: skip
    return {each.partition(",")[2] for each in done.stdout.splitlines()}


@pytest.mark.not_fast
@pytest.mark.parametrize("group", sorted({name[:-1] for name in NAMES}))
def test_completion_offers_every_command(group: tuple[str, ...]) -> None:
    assert words(*group) == {name[-1] for name in NAMES if name[:-1] == group}
