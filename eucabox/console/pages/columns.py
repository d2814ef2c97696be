"""Which columns a visitor wants to see of a list: kept in a cookie of the browser."""

import re

from flask import Blueprint, Response, make_response, redirect, request, url_for
from werkzeug.exceptions import BadRequest

from eucabox.console.listing import COLUMNS_COOKIE, read_choices
from eucabox.console.pages.sign_in import is_own_path

pages = Blueprint("columns", __name__)
NAME = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)
MOST_LISTS, MOST_COLUMNS = 20, 30
SECONDS = 365 * 86400


@pages.post("/columns")
def choose() -> Response:
    """Keep what was ticked, or with `reset` forget it, and go back to the list."""
    choices = read_choices()
    name, names = request.form.get("list", ""), request.form.getlist("column")
    if len(names) > MOST_COLUMNS or not all(map(NAME.fullmatch, (name, *names))):
        raise BadRequest("These are no columns of a list.")
    choices.pop(name, None)
    if "reset" not in request.form:
        choices[name] = names
    back = request.form.get("back", "")
    response = make_response(redirect(back if is_own_path(back) else url_for("home.show"), 303))
    kept = "!".join(".".join((each, *columns)) for each, columns in choices.items())
    response.set_cookie(
        COLUMNS_COOKIE, _keep_newest(kept), max_age=SECONDS, secure=True, httponly=True,
        samesite="Lax", path="/",
    )  # fmt: skip
    return response


def _keep_newest(text: str) -> str:
    return "!".join(text.split("!")[-MOST_LISTS:])[-2048:]
