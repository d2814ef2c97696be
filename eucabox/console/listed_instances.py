"""The account's instances as the list shows them: which are read, and what is written of each."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, cast, overload

from eucabox.console.compute import ListedLine, ShownUsage, find_name
from eucabox.console.formats import find_mood, show_size
from eucabox.console.ssh_line import write_ssh_line
from eucabox.console.visitor import perform


class ListedInstances(Sequence[ListedLine]):
    """An account's instances in one state, "" for any, the newest first; those of all accounts for
    the administrator. They are read when they are looked at, `at_once` so many: one page of
    thousands costs little."""

    def __init__(
        self, *, every_account: bool, with_groups: bool, state_name: str, at_once: int
    ) -> None:
        self._members = {
            "every_account": every_account, "with_groups": with_groups, "state_name": state_name,
        }  # fmt: skip
        self._at_once = at_once
        self._parts: dict[int, list[ListedLine]] = {}
        self._total: int | None = None

    def __len__(self) -> int:
        if self._total is None:
            self._read(0)
        return self._total or 0

    @overload
    def __getitem__(self, place: int) -> ListedLine: ...
    @overload
    def __getitem__(self, place: slice) -> list[ListedLine]: ...
    def __getitem__(self, place: int | slice) -> ListedLine | list[ListedLine]:
        chosen = range(len(self))[place]
        if isinstance(chosen, int):
            return self._find([chosen])[0]
        return self._find(chosen)

    def _find(self, numbers: Iterable[int]) -> list[ListedLine]:
        """The instances of these numbers that are still there."""
        places = (divmod(each, self._at_once) for each in numbers)
        parts = ((self._read(number), within) for number, within in places)
        return [part[within] for part, within in parts if within < len(part)]

    def _read(self, number: int) -> list[ListedLine]:
        if number not in self._parts:
            within = {"first": number * self._at_once, "most": self._at_once}
            result = perform("console", "ListInstances", **self._members, **within)
            self._parts[number] = cast(list[ListedLine], result["instances"])
            self._total = self._total if self._total is not None else cast(int, result["total"])
        return self._parts[number]


class WrittenInstance(NamedTuple):
    """What is written of an instance that a list shows; worked out here, since a template takes
    ten times as long for it. `state` is its word and `mood` how it looks, `reason` is told unless
    all is well; of `cpu` and `memory` there is None where nothing was sampled."""

    line: ListedLine
    instance_id: str
    name: str
    state: str
    mood: str
    reason: str
    address: str
    ssh_line: str
    cpu: int | None
    memory: str
    memory_bytes: int
    most_memory: int


def is_sick(line: ListedLine) -> bool:
    """Return whether an instance runs and something is wrong with it."""
    reason = line["state_reason"]
    is_running = line["state"]["name"] == "running"
    return is_running and reason is not None and reason["code"].startswith("Server.")


def make_row(line: ListedLine, usage: ShownUsage | None) -> WrittenInstance:
    """Return what is written of an instance and of what it uses."""
    state, reason, sick = line["state"]["name"], line["state_reason"], is_sick(line)
    shows_reason = reason is not None and (sick or state != "running")
    now = usage["samples"][-1] if usage else {}
    cpu, memory = now.get("cpu_percent"), now.get("memory_bytes")
    return WrittenInstance(
        line=line,
        instance_id=line["instance_id"],
        name=find_name(line["tags"]),
        state=f"{state}, with a problem" if sick else state,
        mood="bad" if sick else find_mood(state),
        reason=reason["message"] if reason and shows_reason else "",
        address=line["public_ip_address"] or line["private_ip_address"] or "",
        ssh_line=write_ssh_line(line),
        cpu=None if cpu is None else round(cpu),
        memory="" if memory is None else show_size(memory),
        memory_bytes=memory or 0,
        most_memory=usage["memory_bytes"] if usage else 0,
    )
