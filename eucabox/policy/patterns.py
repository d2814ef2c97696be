"""Wildcards and policy variables; never what the texts stand for."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from eucabox.policy.question import Question, key_name

Match = Callable[[str], bool]
VARIABLE = re.compile(r"\$\{([^{}]*)\}")
LITERALS = frozenset("*?$")  # what ${*}, ${?} and ${$} stand for
DEFAULT = re.compile(r"^([^,]+?)\s*,\s*'(.*)'$", re.DOTALL)


class Pattern:
    """A text with the wildcards * and ?, and with policy variables where the version has them."""

    def __init__(self, text: str, variables: bool = True, fold: bool = False) -> None:
        self.text = text
        self._fold = fold
        self._parts = VARIABLE.split(text) if variables else [text]
        # without variables it is compiled once; with them, once for each set of values
        self._fixed = glob(text, fold) if len(self._parts) == 1 else None

    def matches(self, text: str, question: Question) -> bool:
        """True if the whole text is like this; never, if one of the variables has no value."""
        if self._fixed is not None:
            return self._fixed(text)
        pattern = _replaced(self._parts, question, _quoted)
        return pattern is not None and glob(pattern, self._fold)(text)

    @property
    def wild(self) -> bool:
        """True if more than one text can be like this."""
        return any(each in self.text for each in ("*", "?", "${"))


def filled(text: str, question: Question, wild: bool = False) -> str | None:
    """Return a text with its variables replaced, None if one has no value. With `wild` the text
    is a pattern for `glob`, in which the values stand for themselves."""
    if "${" not in text:
        return text
    return _replaced(VARIABLE.split(text), question, _quoted if wild else str)


def _replaced(
    parts: Sequence[str], question: Question, written: Callable[[str], str]
) -> str | None:
    made = list(parts)
    for number in range(1, len(made), 2):
        value = _value(made[number], question)
        if value is None:
            return None
        made[number] = written(value)
    return "".join(made)


def _value(name: str, question: Question) -> str | None:
    if name in LITERALS:
        return name
    told = DEFAULT.match(name)
    values = question.value(key_name((told[1] if told else name).strip()))
    if values and len(values) == 1:
        return values[0]
    return told[2] if told else None


# A character that stands for itself although it is a wildcard; no key and no name has it.
_QUOTE = "\ud800"


def _quoted(text: str) -> str:
    return text.replace("*", _QUOTE + "*").replace("?", _QUOTE + "?")


@lru_cache(4096)
def glob(pattern: str, fold: bool = False) -> Match:
    """Return what tells if a whole text is like a pattern of * and ?.

    It takes time by the length of the text and of the pattern, whatever they are: each star
    takes what comes first and never gives it back.
    """
    if not any(each in pattern for each in ("*", "?", _QUOTE)):
        wanted = pattern.lower() if fold else pattern
        return lambda text: (text.lower() if fold else text) == wanted
    pieces = [_regex(each) for each in re.split(rf"(?<!{_QUOTE})\*+", pattern)]
    first, *middle, last = pieces if len(pieces) > 1 else [pieces[0], None]
    regex = first or ""
    if last is not None:
        regex += "".join(f"(?>.*?{each})" for each in middle) + f".*{last}"
    compiled = re.compile(regex, re.DOTALL | (re.IGNORECASE if fold else 0))
    return lambda text: compiled.fullmatch(text) is not None


def _regex(piece: str) -> str:
    made, quoted = "", False
    for each in piece:
        if each == _QUOTE:
            quoted = True
            continue
        made += "." if each == "?" and not quoted else re.escape(each)
        quoted = False
    return made
