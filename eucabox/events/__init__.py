"""What happened in this cloud: who did what, to which resource, with which outcome, and why."""

from eucabox.events.event import Event
from eucabox.events.event_filter import EventFilter
from eucabox.events.event_log import EventLog
from eucabox.events.event_rows import list_events

__all__ = ["Event", "EventFilter", "EventLog", "list_events"]
