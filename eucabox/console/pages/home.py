"""The first page: what runs, what there is room for, what is wrong, what happened last."""

from flask import Blueprint, render_template, request
from markupsafe import Markup
from werkzeug.exceptions import NotFound

from eucabox.console import navigation, overview
from eucabox.console.overview import HomeBlock
from eucabox.console.site import current_console
from eucabox.console.visitor import current_visitor
from eucabox.iam.caller import Caller
from eucabox.iam.credentials_folder import endpoint

pages = Blueprint("home", __name__)
NOTES = {"password": "Your password is changed."}


@pages.get("/")
def show() -> str:
    """Show what there is for this user."""
    offers = navigation.list_offers(current_visitor().caller)
    blocks = {each.name: _show_now(each) for each in overview.BLOCKS if _is_for_visitor(each)}
    return render_template(
        "home.html",
        endpoint=endpoint(current_console().cloud.config),
        tiles=[each for each in offers if each.about],
        blocks=blocks,
        note=NOTES.get(request.args.get("note", ""), ""),
    )


@pages.get("/home/<name>")
def show_block(name: str) -> str:
    """Show a block alone, for a page that renews it."""
    block = next((each for each in overview.BLOCKS if each.name == name), None)
    if block is None or not _is_for_visitor(block):
        raise NotFound
    return _render(block)


def _show_now(block: HomeBlock) -> Markup:
    """A block for the page; of a slow one where it will be."""
    if block.is_slow:
        return Markup(render_template("_home_later.html", block=block))  # noqa: S704 - a template's
    return Markup(_render(block))  # noqa: S704 - a template's


def _render(block: HomeBlock) -> str:
    caller = current_visitor().caller
    links = {each.endpoint for each in navigation.list_offers(caller)}
    shown = overview.read_block(block)
    if shown is None:
        return ""
    return render_template(f"_home_{block.name}.html", links=links, **shown)


def _is_for_visitor(block: HomeBlock) -> bool:
    caller: Caller | None = current_visitor().caller
    return caller is not None and any(navigation.may(caller, *each) for each in block.needs)
