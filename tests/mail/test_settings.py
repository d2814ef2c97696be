"""Which settings of [mail] and [sign_up] are refused, and where the password comes from."""

from pathlib import Path

import pytest

from eucabox import config as configuration
from eucabox.errors import ConfigError
from eucabox.mail import settings

GOOD = "[mail]\nserver = mx.example.com\nsender = c@example.com\nbase_url = https://c.example.com\n"


def load(tmp_path: Path, text: str) -> configuration.Config:
    file = tmp_path / "eucabox.conf"
    file.write_text(text)
    config = configuration.load(file)
    settings.check(config)
    return config


def test_good_settings_are_taken(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD + "tls = implicit\nlogin = me\npassword = x%y\n")
    assert config.mail.port_number == 465
    assert settings.read_password(config.mail) == "x%y"


def test_links_lead_to_the_console_unless_another_address_is_set(tmp_path: Path) -> None:
    plain = GOOD.replace("base_url", "#") + "[console]\nhosts = cloud.example.com other\n"
    assert load(tmp_path, plain).base_url == "http://cloud.example.com:8888"
    assert load(tmp_path, GOOD).base_url == "https://c.example.com"


@pytest.mark.parametrize(
    "url",
    ["https://a.b:8888", "http://[::1]:8888", "https://127.0.0.1", "https://a.b/console"],
)
def test_addresses_of_the_console(tmp_path: Path, url: str) -> None:
    assert load(tmp_path, f"[mail]\nbase_url = {url}\n").mail.base_url == url


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[mail]\nserver = mx.example.com\n", "sender"),
        (GOOD.replace("base_url", "#") + "[console]\nenabled = no\n", "base_url"),
        ("[mail]\nserver = http://x\n", "server"),
        ("[mail]\nsender = a@x, b@y\n", "sender"),
        ("[mail]\nadministrator = Ann <a@x>\n", "administrator"),
        ("[mail]\nbase_url = ftp://x\n", "base_url"),
        ("[mail]\nbase_url = https://x/\n", "base_url"),
        ("[mail]\nbase_url = https://x?a=b\n", "base_url"),
        ("[mail]\nbase_url = https://me:x@y\n", "base_url"),
        ("[mail]\ntls = ssl\n", "tls"),
        (GOOD + "login = me\n", "login"),
        (GOOD + "login = me\npassword = x\ntls = none\n", "tls"),
        (GOOD + "login = me\npassword = x\npassword_file = /x\n", "password"),
        ("[sign_up]\nfields = telephone, shoe_size\n", "fields"),
        ("[sign_up]\ndomains = @example.com\n", "domains"),
        ("[sign_up]\nopen = maybe\n", "open"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert f"] {key}: " in caught.value.message


def test_a_login_in_the_clear_goes_to_this_host_alone(tmp_path: Path) -> None:
    here = GOOD.replace("mx.example.com", "localhost")
    load(tmp_path, here + "login = me\npassword = x\ntls = none\n")


def test_the_password_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret\n")
    config = load(tmp_path, GOOD + f"login = me\npassword_file = {file}\n")
    assert settings.read_password(config.mail) == "s3cret"
