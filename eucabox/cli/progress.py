"""How long work shows itself: a line a step with its time, a bar for bytes."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

Progress = Callable[[int, int], None]  # done, total
WIDTH = 58


class Steps:
    """Prints `what ... 1.2 s` for each step and keeps the times."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.times: list[tuple[str, float]] = []

    @contextmanager
    def step(self, what: str) -> Iterator[Progress]:
        """Time a block; yields a callback that shows a share of it while it runs."""

        def share(done: int, total: int) -> None:
            if shown and total:
                click.echo(f"\r{what:<{WIDTH}} {100 * done // total:4d} %", nl=False)

        started, shown = time.monotonic(), not self.quiet and sys.stdout.isatty()
        if shown:
            click.echo(f"{what:<{WIDTH}} ...", nl=False)
        try:
            yield share
        except BaseException:
            self._say(f"\r{what:<{WIDTH}} failed")
            raise
        seconds = time.monotonic() - started
        self.times.append((what, seconds))
        self._say(f"\r{what:<{WIDTH}} {seconds:6.1f} s")

    def _say(self, line: str) -> None:
        if not self.quiet:
            click.echo(line if sys.stdout.isatty() else line.lstrip("\r"))
