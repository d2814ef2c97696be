"""The rows of the table of events, and how they are found; writes none."""

from typing import TypedDict

from eucabox.events.event_filter import EventFilter
from eucabox.state import State

MOST_LISTED = 1000


class EventRow(TypedDict):
    """What happened. `user` is ACCOUNT_ID/USER, "" for the cloud itself; `resources` are names, a
    line each; `outcome` is "ok", an error's code, or the state that an instance came to."""

    event_id: int
    time: str
    account_id: str
    user: str
    service: str
    action: str
    resources: str
    outcome: str
    reason: str
    request_id: str
    source: str
    refused: int


def list_events(
    state: State, wanted: EventFilter, most: int, *, before: int = 0, after: int | None = None
) -> list[EventRow]:
    """Return at most so many events, the newest first, older than the one `before`; with
    `after` those that came after that one, the oldest first."""
    conditions, values = wanted.to_sql()
    if before:
        conditions, values = [*conditions, "event_id < ?"], [*values, before]
    if after is not None:
        conditions, values = [*conditions, "event_id > ?"], [*values, after]
    where = f"where {' and '.join(conditions)}" if conditions else ""
    order = "desc" if after is None else "asc"
    sql = f"select * from events {where} order by event_id {order} limit ?"
    return state.select(EventRow, sql, [*values, min(most, MOST_LISTED)])
