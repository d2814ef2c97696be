"""Builds the deb of a commit, a later version of it as an upgrade, and one with an older schema."""

import ast
import subprocess
from pathlib import Path

from tests.packages.machine import ROOT

CONF = "etc/eucabox/eucabox.conf"
SCHEMA = "eucabox/schema.py"
EARLIER, LATER = "~earlier", "+later"
NEW_LINE = "# A line that only the later version has.\n"


def build(folder: Path, commit: str = "HEAD") -> Path:
    """Build the deb of a commit and return it; lintian looks at HEAD's."""
    argv = [str(ROOT / "setup" / "deb.sh"), str(folder), commit]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    (deb,) = folder.glob("eucabox_*.deb")
    return deb


def build_older(folder: Path) -> Path:
    """Build the deb of the last commit whose database has fewer steps than HEAD's."""
    return build(folder, _find_older_schema())


def make_earlier(deb: Path, folder: Path) -> Path:
    """Pack a program as an earlier version."""
    return _repack(deb, folder, EARLIER)


def make_later(deb: Path, folder: Path) -> Path:
    """Pack the same program as a later version whose configuration file has one more line."""
    return _repack(deb, folder, LATER, NEW_LINE)


def _repack(deb: Path, folder: Path, suffix: str, line: str = "") -> Path:
    tree, packed = folder / "tree", folder / "packed.deb"
    subprocess.run(["dpkg-deb", "-R", deb, tree], check=True)
    control = tree / "DEBIAN" / "control"
    control.write_text(_change_version(control.read_text(), suffix))
    with (tree / CONF).open("a") as file:
        file.write(line)
    subprocess.run(
        ["dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "-b", tree, packed],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return packed


def _change_version(control: str, suffix: str) -> str:
    lines = control.splitlines(keepends=True)
    return "".join(f"{x.rstrip()}{suffix}\n" if x.startswith("Version: ") else x for x in lines)


def _find_older_schema() -> str:
    """Return the commit; a clone without history has none, which is said."""
    commits = _git("log", "--format=%H", "--", SCHEMA).split()
    steps = _count_steps(commits[0])
    older = next((each for each in commits if _count_steps(each) < steps), None)
    assert older, "no commit here has an older schema: git fetch --unshallow"
    return older


def _count_steps(commit: str) -> int:
    body = ast.parse(_git("show", f"{commit}:{SCHEMA}")).body
    tuples = [each.value for each in body if isinstance(each, ast.Assign) and _is_history(each)]
    (history,) = [each for each in tuples if isinstance(each, ast.Tuple)]
    return len(history.elts)


def _is_history(assigned: ast.Assign) -> bool:
    return ast.unparse(assigned.targets[0]) == "MIGRATIONS"


def _git(*argv: str) -> str:
    return subprocess.run(
        ["git", *argv], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
