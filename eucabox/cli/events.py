"""`eucabox events`: what happened in the cloud, from its database; works while nothing runs."""

import json
import time
from collections.abc import Iterator
from contextlib import closing

import click

from eucabox.cli import CommandContext
from eucabox.cli.data_owner import act_as_owner
from eucabox.cli.logs import parse_since
from eucabox.cli.users import open_state
from eucabox.events import EventFilter, list_events
from eucabox.events.event_rows import EventRow
from eucabox.iam.account_records import find_account
from eucabox.state import State

LOOK = 0.5  # seconds between two looks at the table that is followed
PAGE = 500


@click.command()
@click.option("--account", default="", help="Events of an account, by name or number.")
@click.option("--user", metavar="NAME", default="", help="Of a user, by name; or NUMBER/NAME.")
@click.option("--action", default="", help="Such as RunInstances, or InstanceStateChange.")
@click.option("--resource", metavar="ID", default="", help="About an instance, a bucket, a user.")
@click.option("--outcome", default="", help="ok, refused, an error's code or an instance's state.")
@click.option("--request", metavar="ID", default="", help="Of a request, and what it caused.")
@click.option(
    "--since", metavar="TIME", help="90s, 10m, 2h, 3d, or a time such as 2026-11-23T01:02"
)
@click.option("--last", "-n", default=100, show_default=True, help="How many; the newest.")
@click.option("--follow", "-f", is_flag=True, help="Go on with new events until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line.")
@click.pass_obj
def events(
    context: CommandContext,
    account: str,
    user: str,
    action: str,
    resource: str,
    outcome: str,
    request: str,
    since: str | None,
    last: int,
    follow: bool,
    as_json: bool,
) -> None:
    """Print what happened, the newest last: who did what, to which resource, what came of it."""
    config = context.config
    first = parse_since(since) if since else ""
    with act_as_owner(config), closing(open_state(config)) as state:
        account_id = find_account(state, account)["account_id"] if account else None
        wanted = EventFilter(account_id, user, action, resource, outcome, request, first)
        for row in _read(state, wanted, last, follow):
            click.echo(json.dumps(_describe(row)) if as_json else _format(row))


def _read(state: State, wanted: EventFilter, last: int, follow: bool) -> Iterator[EventRow]:
    """Yield the newest events, the oldest of them first, and then those that come."""
    newest = _list_newest(state, wanted, last)
    yield from reversed(newest)
    seen = newest[0]["event_id"] if newest else 0
    if follow and not newest:  # begin behind what the filter leaves out
        whole = list_events(state, EventFilter(), 1)
        seen = whole[0]["event_id"] if whole else 0
    while follow:
        rows = list_events(state, wanted, PAGE, after=seen)
        yield from rows
        if rows:
            seen = rows[-1]["event_id"]
        else:
            time.sleep(LOOK)


def _list_newest(state: State, wanted: EventFilter, last: int) -> list[EventRow]:
    rows: list[EventRow] = []
    while len(rows) < last:
        before = rows[-1]["event_id"] if rows else 0
        page = list_events(state, wanted, min(PAGE, last - len(rows)), before=before)
        rows += page
        if not page:
            break
    return rows


def _describe(row: EventRow) -> dict[str, object]:
    return {**row, "resources": row["resources"].splitlines(), "refused": bool(row["refused"])}


def _format(row: EventRow) -> str:
    resources = ",".join(row["resources"].splitlines())
    columns = (row["time"], row["user"] or "eucabox", row["action"], resources, row["outcome"])
    return "  ".join(filter(None, (*columns, row["reason"])))
