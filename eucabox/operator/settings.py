"""The settings in force: value, default, and which file each is from; shows no secret."""

from dataclasses import dataclass, fields
from pathlib import Path

from eucabox import config as configuration
from eucabox.config import SECTIONS, Config
from eucabox.errors import Fault

SECRETS = ("password", "secret", "token")  # in the name of a setting whose value nobody is shown
HIDDEN = "[not shown]"
NAMED_ONCE = ("region", "zone")  # of [cloud]: as at the first start, where no file says it
DEFAULT, FIRST_START = "default", "first start"


@dataclass(frozen=True)
class SettingInForce:
    """A setting as the running eucabox has it; `source` is a file, DEFAULT or FIRST_START.

    `waiting` is what the file says now where that is another value, and `needs` what makes it
    count: `reload` or `restart`.
    """

    section: str
    key: str
    value: str
    default: str
    source: str
    waiting: str = ""
    needs: str = ""


def list_settings(config: Config) -> tuple[list[SettingInForce], str]:
    """Return every setting in the order of the documentation, and why the files can't be read
    again, or ""."""
    read, problem = _read_again(config)
    return [
        _describe(config, read, section, key)
        for section in SECTIONS
        for key in [each.name for each in fields(getattr(config, section))]
    ], problem


def is_secret(key: str) -> bool:
    """Whether nobody is shown a setting's value; the name of a file that has it is none."""
    return any(word in key for word in SECRETS) and not key.endswith("_file")


def show_value(key: str, value: object) -> str:
    """Return a setting's value as the file would have it."""
    if is_secret(key):
        return HIDDEN if value else ""
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _read_again(config: Config) -> tuple[Config, str]:
    try:
        return configuration.load(config.file), ""
    except Fault as fault:
        return config, fault.message


def _describe(config: Config, read: Config, section: str, key: str) -> SettingInForce:
    in_force, new = getattr(config, section), getattr(read, section)
    value, default = getattr(in_force, key), getattr(SECTIONS[section](), key)
    waiting = getattr(new, key)
    is_changed = waiting != value
    live = key in configuration.reloadable(in_force)
    return SettingInForce(
        section=section,
        key=key,
        value=show_value(key, value),
        default=show_value(key, default),
        source=_name_source(config.origins.get((section, key)), section, key, value != default),
        waiting=show_value(key, waiting) if is_changed else "",
        needs=("reload" if live else "restart") if is_changed else "",
    )


def _name_source(file: Path | None, section: str, key: str, is_other: bool) -> str:
    if file is not None:
        return str(file)
    return FIRST_START if is_other and section == "cloud" and key in NAMED_ONCE else DEFAULT
