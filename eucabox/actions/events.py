"""What happened in the caller's account, or in the whole cloud: a verb for people and scripts."""

import re

from eucabox import ids
from eucabox.actions import Call, Result, action
from eucabox.errors import InvalidParameterValue
from eucabox.events import EventFilter, list_events
from eucabox.events.event_rows import MOST_LISTED, EventRow
from eucabox.iam.account_records import find_account
from eucabox.operator.log_lines import parse_since

DEFAULT_RESULTS = 100
LARGEST = 2**63 - 1  # SQLite's
LONGEST_WORD = 512  # characters of a filter
BEGINNING = re.compile(r"[0-9]{4}(-[0-9]{2})?", re.ASCII)  # a year, or a month of one


@action(service="bootstrap")
def describe_events(
    call: Call,
    *,
    account_name: str = "",
    user: str = "",
    event_name: str = "",
    resource: str = "",
    outcome: str = "",
    request_id: str = "",
    since: str = "",
    max_results: int = DEFAULT_RESULTS,
    next_token: str = "",
) -> Result:
    """List the events of the caller's account, the newest first; the administrator sees all, or
    those of the account that is named. `since` is an age such as 2h, a moment as in an event's own
    `time`, or the beginning of one. `next_token` goes on with older ones.

    Raises InvalidParameterValue, NoSuchEntity.
    """
    for name, value in (("User", user), ("EventName", event_name), ("Resource", resource)):
        if len(value) > LONGEST_WORD:
            reason = f"It has at most {LONGEST_WORD} characters."
            raise InvalidParameterValue(parameter=name, value=value[:60], reason=reason)
    most = _check_results(max_results)
    wanted = EventFilter(
        account_id=_choose_account(call, account_name),
        user=user,
        action=event_name,
        resource=resource,
        outcome=outcome,
        request_id=request_id,
        since=_read_since(since),
    )
    before = _read_token(next_token)
    rows = list_events(call.cloud.state, wanted, most + 1, before=before)
    page = rows[:most]
    more = {"next_token": str(page[-1]["event_id"])} if len(rows) > most else {}
    return {"events": [to_api(row) for row in page], **more}


def to_api(row: EventRow) -> dict[str, object]:
    """Return an event in the words of the API."""
    return {
        "event_id": str(row["event_id"]),
        "time": ids.parse_time(row["time"]),
        "account_id": row["account_id"],
        "user": row["user"],
        "service": row["service"],
        "event_name": row["action"],
        "resources": row["resources"].splitlines(),
        "outcome": row["outcome"],
        "is_refused": bool(row["refused"]),
        "reason": row["reason"],
        "request_id": row["request_id"],
        "source": row["source"],
    }


def _read_since(since: str) -> str:
    if not since or BEGINNING.fullmatch(since):
        return since
    try:
        return parse_since(since)
    except ValueError:
        reason = "Give an age such as 90s, 10m, 2h or 3d, or a time such as 2026-11-23T01:02."
        raise InvalidParameterValue(parameter="Since", value=since[:60], reason=reason) from None


def _choose_account(call: Call, account_name: str) -> str | None:
    if not call.user.admin:
        return call.account_id
    return find_account(call.cloud.state, account_name)["account_id"] if account_name else None


def _check_results(max_results: int) -> int:
    if not 1 <= max_results < MOST_LISTED:
        reason = f"It is 1 to {MOST_LISTED - 1}."
        raise InvalidParameterValue(parameter="MaxResults", value=max_results, reason=reason)
    return max_results


def _read_token(next_token: str) -> int:
    if not next_token:
        return 0
    if not (next_token.isascii() and next_token.isdigit() and int(next_token[:20]) <= LARGEST):
        reason = "It is what an earlier answer gave."
        raise InvalidParameterValue(parameter="NextToken", value=next_token[:60], reason=reason)
    return int(next_token[:20])
