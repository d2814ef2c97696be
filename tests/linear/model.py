"""What one key of a bucket answers, as a state and its steps; asks no server.

A state is the key's versions, the newest first, and the uploads that were completed. A bucket
without versioning keeps one version at most, whose id is "". An ETag stands for a content, since
no two writes send the same; "" stands for a delete marker. A write whose answer never came made a
version of an unknown id, `?` and a number, until a later answer names it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

Entry = tuple[str, str]  # version id, ETag
State = tuple[tuple[Entry, ...], frozenset[str]]
Answer = tuple[object, ...]
EMPTY: State = ((), frozenset())
OK = "ok"
UNKNOWN = "?"
MARKER = ""


@dataclass(slots=True)
class Operation:
    """One request for one key, and its answer: None if it never came.

    The answer of a write is (OK, version id), of a read (OK, ETag, version id), of a listing (OK,
    entries), of a refusal (code,) or (code, version id of the delete marker).
    """

    number: int
    verb: str
    begin: float
    end: float
    answer: Answer | None
    e_tag: str = ""  # of what it writes
    if_match: str = ""
    if_none_match: str = ""
    version: str = ""
    upload: str = ""
    versioned: bool = False

    def __str__(self) -> str:
        named = ("e_tag", "if_match", "if_none_match", "version", "upload")
        given = [f"{name}={value}" for name in named if (value := getattr(self, name))]
        span = f"{self.begin:.6f} to {self.end:.6f}"
        return f"{self.number} {span} {self.verb} {' '.join(given)} -> {self.answer}"


def step(state: State, op: Operation) -> Iterator[State]:
    """Yield the states that an operation may leave; none if its answer is impossible."""
    if op.answer is None:
        yield state  # it may never have been
    yield from STEPS[op.verb](state, op)


def forget_uploads(states: set[State]) -> set[State]:
    """Return the states without the completed uploads, when nobody asks for these any more."""
    return {(entries, frozenset()) for entries, _ in states}


def _get_current(state: State) -> Entry | None:
    """Return the current object, None where nothing is or a delete marker hides it."""
    entries, _ = state
    return entries[0] if entries and entries[0][1] != MARKER else None


def _find_refusal(state: State, op: Operation) -> str:
    current = _get_current(state)
    if current is None:
        return "NoSuchKey" if op.if_match else ""
    if op.if_none_match or op.if_match not in ("", current[1]):
        return "PreconditionFailed"
    return ""


def _put(state: State, op: Operation) -> Iterator[State]:
    refusal = _find_refusal(state, op)
    if refusal:
        if op.answer == (refusal,):
            yield state
    elif op.answer is None:
        yield _add(state, op, f"{UNKNOWN}{op.number}" if op.versioned else "")
    elif op.answer[0] == OK:
        version = str(op.answer[1])
        known = [each for each, _ in state[0]]
        if (version and version not in known) if op.versioned else version == "":
            yield _add(state, op, version)


def _add(state: State, op: Operation, version: str) -> State:
    """Put the operation's content, or its delete marker, before all other versions."""
    entries, completed = state
    if op.versioned:
        return ((version, op.e_tag), *entries), completed
    return ((version, op.e_tag),) if op.e_tag else (), completed


def _delete(state: State, op: Operation) -> Iterator[State]:
    if op.versioned or _find_refusal(state, op):
        yield from _put(state, op)
    elif op.answer in (None, (OK, "")):
        yield (), state[1]


def _delete_version(state: State, op: Operation) -> Iterator[State]:
    entries, completed = state
    if op.answer in (None, (OK,)):
        yield tuple(each for each in entries if each[0] != op.version), completed


def _complete(state: State, op: Operation) -> Iterator[State]:
    """An upload that was completed answers again as long as what it made is there."""
    entries, completed = state
    if op.upload not in completed:
        for new in _put(state, op):
            made = new is not state
            yield (new[0], completed | {op.upload}) if made else new
        return
    places = [place for place, each in enumerate(entries) if each[1] == op.e_tag]
    if not places:
        if op.answer == ("NoSuchUpload",):
            yield state
    elif op.answer and op.answer[0] == OK:
        yield from _name(state, places[0], op.answer[1])


def _get(state: State, op: Operation) -> Iterator[State]:
    current, answer = _get_current(state), op.answer or ()
    if current and answer[:2] == (OK, current[1]):
        yield from _name(state, 0, answer[2])
    elif not current and state[0] and answer[:1] == ("NoSuchKey",):
        yield from _name(state, 0, answer[1])
    elif not state[0] and answer == ("NoSuchKey", ""):
        yield state


def _get_version(state: State, op: Operation) -> Iterator[State]:
    answer = op.answer or ()
    for place, (version, e_tag) in enumerate(state[0]):
        if version == op.version or (version.startswith(UNKNOWN) and answer == (OK, e_tag)):
            if answer == ((OK, e_tag) if e_tag != MARKER else ("MethodNotAllowed",)):
                yield from _name(state, place, op.version)
            return
    if answer == ("NoSuchVersion",):
        yield state


def _list(state: State, op: Operation) -> Iterator[State]:
    listed = op.answer[1] if op.answer and op.answer[0] == OK else None
    if not isinstance(listed, tuple) or len(listed) != len(state[0]):
        return
    states = [state]
    for place, (version, e_tag) in enumerate(listed):
        if e_tag != state[0][place][1]:
            return
        states = [named for each in states for named in _name(each, place, version)]
    yield from states


def _name(state: State, place: int, version: object) -> Iterator[State]:
    """Yield the state in which a version has this id, which it may get from this answer."""
    entries, completed = state
    known, e_tag = entries[place]
    if known == version:
        yield state
    elif known.startswith(UNKNOWN) and all(version != each for each, _ in entries):
        named = (str(version), e_tag)
        yield (*entries[:place], named, *entries[place + 1 :]), completed


STEPS: dict[str, Callable[[State, Operation], Iterator[State]]] = {
    "put": _put,
    "delete": _delete,
    "delete version": _delete_version,
    "complete": _complete,
    "get": _get,
    "head": _get,
    "get version": _get_version,
    "list": _list,
}
