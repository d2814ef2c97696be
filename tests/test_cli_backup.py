"""`eucabox backup` and `eucabox restore` as an operator types them."""

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from eucabox.operator.backup import sealed_form
from tests.test_cli import invoke

SECRET = "a cat on the keyboard"
NOBODY = pwd.getpwnam("nobody")


@pytest.fixture(autouse=True)
def _quick_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_form, "COST", {"n": 1 << 4, "r": 8, "p": 1})
    monkeypatch.delenv("EUCABOX_BACKUP_PASSPHRASE", raising=False)


@pytest.fixture
def box(tmp_path: Path, first_start: Path) -> Path:
    """A folder with a configuration `here`, whose cloud is there, and one `there`, with none."""
    shutil.copytree(first_start, tmp_path / "here")
    for name in ("here", "there"):
        (tmp_path / f"{name}.conf").write_text(f"[cloud]\ndata_dir = {tmp_path}/{name}\n")
    (tmp_path / "secret").write_text(f"{SECRET}\nanother line\n")
    return tmp_path


def test_there_and_back(box: Path) -> None:
    file, secret = box / "x.backup", ("--passphrase-file", box / "secret")
    shown = invoke("-c", box / "here.conf", "backup", "create", file, *secret)
    assert shown.exit_code == 0, shown.output
    assert f"{file}: 0." in shown.output and "0 buckets" in shown.output
    shown = invoke("backup", "verify", file, *secret)
    assert (shown.exit_code, f"{file} is whole" in shown.output) == (0, True)
    shown = invoke("-c", box / "there.conf", "restore", file, *secret)
    assert shown.exit_code == 0, shown.output
    assert f"Compare its settings, in {box}/there/restored-settings" in shown.output
    lists = [
        invoke("-c", box / f"{each}.conf", "user", "list").output for each in ("here", "there")
    ]
    assert lists[0] == lists[1] != ""
    assert file.stat().st_mode & 0o777 == 0o600


def test_json_is_one_object_each(box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EUCABOX_BACKUP_PASSPHRASE", SECRET)
    file = box / "x.backup"
    made = invoke("-c", box / "here.conf", "backup", "create", file, "--no-buckets", "--json")
    facts = json.loads(made.output)
    assert facts["size"] == file.stat().st_size
    assert {"file", "buckets", "objects", "versions", "uploads", "images", "notes"} <= facts.keys()
    facts = json.loads(invoke("backup", "verify", file, "--json").output)
    assert facts["whole"] is True and facts["program"]
    facts = json.loads(invoke("-c", box / "there.conf", "restore", file, "--json").output)
    assert facts["folder"] == f"{box}/there" and facts["kept"] == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "name a file by --passphrase-file, or set EUCABOX_BACKUP_PASSPHRASE"),
        ("short\n", "of 12 characters at least"),
        ("x" * 2000, "it may have 1024 bytes"),
    ],
)
def test_a_poor_passphrase_is_refused_before_anything_is_written(
    box: Path, text: str, reason: str
) -> None:
    (box / "secret").write_text(text)
    argv = ("backup", "create", box / "x", "--passphrase-file", box / "secret")
    shown = invoke("-c", box / "here.conf", *argv)
    assert (shown.exit_code, reason in shown.output) == (1, True)
    assert not list(box.glob("x*"))


def test_without_a_passphrase_and_a_terminal_that_is_said(box: Path) -> None:
    shown = invoke("-c", box / "here.conf", "backup", "create", box / "x")
    assert shown.exit_code == 1
    assert shown.output.startswith("eucabox: A backup needs a passphrase: name a file by")


def test_faults_are_one_line_with_status_1(box: Path) -> None:
    secret = ("--passphrase-file", box / "secret")
    (box / "x").write_bytes(b"PK\3\4")
    for argv in (
        ("backup", "verify", box / "x"),
        ("backup", "verify", box / "none"),
        ("restore", box / "x"),
        ("backup", "create", box / "x"),
        ("backup", "create", box / "here" / "x"),
        ("backup", "create", box / "no folder" / "x"),
    ):
        shown = invoke("-c", box / "here.conf", *argv, *secret)
        assert (shown.exit_code, shown.output.count("\n")) == (1, 1), shown.output
        assert shown.output.startswith("eucabox: ")
    assert (box / "x").read_bytes() == b"PK\3\4"


def test_a_damaged_backup_says_where(box: Path) -> None:
    secret = ("--passphrase-file", box / "secret")
    invoke("-c", box / "here.conf", "backup", "create", box / "x", *secret)
    raw = bytearray((box / "x").read_bytes())
    raw[len(raw) // 2] ^= 1
    (box / "x").write_bytes(raw)
    shown = invoke("backup", "verify", box / "x", *secret)
    assert shown.exit_code == 1
    assert f"eucabox: {box}/x is damaged at byte " in shown.output


def test_root_makes_no_data_folder_of_roots_for_the_service(
    box: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = ("--passphrase-file", box / "secret")
    invoke("-c", box / "here.conf", "backup", "create", box / "x", *secret)
    monkeypatch.setattr("eucabox.cli.backup.is_unit_installed", lambda: True)
    shown = invoke("-c", box / "there.conf", "restore", box / "x", *secret)
    assert shown.exit_code == 1
    assert "install -d -o eucabox -g eucabox -m 0751" in shown.output
    assert not (box / "there").exists()


@pytest.mark.not_fast
def test_roots_backup_of_anothers_data_is_roots_and_leaves_nothing_there(first_start: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        shutil.copytree(first_start, folder / "data")
        (folder / "eucabox.conf").write_text(f"[cloud]\ndata_dir = {folder}/data\n")
        for path in (folder / "data", *(folder / "data").rglob("*")):
            os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)
        (folder / "secret").write_text(SECRET)
        (folder / "secret").chmod(0o600)
        argv = [
            "-c",
            folder / "eucabox.conf",
            "backup",
            "create",
            folder / "x",
            "--passphrase-file",
            folder / "secret",
        ]
        done = subprocess.run(
            [sys.executable, "-P", "-m", "eucabox", *map(str, argv)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert ((folder / "x").stat().st_uid, (folder / "x").stat().st_mode & 0o777) == (0, 0o600)
        assert {path.stat().st_uid for path in (folder / "data").rglob("*")} == {NOBODY.pw_uid}
