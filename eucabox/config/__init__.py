"""eucabox.conf and its drop-ins, read once into frozen values; each key has default and check."""

import configparser
import json
import os
from collections.abc import Collection, Iterator
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eucabox.atomic_files import name_user, write_atomic
from eucabox.config.sections import *  # noqa: F403  # whoever sets a section imports it here
from eucabox.config.sections import DEFAULT_FILE, SECTIONS, Config
from eucabox.errors import ConfigError, ConfigUnreadable

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

NAMES = "names.json"  # in the data directory: what a cloud was called at its first start
# What clouds were called before such a file was kept: clients can't make this region of the zone.
OLD_NAMES = {"region": "eucabox", "zone": "eucabox-1a"}
TRUE, FALSE = ("yes", "true", "on", "1"), ("no", "false", "off", "0")


def load(path: Path | None = None) -> Config:
    """Read an INI file and its drop-ins into a Config; None reads /etc/eucabox/eucabox.conf where
    it exists. Drop-ins are the files *.conf of FILE.d, in order of name: the last one counts.

    Raises ConfigError that names the file, the section and the key.
    """
    file = path or DEFAULT_FILE
    there = path is not None or file.exists()
    values: dict[str, dict[str, object]] = {}
    origins: dict[tuple[str, str], Path] = {}
    for each in ([file] if there else []) + _list_drop_ins(file):
        for section, key, value in _read(each):
            values.setdefault(section, {})[key] = value
            origins[section, key] = each
    read = {name: kind(**values.get(name, {})) for name, kind in SECTIONS.items()}
    config = Config(**read, file=file if there else None, origins=origins)
    return _name_cloud(config, values.get("cloud", {}))


def _list_drop_ins(file: Path) -> list[Path]:
    folder = file.with_name(f"{file.name}.d")
    try:
        names = sorted(each.name for each in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as problem:
        raise ConfigUnreadable(file=folder, reason=_explain(problem)) from None
    return [folder / name for name in names if name.endswith(".conf") and name[0] != "."]


def _explain(problem: OSError) -> str:
    if not isinstance(problem, PermissionError):
        return str(problem.strerror)
    return f"{problem.strerror}. Let the user {name_user(os.geteuid())} read it, such as by chmod"


def keep_names(config: Config) -> None:
    """Note what a cloud is called that starts for the first time, for all later ones."""
    names = {"region": config.cloud.region, "zone": config.cloud.zone}
    write_atomic(config.cloud.data_dir / NAMES, json.dumps(names).encode(), 0o644)


def _name_cloud(config: Config, given: Collection[str]) -> Config:
    """Give region and zone, where the file does not, the names that the cloud has had since its
    first start; a new one's fit: clients make the region of the zone by leaving its letter out.
    """
    cloud = config.cloud
    names = _read_names(cloud.data_dir)
    if not names and "region" in given:
        names = {"zone": f"{cloud.region}a"}
    elif not names and "zone" in given:
        names = {"region": cloud.zone[:-1] if cloud.zone[-1].isalpha() else cloud.zone}
    names |= {key: getattr(cloud, key) for key in given if key in OLD_NAMES}
    region, zone = names.get("region", cloud.region), names.get("zone", cloud.zone)
    return replace(config, cloud=replace(cloud, region=region, zone=zone))


def _read_names(folder: Path) -> dict[str, str]:
    try:
        return dict(json.loads((folder / NAMES).read_bytes()))
    except (OSError, ValueError):
        return OLD_NAMES.copy() if _is_there(folder / "eucabox.db") else {}


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except OSError:  # a folder that this user can't look into
        return False


def reloadable(section: "DataclassInstance") -> list[str]:
    """Return the names of a section's keys that a running eucabox takes over on SIGHUP."""
    return [each.name for each in fields(section) if each.metadata["reload"]]


def _parse(file: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        parser.read_string(file.read_text("utf-8"), source=str(file))
    except OSError as problem:
        raise ConfigUnreadable(file=file, reason=_explain(problem)) from None
    except UnicodeDecodeError:
        raise ConfigUnreadable(file=file, reason="it is not UTF-8") from None
    except configparser.MissingSectionHeaderError as problem:
        reason = f"line {problem.lineno} comes before any [section]"
        raise ConfigUnreadable(file=file, reason=reason) from None
    except configparser.Error as problem:
        raise ConfigUnreadable(file=file, reason=" ".join(str(problem).split())) from None
    return parser


def _read(file: Path) -> Iterator[tuple[str, str, object]]:
    """Yield the section, the key and the value of each line of one file."""
    parser = _parse(file)
    for section in parser.sections():
        if section not in SECTIONS:
            reason = f"no such section; there are {', '.join(SECTIONS)}"
            raise _error(file, section, "", reason)
        keys = {each.name: each for each in fields(SECTIONS[section])}
        for key, text in parser[section].items():
            if key not in keys:
                raise _error(file, section, key, f"no such key; there are {', '.join(keys)}")
            yield section, key, _value(file, section, keys[key], text.strip())


def _value(file: Path, section: str, key: Field[Any], text: str) -> object:
    try:
        value = _convert(type(key.default), text)
    except ValueError as problem:
        raise _error(file, section, key.name, f"{text!r} {problem}") from None
    check = key.metadata["check"]
    reason = check(value) if check else ""
    if reason:
        raise _error(file, section, key.name, f"{text!r} {reason}")
    return value


def _convert(kind: type, text: str) -> object:
    if kind is bool:
        if text.lower() not in TRUE + FALSE:
            raise ValueError("must be yes or no")
        return text.lower() in TRUE
    if kind is int:
        if not (text.isascii() and text.isdigit()):
            raise ValueError("must be a whole number")
        return int(text)
    return kind(text)


def _error(file: Path, section: str, key: str, reason: str) -> ConfigError:
    return ConfigError(file=file, section=section, key=key, reason=reason)
