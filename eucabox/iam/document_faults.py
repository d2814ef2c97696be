"""Where a policy's document is wrong, for people who write one: IAM's sentence, and its line.

IAM's own answer names no place. The first statement that is refused by itself in the same words is
the one that it means; in that, the text that the sentence repeats.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from eucabox.errors import Fault, LimitExceeded
from eucabox.iam.constraints import check_document, count_characters
from eucabox.iam.inline_policies import MOST_CHARACTERS as MOST_INLINE
from eucabox.iam.policy import parse_identity_policy
from eucabox.iam.policy.document import MEMBERS
from eucabox.iam.policy.positions import Position, locate_statements
from eucabox.iam.policy_versions import check_policy_document
from eucabox.iam.trust_policies import check_trust_policy
from eucabox.state import State

TRUST, MANAGED = "trust", "managed"
KINDS = (*MOST_INLINE, MANAGED, TRUST)  # of an inline policy, what it is of
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
REPEATED = 60  # characters of a value that every sentence repeats
SHORTEST = 3  # characters of a value by which a sentence may be told apart


@dataclass(frozen=True)
class DocumentFault:
    """Why a document is refused; line and column count from 1, and are 0 where it is no place's."""

    message: str
    line: int = 0
    column: int = 0


def find_fault(state: State, kind: str, document: str) -> DocumentFault | None:
    """Return why a document of a kind, one of KINDS, would be refused; None where it would not."""
    check = _choose_check(state, kind)
    message = _refuse(check, document)
    if not message:
        return None
    try:
        read = json.loads(document)
    except json.JSONDecodeError as problem:
        return DocumentFault(f"{message} {problem.msg}.", problem.lineno, problem.colno)
    except (ValueError, RecursionError):
        return DocumentFault(message)
    place = _find_place(check, document, read, message)
    return DocumentFault(message, place.line, place.column) if place else DocumentFault(message)


def _choose_check(state: State, kind: str) -> Callable[[str], object]:
    if kind == TRUST:
        return lambda text: check_trust_policy(state, text)
    if kind == MANAGED:
        return check_policy_document
    return lambda text: _check_inline(text, MOST_INLINE[kind])


def _check_inline(text: str, most: int) -> None:
    parse_identity_policy(check_document(text))
    if count_characters(text) > most:
        raise LimitExceeded(reason=f"Maximum policy size of {most} bytes exceeded")


def _refuse(check: Callable[[str], object], text: str) -> str:
    try:
        check(text)
    except Fault as fault:
        return fault.message
    return ""


def _find_place(
    check: Callable[[str], object], text: str, document: object, message: str
) -> Position | None:
    """Return where the statement, or the value in it, stands that the message means."""
    statements = document.get("Statement") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(statements, dict | list):
        return None
    listed = statements if isinstance(statements, list) else [statements]
    places = locate_statements(text)
    for statement, place in zip(listed, places, strict=False):
        alone = json.dumps({**document, "Statement": [statement]}, ensure_ascii=False)
        if _refuse(check, alone) == message:
            lines = [0, *(match.end() for match in re.finditer("\n", text))]
            start, end = _offset(lines, place.start), _offset(lines, place.end)
            return _position(lines, _find_value(text, start, end, message))
    return None


def _find_value(text: str, start: int, end: int, message: str) -> int:
    """Return where the longest value stands that the message repeats, or the vendor of, or else
    the statement."""
    best, most = -1, (False, 0)
    for match in STRING.finditer(text, start, end):
        value = json.loads(match[0])[:REPEATED]
        vendor, colon, _ = value.partition(":")
        repeated = value if value in message else vendor if colon else ""
        weight = (value not in MEMBERS, len(repeated))  # sentences list the members that there are
        if len(repeated) >= SHORTEST and repeated in message and weight > most:
            best, most = match.start(), weight
    if best >= 0:
        return best
    first = re.compile(r"[^\s,{\[]|\{").search(text, start, end)
    return first.start() if first else start


def _offset(lines: list[int], place: Position) -> int:
    return lines[place.line - 1] + place.column - 1


def _position(lines: list[int], offset: int) -> Position:
    line = bisect_right(lines, offset)
    return Position(line, offset - lines[line - 1] + 1)
