"""The first page: who is logged in, and where to go on."""

from flask import Blueprint, render_template, request

from eucabox.console import navigation
from eucabox.console.site import current_console
from eucabox.console.visitor import current_visitor
from eucabox.iam.credentials_folder import endpoint

pages = Blueprint("home", __name__)
NOTES = {"password": "Your password is changed."}


@pages.get("/")
def show() -> str:
    """Show who the visitor is, and what there is for this user."""
    offers = navigation.list_offers(current_visitor().caller)
    return render_template(
        "home.html",
        endpoint=endpoint(current_console().cloud.config),
        tiles=[each for each in offers if each.about],
        note=NOTES.get(request.args.get("note", ""), ""),
    )
