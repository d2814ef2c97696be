import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from eucabox.accounts import Accounts
from eucabox.cli import main
from eucabox.config import Config

DOCS = Path(__file__).parent.parent / "docs" / "commands.md"


def commands(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if not isinstance(group, click.Group):
        yield path
        return
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        yield from commands(found, (*path, name))


ALL = sorted(commands(main))


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    file = tmp_path / "eucabox.conf"
    file.write_text(f"[cloud]\ndata_dir = {tmp_path}\n")
    return file


def invoke(*argv: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in argv])


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_has_help_and_its_line_in_the_docs(path: tuple[str, ...]) -> None:
    shown = invoke(*path, "--help")
    assert shown.exit_code == 0
    assert len(shown.output.splitlines()) > 3
    assert f"| `eucabox {' '.join(path)}` |" in DOCS.read_text()


def test_the_docs_have_no_other_commands() -> None:
    lines = [line for line in DOCS.read_text().splitlines() if line.startswith("| `eucabox ")]
    assert sorted(line.split("`")[1].split()[1:] for line in lines) == [list(each) for each in ALL]


def test_help_does_not_load_the_doors() -> None:
    script = (
        "import sys; from click.testing import CliRunner; from eucabox.cli import main;"
        "CliRunner().invoke(main, ['status', '--help']);"
        "print([m for m in ('flask', 'botocore', 'boto3', 'cheroot') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_wrong_setting_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "eucabox.conf"
    file.write_text("[api]\nport = none\n")
    shown = invoke("-c", file, "status")
    assert shown.exit_code == 1
    assert shown.output == f"eucabox: {file}: [api] port: 'none' must be a whole number\n"


def test_a_folder_without_a_cloud_is_one_line(config_file: Path) -> None:
    for command in (("status",), ("credentials",), ("user", "list")):
        shown = invoke("-c", config_file, *command)
        assert shown.exit_code == 1
        assert "holds no cloud yet" in shown.output
        assert len(shown.output.splitlines()) == 1


def test_users_and_their_credentials(
    accounts: Accounts, config: Config, config_file: Path, tmp_path: Path
) -> None:
    assert invoke("-c", config_file, "user", "create", "alice").exit_code == 0
    again = invoke("-c", config_file, "user", "create", "alice")
    assert (again.exit_code, "exists already" in again.output) == (1, True)
    rows = json.loads(invoke("-c", config_file, "user", "list", "--json").output)
    assert [row["user_name"] for row in rows] == ["admin", "alice"]
    out = tmp_path / "alice"
    written = invoke("-c", config_file, "credentials", "--user", "alice", "--out", out, "--json")
    assert json.loads(written.output)["account_id"] == rows[1]["account_id"]
    assert {each.name for each in out.iterdir()} >= {"eucarc", "cloud-cert.pem", "euca2ools.ini"}
    for secret in (*out.glob("*-pk.pem"), out / "eucarc", out / "aws" / "credentials"):
        assert secret.stat().st_mode & 0o077 == 0
    before = (out / "eucarc").read_bytes()
    invoke("-c", config_file, "credentials", "--user", "alice", "--out", out)
    assert (out / "eucarc").read_bytes() == before


def test_eucarc_finds_its_own_folder(accounts: Accounts, config_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "first"
    invoke("-c", config_file, "credentials", "--out", out)
    moved = out.rename(tmp_path / "a folder")
    done = subprocess.run(
        ["bash", "-c", '. "$1/eucarc" && ls "$EC2_CERT" "$EC2_PRIVATE_KEY" "$EUCALYPTUS_CERT"', "-",
         str(moved)],
        capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert all(line.startswith(str(moved)) for line in done.stdout.splitlines())


def test_status_of_a_stopped_cloud(accounts: Accounts, config_file: Path) -> None:
    shown = invoke("-c", config_file, "status", "--json")
    assert shown.exit_code == 3
    assert json.loads(shown.output)["running"] is False


def test_doctor_names_a_taken_port_and_a_closed_folder(tmp_path: Path) -> None:
    import socket

    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        file = tmp_path / "eucabox.conf"
        file.write_text(
            f"[cloud]\ndata_dir = {closed}\n[api]\nport = {port}\nhttps_port = 0\n[node]\nvirt_type = qemu\n"
        )
        shown = invoke("-c", file, "doctor", "--json")
    assert shown.exit_code == 1
    failed = {each["what"]: each for each in json.loads(shown.output) if each["state"] == "FAIL"}
    assert str(port) in failed["ports"]["said"]
    assert "[api] port" in failed["ports"]["mend"]
    assert "chmod o+x" in failed["path"]["mend"]


def test_image_commands_name_what_they_lack(tmp_path: Path) -> None:
    shown = CliRunner(env=dict.fromkeys(os.environ)).invoke(main, ["image", "list"])
    assert shown.exit_code == 1
    assert "EC2_URL" in shown.output
    assert "eucarc" in shown.output


@pytest.mark.parametrize(
    ("words", "said"),
    [((), "at least one setting"), (("--seed", "floppy"), "'floppy' is not one of 'imds'")],
)
def test_an_images_settings_are_checked_before_anybody_is_asked(
    words: tuple[str, ...], said: str
) -> None:
    told = invoke("image", "set", "emi-12345678", *words)
    assert told.exit_code == 2
    assert said in told.output
