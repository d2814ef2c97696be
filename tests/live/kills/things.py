"""What EC2 and IAM keep, by kind and name: the values that each may have, for one writer a kind."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from tests.live.kills.history import NOTHING, Register
from tests.live.kills.world import LOST, World

Named = tuple[str, str]  # a kind, as "key pair", and a name


class Lost(Exception):
    """The server was killed: whether the write took effect is not known."""


@dataclass
class Things:
    """A register for each thing, and the ids by which some are called."""

    world: World
    registers: dict[Named, Register] = field(default_factory=dict)
    ids: dict[Named, str] = field(default_factory=dict)
    # Writes of several things at once whose answer was lost: all of them took effect, or none.
    together: list[dict[Named, str]] = field(default_factory=list)
    launches: dict[str, Mapping[str, Any]] = field(default_factory=dict)  # lost ones, by token
    unanswered: list[str] = field(default_factory=list)  # users for whom a key was asked for
    secrets: dict[str, str] = field(default_factory=dict)  # of access keys that were answered
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def value(self, kind: str, name: str) -> str:
        """Return what a thing is, as its only writer knows: nothing is in doubt before a kill."""
        register = self.registers.get((kind, name))
        return register.writes[-1].value if register else NOTHING

    def names(self, kind: str) -> list[str]:
        """Return the names of the things that are there."""
        known = [name for each, name in list(self.registers) if each == kind]
        return [name for name in known if self.value(kind, name) != NOTHING]

    def write(
        self,
        what: str,
        values: Mapping[Named, str],
        ask: Callable[[], Any],
        refusals: tuple[str, ...] = (),
    ) -> Any:
        """Send one request that gives these things these values, all or none; return its answer,
        None for a refusal that may be. Raises Lost."""
        began = time.monotonic()
        begun = [(self._register(named).begin(value, began), named) for named, value in
                 values.items()]  # fmt: skip
        try:
            answer = ask()
        except ClientError as refused:
            if not self.world.refused(what, refused, refusals):
                raise Lost from refused
            for write, named in begun:
                self.registers[named].forget(write)
            return None
        except LOST as lost:
            self.world.count(f"{what} unknown")
            self.together.append(dict(values))
            raise Lost from lost
        for write, _ in begun:
            write.ended = time.monotonic()
        self.world.count(what)
        return answer

    def learn(self, kind: str, name: str, value: str) -> None:
        """Note a thing that came to be with the answer of a write of another."""
        self._register((kind, name)).settle(value, time.monotonic())

    def compare(self, kind: str, listed: Mapping[str, str]) -> None:
        """Compare what the service lists when nobody writes; what it lists is the truth from now
        on."""
        known = {name for each, name in list(self.registers) if each == kind}
        now = time.monotonic()
        for name in sorted(known | listed.keys()):
            register, value = self._register((kind, name)), listed.get(name, NOTHING)
            if not register.allows(value, now, now):
                self.world.problem(f"{kind} {name} is {value!r}; writes: {register.writes}")
            register.settle(value, now)
            if value == NOTHING:
                del self.registers[kind, name]
                self.ids.pop((kind, name), None)

    def compare_groups(self) -> None:
        """Whether of each write of several things at once that was lost all or none was done."""
        for values in self.together:
            done = {named: self.value(*named) == value for named, value in values.items()}
            if len(set(done.values())) > 1:
                self.world.problem(f"a part of one request alone was done: {done}, of {values}")
        self.together.clear()

    def _register(self, named: Named) -> Register:
        with self.lock:
            return self.registers.setdefault(named, Register())


def own_tag(tags: Iterable[Mapping[str, str]], key: str = "own") -> str:
    """Return the value of a tag, or nothing."""
    return next((each["Value"] for each in tags if each["Key"] == key), NOTHING)


def whole(label: str, **members: str) -> str:
    """Return the label if every member of a thing is the label's, else what is torn."""
    torn = {name: value for name, value in members.items() if value != label}
    return f"torn: {label!r} with {torn}" if torn or not label else label
