"""The images that one may launch: one's own, those shared with one's account, public ones."""

from flask import Blueprint, Response, make_response, render_template, request

from eucabox.console.bulk import perform_each, read_chosen, show_outcomes
from eucabox.console.listed_images import WHOSE, ListedImage, list_images
from eucabox.console.listing import Column, PagedList, show_listing
from eucabox.console.visitor import perform

pages = Blueprint("images", __name__)
COLUMNS: tuple[Column[ListedImage], ...] = (
    Column("name", "Name", lambda row: row["name"].casefold(), is_fixed=True, style="name"),
    Column("state", "State", lambda row: row["state"], style="tagged"),
    Column("whose", "Whose", lambda row: row["whose"]),
    Column("kind", "Kind", lambda row: row["image_type"]),
    Column("architecture", "Processor", lambda row: row["architecture"], is_shown=False),
    Column("created", "Registered", lambda row: row["creation_date"]),
    Column("location", "Location", lambda row: row["image_location"], is_shown=False),
    Column("tags", "Tags", is_shown=False),
    Column("acts", "", is_fixed=True),
)


@pages.get("/images")
def show() -> Response:
    """List them."""
    page = render_template("images.html", listing=_read_list(), whose=WHOSE)
    return make_response(page)


@pages.get("/images/list")
def show_list() -> str:
    """Show the list alone, for a page that renews it."""
    return render_template("_images.html", listing=_read_list(), whose=WHOSE)


@pages.post("/images/deregister")
def deregister() -> Response:
    """Deregister those that were chosen; their objects stay in their buckets."""
    outcomes = perform_each(
        read_chosen(), lambda image_id: perform("ec2", "DeregisterImage", image_id=image_id)
    )
    return show_outcomes("images.show", "deregistered", outcomes)


def _read_list() -> PagedList[ListedImage]:
    rows, whose = list_images(), request.args.get("whose", "")
    if whose in WHOSE:
        rows = [row for row in rows if row["whose"] == whose]
    return show_listing(
        "images",
        "images.show",
        COLUMNS,
        rows,
        lambda row: " ".join(
            (row["name"], row["image_id"], row["description"], row["image_location"],
             row["image_type"], row["state"], row["architecture"])
        ),
        lambda row: {each["key"]: each["value"] for each in row["tags"]},
        {"whose": whose if whose in WHOSE else ""},
    )  # fmt: skip
