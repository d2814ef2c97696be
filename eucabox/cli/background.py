"""Starts, queries and stops a eucabox of a configuration file in the background."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from eucabox import config as configuration
from eucabox import run
from eucabox.cli.data_owner import COMMAND
from eucabox.config import Config
from eucabox.process_lock import ProcessLock

START_SECONDS = 30


def start(config_file: Path, errors: Path) -> None:
    """Start `eucabox serve` unless it runs, and wait until it answers.

    When it ends at once, its last line on standard error, which goes to `errors`, says why.
    """
    config = configuration.load(config_file)
    if running_pid(config):
        return
    ready = config.cloud.data_dir / "run" / "ready"
    ready.unlink(missing_ok=True)
    with errors.open("ab") as output:
        process = run.start(*_command(config_file, "serve"), output=output)
    deadline = time.monotonic() + START_SECONDS
    while not ready.exists():
        if process.poll() is not None:
            raise click.ClickException(_last_line(errors))
        if time.monotonic() > deadline:
            words = f"eucabox is not ready after {START_SECONDS} s"
            raise click.ClickException(f"{words}; see {config.log_path} and {errors}")
        time.sleep(0.02)


def running_pid(config: Config) -> int | None:
    """Return the process id of the eucabox that serves this configuration, or None."""
    return ProcessLock(config.cloud.data_dir / "run" / "lock").holder()


def stop(config_file: Path, purge: bool) -> None:
    """Run `eucabox stop` for a configuration file."""
    status = run.run_attached(*_command(config_file, "stop", *(["--purge"] if purge else [])))
    if status:
        sys.exit(status)


def status(config: Config) -> dict[str, Any]:
    """Return the last status file of the running eucabox, or an empty dict."""
    file = config.cloud.data_dir / "run" / "status.json"
    try:
        facts: dict[str, Any] = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return facts


def _command(config_file: Path, *words: str) -> list[str]:
    return [sys.executable, *COMMAND, "--config", str(config_file), *words]


def _last_line(errors: Path) -> str:
    lines = errors.read_text("utf-8", "replace").strip().splitlines()
    last = lines[-1] if lines else "eucabox ended at once and wrote nothing"
    return last.removeprefix("eucabox: ")
