"""`eucabox serve` and `eucabox stop`: the process's beginning and end."""

import gc
import os
import signal
import sys
import time

import click

from eucabox import network
from eucabox.cli import CommandContext
from eucabox.cli.data_owner import become_owner, refuse_for_root
from eucabox.config import DEFAULT_FILE, Config
from eucabox.domains.instance_rows import InstanceRows
from eucabox.errors import ConfigError
from eucabox.network import last_settings
from eucabox.process_lock import ProcessLock
from eucabox.state import State

STOP_SECONDS = 20
KEPT = (
    "These instances run on, and their network stays: {ids}. A eucabox that starts again has them"
    " back; `sudo virsh shutdown {first}` asks one to end, `sudo virsh destroy {first}` ends it at"
    " once."
)


@click.command()
@click.pass_obj
def serve(settings: CommandContext) -> None:
    """Run the cloud in this terminal until SIGTERM or Ctrl-C.

    SIGHUP reads the configuration file again.
    """
    gc.disable()  # until the server is up: a tenth of a start was looking for garbage
    from eucabox import server  # the doors are loaded by this command alone

    refuse_for_root(settings.config)
    sys.exit(server.serve(settings.config))


@click.command()
@click.option("--purge", is_flag=True, help="Also end all instances and remove the network.")
@click.option(
    "--network",
    "with_network",
    is_flag=True,
    help="Also remove the network unless an instance runs.",
)
@click.pass_obj
def stop(settings: CommandContext, purge: bool, with_network: bool) -> None:
    """Stop the eucabox that serves this data directory; its instances run on."""
    config = _read_last(settings) if with_network and not purge else settings.config
    become_owner(config)
    stopped = _stop_process(config)
    click.echo("eucabox is stopped." if stopped else "eucabox was not running.")
    if purge:
        _purge(config)
        click.echo("Its instances are ended and its network is removed.")
    elif with_network:
        _remove_network(config)


def _read_last(settings: CommandContext) -> Config:
    """Return the configuration; where that is wrong, what is known of the packages' last start."""
    try:
        return settings.config
    except ConfigError as problem:
        if settings.file not in (None, DEFAULT_FILE):
            raise
        become_owner(Config())
        last = last_settings.read(Config())
        if last is None:
            raise
        click.echo(f"{problem.message}\nThe settings of the last start count.", err=True)
        return last


def _remove_network(config: Config) -> None:
    """Remove the network, or name the instances that it is kept for and end with status 1."""
    alive = _list_alive(config)
    if alive:
        click.echo(KEPT.format(ids=", ".join(alive), first=alive[0]), err=True)
        sys.exit(1)
    network.load(last_settings.read(config) or config).remove()
    click.echo("Its network is removed.")


def _list_alive(config: Config) -> list[str]:
    file = config.cloud.data_dir / "eucabox.db"
    if not file.exists():
        return []
    state = State(file)
    try:
        return [row["instance_id"] for row in InstanceRows(state).list_alive()]
    finally:
        state.close()


def _stop_process(config: Config) -> bool:
    lock = ProcessLock(config.cloud.data_dir / "run" / "lock")
    pid = lock.holder()
    if not pid:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while lock.holder():
        if time.monotonic() > deadline:
            raise click.ClickException(f"process {pid} did not end in {STOP_SECONDS} s")
        time.sleep(0.05)
    return True


def _purge(config: Config) -> None:
    from eucabox.cloud import Cloud

    cloud = Cloud(config)
    try:
        cloud.node.purge()
        cloud.network.remove()
    finally:
        cloud.close()
