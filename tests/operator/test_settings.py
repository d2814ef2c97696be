"""Every setting with its source, what waits for a reload or a restart, and no secret."""

from dataclasses import replace
from pathlib import Path

from eucabox import config as configuration
from eucabox.cloud import _merge
from eucabox.config import Config
from eucabox.operator.settings import SettingInForce, list_settings


def write(folder: Path, text: str, drop_in: str = "") -> Path:
    file = folder / "eucabox.conf"
    file.write_text(f"[cloud]\ndata_dir = {folder}\n{text}")
    drop_ins = folder / "eucabox.conf.d"
    drop_ins.mkdir(exist_ok=True)
    (drop_ins / "a.conf").write_text(drop_in)
    return file


def find(config: Config, section: str, key: str) -> SettingInForce:
    settings, _ = list_settings(config)
    return next(each for each in settings if (each.section, each.key) == (section, key))


def test_each_setting_tells_where_it_is_from(tmp_path: Path) -> None:
    drop_in = "[limits]\ninstances = 7\n[mail]\npassword = opensesame\npassword_file = /x\n"
    file = write(tmp_path, "region = moon\n[api]\nguests = no\n", drop_in)
    config = configuration.load(file)
    assert find(config, "limits", "instances").source == str(file.parent / "eucabox.conf.d/a.conf")
    assert find(config, "limits", "instances").value == "7"
    assert find(config, "api", "guests") == SettingInForce("api", "guests", "no", "yes", str(file))
    assert find(config, "api", "port").source == "default"
    assert find(config, "cloud", "zone").source == "first start", "made of the region"
    assert find(config, "mail", "password_file").value == "/x"
    settings, problem = list_settings(config)
    assert problem == ""
    assert "opensesame" not in repr(settings)
    assert len(settings) > 80


def test_what_the_files_say_now_waits_for_what_makes_it_count(tmp_path: Path) -> None:
    config = configuration.load(write(tmp_path, "[mail]\npassword = a\n"))
    write(tmp_path, "[api]\nport = 9999\n[limits]\nimages = 3\n[mail]\npassword = b\n")
    images = find(config, "limits", "images")
    assert (images.value, images.waiting, images.needs) == ("0", "3", "reload")
    port = find(config, "api", "port")
    assert (port.value, port.waiting, port.needs) == ("8773", "9999", "restart")
    assert find(config, "mail", "password").waiting == "[not shown]"
    assert find(config, "api", "listen").needs == ""


def test_a_file_that_would_not_be_accepted_is_named(tmp_path: Path) -> None:
    config = configuration.load(write(tmp_path, ""))
    write(tmp_path, "[api]\nport = many\n")
    settings, problem = list_settings(config)
    assert "port" in problem
    assert {each.needs for each in settings} == {""}


def test_a_reload_takes_over_the_file_of_a_setting(tmp_path: Path) -> None:
    before = configuration.load(write(tmp_path, "[images]\ncache_gb = 9\n"))
    drop_in = "[limits]\nimages = 3\n[api]\nport = 9999\n"
    merged, waiting = _merge(before, configuration.load(write(tmp_path, "", drop_in)))
    assert waiting == ["api.port"]
    assert find(merged, "limits", "images").source.endswith("a.conf")
    assert find(merged, "images", "cache_gb").source == "default"
    assert find(merged, "api", "port").source == "default"
    assert find(replace(merged, file=None, origins={}), "api", "port").source == "default"
