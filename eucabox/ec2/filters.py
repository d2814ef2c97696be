"""Filters and pages for all Describe actions; knows no resource and no table."""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from types import MappingProxyType
from typing import TypedDict, TypeVar

from eucabox import ids
from eucabox.errors import (
    Fault,
    FilterLimitExceeded,
    InvalidNextToken,
    InvalidParameterValue,
    MissingParameter,
)
from eucabox.iam.policy.wildcards import ANY, STAR, Match, compile_marked

Row = TypeVar("Row", bound=Mapping[str, object])
Columns = Mapping[str, str | Callable[[Row], object] | None]
Thing = TypeVar("Thing")
MOST_FILTERS, MOST_VALUES = 50, 200  # as in AWS
MOST_NAMES = 40  # in a message
TAG = "tag:"
MARKS = {"*": STAR, "?": ANY}


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
    for an unknown filter name, FilterLimitExceeded.
    """
    if len(filters) > MOST_FILTERS:
        raise FilterLimitExceeded(most=f"{MOST_FILTERS} filters", count=len(filters))
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
    import difflib  # for this message alone

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
    inner = value.get(key) if isinstance(value, dict | MappingProxyType) else None
    return get_dotted(inner, rest) if rest else inner


def select_ids(
    rows: Sequence[Row], key: str, wanted_ids: Sequence[str], missing: Callable[..., Fault]
) -> list[Row]:
    """Return the rows with the wanted ids in `key`, or all; raises `missing` for an unknown id."""
    present = {row[key] for row in rows}
    for each in wanted_ids:
        if each not in present:
            raise missing(id=each[:60])
    wanted = frozenset(wanted_ids)
    return [row for row in rows if not wanted or row[key] in wanted]


def _make_matcher(request_filter: Filter) -> Callable[[str], bool]:
    values = request_filter.get("values") or ()
    if not values:
        raise MissingParameter(parameter=f"Filter.Value of {request_filter['name'][:100]}")
    if len(values) > MOST_VALUES:
        raise FilterLimitExceeded(most=f"{MOST_VALUES} values of a filter", count=len(values))
    plain = {each for each in values if not set(each) & set("*?\\")}
    patterns = [_compile_pattern(each) for each in values if each not in plain]
    return lambda text: text in plain or any(matches(text) for matches in patterns)


def _to_texts(value: object) -> Iterable[str]:
    if isinstance(value, (list, tuple, set)):
        return [_to_text(each) for each in value if each is not None]
    return () if value is None else (_to_text(value),)


def _to_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ids.time_text(value) if isinstance(value, datetime) else str(value)


def _compile_pattern(text: str) -> Match:
    marked: list[str] = []
    letters = iter(text)
    for letter in letters:
        if letter == "\\":
            marked.append(next(letters, "\\"))
        else:
            marked.append(MARKS.get(letter, letter))
    return compile_marked("".join(marked))


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
    keyed = [(name, each) for each in things if (name := key(each)) > after]
    keyed.sort(key=itemgetter(0))
    size = len(keyed) if max_results is None and not next_token else min(max_results or most, most)
    page_things = [each for _, each in keyed[:size]]
    if len(keyed) <= size:
        return page_things, None
    last = keyed[size - 1][0]
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
