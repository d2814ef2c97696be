"""Wildcards and policy variables.

Clients choose the texts and policy authors the patterns, so the time of a match must be linear in
the length of both: each star takes the first place that fits and is never tried again, and what is
between two stars is searched without backtracking.
"""

import re
from collections.abc import Callable
from functools import lru_cache, partial

from eucabox.iam.policy.request import AuthorizationRequest, key_name

Match = Callable[[str], bool]
VARIABLE = re.compile(r"\$\{([^{}]*)\}")
LITERALS = frozenset("*?$")  # what ${*}, ${?} and ${$} stand for
# Stand for the wildcards inside a compiled pattern; no UTF-8 text holds them.
STAR, ANY = "\ud800", "\ud801"
_STRANGE = {ord(STAR): "\ufffd", ord(ANY): "\ufffd"}
_WILD = {**_STRANGE, ord("*"): STAR, ord("?"): ANY}


class Pattern:
    """A text with the wildcards * and ?, and with policy variables if the version has them."""

    def __init__(self, text: str, variables: bool = True, fold: bool = False) -> None:
        self.text = text
        # without variables it is compiled once; with them, once for each set of values
        self._filled = variables and "${" in text
        self.fixed = None if self._filled else glob(text, fold)

    def matches(self, text: str, request: AuthorizationRequest) -> bool:
        """True if the whole text matches; never if a variable has no value."""
        if self.fixed is not None:
            return self.fixed(text)
        filled = _fill(self.text, request, len(text), wild=True)
        return filled is not None and compile_marked(filled)(text)

    @property
    def variables(self) -> list[str]:
        """The condition keys that the variables name."""
        return list_variables(self.text) if self._filled else []

    @property
    def wild(self) -> bool:
        """True if more than one text can match."""
        return any(each in self.text for each in ("*", "?", "${"))


def substitute(text: str, request: AuthorizationRequest, most: int) -> str | None:
    """Return a text with its variables replaced.

    None if a variable has no value, or if the result would have more than `most` characters: then
    it can't be equal to a text of that length.
    """
    return text if "${" not in text else _fill(text, request, most, wild=False)


def list_variables(text: str) -> list[str]:
    """Return the condition keys that the variables of a text name, as they are spelled there."""
    names = [each.partition(",")[0].strip() for each in VARIABLE.findall(text)]
    return [each for each in names if each and each not in LITERALS]


def lacks_value(text: str, request: AuthorizationRequest) -> bool:
    """True if a variable of the text has neither a value in the request nor a default."""
    return any(_variable_value(each, request) is None for each in VARIABLE.findall(text))


def split_glob(
    text: str, request: AuthorizationRequest, most: int, mark: str, count: int
) -> list[Match]:
    """Split a pattern at a mark into at most `count` fields, and return a matcher for each.

    In the values of variables a wildcard stands for itself. The list is empty if a variable has
    no value, or if no text of `most` characters can match the whole.
    """
    filled = _fill(text, request, most, wild=True)
    return (
        [] if filled is None else [compile_marked(each) for each in filled.split(mark, count - 1)]
    )


def _fill(text: str, request: AuthorizationRequest, most: int, wild: bool) -> str | None:
    parts: list[str] = []
    left = most  # characters, of which a star may stand for none
    for number, part in enumerate(VARIABLE.split(text)):
        value = _variable_value(part, request) if number % 2 else part
        if value is None:
            return None
        if wild:
            value = value.translate(_STRANGE if number % 2 else _WILD)
        left -= len(value) - value.count(STAR)
        if left < 0:
            return None
        parts.append(value)
    return "".join(parts)


def _variable_value(name: str, request: AuthorizationRequest) -> str | None:
    if name in LITERALS:
        return name
    key, _, rest = name.partition(",")
    rest = rest.strip()
    default = rest[1:-1] if len(rest) > 1 and rest[0] == rest[-1] == "'" else None
    values = request.value(key_name(key.strip() if default is not None else name.strip()))
    if values and len(values) == 1:
        return values[0]
    return default


def glob(pattern: str, fold: bool = False) -> Match:
    """Return a matcher of whole texts for a pattern of * and ?; `fold` ignores case."""
    matches = compile_marked((pattern.lower() if fold else pattern).translate(_WILD))
    return (lambda text: matches(text.lower())) if fold else matches


def compile_marked(pattern: str) -> Match:
    """Return a matcher of whole texts for a pattern whose wildcards are STAR and ANY."""
    pieces = pattern.split(STAR)
    if len(pieces) == 1 and ANY not in pattern:
        return pattern.__eq__
    if len(pieces) == 1:
        return lambda text: len(text) == len(pattern) and _fits_at(pattern, text, 0)
    if len(pieces) == 2 and not pieces[1] and ANY not in pattern:
        return lambda text: text.startswith(pieces[0])  # most patterns are such
    first, last, middle = pieces[0], pieces[-1], [each for each in pieces[1:-1] if each]
    least = sum(map(len, pieces))

    def matches(text: str) -> bool:
        at, end = len(first), len(text) - len(last)
        if len(text) < least or not _fits_at(first, text, 0) or not _fits_at(last, text, end):
            return False
        for piece in middle:
            at = _find(piece, text, at, end)
            if at < 0:
                return False
            at += len(piece)
        return True

    return matches


def _fits_at(piece: str, text: str, at: int) -> bool:
    if ANY not in piece:
        return text.startswith(piece, at)
    return all(each in (ANY, text[number]) for number, each in enumerate(piece, at))


def _find(piece: str, text: str, at: int, end: int) -> int:
    """Return where a piece first occurs between two places of a text, or -1."""
    core = piece.lstrip(ANY)
    before = len(piece) - len(core)
    core = core.rstrip(ANY)
    until = end - (len(piece) - before - len(core))
    if not core:
        return at if at + before <= until else -1
    find = text.find if ANY not in core else partial(_find_apart, text)
    position = find(core, at + before, until)
    return position - before if position >= 0 else -1


def _find_apart(text: str, core: str, at: int, end: int) -> int:
    """Find a piece that has an ANY inside: keep one bit for each place that still fits, and clear
    bits character by character."""
    count = end - at - len(core) + 1
    if count <= 0:
        return -1
    places = (1 << count) - 1
    for number, each in enumerate(core, at):
        if each != ANY:
            places &= _find_all(text, each) >> number
            if not places:
                return -1
    return at + (places & -places).bit_length() - 1


@lru_cache(256)  # one text is compared with many patterns; none is long
def _find_all(text: str, character: str) -> int:
    """Return the places of a character in a text as bits."""
    if character not in text:
        return 0
    return int("".join(["1" if each == character else "0" for each in reversed(text)]), 2)
