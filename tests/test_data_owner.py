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
from tests.test_cli import invoke

NOBODY = pwd.getpwnam("nobody")


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
