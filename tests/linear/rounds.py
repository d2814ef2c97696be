"""Rounds of clients: all ask at once, all stop, and the history of each key is judged."""

import random
import time
from collections import Counter
from collections.abc import Callable

from bench.s3.signing import Target
from tests.linear.checker import Undecided, Violation, check
from tests.linear.clients import PLACES, VERSIONED, Client, Place, World
from tests.linear.model import EMPTY, State, forget_uploads, step
from tests.linear.wire import Wire

CLIENTS = 5
PATIENCE = 180  # seconds for a round
WRITES = ("put", "delete", "delete version", "complete")
Kill = Callable[[], float]  # kills and starts again; returns when the process was dead


class Rounds:
    """One eucabox under clients, and what its keys may be after each round."""

    def __init__(self, target: Target, seed: str, kill: Kill | None = None) -> None:
        self.world, self.seed, self.kill = World(target), seed, kill
        self.chance = random.Random(seed)
        self.states: dict[Place, set[State]] = {place: {EMPTY} for place in PLACES}
        self.deaths: list[float] = []
        self.judged = self.number = 0
        self.checking = 0.0  # seconds
        self.most_states = 1  # that a key may have been in after a round
        make_buckets(target)

    @property
    def problems(self) -> list[str]:
        return self.world.problems

    @property
    def counts(self) -> Counter[str]:
        return self.world.counts

    def run(self, operations: int, kills: int = 0) -> None:
        """Let the clients ask so often, kill meanwhile, and judge what they were told."""
        self.number += 1
        self.world.hot = self.chance.choice(PLACES)
        first = next(self.world.numbers)
        clients = [
            Client(self.world, f"{self.seed}.{self.number}.{each}", first + operations)
            for each in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        for each in sorted(self.chance.randrange(operations) for _ in range(kills)):
            self._kill_after(each, clients)
        deadline = time.monotonic() + PATIENCE
        for client in clients:
            client.join(max(0, deadline - time.monotonic()))
            if client.is_alive():
                self.problems.append(f"a client hangs for {PATIENCE} s")
                return
        self._judge()

    def _kill_after(self, operations: int, clients: list[Client]) -> None:
        """Kill once so many operations of the round were answered."""
        assert self.kill is not None
        while self._count_answered() < operations and any(each.is_alive() for each in clients):
            time.sleep(0.001)
        self.deaths.append(self.kill())
        self.counts["kills"] += 1

    def _count_answered(self) -> int:
        return sum(map(len, self.world.histories.values()))

    def _judge(self) -> None:
        self._settle_lost()
        began = time.monotonic()
        for place in PLACES:
            history = self.world.histories[place]
            self.judged += len(history)
            try:
                self.states[place] = forget_uploads(check(history, self.states[place], step))
            except (Violation, Undecided) as wrong:
                self.problems.append(f"{place}: {wrong}")
            self.most_states = max(self.most_states, len(self.states[place]))
            history.clear()
            self.world.uploads[place].clear()
        self.checking += time.monotonic() - began

    def _settle_lost(self) -> None:
        """A write that was not answered may have been done as long as its process lived."""
        for place, op, opened in self.world.lost:
            death = next((each for each in self.deaths if each > opened), None)
            if death is None:
                self.problems.append(f"the connection ended without a kill: {place} {op}")
            elif op.begin < death and op.verb in WRITES:
                op.end = death
                self.world.histories[place].append(op)
        self.world.lost.clear()


def make_buckets(target: Target) -> None:
    wire = Wire(target)
    for bucket in dict.fromkeys(bucket for bucket, _ in PLACES):
        made = wire.ask("PUT", f"/{bucket}")
        assert made.status == 200, made
    setting = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    made = wire.ask("PUT", f"/{VERSIONED}", "versioning=", setting.encode())
    assert made.status == 200, made
    wire.close()
