"""Writes man pages and shell completion of the whole command line: manuals.py FOLDER."""

import sys
from pathlib import Path

import click
import config_page
from click.shell_completion import get_completion_class
from click_man.core import write_man_pages

from eucabox import __version__
from eucabox.cli import main

SHELLS = {"bash": "eucabox", "zsh": "_eucabox", "fish": "eucabox.fish"}  # names they look for


def prepare(command: click.Command) -> None:
    """Have click-man see commands that are imported when asked for, and their whole first line."""
    command.short_help = " ".join((command.help or "").split("\n\n")[0].split())
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            command.commands[name] = found
            prepare(found)


def write(folder: Path) -> None:
    """Write man/ and completion/ under a folder."""
    pages, completion = folder / "man", folder / "completion"
    for made in (pages, completion):
        made.mkdir(parents=True, exist_ok=True)
        for old in made.iterdir():
            old.unlink()
    prepare(main)
    write_man_pages("eucabox", main, version=__version__, target_dir=str(pages))
    for shell, name in SHELLS.items():
        kind = get_completion_class(shell)
        assert kind is not None
        text = kind(main, {}, "eucabox", "_EUCABOX_COMPLETE").source()
        (completion / name).write_text(text)
    (pages / "eucabox.conf.5").write_text(config_page.render(__version__))
    click.echo(
        f"{len(list(pages.iterdir()))} man pages in {pages}, {completion} for {len(SHELLS)} shells"
    )


if __name__ == "__main__":
    write(Path(sys.argv[1]))
