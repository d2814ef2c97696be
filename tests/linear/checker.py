"""Judges a history of concurrent operations: is there one order that explains every answer?

The algorithm of Wing and Gong with Lowe's memory of what was tried: a depth-first search over the
operations that may come next, which looks at each pair of (operations done, state) only once. An
operation has a moment between its begin and its end. Knows no S3: `step` says what an operation
may make of a state.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

MOST_TRIED = 5_000_000  # pairs of (operations done, state) before the search gives up
SHOWN = 15  # operations before the one that cannot be explained


class Timed(Protocol):
    """What the checker has to know of an operation."""

    @property
    def begin(self) -> float: ...

    @property
    def end(self) -> float: ...


Op = TypeVar("Op", bound=Timed)
State = TypeVar("State", bound=Hashable)


@dataclass(frozen=True)
class Deepest:
    """As far as the search came: the operations that were done, those that may come next, and the
    states that they were tried on."""

    done: list[Timed]
    refused: list[Timed]
    states: list[Hashable]


class Violation(AssertionError):
    """No order of the operations explains the answers."""

    def __init__(self, deepest: Deepest) -> None:
        self.deepest = deepest
        lines = [f"  {each}" for each in deepest.done[-SHOWN:]]
        lines += [f"  NOT POSSIBLE NEXT {each}" for each in deepest.refused]
        lines += [f"  IN THE STATE {each}" for each in deepest.states[:SHOWN]]
        super().__init__("no order explains these answers:\n" + "\n".join(lines))


class Undecided(AssertionError):
    """The search took too many steps: the history has too much at the same time."""


def check(
    history: Iterable[Op],
    states: Collection[State],
    step: Callable[[State, Op], Iterable[State]],
) -> set[State]:
    """Return every state that may be there after all of a history, begun in one of `states`.

    `step` yields the states after an operation, none if its answer is impossible in that state.
    Raises Violation, Undecided.
    """
    operations = sorted(history, key=lambda each: each.begin)
    stack = [(0, 0, state) for state in states]
    tried: set[tuple[int, int, State]] = set()
    ends: set[State] = set()
    while stack:
        first, done, state = place = stack.pop()
        if place in tried:
            continue
        tried.add(place)
        if len(tried) > MOST_TRIED:
            raise Undecided(f"{len(operations)} operations took more than {MOST_TRIED} steps")
        if first == len(operations):
            ends.add(state)
        for number in _list_next(operations, first, done):
            after = _mark(first, done, number)
            stack.extend((*after, new) for new in step(state, operations[number]))
    if not ends:
        raise Violation(_find_deepest(operations, tried))
    return ends


def _list_next(operations: Sequence[Timed], first: int, done: int) -> Iterator[int]:
    """Yield the operations that may come next: none that waits had ended before they began.

    All before `first` are done; bit n of `done` says whether the one n after it is.
    """
    limit = float("inf")
    for number in range(first, len(operations)):
        each = operations[number]
        if each.begin > limit:
            return
        if not done >> (number - first) & 1:
            limit = min(limit, each.end)
            yield number


def _mark(first: int, done: int, number: int) -> tuple[int, int]:
    """Return (first, done) with one more operation done."""
    done |= 1 << (number - first)
    while done & 1:
        first, done = first + 1, done >> 1
    return first, done


def _find_deepest(
    operations: Sequence[Timed], tried: Collection[tuple[int, int, Hashable]]
) -> Deepest:
    most = max((first + done.bit_count() for first, done, _ in tried), default=0)
    best = [each for each in tried if each[0] + each[1].bit_count() == most]
    if not best:
        return Deepest([], list(operations), [])
    first, done, _ = best[0]
    states = [state for *place, state in best if place == [first, done]]
    rest = range(first, len(operations))
    before = [*operations[:first], *(operations[n] for n in rest if done >> (n - first) & 1)]
    return Deepest(before, [operations[n] for n in _list_next(operations, first, done)], states)
