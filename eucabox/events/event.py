"""One thing that happened, as it is handed to the log of events; writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

OK = "ok"
MOST_RESOURCES = 100
LONGEST_RESOURCE, LONGEST_REASON = 256, 400  # characters


@dataclass(frozen=True)
class Event:
    """What was done: `user` is ACCOUNT_ID/USER, and "" the cloud itself.

    `account_id` is the account that sees it, "" for the administrator alone. `outcome` is "ok" or
    an error's code. `time` is as the database has it.
    """

    time: str
    account_id: str
    user: str
    service: str
    action: str
    resources: Sequence[str] = ()
    outcome: str = OK
    reason: str = ""
    request_id: str = ""
    source: str = ""

    @property
    def is_refused(self) -> bool:
        """Whether nothing was done."""
        return self.outcome != OK

    def to_columns(self) -> tuple[str | int, ...]:
        """Return the values of a row's columns, in the order of the fields and then `refused`."""
        names = dict.fromkeys(_clean(each, LONGEST_RESOURCE) for each in self.resources)
        return (
            self.time,
            self.account_id,
            self.user,
            self.service,
            self.action,
            "\n".join(list(names)[:MOST_RESOURCES]),
            self.outcome,
            _clean(self.reason, LONGEST_REASON),
            self.request_id,
            self.source,
            int(self.is_refused),
        )


def _clean(text: str, most: int) -> str:
    """Return a text as one line of so many characters."""
    return "".join(each if each.isprintable() else " " for each in text[:most])
