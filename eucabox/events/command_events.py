"""The events of commands, which write them beside the running process; it finds them here, so that
its pages learn what commands changed."""

from collections.abc import Callable

from eucabox.events.event_log import OF_ADMINISTRATOR, TOPIC, find_topics
from eucabox.events.event_rows import EventRow
from eucabox.state import State

COMMAND = "command"  # the source of such events, where others have an address
OPERATOR = "operator"  # the user
MOST = 1000  # told of at once
_NEWEST = "select coalesce(max(event_id), 0) as newest from events"
_ROWS = "select * from events where event_id > ? and source = ? and refused = 0 limit ?"


class CommandWatch:
    """Looks for what commands changed since it was made; for one thread alone.

    `publish` is called with an account and a topic, as EventLog.publish.
    """

    def __init__(self, state: State, publish: Callable[[str, str], None]) -> None:
        self._state = state
        self._publish = publish
        self._mark = state.mark()
        self._seen = self._find_newest()

    def look(self) -> None:
        """Tell of what commands changed; asks for one number where nobody wrote anything."""
        mark = self._state.mark()
        if mark == self._mark:
            return
        before, self._mark, self._seen = self._seen, mark, self._find_newest()
        if self._seen == before:
            return
        for row in self._state.select(EventRow, _ROWS, (before, COMMAND, MOST)):
            for topic in (TOPIC, *find_topics(row["service"], row["action"])):
                self._publish("" if topic in OF_ADMINISTRATOR else row["account_id"], topic)

    def _find_newest(self) -> int:
        row = self._state.one(_NEWEST)
        return int(row["newest"]) if row else 0
