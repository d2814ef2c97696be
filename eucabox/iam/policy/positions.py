"""Where the statements of a policy's document stand, as the simulator's API tells it."""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{\]},:]', re.DOTALL)
STATEMENT = "Statement"


@dataclass(frozen=True)
class Position:
    """A line and a column, both counted from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class StatementPlace:
    """Where a statement starts and ends.

    As in AWS the start is behind the token before a statement (its array's bracket, the statement
    before it) or, where Statement is no array, behind its own brace; the end is behind its brace.
    """

    start: Position
    end: Position


def locate_statements(text: str) -> list[StatementPlace]:
    """Return the places of the statements of a document that was parsed, in order."""
    lines = [0, *(match.end() for match in re.finditer("\n", text))]
    return [
        StatementPlace(_position(lines, start), _position(lines, end))
        for start, end in _find_statements(text)
    ]


def _position(lines: list[int], offset: int) -> Position:
    line = bisect_right(lines, offset)
    return Position(line, offset - lines[line - 1] + 1)


def _find_statements(text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and the end of each statement as offsets."""
    depth, inside, level, start = 0, False, 0, 0
    name = ""
    for match in TOKENS.finditer(text):
        mark = match[0]
        if mark[0] == '"':
            name = mark if depth == 1 else name
        elif mark in "{[":
            depth += 1
            if depth == 2 and json.loads(name) == STATEMENT:
                inside, level, start = True, 3 if mark == "[" else 2, match.end()
        elif mark in "}]":
            if inside and depth == level and mark == "}":
                yield start, match.end()
                start = match.end()
            depth -= 1
            inside = inside and depth > 1
