import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from eucabox import config as configuration
from eucabox import network
from eucabox.config import SECTIONS, Config
from eucabox.errors import ConfigError

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs" / "configuration.md"
INSTALLED = ROOT / "packaging" / "eucabox.conf"


def load(tmp_path: Path, text: str) -> Config:
    file = tmp_path / "eucabox.conf"
    file.write_text(text)
    return configuration.load(file)


def test_defaults_are_safe() -> None:
    config = Config()
    assert config.api.listen == "127.0.0.1"
    assert config.bucket_root == Path("/var/lib/eucabox/buckets")


def test_keys_are_read(tmp_path: Path) -> None:
    config = load(tmp_path, "[api]\nport = 9000\n[node]\nkey_injection = no\nvirt_type=qemu\n")
    assert (config.api.port, config.node.key_injection) == (9000, False)
    assert config.node.virt_type == "qemu"
    assert load(tmp_path, "[api]\nhosts = A.b, c").api.known_hosts == ("a.b", "c")


@pytest.mark.parametrize(
    ("text", "section", "key"),
    [
        ("[api]\nport = 99999", "api", "port"),
        ("[api]\nport = eighty", "api", "port"),
        ("[api]\nport = -1", "api", "port"),
        ("[api]\nhosts = files.example.com, http://x", "api", "hosts"),
        ("[api]\nlisten = nowhere", "api", "listen"),
        ("[node]\nkey_injection = perhaps", "node", "key_injection"),
        ("[node]\nvirt_type = vmware", "node", "virt_type"),
        ("[network]\nsubnet = 10.0.0.1/24", "network", "subnet"),
        ("[network]\nown_bridge = a-name-that-is-too-long", "network", "own_bridge"),
        ("[cloud]\ndata_dir = here", "cloud", "data_dir"),
        ("[buckets]\npath = here", "buckets", "path"),
        ("[cloud]\nregion = a b", "cloud", "region"),
        ("[api]\nports = 1", "api", "ports"),
        ("[apis]\nport = 1", "apis", ""),
    ],
)
def test_a_bad_value_is_named(tmp_path: Path, text: str, section: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    message = caught.value.message
    assert "eucabox.conf" in message
    assert f"[{section}] {key}" in message


@pytest.mark.parametrize("text", ["port = 1", "[api", "[api]\nport = 1\nport = 2", "\xff"])
def test_a_file_that_is_no_ini_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "eucabox.conf"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError):
        configuration.load(file)


def test_a_missing_file_is_an_error_only_when_it_was_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        configuration.load(tmp_path / "missing.conf")


def test_every_key_is_in_the_docs() -> None:
    text = DOCS.read_text()
    for name, section in SECTIONS.items():
        assert f"[{name}]" in text
        part = text.partition(f"\n## [{name}]\n")[2].partition("\n## ")[0]
        for key in dataclasses.fields(section):
            default = key.default
            shown = "yes" if default is True else "no" if default is False else default
            cell = f"`{shown}`" if shown != "" else "(empty)"
            start = f"| `{key.name}` | {cell} |"
            (line,) = [each for each in part.splitlines() if each.startswith(start)]
            assert line.endswith("* |") == key.metadata["reload"], f"{key.name}: read on SIGHUP"


def names(config: Config) -> tuple[str, str]:
    return config.cloud.region, config.cloud.zone


def place(tmp_path: Path, more: str = "") -> Config:
    (tmp_path / "data").mkdir(exist_ok=True)
    return load(tmp_path, f"[cloud]\ndata_dir = {tmp_path / 'data'}\n{more}")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("", ("eucabox-1", "eucabox-1a")),
        ("region = lab-2", ("lab-2", "lab-2a")),
        ("zone = lab-2c", ("lab-2", "lab-2c")),
        ("region = here\nzone = there", ("here", "there")),
    ],
)
def test_the_names_of_a_new_cloud_fit(
    tmp_path: Path, lines: str, expected: tuple[str, str]
) -> None:
    assert names(place(tmp_path, lines)) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("", ("eucabox", "eucabox-1a")),
        ("region = lab", ("lab", "eucabox-1a")),
        ("zone = lab-1a", ("eucabox", "lab-1a")),
    ],
)
def test_a_cloud_from_before_keeps_its_names(
    tmp_path: Path, lines: str, expected: tuple[str, str]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "eucabox.db").touch()
    assert names(place(tmp_path, lines)) == expected


def test_a_cloud_keeps_the_names_of_its_first_start(tmp_path: Path) -> None:
    config = place(tmp_path, "region = lab-2")
    configuration.keep_names(config)
    (config.cloud.data_dir / "eucabox.db").touch()
    assert names(place(tmp_path)) == ("lab-2", "lab-2a")
    assert names(place(tmp_path, "region = other-1")) == ("other-1", "lab-2a")


def test_a_file_of_names_that_is_torn_is_as_none(tmp_path: Path) -> None:
    config = place(tmp_path)
    (config.cloud.data_dir / configuration.NAMES).write_text("{")
    assert names(place(tmp_path)) == ("eucabox-1", "eucabox-1a")


# --- the installed file, and drop-ins ------------------------------------------------------------


@pytest.mark.not_fast
def test_the_installed_file_has_every_key_with_its_default(tmp_path: Path) -> None:
    done = tmp_path / "eucabox.conf"
    script = [sys.executable, "setup/default_config.py", str(done)]
    subprocess.run(script, check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert INSTALLED.read_text() == done.read_text(), f"type: {' '.join(script[1:2])} {INSTALLED}"


def test_the_installed_file_means_the_defaults_and_so_do_its_lines(tmp_path: Path) -> None:
    text = INSTALLED.read_text()
    assert load(tmp_path, text) == dataclasses.replace(Config(), file=tmp_path / "eucabox.conf")
    every = load(tmp_path, re.sub(r"(?m)^#(?=\w+ =)", "", text))
    assert every == load(tmp_path, text)
    keys = [(name, key.name) for name, kind in SECTIONS.items() for key in dataclasses.fields(kind)]
    assert [(section, key) for section, key, _, _ in every.list_settings()] == keys


def drop_in(tmp_path: Path, name: str, text: str) -> Path:
    folder = tmp_path / "eucabox.conf.d"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def test_drop_ins_come_after_the_file_in_order_of_name(tmp_path: Path) -> None:
    drop_in(tmp_path, "20-b.conf", "[api]\nport = 9002\n")
    first = drop_in(tmp_path, "10-a.conf", "[api]\nport = 9001\nhttps_port = 0\n")
    config = load(tmp_path, "[api]\nport = 9000\nthreads = 4\n")
    api = config.api
    assert (api.port, api.https_port, api.threads, api.listen) == (9002, 0, 4, "127.0.0.1")
    assert config.get_origin("api", "port").name == "20-b.conf"
    assert config.get_origin("api", "https_port") == first
    assert config.get_origin("api", "threads") == config.get_origin("api", "listen") == config.file


@pytest.mark.parametrize("name", ["10-a.conf.dpkg-dist", "notes", ".#10-a.conf", "10-a.conf~"])
def test_what_editors_and_dpkg_leave_is_no_drop_in(tmp_path: Path, name: str) -> None:
    drop_in(tmp_path, name, "[api]\nport = 9001\n")
    assert load(tmp_path, "").api.port == 8773


def test_a_drop_in_with_a_wrong_value_is_named(tmp_path: Path) -> None:
    wrong = drop_in(tmp_path, "10-a.conf", "[api]\nport = 0\n")
    with pytest.raises(ConfigError, match=re.escape(f"{wrong}: [api] port: '0' must be from")):
        load(tmp_path, "")


def test_a_setting_that_does_not_fit_names_the_drop_in_that_it_is_from(tmp_path: Path) -> None:
    wrong = drop_in(tmp_path, "10-a.conf", "[network]\naddresses = 1.2.3.4\n")
    with pytest.raises(ConfigError, match=re.escape(f"{wrong}: [network] addresses: must be emp")):
        network.load(load(tmp_path, "[network]\nmode = SYSTEM\n"))


def test_drop_ins_count_where_the_file_itself_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configuration, "DEFAULT_FILE", tmp_path / "eucabox.conf")
    drop_in(tmp_path, "10-a.conf", "[api]\nport = 9001\n")
    assert configuration.load().api.port == 9001
    assert configuration.load().file is None
