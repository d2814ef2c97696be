"""`eucabox bucket`: what the bucket store holds, and reading its folders again."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any

import click

from eucabox.bucket import Store
from eucabox.cli import CommandContext, background, operator
from eucabox.cli.data_owner import become_owner
from eucabox.cli.users import open_accounts
from eucabox.config import Config
from eucabox.errors import NotSetUp
from eucabox.store import keyring
from eucabox.store.rescan_jobs import COMPLETE, FAILED, PENDING

EVERY = 0.3  # seconds between two looks at a running cloud
Row = dict[str, Any]


class BucketCommands(click.Group):
    """The group's commands; `mirror`, which is an S3 client, is imported when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted([*super().list_commands(ctx), "mirror"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command."""
        if cmd_name == "mirror":
            from eucabox.cli.mirror.command import mirror

            return mirror
        return super().get_command(ctx, cmd_name)


@click.group(cls=BucketCommands)
def bucket() -> None:
    """List and mirror the buckets of all accounts; read again what was changed by hand."""


@bucket.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_buckets(settings: CommandContext, as_json: bool) -> None:
    """List every bucket with its owner's account, its objects and their bytes."""
    rows = find_buckets(settings.config)
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        click.echo(f"{row['bucket']:<40} {row['owner_id'] or '-':<12} {row['objects']:>9}"
                   f" {row['bytes'] / 2**20:>12.1f} MiB")  # fmt: skip


@bucket.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def rescan(settings: CommandContext, names: tuple[str, ...], as_json: bool) -> None:
    """Make the listings of buckets, or of all, say what their folders have.

    For files that were copied in, changed or removed by hand; the tree is always right.
    """
    jobs: dict[str, Row] = {}
    for row in _rescan(settings.config, names):
        jobs[row["bucket"]] = row
        if not as_json and row["state"] in (COMPLETE, FAILED):
            click.echo(f"{row['bucket']:<40} {row['objects']:>9} objects  {row['state']}")
        elif not as_json:
            _progress(row["bucket"], row["objects"])
    if as_json:
        click.echo(json.dumps(list(jobs.values()), indent=1))
    failed = [row for row in jobs.values() if row["state"] == FAILED]
    if failed:
        raise click.ClickException(f"{failed[0]['bucket']}: {failed[0]['message']}")


@bucket.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def keys(settings: CommandContext, as_json: bool) -> None:
    """List the keys for SSE-KMS by name and ARN; no key itself is shown."""
    config = settings.config
    become_owner(config)
    administrator = open_accounts(config).users()[0].account_id
    keyring_ = keyring.open_keyring(lambda: config, administrator)
    rows = [
        {"name": name, "arn": keyring_.arn(name), "enabled": enabled}
        for name, enabled in keyring_.list_keys().items()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        state = "enabled" if row["enabled"] else "disabled"
        click.echo(f"{row['name']:<24} {state:<9} {row['arn']}")


def _progress(name: str, count: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{name:<40} {count:>9} objects  running ...", nl=False, err=True)


def find_buckets(config: Config) -> list[Row]:
    """Return every bucket with its owner's account, its objects and their bytes."""
    if background.running_pid(config):
        return [_to_row(row) for row in operator.ask(config, "DescribeBuckets")]
    with closing(_store(config)) as store:
        owners = {each.name: each.owner for each in store.buckets()}
        counted = store.usage()["buckets"]
        return [{"bucket": n, "owner_id": owners[n], **counted[n]} for n in sorted(counted)]


def _rescan(config: Config, names: tuple[str, ...]) -> Iterator[Row]:
    if background.running_pid(config):
        yield from _rescan_in_cloud(config, names)
        return
    with closing(_store(config)) as store:
        for name in store.scan_folders(names):
            count = store.rescan(name, partial(_progress, name))
            yield {"bucket": name, "state": COMPLETE, "objects": count, "message": ""}


def _rescan_in_cloud(config: Config, names: tuple[str, ...]) -> Iterator[Row]:
    """Let a running cloud rescan, and yield its progress until it is done."""
    fields = {f"Bucket.{number}": name for number, name in enumerate(names, 1)}
    rows = operator.ask(config, "RescanBuckets", **fields)
    left = set(names) or {row["bucket"] for row in rows}
    while left:
        wanted = [_to_row(row) for row in rows if row["bucket"] in left]
        if len(wanted) < len(left):
            raise click.ClickException("eucabox was started again meanwhile; rescan once more.")
        for row in wanted:
            if row["state"] != PENDING:
                yield row
            if row["state"] in (COMPLETE, FAILED):
                left.remove(row["bucket"])
        if left:
            time.sleep(EVERY)
            rows = operator.ask(config, "DescribeRescans")


def _store(config: Config) -> Store:
    if not config.bucket_root.is_dir():
        raise NotSetUp(folder=config.cloud.data_dir)
    become_owner(config)
    return Store(config.bucket_root, durability=config.buckets.durability)


def _to_row(row: dict[str, str]) -> Row:
    """Return a row of the API's response with this command's names and types."""
    renamed: Row = {"owner_id" if name == "ownerId" else name: text for name, text in row.items()}
    return {
        **renamed,
        **{name: int(renamed[name]) for name in ("objects", "bytes") if name in renamed},
    }
