"""Lists of pages: what is searched, ordered and paged, and which columns are shown."""

from collections.abc import Iterator, Mapping

import pytest
from werkzeug.exceptions import BadRequest

from eucabox.console.listing import COLUMNS_COOKIE, PER_PAGE, Column, PagedList, show_listing
from eucabox.console.site import Console
from tests.console.conftest import ORIGIN, Visit

Row = Mapping[str, str]
COLUMNS: tuple[Column[Row], ...] = (
    Column("id", "ID", lambda row: row["id"], is_fixed=True),
    Column("size", "Size", lambda row: int(row["size"])),
    Column("note", "Note", is_shown=False),
)
ROWS = [
    {"id": f"i-{number:03}", "size": str(number % 7), "team": "blue" if number % 2 else "red"}
    for number in range(250)
]


@pytest.fixture(name="console")
def _console(console: Console) -> Iterator[Console]:
    console.config["SERVER_NAME"] = None
    yield console


def show(console: Console, query: str, cookie: str = "") -> PagedList[Row]:
    headers = {"Cookie": f"{COLUMNS_COOKIE}={cookie}"} if cookie else {}
    with console.test_request_context(f"/?{query}", base_url=ORIGIN, headers=headers):
        listing: PagedList[Row] = show_listing(
            "things", "home.show", COLUMNS, ROWS, lambda row: row["id"],
            lambda row: {"team": row["team"]}, {"state": "on"},
        )  # fmt: skip
        assert listing.path == "/"
        return listing


def list_ids(listing: PagedList[Row]) -> list[str]:
    return [row["id"] for row in listing.rows]


def test_a_list_has_pages_and_the_last_one_is_what_is_past_the_end(console: Console) -> None:
    first = show(console, "")
    assert (len(first.rows), first.page, first.pages, first.total) == (PER_PAGE, 1, 3, 250)
    for wrong in ("0", "-1", "x", "9" * 40, "²"):
        assert show(console, f"page={wrong}").page == 1
    last = show(console, "page=99")
    assert (last.page, last.first, list_ids(last)[-1]) == (3, 201, "i-249")


def test_words_and_tags_narrow_it(console: Console) -> None:
    assert list_ids(show(console, "q=I-01+9")) == ["i-019"]
    red = show(console, "tag=team%3Dred")
    assert (red.count, red.total, red.is_narrowed) == (125, 250, True)
    assert red.tags == ("team", "team=blue", "team=red")
    assert show(console, "tag=team").count == 250
    assert show(console, "tag=other").count == 0
    for wrong in ("q=" + "x" * 129, "tag=%00"):
        with pytest.raises(BadRequest):
            show(console, wrong)


def test_it_is_ordered_by_a_column_in_both_ways(console: Console) -> None:
    up, down = show(console, "order=size"), show(console, "order=-size")
    assert [row["size"] for row in up.rows] == sorted(row["size"] for row in up.rows)
    assert {row["size"] for row in down.rows[:30]} == {"6"}
    for wrong in ("note", "secret", "--id"):
        assert show(console, f"order={wrong}").order == ""


def test_links_keep_what_was_chosen(console: Console) -> None:
    with console.test_request_context("/?q=i-0&order=id&page=1&evil=1", base_url=ORIGIN):
        listing: PagedList[Row] = show_listing(
            "things", "sessions.show", COLUMNS, ROWS, lambda row: row["id"], None, {"state": "on"}
        )
        columns = COLUMNS
        assert listing.address(page=2) == "/sessions?q=i-0&order=id&state=on&page=2"
        assert listing.order_by(columns[0]) == "/sessions?q=i-0&order=-id&state=on"
        assert listing.fragment("sign_ups.show") == "/sign-ups?q=i-0&order=id&state=on"


def test_columns_are_as_the_visitor_chose_them(console: Console, admin_visit: Visit) -> None:
    def names(cookie: str) -> list[str]:
        return [each.name for each in show(console, "", cookie).shown]

    assert names("") == names("other.note") == ["id", "size"]
    form = {"list": "things", "column": "note", "back": "/sessions?q=a+b"}
    sent = admin_visit.post("/columns", form)
    assert (sent.status_code, sent.location) == (303, "/sessions?q=a+b")
    assert names(admin_visit.cookie(COLUMNS_COOKIE)) == ["id", "note"]
    admin_visit.post("/columns", {"list": "others", "column": "x", "back": "//evil.example"})
    assert names(admin_visit.cookie(COLUMNS_COOKIE)) == ["id", "note"]
    reset = admin_visit.post("/columns", {"list": "things", "reset": "yes", "back": "https://x"})
    assert reset.location == "/"
    assert names(admin_visit.cookie(COLUMNS_COOKIE)) == ["id", "size"]
    for wrong in ({"list": "a!b"}, {"list": "a", "column": "x;y"}, {}):
        assert admin_visit.post("/columns", wrong).status_code == 400
    assert names("things." + "x" * 4000) == ["id"]
