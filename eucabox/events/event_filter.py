"""Which events are wanted, as a filter for people and as SQL; reads nothing itself."""

from collections.abc import Sequence
from dataclasses import dataclass

REFUSED = "refused"
_PARTS = "instr('/' || user || '/', '/' || ? || '/') > 0"
_AROUND = "instr(char(10) || resources || char(10), char(10) || ? || char(10)) > 0"


@dataclass(frozen=True)
class EventFilter:
    """Which events are wanted; "" and None choose all. `since` is as the database has times.

    `user` is ACCOUNT/USER, or one of both. `outcome` is "ok", "refused", an error's
    code, or the state that an instance came to.
    """

    account_id: str | None = None
    user: str = ""
    action: str = ""
    resource: str = ""
    outcome: str = ""
    request_id: str = ""
    since: str = ""

    def to_sql(self) -> tuple[list[str], list[object]]:
        """Return the conditions, and what stands for their question marks."""
        wanted: list[tuple[bool, str, Sequence[object]]] = [
            (self.account_id is not None, "account_id = ?", [self.account_id]),
            (bool(self.user), _PARTS, [self.user]),
            (bool(self.action), "action = ? collate nocase", [self.action]),
            (bool(self.resource), _AROUND, [self.resource]),
            (self.outcome == REFUSED, "refused = 1", []),
            (self.outcome not in ("", REFUSED), "outcome = ?", [self.outcome]),
            (bool(self.request_id), "request_id = ?", [self.request_id]),
            (bool(self.since), "time >= ?", [self.since]),
        ]
        chosen = [(sql, values) for is_wanted, sql, values in wanted if is_wanted]
        return [sql for sql, _ in chosen], [each for _, values in chosen for each in values]
