"""Filters and pages for all Describe actions; knows no resource and no table."""

import base64
import binascii
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypedDict, TypeVar

from eucabox import ids
from eucabox.errors import Fault, InvalidNextToken, InvalidParameterValue, MissingParameter

Row = TypeVar("Row", bound=Mapping[str, object])
Columns = Mapping[str, str | Callable[[Row], object] | None]
Thing = TypeVar("Thing")
MOST_VALUES = 200
MOST_NAMES = 40  # in a message
TAG = "tag:"


class Filter(TypedDict, total=False):
    """One filter of a request: all filters must match, by any one of their values."""

    name: str
    values: Sequence[str]


def select(rows: Iterable[Row], filters: Sequence[Filter], columns: Columns[Row]) -> list[Row]:
    """Return the rows that match every filter.

    `columns` has for each known filter name where its value is: a key of the row, a dotted path
    into its structures and lists, a function of the row (a value or a list of values), or None
    if no row here can have one. Rows with a `tags` list (dicts of key and value) are also matched
    by tag:KEY, tag-key and tag-value.
    Values hold the wildcards * and ?, with \\ before a literal one. Raises InvalidParameterValue
    for an unknown filter name.
    """
    tests = [_make_test(each, columns) for each in filters]
    return [row for row in rows if all(test(row) for test in tests)]


def _make_test(request_filter: Filter, columns: Columns[Row]) -> Callable[[Row], bool]:
    if not request_filter.get("name"):
        raise MissingParameter(parameter="Filter.Name")
    values = _read_column(request_filter["name"], columns)
    accepts = _make_matcher(request_filter)
    return lambda row: any(accepts(text) for text in _to_texts(values(row)))


def _read_column(name: str, columns: Columns[Row]) -> Callable[[Row], object]:
    if name.startswith(TAG):
        key = name[len(TAG) :]
        return lambda row: [tag["value"] for tag in _read_tags(row) if tag["key"] == key]
    if name in ("tag-key", "tag-value"):
        part = name[len(TAG) :]
        return lambda row: [tag[part] for tag in _read_tags(row)]
    if name not in columns:
        reason = (
            f"The filters that find something here are: {_suggest_names(name, columns)}; tag:KEY."
        )
        raise InvalidParameterValue(parameter="Filter.Name", value=name[:100], reason=reason)
    column = columns[name]
    if column is None:
        return lambda row: ()
    if isinstance(column, str):
        path = column
        return lambda row: get_dotted(row, path)
    return column


def _read_tags(row: Mapping[str, object]) -> Sequence[Mapping[str, str]]:
    tags = row.get("tags")
    return tags if isinstance(tags, list) else ()


def _suggest_names(name: str, columns: Columns[Row]) -> str:
    """Return the known filter names as text; if there are many, those most like `name`."""
    names = sorted(each for each, column in columns.items() if column)
    if len(names) <= MOST_NAMES:
        return ", ".join(names)
    near = difflib.get_close_matches(name[:100], names, n=MOST_NAMES // 2, cutoff=0)
    return f"{', '.join(near)}, and {len(names) - len(near)} more"


def read_at(path: str) -> Callable[[Mapping[str, object]], object]:
    """Return a function that reads a dotted path of a row, with None for an empty text."""

    def value(row: Mapping[str, object]) -> object:
        text = get_dotted(row, path)
        return None if text == "" else text

    return value


def get_dotted(value: object, path: str) -> object:
    """Return what is at the end of a dotted path: a value, or a list if a list is on the way."""
    key, _, rest = path.partition(".")
    if isinstance(value, list):
        leaves = [get_dotted(each, path) for each in value]
        return [leaf for each in leaves for leaf in (each if isinstance(each, list) else [each])]
    inner = value.get(key) if isinstance(value, dict) else None
    return get_dotted(inner, rest) if rest else inner


def select_ids(
    rows: Sequence[Row], key: str, wanted_ids: Sequence[str], missing: Callable[..., Fault]
) -> list[Row]:
    """Return the rows with the wanted ids in `key`, or all; raises `missing` for an unknown id."""
    present = {row[key] for row in rows}
    for each in wanted_ids:
        if each not in present:
            raise missing(id=each[:60])
    return [row for row in rows if not wanted_ids or row[key] in wanted_ids]


def _make_matcher(request_filter: Filter) -> Callable[[str], bool]:
    values = request_filter.get("values") or ()
    if not values:
        raise MissingParameter(parameter=f"Filter.Value of {request_filter['name'][:100]}")
    if len(values) > MOST_VALUES:
        reason = f"A filter takes at most {MOST_VALUES} values."
        raise InvalidParameterValue(parameter="Filter.Value", value=len(values), reason=reason)
    plain = {each for each in values if not set(each) & set("*?\\")}
    patterns = [_split_pattern(each) for each in values if each not in plain]
    return lambda text: text in plain or any(_matches(each, text) for each in patterns)


def _to_texts(value: object) -> Iterable[str]:
    if isinstance(value, (list, tuple, set)):
        return [_to_text(each) for each in value if each is not None]
    return () if value is None else (_to_text(value),)


def _to_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ids.time_text(value) if isinstance(value, datetime) else str(value)


ANY, ONE = object(), object()


def _split_pattern(text: str) -> list[object]:
    """Split a pattern into literal characters and the marks ANY (*) and ONE (?)."""
    tokens: list[object] = []
    letters = iter(text)
    for letter in letters:
        if letter == "\\":
            tokens.append(next(letters, "\\"))
        elif letter == "*":
            tokens += [] if tokens and tokens[-1] is ANY else [ANY]
        else:
            tokens.append(ONE if letter == "?" else letter)
    return tokens


def _matches(pattern: list[object], text: str) -> bool:
    """Match without backtracking further than the last *, so no pattern is slow."""
    at = place = 0
    star = retry = -1
    while at < len(text):
        token = pattern[place] if place < len(pattern) else None
        if token is ANY:
            star, retry = place, at
            place += 1
        elif token is ONE or token == text[at]:
            at, place = at + 1, place + 1
        elif star >= 0:
            retry += 1
            at, place = retry, star + 1
        else:
            return False
    return all(token is ANY for token in pattern[place:])


def page(
    things: Sequence[Thing],
    key: Callable[[Thing], str],
    max_results: int | None,
    next_token: str | None,
    least: int = 5,
    most: int = 1000,
) -> tuple[list[Thing], str | None]:
    """Return one page of things, sorted by `key` (unique), and the next page's token or None.

    A token names the last thing of its page, so rows that are added or deleted between two pages
    neither repeat nor hide others. Raises InvalidNextToken, or InvalidParameterValue for a
    size below `least`; a size above `most` is cut to it.
    """
    if max_results is not None and max_results < least:
        reason = f"Give a number from {least} to {most}."
        raise InvalidParameterValue(parameter="MaxResults", value=max_results, reason=reason)
    after = _read_token(next_token)
    rest = sorted((each for each in things if key(each) > after), key=key)
    size = len(rest) if max_results is None and not next_token else min(max_results or most, most)
    page_things = rest[:size]
    if len(rest) <= size:
        return page_things, None
    last = key(page_things[-1])
    return page_things, base64.urlsafe_b64encode(f"after {last}".encode()).decode()


def _read_token(token: str | None) -> str:
    if not token:
        return ""
    try:
        text = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidNextToken() from None
    if not text.startswith("after "):
        raise InvalidNextToken()
    return text[len("after ") :]
