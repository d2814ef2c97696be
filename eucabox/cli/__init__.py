"""The operator's command line; each command calls the components or the APIs, nothing else."""

import contextlib
import logging
import os
import sqlite3
import sys
from pathlib import Path

import click

from eucabox import __version__
from eucabox import config as configuration
from eucabox.atomic_files import name_owner
from eucabox.config import Config
from eucabox.errors import Fault


class Commands(click.Group):
    """A group whose commands are imported when they are used, so that --help is quick.

    A Fault, and a file that can't be read or written, ends the command with one line on standard
    error and status 1, or 78 where the configuration is wrong; so does a click.ClickException,
    unless the command line itself is wrong.
    """

    FOUND_IN = {
        "serve": "serve",
        "stop": "serve",
        "status": "status",
        "config": "config",
        "doctor": "doctor",
        "logs": "logs",
        "events": "events",
        "report": "report",
        "credentials": "users",
        "user": "people",
        "key": "keys",
        "group": "groups",
        "cert": "certificates",
        "role": "roles",
        "policy": "policies",
        "oidc": "oidc",
        "account": "accounts",
        "mail": "mail",
        "image": "image",
        "instance": "exports",
        "bucket": "bucket",
        "backup": "backup",
        "restore": "backup",
        "demo": "demo",
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(self.FOUND_IN)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command and return it."""
        module = self.FOUND_IN.get(cmd_name)
        if module is None:
            return None
        imported = __import__(f"eucabox.cli.{module}", fromlist=[cmd_name])
        command: click.Command = getattr(imported, cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; print a fault in one line."""
        try:
            return super().invoke(ctx)
        except Fault as fault:
            message, status = fault.message, fault.exit_status
        except click.UsageError:
            raise
        except click.ClickException as problem:
            message, status = problem.format_message(), problem.exit_code
        except (OSError, sqlite3.Error) as problem:
            if isinstance(problem, BrokenPipeError):
                raise
            message, status = _words(problem), 1
        from eucabox.logs import write_error  # commands that go well need no logging

        write_error(message)
        sys.exit(status)


def _words(problem: OSError | sqlite3.Error) -> str:
    if isinstance(problem, sqlite3.Error):
        return f"the database can't be used: {problem}."
    reason = problem.strerror or str(problem)
    where = f"{os.fsdecode(problem.filename)}: " if problem.filename is not None else ""
    return f"{where}{reason}.{_hint(problem) if isinstance(problem, PermissionError) else ''}"


def _hint(problem: PermissionError) -> str:
    if os.geteuid() == 0:
        return ""
    owner = "root"
    with contextlib.suppress(OSError):
        owner = name_owner(Path(os.fsdecode(problem.filename))) if problem.filename else owner
    other = "" if owner == "root" else f", or as the user {owner}"
    return f" Run it as root, such as with sudo{other}."


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="eucabox")
@click.option(
    "-c",
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="EUCABOX_CONFIG",
    help="The configuration file; /etc/eucabox/eucabox.conf where it exists.",
)
@click.pass_context
def main(context: click.Context, config_file: Path | None) -> None:
    """eucabox: a private EC2 and S3 cloud in one process on one machine."""
    # A command's own words are enough; `serve` opens the log.
    logging.getLogger("eucabox").addHandler(logging.NullHandler())
    context.obj = CommandContext(config_file)


class CommandContext:
    """The configuration of this run, read when a command first needs it."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self._config: Config | None = None

    @property
    def config(self) -> Config:
        """The configuration; raises ConfigError."""
        if self._config is None:
            self._config = configuration.load(self.file)
        return self._config
