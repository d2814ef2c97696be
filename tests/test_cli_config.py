"""`eucabox config check`, and where other commands say which file a setting is from."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from eucabox.cli import doctor
from eucabox.iam.accounts import Accounts
from tests.test_cli import invoke


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "eucabox.conf"
    made.write_text(f"[cloud]\ndata_dir = {tmp_path}\n[node]\nstop_keeps_disk = on\n")
    (tmp_path / "eucabox.conf.d").mkdir()
    (tmp_path / "eucabox.conf.d" / "10-lan.conf").write_text("[api]\nport = 9000\n")
    return made


def test_check_tells_which_file_each_setting_is_from(file: Path, tmp_path: Path) -> None:
    shown = invoke("-c", file, "config", "check")
    drop_in = tmp_path / "eucabox.conf.d" / "10-lan.conf"
    assert shown.exit_code == 0
    assert shown.output.splitlines() == [
        f"The configuration is right ({file}, {drop_in}).",
        f"[cloud] data_dir = {tmp_path}  ({file})",
        f"[node] stop_keeps_disk = yes  ({file})",
        f"[api] port = 9000  ({drop_in})",
    ]


def test_check_in_json_has_values_and_files(file: Path, tmp_path: Path) -> None:
    found = json.loads(invoke("-c", file, "config", "check", "--json").output)
    drop_in = str(tmp_path / "eucabox.conf.d" / "10-lan.conf")
    assert (found["ok"], found["files"]) == (True, [str(file), drop_in])
    settings = {(each["section"], each["key"]): each for each in found["settings"]}
    assert settings["api", "port"]["value"] == 9000
    assert settings["api", "port"]["file"] == drop_in
    assert settings["node", "stop_keeps_disk"]["value"] is True


@pytest.mark.parametrize(
    ("text", "section", "key"),
    [
        ("[api]\nport = none\n", "api", "port"),
        ("[network]\nmode = SYSTEM\naddresses = 1.2.3.4\n", "network", "addresses"),
        ("[network]\nbridge = br0\n", "network", "subnet"),
        ("[apis]\n", "apis", ""),
    ],
)
def test_a_wrong_configuration_ends_the_check_with_78(
    tmp_path: Path, text: str, section: str, key: str
) -> None:
    file = tmp_path / "eucabox.conf"
    file.write_text(text)
    shown = invoke("-c", file, "config", "check")
    assert shown.exit_code == os.EX_CONFIG
    assert shown.output.startswith(f"eucabox: {file}: [{section}] {key}: ")
    assert len(shown.output.splitlines()) == 1
    as_json = invoke("-c", file, "config", "check", "--json")
    assert as_json.exit_code == os.EX_CONFIG
    found = json.loads(as_json.output)
    assert (found["ok"], found["file"], found["section"]) == (False, str(file), section)
    assert f"eucabox: {found['error']}\n" == shown.output


def test_a_network_is_not_ended_by_a_wrong_configuration_of_another_cloud(tmp_path: Path) -> None:
    file = tmp_path / "eucabox.conf"
    file.write_text("[api]\nport = none\n")
    assert invoke("-c", file, "stop", "--network").exit_code == os.EX_CONFIG


def test_doctor_tells_which_files_settings_are_from(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "CHECKS", doctor.CHECKS[:1])  # the others take seconds
    found = json.loads(invoke("-c", file, "doctor", "--json").output)
    (finding,) = [each for each in found if each["what"] == "config"]
    assert finding["state"] == "ok"
    assert finding["detail"] == (
        f"cloud.data_dir, node.stop_keeps_disk: {file}; api.port: {file}.d/10-lan.conf"
    )


def test_status_tells_which_file_a_setting_is_from(accounts: Accounts, file: Path) -> None:
    found = json.loads(invoke("-c", file, "status", "--json").output)
    assert found["settings"]["api.port"] == f"{file}.d/10-lan.conf"
    assert found["settings"]["node.stop_keeps_disk"] == str(file)


RIGHTS = """\
import dataclasses, sys
from eucabox.cli import doctor
from eucabox.config import Config, NetworkSection
(found,) = doctor._rights(Config(network=NetworkSection(mode=sys.argv[1])))
print(found.state, found.detail, found.fix, sep="|")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "taken", "state", "words"),
    [
        ("STATIC", "", "ok", "root has NET_ADMIN, NET_BIND_SERVICE"),
        ("STATIC", "net_raw", "ok", "root has NET_ADMIN, NET_BIND_SERVICE"),
        ("SYSTEM", "net_raw", "FAIL", "root lacks NET_RAW: buckets work without, instances do"),
        ("STATIC", "net_admin", "FAIL", "root lacks NET_ADMIN: "),
    ],
)
def test_doctor_looks_at_capabilities_and_not_at_the_user(
    mode: str, taken: str, state: str, words: str
) -> None:
    sets = ["--bounding-set", f"-{taken}"] if taken else []
    argv = ["setpriv", *sets, sys.executable, "-c", RIGHTS, mode]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    found = done.stdout.strip().split("|")
    assert (found[0], found[1].startswith(words)) == (state, True)
    assert bool(found[2]) == (state == "FAIL")
