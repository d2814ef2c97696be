"""Root's commands beside another user's data: refused, or done as that user."""

import json
import os
import pwd
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from eucabox.cli import data_owner, doctor, report
from eucabox.config import CloudSection, Config, NodeSection
from eucabox.domains.hooks import Hooks
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


def test_credentials_by_sudo_into_a_home_are_its_users_and_nothing_else_there(
    nobodys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = nobodys / "home"
    home.mkdir()
    (home / "roots").touch()
    os.chown(home, DAEMON.pw_uid, DAEMON.pw_gid)
    monkeypatch.chdir(home)
    monkeypatch.setenv("SUDO_UID", str(DAEMON.pw_uid))
    monkeypatch.setenv("SUDO_GID", str(DAEMON.pw_gid))
    shown = invoke("-c", nobodys / "eucabox.conf", "credentials", "--out", ".")
    assert shown.exit_code == 0, shown.output
    assert {each.name for each in home.rglob("*") if each.stat().st_uid == 0} == {"roots"}
    assert (home / "eucarc").stat().st_uid == DAEMON.pw_uid


@pytest.mark.parametrize(("home_of", "owner"), [(DAEMON.pw_uid, DAEMON.pw_uid), (0, 0)])
def test_a_report_by_sudo_is_whose_folder_it_is_written_into(
    nobodys: Path, monkeypatch: pytest.MonkeyPatch, home_of: int, owner: int
) -> None:
    home = nobodys / "home"
    home.mkdir()
    os.chown(home, home_of, home_of)
    monkeypatch.chdir(home)
    monkeypatch.setenv("SUDO_UID", str(DAEMON.pw_uid))
    monkeypatch.setenv("SUDO_GID", str(DAEMON.pw_gid))
    monkeypatch.setattr(report, "COLLECTORS", {"versions": report.COLLECTORS["versions"]})
    shown = invoke("-c", nobodys / "eucabox.conf", "report")
    assert shown.exit_code == 0, shown.output
    (file,) = home.iterdir()
    status = file.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (owner, owner, 0o600)


@pytest.fixture
def nobodys(first_start: Path) -> Iterator[Path]:
    """A cloud's data that belongs to nobody, in a folder that he can pass to."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        shutil.copytree(first_start, folder / "data")
        (folder / "eucabox.conf").write_text(f"[cloud]\ndata_dir = {folder}/data\n")
        for path in (folder / "data", *(folder / "data").rglob("*")):
            os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)
        yield folder


@pytest.mark.parametrize(
    "argv",
    [("credentials", "--out", "keys"), ("user", "create", "alice"), ("user", "list"), ("status",)],
)
def test_roots_commands_leave_only_the_owners_files(
    nobodys: Path, monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...]
) -> None:
    monkeypatch.chdir(nobodys)
    shown = invoke("-c", nobodys / "eucabox.conf", *argv)
    assert shown.exit_code == (3 if argv == ("status",) else 0), shown.output
    assert {each.stat().st_uid for each in (nobodys / "data").rglob("*")} == {NOBODY.pw_uid}
    if argv[0] == "credentials":
        assert {each.stat().st_uid for each in (nobodys / "keys").rglob("*")} == {0}
    assert (os.geteuid(), os.getegid()) == (0, 0)


@pytest.mark.parametrize("name", ["ca/ca.crt", "key"])
def test_root_copies_nothing_that_the_owner_linked_to(nobodys: Path, name: str) -> None:
    secret = nobodys / "secret"
    secret.write_bytes((nobodys / "data" / name).read_bytes())
    secret.chmod(0o600)
    (nobodys / "data" / name).unlink()
    (nobodys / "data" / name).symlink_to(secret)
    shown = invoke("-c", nobodys / "eucabox.conf", "credentials", "--out", nobodys / "keys")
    assert shown.exit_code == 1
    assert "Permission denied" in shown.output
    assert not (nobodys / "keys").exists()


@pytest.mark.parametrize("argv", [("credentials",), ("user", "list"), ("status",)])
def test_root_makes_no_file_that_the_owner_linked_to(nobodys: Path, argv: tuple[str, ...]) -> None:
    made, database = nobodys / "made", nobodys / "data" / "eucabox.db"
    database.unlink()
    made.touch(mode=0o600)
    database.symlink_to(made)
    assert invoke("-c", nobodys / "eucabox.conf", *argv).exit_code == 1
    assert made.stat().st_size == 0


def test_a_check_by_root_finds_a_file_that_the_owner_cannot_read(nobodys: Path) -> None:
    drop_in = nobodys / "eucabox.conf.d" / "50-site.conf"
    drop_in.parent.mkdir()
    drop_in.write_text("[api]\nport = 9000\n")
    argv = ("-c", nobodys / "eucabox.conf", "config", "check")
    assert invoke(*argv).exit_code == 0
    drop_in.chmod(0o600)
    shown = invoke(*argv)
    assert shown.exit_code == os.EX_CONFIG
    assert f"{drop_in} can't be read as a configuration: Permission denied." in shown.output
    assert "Let the user nobody read it" in shown.output


def test_doctor_finds_programs_that_the_owner_cannot_execute(
    nobodys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (doctor._own_programs,))  # the others take seconds
    hooks, program = nobodys / "hooks", nobodys / "change-xml"
    hooks.mkdir()
    for file in (program, hooks / "10-gate"):
        file.write_text("#!/bin/sh\n")
        file.chmod(0o700)
    settings = nobodys / "eucabox.conf"
    node = f"[node]\nhooks = {hooks}\ndomain_xml_qemu = {program}\n"
    settings.write_text(settings.read_text() + node)
    shown = invoke("-c", settings, "doctor", "--json")
    details = [each["detail"] for each in json.loads(shown.output)]
    assert [each for each in details if "the user nobody can't execute it" in each] == [
        f"{program} can't be run: the user nobody can't execute it; chmod a+rx {program}",
        f"{hooks}/10-gate is not run: the user nobody can't execute it; chmod a+rx {hooks}/10-gate",
    ]


def test_a_hook_that_the_owner_cannot_execute_is_told_to_the_log(
    nobodys: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hooks = nobodys / "hooks"
    hooks.mkdir()
    (hooks / "10-gate").touch(mode=0o700)
    data, node = CloudSection(data_dir=nobodys / "data"), NodeSection(hooks=hooks)
    with data_owner.act_as_owner(Config(cloud=data)):
        Hooks(Config(cloud=data, node=node), None).tell("launch", "i-1")  # type: ignore[arg-type]
    assert "10-gate is not run: the user nobody can't execute it" in caplog.text


def test_a_report_of_roots_holds_nothing_that_the_owner_linked_to(
    nobodys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(report.COLLECTORS, "doctor")  # looks at the host, for seconds
    secret = nobodys / "secret"
    secret.write_text("of root")
    secret.chmod(0o600)
    for name in ("instances/i-1/console.log", "log/eucabox.log"):
        link = nobodys / "data" / name
        link.parent.mkdir(parents=True)
        link.symlink_to(secret)
    out = nobodys / "report.tar.gz"
    shown = invoke("-c", nobodys / "eucabox.conf", "report", "--out", out)
    assert shown.exit_code == 0, shown.output
    with tarfile.open(out) as archive:
        texts = [archive.extractfile(each).read() for each in archive]  # type: ignore[union-attr]
    assert len(texts) > 5
    assert not [text for text in texts if b"of root" in text]


def test_the_owner_is_whose_the_folder_is_that_a_link_of_roots_leads_to(config: Config) -> None:
    """Else a command would become root, who owns the link, again and again."""
    folder = config.cloud.data_dir
    (folder / "disk").mkdir()
    os.chown(folder / "disk", NOBODY.pw_uid, NOBODY.pw_gid)
    (folder / "data").symlink_to("disk")
    linked = Config(cloud=CloudSection(data_dir=folder / "data"))
    with pytest.raises(DataOfAnotherUser, match="belongs to the user nobody"):
        data_owner.refuse_for_root(linked)
    with data_owner.act_as_owner(linked):
        assert (os.geteuid(), os.getegid()) == (NOBODY.pw_uid, NOBODY.pw_gid)
    assert (os.geteuid(), os.getegid()) == (0, 0)


@pytest.mark.parametrize("argv", [("serve",), ("stop", "--purge"), ("status",), ("credentials",)])
def test_data_of_a_user_whom_the_host_does_not_know_ends_a_command_in_one_line(
    config_file: Path, tmp_path: Path, argv: tuple[str, ...]
) -> None:
    os.chown(tmp_path, 12345, 12345)
    shown = invoke("-c", config_file, *argv)
    assert shown.exit_code == os.EX_CONFIG
    (line,) = shown.output.splitlines()
    assert "belongs to the user 12345, whom this host does not know" in line
    assert line.endswith(f"Type: chown -R root {tmp_path}")


@pytest.mark.not_fast
def test_a_command_that_runs_again_takes_no_module_from_the_folder_it_is_typed_in(
    tmp_path: Path,
) -> None:
    planted = tmp_path / "eucabox"
    planted.mkdir()
    (planted / "__main__.py").write_text("print('planted')\n")
    argv = [sys.executable, *data_owner.COMMAND, "--version"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("eucabox, version")


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
from eucabox.config import CloudSection, Config, NodeSection
from eucabox.domains.hooks import Hooks
sys.exit(server.serve(Config(cloud=CloudSection(data_dir=Path(sys.argv[1])))))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("daemons", "told"),
    [
        (
            "run/lock",
            "{data}/run/lock belongs to the user daemon, and {data} to root: a eucabox that",
        ),
        ("", "{data}/network: Permission denied. Run as daemon, give the folder to the user that"),
    ],
)
def test_data_of_another_user_ends_a_start_with_78_and_names_him(
    tmp_path: Path, daemons: str, told: str
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
    assert line.startswith(f"eucabox: {told.format(data=data)}")
