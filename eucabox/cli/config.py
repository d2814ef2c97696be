"""`eucabox config check`: would a start or a reload accept the configuration?"""

import json
import sys
from pathlib import Path
from typing import Any

import click

from eucabox import config as configuration
from eucabox import network
from eucabox.cli import CommandContext
from eucabox.cli.data_owner import act_as_owner
from eucabox.config import Config
from eucabox.errors import ConfigError
from eucabox.mail import settings as mail_settings

SECRETS = ("password", "metrics_token")  # keys whose values are printed nowhere
HIDDEN = "[not shown]"


@click.group()
def config() -> None:
    """Look at the configuration."""


@config.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def check(settings: CommandContext, as_json: bool) -> None:
    """Check the configuration as a start would, and print which file each setting is from.

    Status 78 when it would not.
    """
    try:
        with act_as_owner(settings.config):  # as the service, which can't read root's files
            config = configuration.load(settings.file)
        network.load(config)  # which keys of [network] fit together
        mail_settings.check(config)
    except ConfigError as fault:
        if not as_json:
            raise
        click.echo(json.dumps({"ok": False, "error": fault.message, **_place(fault)}, indent=1))
        sys.exit(fault.exit_status)
    if as_json:
        click.echo(json.dumps({"ok": True, **to_json(config)}, indent=1))
    else:
        click.echo("\n".join(_describe(config)))


def list_files(config: Config) -> list[Path]:
    """Return the files that a configuration was read from, those without a setting left out."""
    main = [config.file] if config.file else []
    return list(dict.fromkeys([*main, *config.origins.values()]))


def to_json(config: Config) -> dict[str, Any]:
    """Return the files and the settings that are no defaults."""
    settings = [
        {"section": section, "key": key, "value": _plain(key, value), "file": str(file)}
        for section, key, value, file in config.list_settings()
    ]
    return {"files": [str(each) for each in list_files(config)], "settings": settings}


def _describe(config: Config) -> list[str]:
    lines = [
        f"[{section}] {key} = {_text(key, value)}  ({file})"
        for section, key, value, file in config.list_settings()
    ]
    where = ", ".join(map(str, list_files(config))) or "there is no file: all defaults"
    return [f"The configuration is right ({where}).", *lines]


def _text(key: str, value: object) -> str:
    value = _plain(key, value)
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _plain(key: str, value: object) -> object:
    if key in SECRETS:
        return HIDDEN
    return str(value) if isinstance(value, Path) else value


def _place(fault: ConfigError) -> dict[str, str]:
    return {name: str(fault.facts[name]) for name in ("file", "section", "key", "reason")
            if name in fault.facts}  # fmt: skip
