"""Root's commands beside another user's data: refused, or done as that user."""

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from eucabox.cli import data_owner
from eucabox.config import Config
from eucabox.errors import DataOfAnotherUser
from eucabox.iam.accounts import Accounts
from tests.test_cli import invoke

NOBODY, DAEMON = pwd.getpwnam("nobody"), pwd.getpwnam("daemon")


@pytest.fixture
def config_file(config: Config, tmp_path: Path) -> Path:
    """A configuration whose data belongs to nobody."""
    file = tmp_path / "eucabox.conf"
    file.write_text(f"[cloud]\ndata_dir = {tmp_path}\n")
    os.chown(tmp_path, NOBODY.pw_uid, NOBODY.pw_gid)
    return file


@pytest.mark.parametrize(
    ("installed", "to_type"),
    [(True, "Type: systemctl start eucabox"), (False, "Type: chown -R root ")],
)
def test_root_does_not_serve_anothers_data_and_is_told_what_to_type(
    config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    installed: bool, to_type: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(data_owner, "is_unit_installed", lambda: installed)
    shown = invoke("-c", config_file, "serve")
    assert shown.exit_code == os.EX_CONFIG
    assert f"{tmp_path} belongs to the user nobody" in shown.output
    assert to_type in shown.output
    assert [each.name for each in tmp_path.iterdir()] == ["eucabox.conf"]


@pytest.mark.parametrize("command", [["serve"], ["stop", "--purge"]])
def test_data_of_a_user_who_is_gone_from_the_host_is_refused_by_its_number(
    config_file: Path, tmp_path: Path, command: list[str]
) -> None:
    os.chown(tmp_path, 54321, 54321)
    shown = invoke("-c", config_file, *command)
    assert shown.exit_code == os.EX_CONFIG
    assert f"{tmp_path} belongs to the user 54321" in shown.output
    assert f"Type: chown -R root {tmp_path}" in shown.output


def test_what_is_roots_own_or_not_there_yet_is_not_refused(config: Config) -> None:
    data_owner.refuse_for_root(config)
    os.chown(config.cloud.data_dir, NOBODY.pw_uid, NOBODY.pw_gid)
    with pytest.raises(DataOfAnotherUser):
        data_owner.refuse_for_root(config)
    config.cloud.data_dir.rmdir()
    data_owner.refuse_for_root(config)


@pytest.mark.parametrize(("home_of", "owner"), [(NOBODY.pw_uid, NOBODY.pw_uid), (1234, 0)])
def test_credentials_by_sudo_are_whose_folder_they_are_written_into(
    accounts: Accounts, config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    home_of: int, owner: int,
) -> None:  # fmt: skip
    file, home = tmp_path / "eucabox.conf", tmp_path / "home"
    file.write_text(f"[cloud]\ndata_dir = {config.cloud.data_dir}\n")
    home.mkdir()
    os.chown(home, home_of, home_of)
    monkeypatch.setenv("SUDO_UID", str(NOBODY.pw_uid))
    monkeypatch.setenv("SUDO_GID", str(NOBODY.pw_gid))
    assert invoke("-c", file, "credentials", "--out", home / "keys").exit_code == 0
    written = [home / "keys", *(home / "keys").rglob("*")]
    assert {each.stat().st_uid for each in written} == {owner}
    assert len(written) > 5


@pytest.mark.slow
def test_a_command_that_writes_becomes_the_owner_with_the_services_capabilities_alone(
    config: Config,
) -> None:
    os.chown(config.cloud.data_dir, NOBODY.pw_uid, NOBODY.pw_gid)
    script = (
        "import sys; from pathlib import Path; from eucabox.cli import data_owner;"
        "from eucabox.config import CloudSection, Config;"
        "data_owner.sys.executable = '/bin/grep'; sys.argv = ['x', '^Cap', '/proc/self/status'];"
        "data_owner.COMMAND = ();"
        f"data_owner.become_owner(Config(cloud=CloudSection(data_dir=Path({str(config.cloud.data_dir)!r}))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    sets = dict(line.split(":\t") for line in done.stdout.splitlines())
    assert {int(sets[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {0x3400}


SERVE = """\
import sys
from pathlib import Path
from eucabox import server
from eucabox.config import CloudSection, Config
sys.exit(server.serve(Config(cloud=CloudSection(data_dir=Path(sys.argv[1])))))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("daemons", "refused"), [("run/lock", "run/lock"), ("", "network")])
def test_data_of_another_user_ends_a_start_with_78_and_names_him(
    tmp_path: Path, daemons: str, refused: str
) -> None:
    data = tmp_path / "data"
    (data / "run").mkdir(parents=True)
    (data / "run" / "lock").touch(mode=0o600)
    os.chown(data / daemons, DAEMON.pw_uid, DAEMON.pw_gid)
    as_any_user = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner,-chown"]
    argv = [*as_any_user, sys.executable, "-c", SERVE, str(data)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == os.EX_CONFIG
    (line,) = done.stderr.splitlines()
    reason = "Permission denied. Run as daemon, give the folder to the user that runs eucabox, or"
    assert line.startswith(f"eucabox: {data / refused}: {reason}")
