"""`eucabox bucket mirror`: its options, its signals, its report and its status."""

import json
import re
import signal
from contextlib import closing
from dataclasses import asdict

import click
from botocore.exceptions import BotoCoreError, ClientError

from eucabox.cli import CommandContext, background
from eucabox.cli.mirror.copier import Copier, MirrorOptions
from eucabox.cli.mirror.destination import Destination, MirrorPlace, parse_place
from eucabox.cli.mirror.pace import MirrorStoppedError, Pace
from eucabox.cli.mirror.rounds import Rounds
from eucabox.cli.mirror.source import MirrorSource, explain
from eucabox.cli.mirror.uploads import OpenUploads
from eucabox.config import Config

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
RATE = re.compile(r"(\d{1,15})([KMG]?)(?:I?B)?(?:/S)?")
MOST_SHOWN = 100  # failures that are named
SIGNALS = (signal.SIGTERM, signal.SIGINT)


def _parse_rate(_context: click.Context, _option: click.Parameter, text: str | None) -> int:
    match = RATE.fullmatch((text or "0").upper())
    if match is None:
        raise click.BadParameter(f"{text!r} is no number of bytes a second, such as 500k or 10M.")
    return int(match[1]) * UNITS[match[2]]


@click.command()
@click.argument("bucket")
@click.argument("destination", metavar="s3://BUCKET[/PREFIX]")
@click.option("--endpoint", default="", help="The URL of the S3.  [default: as boto3 finds it]")
@click.option("--profile", default="", help="A profile of your AWS configuration.")
@click.option("--versions", "with_versions", is_flag=True, help="All versions, in their order.")
@click.option("--delete", "deletes", is_flag=True, help="Delete there what the bucket lost.")
@click.option("--watch", is_flag=True, help="Go on with what changes, until SIGTERM or Ctrl-C.")
@click.option("--rate", metavar="BYTES/s", callback=_parse_rate, help="At most, such as 10M.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def mirror(
    settings: CommandContext, bucket: str, destination: str, endpoint: str, profile: str,
    with_versions: bool, deletes: bool, watch: bool, rate: int, as_json: bool,
) -> None:  # fmt: skip
    """Copy a bucket one way to a bucket of another S3, with metadata and tags; what is there
    already is not copied again.

    The keys for the other S3 are those that boto3 finds: environment, profile, role.
    """
    config = settings.config
    place = parse_place(destination, endpoint)
    if not background.running_pid(config):
        raise click.ClickException("eucabox does not run: start it, as it reads the objects.")
    pace = Pace(rate, quiet=as_json)
    for number in SIGNALS:
        signal.signal(number, lambda *_: pace.stop())
    options = MirrorOptions(with_versions, deletes)
    uploads = OpenUploads(bucket, place)
    uploads.open()
    with closing(uploads):
        try:
            is_complete = _mirror(config, bucket, place, profile, uploads, pace, options, watch)
        except (ClientError, BotoCoreError) as problem:
            raise click.ClickException(explain(problem)) from None
        finally:
            pace.end_line()
    _report(pace, as_json)
    if pace.counts.failures or not (is_complete or watch):
        raise click.exceptions.Exit(1)


def _mirror(
    config: Config, bucket: str, place: MirrorPlace, profile: str, uploads: OpenUploads, pace: Pace,
    options: MirrorOptions, watch: bool,
) -> bool:  # fmt: skip
    """Mirror until all is done, or while it is to be followed; False if it was told to end."""
    source = MirrorSource(config, bucket, pace)
    position = source.check()
    target = Destination(place, profile)
    target.check(source, options.with_versions)
    rounds = Rounds(Copier(source, target, uploads, pace, options), pace, options)
    try:
        rounds.mirror_all()
        if watch:
            rounds.follow(position)
    except MirrorStoppedError:
        click.echo("Stopped; the next run goes on from here.", err=True)
        return False
    return True


def _report(pace: Pace, as_json: bool) -> None:
    counts = pace.counts
    failures = list(counts.failures.values())
    if as_json:
        numbers = {name: value for name, value in vars(counts).items() if name != "failures"}
        click.echo(json.dumps({**numbers, "failures": [asdict(each) for each in failures]}))
        return
    click.echo(
        f"{counts.seen} objects looked at, {counts.copied} copied ({counts.bytes} bytes),"
        f" {counts.deleted} deleted, {len(failures)} failed"
    )
    for each in failures[:MOST_SHOWN]:
        click.echo(f"  {each.key}: {each.reason}", err=True)
    if len(failures) > MOST_SHOWN:
        click.echo(f"  and {len(failures) - MOST_SHOWN} others; --json names all.", err=True)
