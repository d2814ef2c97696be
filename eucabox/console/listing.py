"""The part of a list that a visitor sees: search, tags, order, page, columns; fetches nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Generic, TypeVar
from urllib.parse import urlencode

from flask import request, url_for
from markupsafe import Markup

from eucabox.console.guard import check_text

PER_PAGE = 100
MOST_SEARCH = 128  # characters
MOST_TAGS = 200  # that are offered to choose from
PLAIN_IN_QUERY = "!$'()*,/:;?@"  # as Werkzeug leaves them
COLUMNS_COOKIE = "__Host-eucabox-columns"
Row = TypeVar("Row")
Key = Callable[[Row], str | float]


@dataclass(frozen=True)
class Column(Generic[Row]):
    """A column of a list. `name` is its word in addresses: letters, digits, hyphens."""

    name: str
    label: str
    key: Key[Row] | None = None  # what rows are ordered by; None: not by this column
    is_shown: bool = True  # unless the visitor chooses otherwise
    is_fixed: bool = False  # can't be left out
    style: str = ""  # a class of its cells: console.css has them


@dataclass(frozen=True)
class PagedList(Generic[Row]):
    """One page of a list, as templates have it."""

    name: str
    endpoint: str  # of the page, also in its fragment
    columns: tuple[Column[Row], ...]  # all that there are
    shown: tuple[Column[Row], ...]  # those that are shown
    rows: Sequence[Row]  # of this page
    total: int  # before search and tag
    count: int  # after them
    page: int  # from 1
    pages: int
    search: str = ""
    tag: str = ""
    offer_tags: Callable[[], tuple[str, ...]] = tuple
    order: str = ""  # a column's name, with - before it: downwards
    choices: Mapping[str, str] = field(default_factory=dict)  # more of the address, such as a state

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """The tags that are offered to choose from."""
        return self.offer_tags()

    @property
    def is_narrowed(self) -> bool:
        """Whether there may be rows that search or tag leave out."""
        return bool(self.search or self.tag or any(self.choices.values()))

    @property
    def first(self) -> int:
        """The number of this page's first row, from 1."""
        return (self.page - 1) * PER_PAGE + 1

    @property
    def cells(self) -> list[tuple[str, Markup]]:
        """The shown columns with what their cells begin with, the same in each row."""
        return [(each.name, _begin_cell(each)) for each in self.shown]

    def address(self, **changes: object) -> str:
        """Return this page's own address with other parameters; "" leaves one out."""
        return self._add_query(self.path, changes)

    @cached_property
    def path(self) -> str:
        """The address of the whole list."""
        return url_for(self.endpoint, **(request.view_args or {}))

    def fragment(self, endpoint: str) -> str:
        """Return the address of the fragment that shows this page of the list anew."""
        return self._add_query(url_for(endpoint, **(request.view_args or {})), {})

    def order_by(self, column: Column[Row]) -> str:
        """Return the address of the list ordered by a column, or the other way round."""
        order = f"-{column.name}" if self.order == column.name else column.name
        return self.address(order=order, page="")

    def _add_query(self, path: str, changes: Mapping[str, object]) -> str:
        asked = {"q": self.search, "tag": self.tag, "order": self.order, **self.choices}
        asked["page"] = str(self.page) if self.page > 1 else ""
        params = {**asked, **{name: str(value) for name, value in changes.items()}}
        kept = {name: value for name, value in params.items() if value}
        return f"{path}?{urlencode(kept, safe=PLAIN_IN_QUERY)}" if kept else path


def _begin_cell(column: Column[Row]) -> Markup:
    """What a column's cells begin with; where rows are cards, a name needs no label."""
    if column.style == "name":
        return Markup('<td class="name">')
    if column.style:
        return Markup('<td class="{}" data-label="{}">').format(column.style, column.label)
    return Markup('<td data-label="{}">').format(column.label)


def show_listing(
    name: str,
    endpoint: str,
    columns: tuple[Column[Row], ...],
    rows: Sequence[Row],
    text: Callable[[Row], str],
    tags: Callable[[Row], Mapping[str, str]] | None = None,
    choices: Mapping[str, str] | None = None,
) -> PagedList[Row]:
    """Return the page of a list that this request's address asks for.

    `name` is the list's word for its columns: letters, digits, hyphens. `endpoint` is that of the
    page, to which all links lead, also those of a fragment. `text` is what of a row is searched,
    `tags` its tags, `choices` other parameters of the address that the page has looked at itself
    and that links keep. Parameters: q, tag (KEY or KEY=VALUE), order, page. A page past the end is
    the last one.
    """
    search, tag = _read("q"), _read("tag")
    kept = _search(rows, search, text)
    if tags and tag:
        kept = [each for each in kept if has_tag(tags(each), tag)]
    order, kept = _order(columns, kept)
    pages = max(1, -(-len(kept) // PER_PAGE))
    page = min(_read_page(), pages)
    return PagedList(
        name=name,
        endpoint=endpoint,
        columns=columns,
        shown=list_shown(name, columns),
        rows=kept[(page - 1) * PER_PAGE : page * PER_PAGE],
        total=len(rows),
        count=len(kept),
        page=page,
        pages=pages,
        search=search,
        tag=tag if tags else "",
        offer_tags=partial(_offer_tags, rows, tags) if tags else tuple,
        order=order,
        choices=choices or {},
    )


def has_tag(tags: Mapping[str, str], wanted: str) -> bool:
    """Whether there is a tag, as KEY, or KEY=VALUE."""
    key, equals, value = wanted.partition("=")
    return tags.get(key) == value if equals else key in tags


def list_shown(name: str, columns: tuple[Column[Row], ...]) -> tuple[Column[Row], ...]:
    """Return the columns of a list that this visitor wants to see."""
    chosen = read_choices().get(name)
    if chosen is None:
        return tuple(each for each in columns if each.is_shown or each.is_fixed)
    return tuple(each for each in columns if each.is_fixed or each.name in chosen)


def read_choices() -> dict[str, list[str]]:
    """Return the columns that the visitor chose, by list, from a cookie: LIST.COLUMN.COLUMN!LIST"""
    lists = request.cookies.get(COLUMNS_COOKIE, "")[:2048].split("!")
    return {name: names for name, *names in (each.split(".") for each in lists) if name}


def _read(name: str) -> str:
    return check_text(request.args.get(name, ""), MOST_SEARCH, "What is searched for")


def _read_page() -> int:
    text = request.args.get("page", "1")
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 7 else 1


def _search(rows: Sequence[Row], search: str, text: Callable[[Row], str]) -> Sequence[Row]:
    """The rows that have each of the words, however they are capitalized."""
    words = search.casefold().split()
    if not words:
        return rows
    return [row for row in rows if _has_words(text(row).casefold(), words)]


def _has_words(text: str, words: Sequence[str]) -> bool:
    return all(word in text for word in words)


def _order(columns: tuple[Column[Row], ...], rows: Sequence[Row]) -> tuple[str, Sequence[Row]]:
    order = request.args.get("order", "")
    for column in columns:
        if column.key and order.removeprefix("-") == column.name:
            return order, sorted(rows, key=column.key, reverse=order.startswith("-"))
    return "", rows


def _offer_tags(rows: Sequence[Row], tags: Callable[[Row], Mapping[str, str]]) -> tuple[str, ...]:
    offers: dict[str, None] = {}
    for row in rows:
        for key, value in tags(row).items():
            offers[key] = offers[f"{key}={value}"] = None
        if len(offers) > MOST_TAGS:
            break
    return tuple(sorted(offers))[:MOST_TAGS]
