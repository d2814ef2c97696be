"""`eucabox logs`: reads the log, chooses lines, follows it; never writes to it."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import click

from eucabox import logs as log
from eucabox.cli import CommandContext, background, journal
from eucabox.cli.data_owner import is_unit_installed
from eucabox.config import Config
from eucabox.operator import log_lines
from eucabox.operator.log_lines import Facts, LogChoice

LOOK = 0.2  # seconds between two looks at a file that is followed
NUMBERS = ("status", "ms")


@click.command()
@click.option("--instance", metavar="ID", help="Lines about an instance.")
@click.option("--request", metavar="ID", help="Lines of a request, and of what it caused.")
@click.option("--user", metavar="NAME", help="Requests of a user, an account, or ACCOUNT/USER.")
@click.option("--role", type=click.Choice(log.ROLES), help="Lines of a part of the cloud.")
@click.option(
    "--since", metavar="TIME", help="90s, 10m, 2h, 3d, or a time such as 2026-11-23T01:02"
)
@click.option("--follow", "-f", is_flag=True, help="Go on with new lines until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line.")
@click.pass_obj
def logs(
    settings: CommandContext,
    instance: str | None,
    request: str | None,
    user: str | None,
    role: str | None,
    since: str | None,
    follow: bool,
    as_json: bool,
) -> None:
    """Print the log, or the lines that the options choose."""
    choice = LogChoice(
        instance or "", request or "", user or "", role or "", parse_since(since) if since else ""
    )
    for line in _read(settings.config, follow):
        facts = log.parse(line)
        if choice.fits(facts):
            click.echo(_as_json(facts) if as_json else line)


def _read(config: Config, follow: bool) -> Iterator[str]:
    """Yield the lines of the log, wherever it is."""
    path = config.log_path
    if is_in_journal(config):
        return journal.read_lines(follow)
    if not log.files(path) and not follow:
        raise click.ClickException(f"{path} is not there: no eucabox has written it yet")
    return _lines(path, follow)


def is_in_journal(config: Config) -> bool:
    """Tell whether the log is in the journal: of the running eucabox, or of the unit that is
    installed where no file was written."""
    if background.running_pid(config):
        return bool(background.status(config).get("log") == log.JOURNAL)
    return not config.cloud.log_file and not log.files(config.log_path) and is_unit_installed()


def _lines(path: Path, follow: bool) -> Iterator[str]:
    for older in log.files(path)[:-1]:
        yield from _split_lines(older.read_text("ascii", "replace"))
    while follow:  # for ever, and with the new file after the log was moved
        if path.exists():
            yield from _follow_file(path)
        time.sleep(LOOK)
    if path.exists():
        yield from _split_lines(path.read_text("ascii", "replace"))


def _follow_file(path: Path) -> Iterator[str]:
    with path.open(encoding="ascii", errors="replace") as opened:
        rest, moved = "", False
        while True:
            *whole, rest = (rest + opened.read()).split("\n")
            yield from whole
            if moved:
                return  # and what was written until then is read
            moved = not _same(path, opened.fileno())
            time.sleep(0 if moved else LOOK)


def _same(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _split_lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line]


def parse_since(text: str) -> str:
    """Return a time of the log from an age or a time; raises a usage error."""
    try:
        return log_lines.parse_since(text)
    except ValueError:
        reason = f"{text!r} is no age such as 10m and no time such as 2026-11-23T01:02"
        raise click.BadParameter(reason, param_hint="--since") from None


def _as_json(facts: Facts) -> str:
    numbers = {
        name: float(text) if "." in text else int(text)
        for name, text in facts.items()
        if name in NUMBERS
    }
    return json.dumps({**facts, **numbers})
