"""Hands what was done to the log of events: changes, not reads, and no traffic of objects."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from eucabox import ids
from eucabox.events import Event
from eucabox.events.event_topics import find_resources, find_topics

if TYPE_CHECKING:
    from eucabox.actions import Call

READING = ("Describe", "Get", "List", "Head")
# What is named like a verb that only reads, and what only reads though it is not.
MAKING = frozenset({"GetSessionToken"})
THINKING = frozenset(
    {"DecodeAuthorizationMessage", "SimulateCustomPolicy", "SimulatePrincipalPolicy"}
)
OF_WHOLE_BUCKETS = frozenset(
    {"DeletePublicAccessBlock", "PutObjectLockConfiguration", "PutPublicAccessBlock"}
)
OF_OBJECTS = ("s3", "website")
OF_GUESTS = "metadata"


def is_reading(name: str) -> bool:
    """Whether a verb changes nothing, by its name."""
    return name not in MAKING and name.startswith(READING)


def is_recorded(service: str, name: str) -> bool:
    """Whether a verb is an event: requests for objects and of guests are not, they are many."""
    if is_reading(name) or name in THINKING or service == OF_GUESTS:
        return False
    return service not in OF_OBJECTS or "Bucket" in name or name in OF_WHOLE_BUCKETS


def record(
    call: "Call",
    service: str,
    name: str,
    result: Mapping[str, object] | None,
    outcome: str,
    reason: str,
) -> None:
    """Record what a verb did, or why it did nothing. Of strangers only what they brought about is
    recorded: else anybody could fill the table."""
    done = outcome == "ok"
    if call.caller is None and not done:
        return
    event = Event(
        time=ids.now(),
        account_id=call.caller.account_id if call.caller else "",
        user=str(call.notes.get("by") or (call.caller.label if call.caller else "-")),
        service=service,
        action=name,
        resources=find_resources(call.params, result),
        outcome=outcome,
        reason=reason,
        request_id=call.request_id,
        source=call.source,
    )
    call.cloud.events.record(event, find_topics(service, name) if done else ())
